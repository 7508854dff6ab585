"""Confidence sequences drawn in characters: how the interval has narrowed, call by call."""

from collections.abc import Sequence
from dataclasses import dataclass

from promptops.release.analysis.findings import MetricFinding

IntervalPoint = tuple[int, float, float]  # calls, low, high


@dataclass(frozen=True, slots=True)
class PlotScale:
    """What is drawn: from ``low`` to ``high``, with the values that mean "same" and "limit" in it."""

    low: float
    high: float
    same: float
    limit: float

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def plot_scale(finding: MetricFinding) -> PlotScale:
    """Wide enough for the limit and the latest interval, not for the first ones, which are huge."""
    same = 1.0 if finding.metric.kind == "ratio" else 0.0
    limit = finding.metric.margin
    reach = max(abs(limit - same), 0.02)
    latest = finding.trail[-1] if finding.trail else None
    low = min(same - 1.5 * reach, max(latest[1] if latest else same, same - 4 * reach))
    high = max(limit + reach, min(latest[2] if latest else limit, same + 5 * reach))
    return PlotScale(low, high, same, limit)


def sample_points(trail: Sequence[IntervalPoint], most: int) -> list[IntervalPoint]:
    """At most so many points, evenly apart, the first and the latest among them."""
    if len(trail) <= most:
        return list(trail)
    places = dict.fromkeys(round(index * (len(trail) - 1) / (most - 1)) for index in range(most))
    return [trail[place] for place in places]


def interval_bars(finding: MetricFinding, width: int, most: int = 4) -> list[str]:
    """A line for each of a few moments: the calls so far, then where the difference lay."""
    points = sample_points(finding.trail, most)
    if not points:
        return []
    scale, first = plot_scale(finding), max(len(f"{calls:,}") for calls, _, _ in points)
    return [
        f"{calls:>{first},} {_bar(scale, low, high, width - first - 1)}".rstrip()
        for calls, low, high in points
    ]


def _bar(scale: PlotScale, low: float, high: float, width: int) -> str:
    cells = [" "] * width
    start, end = sorted((_cell(scale, low, width), _cell(scale, high, width)))
    for index in range(start, end + 1):
        cells[index] = "─"
    for value, mark in ((scale.same, "│"), (scale.limit, "┃")):
        cells[_cell(scale, value, width)] = mark
    if low < scale.low:
        cells[0] = "◂"
    if high > scale.high:
        cells[-1] = "▸"
    return "".join(cells)


def _cell(scale: PlotScale, value: float, width: int) -> int:
    return min(width - 1, max(0, int(scale.share(value) * width)))
