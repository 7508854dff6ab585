"""What every form of a report on usage says, in the same words."""

from typing import Any

from promptops.dataclass import dataclass
from promptops.registry import StatsKey, StatsRow
from promptops.reports.usage import Usage

TABLES: tuple[tuple[StatsKey, str], ...] = (
    ("prompt", "By prompt"),
    ("version", "By version"),
    ("model", "By model"),
    ("day", "By day"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """``title``: what was asked for; ``apart``: what is not traffic, each kind in a row of its own."""

    title: str
    usage: Usage
    apart: list[StatsRow]
    filters: dict[str, Any]

    @property
    def counted(self) -> str:
        """What is counted, in words."""
        given = ", ".join(f"{name} {value}" for name, value in self.filters.items() if name != "since")
        return (
            "Counted: calls that served somebody, batches on a channel among them"
            if not self.filters.get("kind")
            else "Counted"
        ) + (f"; {given}." if given else ".")


def usage_headline(report: UsageReport) -> str:
    row = report.usage.whole
    if not row["calls"]:
        return "No calls in this time"
    checks = (
        f", {row['checks_failed']:,} of {row['checked']:,} checked answers failed a check"
        if row["checked"]
        else ""
    )
    return f"{row['calls']:,} calls, {row['errors']:,} errors{checks}"
