"""Changes of prompts as a person reads them in a terminal."""

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from promptops.cli.reports.diff.data import DiffReport
from promptops.cli.reports.diff.shadow_runs import shadow_run_sentence
from promptops.cli.reports.lines import print_lines
from promptops.console import StyledLine, stdout_supports_colour
from promptops.prompt import short_digest
from promptops.prompt.diff import DiffGap, Segment, TextDiff, hunk_lines
from promptops.reports.numbers import format_usd
from promptops.versions.change_summary import ChangeSummary
from promptops.versions.rendered_preview import CallCostEstimate, RenderedPreview
from promptops.versions.snapshots import PromptSnapshot

_MAX_PREVIEWS = 10
_MARKS = {"-": ("[-", "-]"), "+": ("{+", "+}"), "=": ("", "")}
_COLOURS = {"-": "red", "+": "green", "=": ""}


def print_diff_reports(reports: Sequence[DiffReport], *, unified: bool) -> None:
    marks = not stdout_supports_colour()
    for number, one in enumerate(reports):
        print_lines([[]] if number else [])
        print_lines(_report_lines(one, unified=unified, marks=marks))


def _report_lines(one: DiffReport, *, unified: bool, marks: bool) -> Iterator[StyledLine]:
    review = one.review
    yield [(review.pair.name, "bold"), (f" {review.headline}", "")]
    yield from ([(f"  {line}", "dim")] for line in review_facts(review))
    for change in review.changes:
        for number, line in enumerate([*change.lines, *map(str, change.texts)]):
            label = change.kind if number == 0 else ""
            yield [(f"  {label:<16} ", "dim"), (line, _colour(change.effect, line))]
    yield from ([(f"  {line}", "dim")] for line in estimate_lines(one))
    if one.shadow:
        yield [(f"  {'shadow run':<16} ", "dim"), (shadow_run_sentence(one.shadow), "")]
    for text in [*(text for change in review.changes for text in change.texts), *review.files]:
        yield from _text_lines(text, unified=unified, marks=marks)
    yield from _preview_lines(one.previews, unified=unified, marks=marks)


def review_facts(review: ChangeSummary) -> Iterator[str]:
    pair = review.pair
    sides = [_side_label(side) for side in (pair.old, pair.new) if side.present]
    yield " -> ".join(sides)
    if pair.through:
        yield f"through {', '.join(pair.through)}"
    yield from review.notes


def _side_label(side: PromptSnapshot) -> str:
    return f"{side.reference} {short_digest(side.prompt.digest)}" if side.prompt else side.reference


def _colour(effect: str | None, line: str) -> str:
    return "red" if effect and line.endswith("(breaking for callers)") else ""


def estimate_lines(one: DiffReport) -> Iterator[str]:
    """Tokens, cost and reusable prefix of one call, where they differ."""
    old, new = one.estimates
    if old is None or new is None or old == new:
        return
    basis = "on these inputs" if one.previews else "before inputs"
    if len(one.previews) > 1:
        basis = f"averaged over {len(one.previews)} cases"
    if old.input_tokens != new.input_tokens:
        yield f"about {old.input_tokens:,} -> {new.input_tokens:,} input tokens {basis} (4 bytes a token)"
    if cost := _cost(old, new):
        yield f"{cost} (estimate, prices of {one.prices_from})"
    if new.prefix_tokens < old.prefix_tokens:
        yield (
            f"the static start that provider caches reuse is shorter: about {old.prefix_tokens:,} -> "
            f"{new.prefix_tokens:,} tokens"
        )


def _cost(old: CallCostEstimate, new: CallCostEstimate) -> str:
    parts = (
        [f"input {_usd(old.input_usd)} -> {_usd(new.input_usd)}"] if old.input_usd != new.input_usd else []
    )
    if old.most_output_usd != new.most_output_usd:
        parts.append(f"output at most {_usd(old.most_output_usd)} -> {_usd(new.most_output_usd)}")
    return f"per call: {', '.join(parts)}" if parts else ""


def _usd(value: float | None) -> str:
    return "of unknown price" if value is None else format_usd(value)


def _preview_lines(
    previews: Sequence[RenderedPreview], *, unified: bool, marks: bool
) -> Iterator[StyledLine]:
    differing = [preview for preview in previews if preview.lines or preview.texts or preview.notes]
    if len(previews) > 1:
        yield []
        yield [(f"{len(differing)} of {len(previews)} cases render differently or not at all", "")]
    elif previews and not differing:
        yield []
        yield [("rendered: the same messages", "")]
    for preview in differing[:_MAX_PREVIEWS]:
        yield []
        yield [(f"rendered {preview.label}".strip(), "bold")]
        yield from ([(f"  {line}", "")] for line in [*preview.notes, *preview.lines])
        for text in preview.texts:
            yield from _text_lines(text, unified=unified, marks=marks)
    if len(differing) > _MAX_PREVIEWS:
        yield []
        yield [(f"{len(differing) - _MAX_PREVIEWS} more: --json has them all", "")]


def _text_lines(text: TextDiff, *, unified: bool, marks: bool) -> Iterator[StyledLine]:
    yield []
    yield [(text.where, "bold")]
    lines = unified_diff_lines(text) if unified else word_diff_lines(text.segments, marks=marks)
    yield from ([("    ", ""), *pieces] for pieces in lines)


def word_diff_lines(segments: Sequence[Segment], *, marks: bool) -> Iterator[StyledLine]:
    """Lines of coloured pieces; ``marks`` writes `[-…-]` and `{+…+}` round what changed."""
    for line in hunk_lines(segments):
        if isinstance(line, DiffGap):
            yield [(f"… {line.lines} line{'' if line.lines == 1 else 's'}", "dim")]
        else:
            yield [_styled_segment(segment, marks=marks) for segment in line.segments]


def _styled_segment(segment: Segment, *, marks: bool) -> tuple[str, str]:
    before, after = _MARKS[segment.tag] if marks else ("", "")
    return f"{before}{segment.text}{after}", _COLOURS[segment.tag]


def unified_diff_lines(text: TextDiff) -> Iterator[StyledLine]:
    for line in _unified(text):
        colour = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
        yield [(line, colour)]


def _unified(text: TextDiff) -> Iterator[str]:
    old, new = ((side or "").splitlines(keepends=True) for side in (text.old, text.new))
    last = [side[-1][-1:] == "\n" for side in (old, new) if side]
    lines = list(unified_diff(old, new, n=3))[2:]  # without the names of files
    for line in lines:
        yield line.rstrip("\r\n")
        if line[-1:] != "\n" and len(set(last)) > 1:
            yield "\\ no line break at the end"
