"""Plots of what happened hour by hour or day by day; ``_time_plot.html.j2`` draws them as inline SVG.

The drawing is stretched to the width of its page; texts and the width of lines are not. No mark has a style
of its own, so that a page may forbid inline styles.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

from promptops.dataclass import dataclass

WIDTH, HEIGHT = 1000, 160  # of the drawing, in its own units
MAX_SERIES = 6  # as many as there are colours
_GRID = (0.0, 0.5, 1.0)
_BAR_SHARE = 0.76  # of a bucket's width
_TICKS = 4  # labels below a plot, at most
_RATE_FLOORS = (0.9, 0.5, 0.0)

PlotKind = Literal["bars", "lines"]


@dataclass(frozen=True, slots=True)
class TimeSeries:
    """``values``: one for each bucket; None where there is nothing to tell."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class ReleaseMarker:
    """``at``: the share of the time shown that had passed then."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class PlotPath:
    css: str
    name: str
    total: str  # what the series comes to, or its latest value
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimePlot:
    """``markers``: how far across in percent, with what was released; ``up``: from the bottom."""

    id: str
    title: str
    unit: str
    description: str
    width: int = WIDTH
    height: int = HEIGHT
    paths: Sequence[PlotPath]
    up: Sequence[str]
    across: Sequence[str]
    markers: Sequence[tuple[str, str]]


def time_plot(  # noqa: PLR0913 - what is shown, and how
    title: str,
    unit: str,
    buckets: Sequence[str],
    series: Sequence[TimeSeries],
    write: Callable[[float | None], str],
    *,
    kind: PlotKind = "bars",
    markers: Sequence[ReleaseMarker] = (),
    is_rate: bool = False,
) -> TimePlot | None:
    """A plot of at most six series over the same buckets; None where no bucket has a value.

    ``write`` writes a value, for ticks and legends. Bars are stacked; the axis of a rate may begin above
    nought, as its ticks say.
    """
    shown = [each for each in series[:MAX_SERIES] if any(value is not None for value in each.values)]
    known = [value for each in shown for value in each.values if value is not None]
    if not known:
        return None
    low = next(floor for floor in _RATE_FLOORS if floor <= min(known)) if is_rate else 0.0
    high = 1.0 if is_rate else axis_ceiling(_highest(shown, kind))
    draw = _bars if kind == "bars" else _lines
    paths = [
        PlotPath(f"{kind} s{index}", each.name, write(_total(each, kind)), path)
        for index, (each, path) in enumerate(zip(shown, draw(shown, low, high), strict=True))
    ]
    return TimePlot(
        id=f"plot-{''.join(letter if letter.isalnum() else '-' for letter in title.lower())}",
        title=title,
        unit=unit,
        description=_describe(shown, buckets, write, kind),
        paths=paths,
        up=[write(low + share * (high - low)) for share in _GRID],
        across=_ticks(buckets),
        markers=[(f"{100 * each.at:.2f}%", each.text) for each in markers if 0 <= each.at <= 1],
    )


def axis_ceiling(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 × ten to a whole power, which quarters well."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((step * power for step in (1, 2, 4, 6, 8) if step * power >= value), 10 * power)


def _highest(series: Sequence[TimeSeries], kind: PlotKind) -> float:
    columns = zip(*(each.values for each in series), strict=True)
    heights = ([value or 0.0 for value in column] for column in columns)
    return max(sum(column) if kind == "bars" else max(column) for column in heights)


def _bars(series: Sequence[TimeSeries], low: float, high: float) -> list[str]:
    """The bars of each series as one path, those of the later series on top."""
    count = len(series[0].values)
    step, base, paths = WIDTH / count, [low] * count, []
    for each in series:
        parts = []
        for index, value in enumerate(each.values):
            if value:
                top, bottom = _height(base[index] + value, low, high), _height(base[index], low, high)
                left, width = (index + (1 - _BAR_SHARE) / 2) * step, step * _BAR_SHARE
                parts.append(f"M{left:.1f} {bottom:.1f}V{top:.1f}h{width:.1f}V{bottom:.1f}z")
                base[index] += value
        paths.append("".join(parts))
    return paths


def _lines(series: Sequence[TimeSeries], low: float, high: float) -> list[str]:
    """The line of each series, broken where there is no value; a value alone is a dash, as wide as a bar."""
    paths = []
    for each in series:
        step, parts = WIDTH / len(each.values), []
        for index, value in enumerate(each.values):
            if value is None:
                continue
            before, after = each.values[index - 1] if index else None, (*each.values, None)[index + 1]
            across, height = (index + 0.5) * step, _height(value, low, high)
            if before is None and after is None:
                parts.append(f"M{across - step * _BAR_SHARE / 2:.1f} {height:.1f}h{step * _BAR_SHARE:.1f}")
            else:
                parts.append(f"{'M' if before is None else 'L'}{across:.1f} {height:.1f}")
        paths.append("".join(parts))
    return paths


def _height(value: float, low: float, high: float) -> float:
    return HEIGHT * (1 - (value - low) / (high - low))


def _total(each: TimeSeries, kind: PlotKind) -> float | None:
    known = [value for value in each.values if value is not None]
    return math.fsum(known) if kind == "bars" else known[-1]


def _ticks(buckets: Sequence[str]) -> list[str]:
    """Some of the buckets' names, evenly apart, the first and the last among them."""
    if len(buckets) <= _TICKS:
        return [bucket.replace("T", " ") for bucket in buckets]
    last = len(buckets) - 1
    return [buckets[round(index * last / (_TICKS - 1))].replace("T", " ") for index in range(_TICKS)]


def _describe(
    series: Sequence[TimeSeries], buckets: Sequence[str], write: Callable[[float | None], str], kind: PlotKind
) -> str:
    said = "in all" if kind == "bars" else "last"
    figures = "; ".join(f"{each.name} {write(_total(each, kind))} {said}" for each in series)
    return f"From {buckets[0]} to {buckets[-1]} (UTC): {figures}"
