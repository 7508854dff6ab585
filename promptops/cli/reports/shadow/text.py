"""Shadow runs on a terminal of 80 columns."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import report_pair
from promptops.cli.reports.cases.text import case_lines
from promptops.cli.reports.lines import plain_text, table_lines, wrapped
from promptops.cli.reports.shadow.view import (
    common_model,
    metrics_table,
    overview_table,
    pair_groups,
    shadow_headline,
    shadow_notes,
    shadow_sample_size,
    similarity_text,
)
from promptops.cli.reports.tables import slices_table
from promptops.console import StyledLine
from promptops.evaluation.shadow.pair import ShadowPair
from promptops.evaluation.shadow.result import ShadowComparison

_WIDTH = 80
_MAX_PAIRS = 5  # listed in each direction
_MAX_SLICES = 10
_MAX_FIELDS = 8


def render_shadow_text(comparisons: Sequence[ShadowComparison], *, table: bool = False) -> str:
    if table:
        return plain_text(_overview(comparisons))
    return "\n".join(plain_text(_comparison_lines(one)) for one in comparisons)


def _overview(comparisons: Sequence[ShadowComparison]) -> Iterator[StyledLine]:
    """One table of the repository, worst first."""
    if model := common_model(comparisons):
        yield [(f"To {model}:", "")]
    yield from table_lines(overview_table(comparisons), _WIDTH)
    for one in comparisons:
        for note in shadow_notes(one):
            yield from wrapped(f"{one.prompt}: {note}", _WIDTH)


def _comparison_lines(one: ShadowComparison) -> Iterator[StyledLine]:
    for text in (shadow_headline(one), one.sentence, shadow_sample_size(one)):
        yield from wrapped(text, _WIDTH)
    for note in shadow_notes(one):
        yield from wrapped(note.strip(), _WIDTH, indent=2 if note.startswith("  ") else 0)
    yield []
    yield from table_lines(metrics_table(one), _WIDTH)
    yield []
    yield from wrapped(similarity_text(one.likeness), _WIDTH)
    for field in one.likeness.fields[:_MAX_FIELDS]:
        yield from wrapped(
            f"{field.path} differs in {field.pairs:,}: {'; '.join(field.examples)}", _WIDTH, indent=2
        )
    slices = slices_table(one.tags, one.checks, _MAX_SLICES)
    if slices.rows:
        yield []
        yield from table_lines(slices, _WIDTH)
    for name, title, shown, total in pair_groups(one):
        if name != "changed" and total:
            yield from _pairs(title, shown, total)
    yield []
    yield [(f"promptops shadow show {one.shadow_id} --format html --out shadow.html", "")]


def _pairs(title: str, pairs: Sequence[ShadowPair], total: int) -> Iterator[StyledLine]:
    yield []
    yield [(f"{title} {total:,}" + (f", the worst {_MAX_PAIRS}:" if total > _MAX_PAIRS else ":"), "")]
    for pair in pairs[:_MAX_PAIRS]:
        yield from case_lines(report_pair(pair), _WIDTH)
