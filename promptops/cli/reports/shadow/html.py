"""Shadow runs as one HTML file."""

from collections.abc import Sequence

from promptops.cli.reports.cases import common_tags, report_pair
from promptops.cli.reports.html import CaseGroup, render_page
from promptops.cli.reports.shadow import plots, view
from promptops.cli.reports.tables import slices_table
from promptops.evaluation.shadow.result import ShadowComparison

_OPEN_CARDS = 5
_MAX_SLICES = 40


def render_shadow_html(comparisons: Sequence[ShadowComparison], *, table: bool = False) -> str:
    return render_page(
        "shadow.html.j2",
        comparisons=comparisons,
        overview=table,
        view=view,
        plots=plots,
        max_slices=_MAX_SLICES,
        slices_table=slices_table,
        case_groups=_case_groups,
        common_tags=lambda groups: common_tags(case for group in groups for case in group.cases),
    )


def _case_groups(one: ShadowComparison, number: int) -> list[CaseGroup]:
    """``number`` keeps the names of headings apart."""
    suffix = f"-{number}" if number else ""
    return [
        CaseGroup(
            id=f"{name}{suffix}",
            css=name,
            title=title,
            cases=list(map(report_pair, pairs)),
            total=max(total, len(pairs)),
            open=_OPEN_CARDS if name == "broke" else 0,
        )
        for name, title, pairs, total in view.pair_groups(one)
    ]
