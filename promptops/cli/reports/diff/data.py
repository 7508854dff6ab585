"""What is said of each prompt that changed: its review, the estimates, and what it renders to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from promptops.cli.options.common import read_inputs
from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import Invalid
from promptops.prompt import Prompt
from promptops.prompt.cases import lines_of, read_cases
from promptops.providers.catalog import Catalog
from promptops.versions.change_summary import Review, review
from promptops.versions.changed_prompts import Pair
from promptops.versions.rendered_preview import Estimate, Preview, estimate, merged_inputs, preview

if TYPE_CHECKING:
    from promptops.evaluation.shadow.result import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class On:
    """What to render both sides on; nothing unless asked."""

    render: bool = False
    given: tuple[str, ...] = ()
    file: str | None = None
    cases: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    review: Review
    previews: Sequence[Preview]
    estimates: tuple[Estimate | None, Estimate | None]
    prices_from: str
    shadow: "Comparison | None" = None


def tell(pairs: Sequence[Pair], settings: Settings, on: On) -> list[Told]:
    if len(pairs) > 1 and (on.given or on.file):
        raise Invalid(
            "inputs belong to one prompt, and several changed",
            hint="name one, or use --cases: each prompt's own golden set",
        )
    return list(_told(pairs, settings, on))


def _told(pairs: Sequence[Pair], settings: Settings, on: On) -> Iterator[Told]:
    catalog = Catalog.load(settings) if pairs else None
    for pair in pairs:
        previews = _previews(pair, on)
        old, new = (
            _estimate(side.prompt, catalog, [one.tokens[at] for one in previews])
            for at, side in enumerate((pair.old, pair.new))
        )
        yield Told(review(pair), previews, (old, new), catalog.source if catalog else "")


def _previews(pair: Pair, on: On) -> list[Preview]:
    old, new = pair.old.prompt, pair.new.prompt
    asked = merged_inputs(old, new)
    if asked is None:
        return []
    if on.cases:
        return [preview(label, old, new, inputs) for label, inputs in _case_inputs(pair)]
    if on.render:
        inputs = read_inputs(asked, on.given, on.file)
        unknown = next((name for name in inputs if name not in asked.inputs), None)
        if unknown:
            raise Invalid(
                f"neither version has an input `{unknown}`", hint=f"inputs: {', '.join(asked.inputs)}"
            )
        return [preview("", old, new, inputs)]
    return []


def _case_inputs(pair: Pair) -> Iterator[tuple[str, Any]]:
    side = pair.new if pair.new.cases is not None else pair.old
    if side.prompt is None or side.prompt.cases is None or side.cases is None:
        note(f"{pair.name} has no golden set")
        return
    for case in read_cases(side.prompt.cases, lines_of(side.cases)):
        yield case.id, case.inputs


def _estimate(
    prompt: Prompt | None, catalog: Catalog | None, tokens: Sequence[int | None]
) -> Estimate | None:
    if prompt is None or catalog is None:
        return None
    known = [count for count in tokens if count is not None]
    return estimate(prompt, catalog.price, sum(known) // len(known) if known else None)
