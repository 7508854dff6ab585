"""Confidence sequences drawn in characters: how the interval has narrowed, call by call."""

from promptops.release.analysis.findings import MetricFinding
from promptops.reports.svg import PlotScale, plot_scale, sample_points


def interval_bars(finding: MetricFinding, width: int, most: int = 4) -> list[str]:
    """A line for each of a few moments: the calls so far, then where the difference lay."""
    points = sample_points(finding.trail, most)
    if not points:
        return []
    metric = finding.metric
    scale = plot_scale(finding.trail, metric.margin, ratio=metric.kind == "ratio")
    first = max(len(f"{calls:,}") for calls, _, _ in points)
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
