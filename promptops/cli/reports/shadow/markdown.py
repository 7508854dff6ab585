"""Shadow runs as a comment on a pull request: the verdict, the figures, and real answers side by side."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import report_pair
from promptops.cli.reports.cases.markdown import case_sections
from promptops.cli.reports.markdown import (
    CommentSection,
    code_line,
    prose,
    render_comment,
    table_markdown,
)
from promptops.cli.reports.shadow.view import (
    common_model,
    fields_table,
    metrics_table,
    overview_table,
    pair_groups,
    shadow_notes,
    shadow_sample_size,
    shadow_verdict,
    similarity_text,
)
from promptops.cli.reports.tables import slices_table
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.reports.labels import VERDICT_SYMBOLS

_MAX_PAIRS = 10
_MAX_PAIRS_IN_DIFF = 3
_MAX_SLICES = 15


def render_shadow_markdown(comparisons: Sequence[ShadowComparison], *, table: bool = False) -> str:
    head = "\n".join(_overview(comparisons)) + "\n" if table else ""
    sections = [section for one in comparisons for section in _sections(one, small=table)]
    return render_comment("shadow", head, sections)


def shadow_section(one: ShadowComparison, *, details: bool) -> Iterator[str]:
    """A shadow run below the change that it tried; ``details``: with the worst pairs."""
    yield f"\n**Shadow run: {VERDICT_SYMBOLS[one.verdict]} {prose(one.sentence)}**"
    yield from _body(one)
    if details:
        heading = ""
        for section in _details(one, most=_MAX_PAIRS_IN_DIFF, level=5):
            yield section.text if section.heading == heading else section.heading + section.text
            heading = section.heading


def _overview(comparisons: Sequence[ShadowComparison]) -> Iterator[str]:
    yield "### Which prompts survive\n"
    if model := common_model(comparisons):
        yield f"To {code_line(model)}:\n"
    yield from table_markdown(overview_table(comparisons))


def _sections(one: ShadowComparison, *, small: bool) -> Iterator[CommentSection]:
    yield CommentSection("\n".join(_head(one, small=small)) + "\n", "shadow runs")
    yield from _details(one, most=_MAX_PAIRS, level=4)


def _head(one: ShadowComparison, *, small: bool) -> Iterator[str]:
    symbol = VERDICT_SYMBOLS[one.verdict]
    yield f"\n{'####' if small else '###'} {symbol} {code_line(one.prompt)}: {shadow_verdict(one)}\n"
    yield f"**{prose(one.sentence)}**"
    yield from _body(one)


def _body(one: ShadowComparison) -> Iterator[str]:
    yield f"\n{prose(shadow_sample_size(one))}\n"
    yield from (f"- {prose(note)}" for note in shadow_notes(one))
    yield ""
    yield from table_markdown(metrics_table(one))
    yield f"\n{prose(similarity_text(one.likeness))}\n"


def _details(one: ShadowComparison, *, most: int, level: int) -> Iterator[CommentSection]:
    for _, title, pairs, total in pair_groups(one):
        yield from case_sections(title, "pairs", list(map(report_pair, pairs[:most])), total, level=level)
    tables = (
        ("JSON fields that differ", fields_table(one)),
        ("Slices", slices_table(one.tags, one.checks, _MAX_SLICES)),
    )
    for title, table in tables:
        if table.rows:
            text = "\n".join(table_markdown(table)) + "\n"
            yield CommentSection(text, "tables", f"\n{'#' * level} {title}\n\n")
    yield CommentSection(f"\n<sub>{code_line(one.shadow_id)}</sub>\n", "")
