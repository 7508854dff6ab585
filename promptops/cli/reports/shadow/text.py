"""Shadow runs on a terminal of 80 columns."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import report_pair
from promptops.cli.reports.cases.text import case_lines
from promptops.cli.reports.lines import aligned, plain_text, wrapped
from promptops.cli.reports.shadow.view import (
    field_rows,
    metric_comparison_rows,
    overview_headers,
    overview_rows,
    pair_groups,
    shadow_headline,
    shadow_notes,
    shadow_sample_size,
    similarity_text,
    slice_rows,
)
from promptops.console import StyledLine, escape_line
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison

_WIDTH = 80
_MAX_PAIRS = 5  # listed in each direction
_MAX_SLICES = 10
_MAX_FIELDS = 8
_BOUNDS_COLUMN = 3  # the column of bounds among those of a metric
_NAME_WIDTH = 28  # characters of a tag or check


def render_shadow_text(comparisons: Sequence[ShadowComparison], *, table: bool = False) -> str:
    if table:
        return plain_text(_overview(comparisons))
    return "\n".join(plain_text(_comparison_lines(one)) for one in comparisons)


def _overview(comparisons: Sequence[ShadowComparison]) -> Iterator[StyledLine]:
    """One table of the repository, worst first. Where all move to one model it is named once."""
    models = {one.candidate.model for one in comparisons}
    if len(models) == 1:
        yield [(f"To {models.pop()}:", "")]
        labels = [one.prompt for one in comparisons]
    else:
        labels = [one.candidate.label for one in comparisons]
    rows = [
        (label, *(cell.removesuffix(" points") for cell in row))
        for label, (_, *row) in zip(labels, overview_rows(comparisons), strict=True)
    ]
    heads = ("", "VERDICT", "PAIRS", "FAILS MORE, POINTS", "BROKE", "FIXED", "JUDGED")
    yield from aligned(overview_headers(comparisons, *heads), rows, right={2, 3, 4, 5})
    for one in comparisons:
        for note in shadow_notes(one):
            yield from wrapped(f"{one.prompt}: {note}", _WIDTH)


def _comparison_lines(one: ShadowComparison) -> Iterator[StyledLine]:
    for text in (shadow_headline(one), one.sentence, shadow_sample_size(one)):
        yield from wrapped(text, _WIDTH)
    for note in shadow_notes(one):
        yield from wrapped(note.strip(), _WIDTH, indent=2 if note.startswith("  ") else 0)
    yield []
    rows = [  # the limit names the unit
        (*row[:_BOUNDS_COLUMN], row[_BOUNDS_COLUMN].removesuffix(" points"), *row[_BOUNDS_COLUMN + 1 :])
        for row in metric_comparison_rows(one)
    ]
    heads = ("", "CONTROL", "CANDIDATE", "WORSE BY (95 %)", "LIMIT", "VERDICT")
    yield from aligned(heads, rows, right={1, 2, 3, 4})
    yield []
    yield from wrapped(similarity_text(one.likeness), _WIDTH)
    for path, pairs, examples in field_rows(one)[:_MAX_FIELDS]:
        yield from wrapped(f"{path} differs in {pairs}: {examples}", _WIDTH, indent=2)
    yield from _slices(one)
    for name, title, shown, total in pair_groups(one):
        if name != "changed" and total:
            yield from _pairs(title, shown, total)
    yield []
    yield [(f"promptops shadow show {one.shadow_id} --format html --out shadow.html", "")]


def _slices(one: ShadowComparison) -> Iterator[StyledLine]:
    rows = [(escape_line(name, _NAME_WIDTH), *rest) for name, *rest in slice_rows(one, _MAX_SLICES)]
    if rows:
        yield []
        yield from aligned(("SLICE", "PAIRS", "PASSES", "BROKE", "FIXED", "P"), rows, right={1, 2, 3, 4, 5})


def _pairs(title: str, pairs: Sequence[ShadowPair], total: int) -> Iterator[StyledLine]:
    yield []
    yield [(f"{title} {total:,}" + (f", the worst {_MAX_PAIRS}:" if total > _MAX_PAIRS else ":"), "")]
    for pair in pairs[:_MAX_PAIRS]:
        yield from case_lines(report_pair(pair), _WIDTH)
