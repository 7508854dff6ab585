"""Quality against cost of several sides, with the front that no other side is beyond."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup

from promptops.cli.reports.eval.svg import (
    axis_ceiling,
    plot_figure,
    plot_legend,
    plot_marker,
    side_css_class,
    svg_element,
    svg_line,
)
from promptops.cli.reports.eval.view import single_line
from promptops.cli.reports.numbers import format_percent, format_rate_interval, format_usd
from promptops.evaluation.result import EvalResult, VariantResult


def scatter_plot(result: EvalResult) -> Markup:
    places = list(_plot_points(result.sides))
    if not places:
        return Markup("")
    told = "; ".join(
        f"{single_line(side.label)} {format_percent(side.overall.rate)} "
        f"at {format_usd(side.cost_per_case_usd)} a case"
        f"{', on the Pareto front' if side.pareto else ''}"
        for _, side, _, _ in places
    )
    grid = [svg_line("grid", 0, f"{y}%", 100, f"{y}%") for y in (0, 25, 50, 75, 100)]
    front = sorted((x, y) for _, side, x, y in places if side.pareto)
    steps = []
    for (x1, y1), (x2, y2) in pairwise(front):
        steps += [
            svg_line("front", x1, f"{y1:.2f}%", x2, f"{y1:.2f}%"),
            svg_line("front", x2, f"{y1:.2f}%", x2, f"{y2:.2f}%"),
        ]
    low, high = _bounds(result.sides)
    marks = [_dot(place, len(result.sides), low, high) for place in places]
    return plot_figure(
        plot_legend(result),
        Markup(
            '<div class="scatter"><div class="ticks up" aria-hidden="true">{}</div>'
            '<div class="field">{}</div>{}</div>'
        ).format(
            Markup("").join(
                Markup("<span>{:.0f} %</span>").format(100 * (low + (high - low) * part))
                for part in (1, 0.75, 0.5, 0.25, 0)
            ),
            svg_element(
                f"Pass rate against cost per case: {told}", 300, Markup("").join([*grid, *steps, *marks])
            ),
            _cost_axis(result.sides),
        ),
    )


PlotPoint = tuple[int, VariantResult, float, float]


def _plot_points(sides: Sequence[VariantResult]) -> Iterator[PlotPoint]:
    low, high = _bounds(sides)
    first, last = _cost_bounds(sides)
    for index, side in enumerate(sides):
        cost, rate = side.cost_per_case_usd, side.overall.rate
        if cost is not None and rate is not None:
            yield index, side, 100 * (cost - first) / (last - first), 100 * (high - rate) / (high - low)


def _bounds(sides: Sequence[VariantResult]) -> tuple[float, float]:
    """Pass rates of the lowest and the highest line, a multiple of 20 points apart."""
    lows = [side.overall.low for side in sides if side.overall.low is not None]
    highs = [side.overall.high for side in sides if side.overall.high is not None]
    high = math.ceil(max(highs, default=1.0) * 20) / 20
    steps = math.ceil((high - min(lows, default=0.0)) * 5 - 1e-9)
    low = max(0.0, high - max(1, steps) / 5)
    return low, low + max(1, steps) / 5


def _cost_bounds(sides: Sequence[VariantResult]) -> tuple[float, float]:
    return 0.0, axis_ceiling(max((side.cost_per_case_usd or 0 for side in sides), default=0.0)) or 1.0


def _cost_axis(sides: Sequence[VariantResult]) -> Markup:
    first, last = _cost_bounds(sides)
    ticks = Markup("").join(
        Markup("<span>{}</span>").format(_strip_trailing_zeros(format_usd(first + (last - first) * part)))
        for part in (0, 0.25, 0.5, 0.75, 1)
    )
    return Markup(
        '<div class="ticks" aria-hidden="true">{}</div><p class="unit" aria-hidden="true">cost per case</p>'
    ).format(ticks)


def _strip_trailing_zeros(money: str) -> str:
    return money.rstrip("0").rstrip(".") if "." in money else money


def _dot(place: PlotPoint, sides: int, low: float, high: float) -> Markup:
    index, side, x, y = place
    rate = side.overall
    rates = f"{format_percent(rate.rate)} ({format_rate_interval(rate)})"
    tip = f"{single_line(side.label)}: {rates} at {format_usd(side.cost_per_case_usd)}"
    drawn = Markup("")
    if rate.low is not None and rate.high is not None:
        ends = [f"{100 * (high - value) / (high - low):.2f}%" for value in (rate.low, rate.high)]
        drawn = svg_line(f"whisker {side_css_class(index, sides)}", x, ends[0], x, ends[1])
    return drawn + plot_marker(index, sides, x, f"{y:.2f}%", tip)
