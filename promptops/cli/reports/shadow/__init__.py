"""The forms of shadow runs: pure functions from comparisons to text."""

from collections.abc import Sequence
from typing import Literal

from promptops.evaluation.shadow.result import ShadowComparison
from promptops.reports.labels import VERDICT_ORDER

ShadowFormatName = Literal["text", "json", "markdown", "html"]


def render_comparisons(
    comparisons: Sequence[ShadowComparison], form: ShadowFormatName, *, table: bool = False
) -> str:
    """The whole text of one form. Several come worst first; ``table``: in one table alone."""
    several = table or len(comparisons) > 1
    ordered = comparisons_worst_first(comparisons) if several else comparisons
    if form == "json":
        from promptops.cli.reports.json_data import report_json

        return report_json(ordered if several else ordered[0])
    if form == "markdown":
        from promptops.cli.reports.shadow.markdown import render_shadow_markdown as render
    elif form == "html":
        from promptops.cli.reports.shadow.html import render_shadow_html as render
    else:
        from promptops.cli.reports.shadow.text import render_shadow_text as render
    return render(ordered, table=table)


def print_comparisons(
    comparisons: Sequence[ShadowComparison], form: ShadowFormatName, *, table: bool = False
) -> None:
    from promptops.console import print_report

    print_report(render_comparisons(comparisons, form, table=table), form)


def comparisons_worst_first(comparisons: Sequence[ShadowComparison]) -> list[ShadowComparison]:
    """By verdict, then by how much worse it may be."""
    return sorted(
        comparisons, key=lambda one: (VERDICT_ORDER[one.verdict], -one.questions[0].high, one.prompt)
    )
