"""What plots consist of; ``templates/_svg.j2`` draws it as inline SVG.

Places across are in percent: a plot is as wide as its page, and its text is not scaled.
"""

from collections.abc import Sequence

from promptops.dataclass import dataclass
from promptops.reports.labels import PAIR

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHAPES = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    "M0-6L6 0L0 6L-6 0Z",
    "M-4.5-4.5H4.5V4.5H-4.5Z",
    "M0-5.5L5.5 4.5H-5.5Z",
    "M0 5.5L5.5-4.5H-5.5Z",
    "M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2Z",
)

IntervalPoint = tuple[int, float, float]  # calls or pairs so far, low, high


@dataclass(frozen=True, slots=True)
class PlotLine:
    css: str
    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True, slots=True)
class PlotMarker:
    css: str
    path: str
    x: str = "0"
    y: str = "0"
    tip: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    label: str
    height: int
    lines: Sequence[PlotLine]
    markers: Sequence[PlotMarker] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlotRow:
    """A name, a track with what is drawn, and values with their class; ``dense``: as close as the marks."""

    name: str
    note: str = ""
    drawing: Drawing
    values: Sequence[tuple[str, str]]
    code: bool = False
    dense: bool = False


@dataclass(frozen=True, slots=True)
class ScatterPlot:
    drawing: Drawing
    up: Sequence[str]
    across: Sequence[str]
    unit: str


# ---- marks


def side_css(index: int, sides: int) -> str:
    """The class of a side's marks: the control is hollow, the candidate full; of many, each has a colour."""
    return PAIR[index] if sides == len(PAIR) else f"s{index % len(_SHAPES)}"


def side_marker(index: int, sides: int, x: float = 0, y: str = "0", tip: str = "") -> PlotMarker:
    path = _SHAPES[0] if sides <= len(PAIR) else _SHAPES[index % len(_SHAPES)]
    return PlotMarker(side_css(index, sides), path, f"{x:.2f}%", y, tip)


def plot_line(css: str, x1: float, y1: object, x2: float, y2: object) -> PlotLine:
    return PlotLine(css, f"{x1:.2f}%", str(y1), f"{x2:.2f}%", str(y2))


def vertical_grid(shares: Sequence[float] = QUARTERS) -> list[PlotLine]:
    return [plot_line("grid", 100 * share, 0, 100 * share, "100%") for share in shares]


# ---- confidence sequences


@dataclass(frozen=True, slots=True)
class PlotScale:
    """What is drawn: from ``low`` to ``high``, with the values that mean "same" and "limit" in it."""

    low: float
    high: float
    same: float
    limit: float

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def plot_scale(trail: Sequence[IntervalPoint], limit: float, *, ratio: bool = False) -> PlotScale:
    """Wide enough for the limit and the latest interval, not for the first ones, which are huge."""
    same = 1.0 if ratio else 0.0
    reach = max(abs(limit - same), 0.02)
    latest = trail[-1] if trail else None
    low = min(same - 1.5 * reach, max(latest[1] if latest else same, same - 4 * reach))
    high = max(limit + reach, min(latest[2] if latest else limit, same + 5 * reach))
    return PlotScale(low, high, same, limit)


def sample_points(trail: Sequence[IntervalPoint], most: int) -> list[IntervalPoint]:
    """At most so many points, evenly apart, the first and the latest among them."""
    if len(trail) <= most:
        return list(trail)
    places = dict.fromkeys(round(index * (len(trail) - 1) / (most - 1)) for index in range(most))
    return [trail[place] for place in places]
