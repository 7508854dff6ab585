"""How the evidence on one metric of a canary has narrowed: intervals over calls, with axes.

``_interval_plot.html.j2`` draws it as inline SVG. The drawing is stretched to the width of its page; texts
and the width of lines are not.
"""

import math
from collections.abc import Callable, Sequence

from promptops.dataclass import dataclass
from promptops.release.analysis.findings import MetricFinding
from promptops.reports.numbers import format_points
from promptops.reports.svg import IntervalPoint, PlotScale, plot_scale, sample_points

WIDTH, HEIGHT = 1000, 150  # of the drawing, in its own units
_MAX_POINTS = 200
_TICKS_ACROSS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class AxisTick:
    """``at``: how far from the left, or from the top, in percent."""

    at: str
    text: str
    css: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalPlot:
    """``band``: corners of the interval; ``up``: the values that lines are drawn at, from the top."""

    id: str
    title: str
    unit: str
    metric: str
    description: str
    steps: str
    width: int = WIDTH
    height: int = HEIGHT
    band: str
    up: Sequence[AxisTick]
    across: Sequence[AxisTick]


def interval_plot(finding: MetricFinding, *, prefix: str = "") -> IntervalPlot | None:
    """The interval of the canary's difference from stable over the calls so far; None without evidence.

    ``prefix`` keeps the ids of several channels on one page apart.
    """
    metric = finding.metric
    return plot_intervals(
        metric.name,
        "Canary against stable",
        finding.trail,
        metric.margin,
        kind=metric.kind,
        steps="calls of both arms",
        prefix=prefix,
    )


def plot_intervals(
    name: str,
    title: str,
    trail: Sequence[IntervalPoint],
    limit: float,
    *,
    kind: str,
    steps: str,
    prefix: str = "",
) -> IntervalPlot | None:
    """The interval of a difference as it narrowed.

    ``kind``: binary, ratio or scale, as of a plan's metric; ``steps``: what is counted across.
    """
    points = sample_points(trail, _MAX_POINTS)
    if not points:
        return None
    ratio, count = kind == "ratio", trail[-1][0] or 1
    scale = plot_scale(trail, limit, ratio=ratio)
    write = _writer(kind)
    low, high = sorted(trail[-1][1:])
    return IntervalPlot(
        id=f"{prefix}interval-{''.join(letter if letter.isalnum() else '-' for letter in name)}",
        title=title,
        unit="times the other's; above 1 is worse" if ratio else f"{_unit(kind)}; above 0 is worse",
        metric=name,
        description=(
            f"after {count:,} {steps} the difference lies between {write(low)} and {write(high)}; "
            f"the limit is {write(limit)}"
        ),
        steps=steps,
        band=_band(points, count, scale),
        up=_up(scale, write),
        across=[AxisTick(f"{100 * share:g}%", f"{share * count:,.0f}") for share in _TICKS_ACROSS],
    )


def _unit(kind: str) -> str:
    return "percentage points" if kind == "binary" else "of the scale"


def _writer(kind: str) -> Callable[[float], str]:
    if kind == "ratio":
        return lambda value: "more than 60 ×" if value > 60 else f"{value:.2f} ×"
    if kind == "binary":
        return format_points
    return lambda value: f"{value:+.2f}"


def _band(points: Sequence[IntervalPoint], calls: int, scale: PlotScale) -> str:
    """Corners of the area: the upper ends from the left, then the lower ends from the right."""
    points = [(0, -math.inf, math.inf), *points]  # before the first call nothing is ruled out
    upper = [(count, high) for count, _, high in points]
    lower = [(count, low) for count, low, _ in reversed(points)]
    corners = ((WIDTH * count / calls, HEIGHT * _from_top(value, scale)) for count, value in [*upper, *lower])
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _up(scale: PlotScale, write: Callable[[float], str]) -> list[AxisTick]:
    """The ends of the axis, no difference, and the limit; ends that would overlap with those are left out."""
    marks = [(scale.limit, "limit"), (scale.same, "same")]
    ends = [
        (value, "")
        for value in (scale.high, scale.low)
        if all(abs(scale.share(value) - scale.share(mark)) > 0.12 for mark, _ in marks)
    ]
    return [
        AxisTick(f"{100 * _from_top(value, scale):.2f}%", write(value), css)
        for value, css in sorted([*marks, *ends], reverse=True)
    ]


def _from_top(value: float, scale: PlotScale) -> float:
    """A share of the height."""
    return 1 - min(1.0, max(0.0, scale.share(value)))
