"""Shadow runs as a comment on a pull request: the verdict, the figures, and real answers side by side."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.cases import report_pair
from promptops.cli.reports.cases.markdown import case_sections
from promptops.cli.reports.labels import VERDICT_SYMBOLS
from promptops.cli.reports.markdown import CommentSection, code_line, prose, render_comment, table
from promptops.cli.reports.shadow.view import (
    metric_comparison_rows,
    overview_headers,
    overview_rows,
    pair_groups,
    shadow_notes,
    shadow_sample_size,
    similarity_text,
    slice_rows,
)
from promptops.evaluation.shadow.result import ShadowComparison

_MAX_PAIRS = 10
_MAX_PAIRS_IN_DIFF = 3
_MAX_SLICES = 15
_MAX_FIELDS = 15


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
    rows = [
        (code_line(label), f"{VERDICT_SYMBOLS[verdict]} {verdict}", *rest)
        for label, verdict, *rest in overview_rows(comparisons)
    ]
    heads = ("candidate", "", "pairs", "fails more by (95 %)", "broke", "fixed", "judged")
    yield from table(overview_headers(comparisons, *heads), rows)


def _sections(one: ShadowComparison, *, small: bool) -> Iterator[CommentSection]:
    yield CommentSection("\n".join(_head(one, small=small)) + "\n", "shadow runs")
    yield from _details(one, most=_MAX_PAIRS, level=4)


def _head(one: ShadowComparison, *, small: bool) -> Iterator[str]:
    symbol = VERDICT_SYMBOLS[one.verdict]
    yield f"\n{'####' if small else '###'} {symbol} {code_line(one.prompt)}: {one.verdict}\n"
    yield f"**{prose(one.sentence)}**"
    yield from _body(one)


def _body(one: ShadowComparison) -> Iterator[str]:
    yield f"\n{prose(shadow_sample_size(one))}\n"
    yield from (f"- {prose(note)}" for note in shadow_notes(one))
    yield ""
    heads = ("", "control", "candidate", "worse by (95 %)", "limit", "verdict")
    yield from table(heads, metric_comparison_rows(one), right=range(1, 5))
    yield f"\n{prose(similarity_text(one.likeness))}\n"


def _details(one: ShadowComparison, *, most: int, level: int) -> Iterator[CommentSection]:
    for _, title, pairs, total in pair_groups(one):
        yield from case_sections(title, "pairs", list(map(report_pair, pairs[:most])), total, level=level)
    mark = "#" * level
    if fields := one.likeness.fields[:_MAX_FIELDS]:
        rows = [
            (code_line(each.path), f"{each.pairs:,}", "; ".join(map(code_line, each.examples)))
            for each in fields
        ]
        lines = "\n".join(table(("field", "pairs", "such as"), rows))
        yield CommentSection(f"{lines}\n", "tables", f"\n{mark} JSON fields that differ\n\n")
    if slices := [(code_line(name), *rest) for name, *rest in slice_rows(one, _MAX_SLICES)]:
        heads = ("slice", "pairs", "passes", "broke", "fixed", "p, adjusted")
        lines = "\n".join(table(heads, slices, right=range(1, 6)))
        yield CommentSection(f"{lines}\n", "tables", f"\n{mark} Slices\n\n")
    yield CommentSection(f"\n<sub>{code_line(one.shadow_id)}</sub>\n", "")
