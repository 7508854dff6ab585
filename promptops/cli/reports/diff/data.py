"""What is said of each prompt that changed: its review, the estimates, and what it renders to."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from promptops.cli.options.common import read_inputs
from promptops.config.settings import Settings
from promptops.console import note
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Prompt
from promptops.prompt.cases import iter_lines, read_cases
from promptops.providers.catalog import Catalog
from promptops.versions.change_summary import ChangeSummary, summarize_change
from promptops.versions.changed_prompts import PromptChange
from promptops.versions.rendered_preview import (
    CallCostEstimate,
    RenderedPreview,
    estimate_call_cost,
    merge_inputs,
    render_preview,
)

if TYPE_CHECKING:
    from promptops.evaluation.shadow.result import ShadowComparison


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """What to render both sides on; nothing unless merged."""

    render: bool = False
    given: tuple[str, ...] = ()
    file: str | None = None
    cases: bool = False


@dataclass(frozen=True, slots=True)
class DiffReport:
    review: ChangeSummary
    previews: Sequence[RenderedPreview]
    estimates: tuple[CallCostEstimate | None, CallCostEstimate | None]
    prices_from: str
    shadow: "ShadowComparison | None" = None


def build_diff_reports(
    pairs: Sequence[PromptChange], settings: Settings, on: RenderOptions
) -> list[DiffReport]:
    if len(pairs) > 1 and (on.given or on.file):
        raise Invalid(
            "inputs belong to one prompt, and several changed",
            hint="name one, or use --cases: each prompt's own golden set",
        )
    return list(_iter_reports(pairs, settings, on))


def _iter_reports(
    pairs: Sequence[PromptChange], settings: Settings, on: RenderOptions
) -> Iterator[DiffReport]:
    catalog = Catalog.load(settings) if pairs else None
    for pair in pairs:
        previews = _previews(pair, on)
        old, new = (
            _estimate(side.prompt, catalog, [one.tokens[at] for one in previews])
            for at, side in enumerate((pair.old, pair.new))
        )
        yield DiffReport(summarize_change(pair), previews, (old, new), catalog.source if catalog else "")


def _previews(pair: PromptChange, on: RenderOptions) -> list[RenderedPreview]:
    old, new = pair.old.prompt, pair.new.prompt
    merged = merge_inputs(old, new)
    if merged is None:
        return []
    if on.cases:
        return [render_preview(label, old, new, inputs) for label, inputs in _case_inputs(pair)]
    if on.render:
        inputs = read_inputs(merged, on.given, on.file)
        unknown = next((name for name in inputs if name not in merged.inputs), None)
        if unknown:
            raise Invalid(
                f"neither version has an input `{unknown}`", hint=f"inputs: {', '.join(merged.inputs)}"
            )
        return [render_preview("", old, new, inputs)]
    return []


def _case_inputs(pair: PromptChange) -> Iterator[tuple[str, Any]]:
    side = pair.new if pair.new.cases is not None else pair.old
    if side.prompt is None or side.prompt.cases is None or side.cases is None:
        note(f"{pair.name} has no golden set")
        return
    for case in read_cases(side.prompt.cases, iter_lines(side.cases), side.prompt.inputs):
        yield case.id, case.inputs


def _estimate(
    prompt: Prompt | None, catalog: Catalog | None, tokens: Sequence[int | None]
) -> CallCostEstimate | None:
    if prompt is None or catalog is None:
        return None
    counts = [count for count in tokens if count is not None]
    return estimate_call_cost(prompt, catalog.price, sum(counts) // len(counts) if counts else None)
