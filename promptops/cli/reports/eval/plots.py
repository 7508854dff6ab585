"""Pass rates, latency, and quality against cost of each side."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from promptops.cli.reports.eval.view import side_role
from promptops.cli.reports.tables import slice_tone
from promptops.evaluation.result import EvalResult, Rate, Slice, VariantResult
from promptops.reports.numbers import (
    format_milliseconds,
    format_percent,
    format_points,
    format_rate_interval,
    format_usd,
    pluralize,
)
from promptops.reports.svg import (
    QUARTERS,
    Drawing,
    PlotLine,
    PlotMarker,
    PlotRow,
    ScatterPlot,
    plot_line,
    side_css,
    side_marker,
    vertical_grid,
)
from promptops.reports.time_plot import axis_ceiling

_MAX_ROWS = 40  # of tags, and of checks
_MARKER_SPACING = 14  # pixels between the sides of one row
_LATENCY_HEIGHT, _SCATTER_HEIGHT = 28, 300


# ---- pass rates


class RatesPlot:
    """Rows for all cases, for each tag and for each check: dots with whiskers."""

    def __init__(self, result: EvalResult) -> None:
        self._sides = result.sides
        self.start = _axis_start(result)
        self.ticks = [f"{100 * (self.start + (1 - self.start) * part):g} %" for part in QUARTERS]
        compared = result.comparison
        overall = [side.overall for side in result.sides]
        self.whole = self._row("All cases", overall, compared.whole if compared else None)
        slices = (compared.tags, compared.checks) if compared else ((), ())
        self.groups = [
            ("Tags", *self._group([side.by_tag for side in result.sides], slices[0])),
            ("Checks", *self._group([side.by_check for side in result.sides], slices[1])),
        ]

    def _group(
        self, sides: Sequence[Mapping[str, Rate]], slices: Sequence[Slice]
    ) -> tuple[list[PlotRow], int]:
        """The rows, the most harmed first, and how many more there are."""
        changes = {change.name: change for change in slices}
        names = list(dict.fromkeys(name for side in sides for name in side))
        names.sort(key=lambda name: changes[name].difference if name in changes else 0.0)
        nothing = Rate(passed=0, counted=0, rate=None, low=None, high=None)
        rows = [
            self._row(name, [side.get(name, nothing) for side in sides], changes.get(name))
            for name in names[:_MAX_ROWS]
        ]
        return rows, max(0, len(names) - _MAX_ROWS)

    def _row(self, name: str, rates: Sequence[Rate], change: Slice | None) -> PlotRow:
        height = _MARKER_SPACING * max(2, len(rates)) + 4
        spoken = "; ".join(
            f"{side.label} {format_percent(rate.rate)} ({format_rate_interval(rate)})"
            for side, rate in zip(self._sides, rates, strict=True)
        )
        lines, markers = vertical_grid(), []
        for index, rate in enumerate(rates):
            y = f"{height / len(rates) * (index + 0.5):g}"
            for whisker, marker in self._whisker(index, rate, len(rates), y):
                lines.append(whisker)
                markers.append(marker)
        return PlotRow(
            name=name,
            note=pluralize(max(rate.counted for rate in rates), "case"),
            drawing=Drawing(f"{name}: {spoken}", height, lines, markers),
            values=_values(rates, change),
            dense=len(rates) > 2,  # as far apart as the whiskers
        )

    def _whisker(self, index: int, rate: Rate, sides: int, y: str) -> Iterator[tuple[PlotLine, PlotMarker]]:
        if rate.rate is None or rate.low is None or rate.high is None:
            return
        low, middle, high = (
            100 * (max(value, self.start) - self.start) / (1 - self.start)
            for value in (rate.low, rate.rate, rate.high)
        )
        tip = f"{format_percent(rate.rate)} ({format_rate_interval(rate)}), {rate.passed} of {rate.counted}"
        yield (
            plot_line(f"whisker {side_css(index, sides)}", low, y, high, y),
            side_marker(index, sides, middle, y, tip),
        )


def _axis_start(result: EvalResult) -> float:
    """Where the axis begins, so that small differences can be seen: and the ticks are round."""
    groups = [group for side in result.sides for group in (side.by_tag, side.by_check)]
    rates = [side.overall for side in result.sides] + [rate for group in groups for rate in group.values()]
    low = min((rate.low for rate in rates if rate.low is not None), default=0.0)
    return next((start for start in (0.8, 0.6, 0.2) if low >= start), 0.0)


def _values(rates: Sequence[Rate], change: Slice | None) -> list[tuple[str, str]]:
    if change:
        return [(format_points(change.difference), slice_tone(change))]
    return [(format_percent(rate.rate), "") for rate in rates]


# ---- latency


def latency_rows(result: EvalResult) -> tuple[list[PlotRow], list[str]]:
    """From the median to p95 of each side, with the ticks of the axis; nothing where none was measured."""
    if all(side.latency_p50_ms is None for side in result.sides):
        return [], []
    top = axis_ceiling(max(side.latency_p95_ms or side.latency_p50_ms or 0 for side in result.sides))
    rows = [_latency_row(index, result, top) for index in range(len(result.sides))]
    return rows, [_time_tick(top * part) for part in QUARTERS]


def _time_tick(value: float) -> str:
    return f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"  # a second


def _latency_row(index: int, result: EvalResult, top: float) -> PlotRow:
    side, sides = result.sides[index], len(result.sides)
    p50, p95 = side.latency_p50_ms, side.latency_p95_ms
    spoken = f"p50 {format_milliseconds(p50)}, p95 {format_milliseconds(p95)}"
    lines, markers = vertical_grid(), []
    if p50 is not None:
        start, end = 100 * p50 / top, 100 * (p95 if p95 is not None else p50) / top
        css = f"whisker {side_css(index, sides)}"
        lines += [plot_line(css, start, 14, end, 14), plot_line(css, end, 9, end, 19)]
        markers = [side_marker(index, sides, start, "14", spoken)]
    return PlotRow(
        name=side.label,
        note=side_role(index, result),
        drawing=Drawing(f"{side.label}: {spoken}", _LATENCY_HEIGHT, lines, markers),
        values=[(format_milliseconds(p50), ""), (f"p95 {format_milliseconds(p95)}", "small")],
        code=True,
    )


# ---- quality against cost


def cost_scatter(result: EvalResult) -> ScatterPlot | None:
    """Of more than two sides with prices, with the front that no other side is beyond."""
    sides = result.sides
    priced = sum(side.cost_per_case_usd is not None for side in sides)
    points = list(_points(sides))
    if len(sides) <= 2 or priced < 2 or not points:  # two are compared in the table
        return None
    low, high = _rate_bounds(sides)
    top = _cost_ceiling(sides)
    lines = [plot_line("grid", 0, f"{100 * part:g}%", 100, f"{100 * part:g}%") for part in QUARTERS]
    front = sorted((x, y) for index, x, y in points if sides[index].pareto)
    for (x1, y1), (x2, y2) in pairwise(front):
        lines.append(plot_line("front", x1, f"{y1:.2f}%", x2, f"{y1:.2f}%"))
        lines.append(plot_line("front", x2, f"{y1:.2f}%", x2, f"{y2:.2f}%"))
    lines += [_cost_whisker(index, sides, x, (low, high)) for index, x, _ in points]
    spoken = "; ".join(_spoken(sides[index]) for index, _, _ in points)
    markers = [
        side_marker(index, len(sides), x, f"{y:.2f}%", _scatter_tip(sides[index])) for index, x, y in points
    ]
    return ScatterPlot(
        Drawing(f"Pass rate against cost per case: {spoken}", _SCATTER_HEIGHT, lines, markers),
        up=[f"{100 * (low + (high - low) * part):.0f} %" for part in reversed(QUARTERS)],
        across=[_without_zeros(format_usd(top * part)) for part in QUARTERS],
        unit="cost per case",
    )


def _points(sides: Sequence[VariantResult]) -> Iterator[tuple[int, float, float]]:
    """The number of a side and its place, in percent."""
    low, high = _rate_bounds(sides)
    top = _cost_ceiling(sides)
    for index, side in enumerate(sides):
        cost, rate = side.cost_per_case_usd, side.overall.rate
        if cost is not None and rate is not None:
            yield index, 100 * cost / top, 100 * (high - rate) / (high - low)


def _rate_bounds(sides: Sequence[VariantResult]) -> tuple[float, float]:
    """Pass rates of the lowest and the highest line, a multiple of 20 points apart."""
    lows = [side.overall.low for side in sides if side.overall.low is not None]
    highs = [side.overall.high for side in sides if side.overall.high is not None]
    high = math.ceil(max(highs, default=1.0) * 20) / 20
    steps = max(1, math.ceil((high - min(lows, default=0.0)) * 5 - 1e-9))
    low = max(0.0, high - steps / 5)
    return low, low + steps / 5


def _cost_ceiling(sides: Sequence[VariantResult]) -> float:
    return axis_ceiling(max((side.cost_per_case_usd or 0 for side in sides), default=0.0)) or 1.0


def _cost_whisker(
    index: int, sides: Sequence[VariantResult], x: float, bounds: tuple[float, float]
) -> PlotLine:
    low, high = bounds
    rate = sides[index].overall
    ends = [
        f"{100 * (high - (value if value is not None else rate.rate or 0)) / (high - low):.2f}%"
        for value in (rate.low, rate.high)
    ]
    return plot_line(f"whisker {side_css(index, len(sides))}", x, ends[0], x, ends[1])


def _spoken(side: VariantResult) -> str:
    front = ", on the Pareto front" if side.pareto else ""
    price = format_usd(side.cost_per_case_usd)
    return f"{side.label} {format_percent(side.overall.rate)} at {price} a case{front}"


def _scatter_tip(side: VariantResult) -> str:
    rate = f"{format_percent(side.overall.rate)} ({format_rate_interval(side.overall)})"
    return f"{side.label}: {rate} at {format_usd(side.cost_per_case_usd)}"


def _without_zeros(money: str) -> str:
    return money.rstrip("0").rstrip(".") if "." in money else money
