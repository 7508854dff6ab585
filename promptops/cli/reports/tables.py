"""Tables: what stands in them is said once, and drawn in every form."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from promptops.dataclass import dataclass
from promptops.reports.numbers import format_difference_interval, format_p_value, format_points

if TYPE_CHECKING:
    from promptops.evaluation.result import Slice
    from promptops.reports.svg import PlotMarker

_VERDICT_TONES = {"worse": "bad", "better": "good", "not worse": "good"}


@dataclass(frozen=True, slots=True)
class Cell:
    """``kind`` stands before the text and ``note`` behind it; ``tone``: good or bad; ``code``: a name."""

    text: str
    note: str = ""
    kind: str = ""
    tone: str = ""
    code: bool = False
    marker: "PlotMarker | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """``words``: the columns, counted from 0, that hold no numbers; ``more``: what is left out."""

    caption: str
    headers: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    words: frozenset[int] = frozenset({0})
    more: str = ""


def plain_cells(*texts: str) -> list[Cell]:
    return [Cell(text) for text in texts]


def verdict_cell(verdict: str) -> Cell:
    return Cell(verdict, tone=_VERDICT_TONES.get(verdict, ""))


def slice_tone(change: "Slice") -> str:
    """Only an interval that leaves out zero is a finding."""
    return "good" if change.low > 0 else "bad" if change.high < 0 else ""


def slices_table(tags: Sequence["Slice"], checks: Sequence["Slice"], most: int) -> ReportTable:
    """The slices on which cases changed sides, the most harmed first; no rows where there are none."""
    kinds = [*(("tag", one) for one in tags), *(("check", one) for one in checks)]
    slices = sorted(
        ((kind, one) for kind, one in kinds if one.broke or one.fixed),
        key=lambda pair: (pair[1].difference, pair[1].p_adjusted),
    )
    rows = [
        [
            Cell(one.name, kind=kind, code=True),
            Cell(format_points(one.difference), tone=slice_tone(one)),
            *plain_cells(
                format_difference_interval(one.low, one.high),
                f"{one.broke:,}",
                f"{one.fixed:,}",
                format_p_value(one.p_adjusted),
            ),
        ]
        for kind, one in slices[:most]
    ]
    return ReportTable(
        caption="Where it changed",
        headers=plain_cells("slice", "change", "95 %", "broke", "fixed", "adjusted p"),
        rows=rows,
        more=f"and {len(slices) - most} more that changed less" if len(slices) > most else "",
    )
