"""The forms in which shadow runs are told: pure functions from comparisons to text."""

from collections.abc import Sequence
from typing import Literal

from promptops.cli.reports.eval import results_json_text
from promptops.evaluation.shadow.result import ShadowComparison

ShadowFormatName = Literal["text", "json", "markdown", "html"]


def render_comparisons(
    found: Sequence[ShadowComparison], form: ShadowFormatName, *, table: bool = False
) -> str:
    """The whole text of one form. Several are told worst first; ``table``: in one table alone."""
    found = comparisons_worst_first(found) if table or len(found) > 1 else found
    if form == "json":
        return results_json_text(found if table or len(found) > 1 else found[0])
    if form == "markdown":
        from promptops.cli.reports.shadow.markdown import render_shadow_markdown as render
    elif form == "html":
        from promptops.cli.reports.shadow.html import render_shadow_html as render
    else:
        from promptops.cli.reports.shadow.text import render_shadow_text as render
    return render(found, table=table)


def print_comparisons(
    found: Sequence[ShadowComparison], form: ShadowFormatName, *, table: bool = False
) -> None:
    from promptops.console import print_json_text, print_text

    rendered = render_comparisons(found, form, table=table)
    if form == "json":
        print_json_text(rendered.rstrip("\n"))
    else:
        print_text(rendered, end="")


_VERDICT_ORDER = {"worse": 0, "undecided": 1, "not worse": 2, "better": 3}


def comparisons_worst_first(found: Sequence[ShadowComparison]) -> list[ShadowComparison]:
    """By verdict, then by how much worse it may be."""
    return sorted(
        found, key=lambda each: (_VERDICT_ORDER[each.verdict], -each.questions[0].high, each.prompt)
    )
