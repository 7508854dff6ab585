"""Pass rates and latency of each side, as dots with whiskers."""

from collections.abc import Iterator, Mapping, Sequence

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
from promptops.cli.reports.eval.view import side_role, single_line
from promptops.cli.reports.numbers import (
    format_milliseconds,
    format_percent,
    format_points,
    format_rate_interval,
)
from promptops.console import pluralize
from promptops.evaluation.result import EvalResult, Rate, Slice, VariantResult

_MAX_ROWS = 40  # of tags, and of checks
_MARKER_SPACING = 14  # pixels between the sides of one row


# ---- pass rates


def rates_plot(result: EvalResult) -> Markup:
    start = _axis_start(result)
    rows = [_row("All cases", [side.overall for side in result.sides], result, start, _overall_slice(result))]
    tags = {one.name: one for one in result.comparison.tags} if result.comparison else {}
    checks = {one.name: one for one in result.comparison.checks} if result.comparison else {}
    rows += _group("Tags", [side.by_tag for side in result.sides], result, start, tags)
    rows += _group("Checks", [side.by_check for side in result.sides], result, start, checks)
    return plot_figure(plot_legend(result), *rows, _axis(start))


def _overall_slice(result: EvalResult) -> Slice | None:
    return result.comparison.whole if result.comparison else None


def _axis_start(result: EvalResult) -> float:
    """Where the axis begins, so that small differences can be seen: and the ticks are round."""
    groups = [group for side in result.sides for group in (side.by_tag, side.by_check)]
    rates = [side.overall for side in result.sides] + [rate for group in groups for rate in group.values()]
    low = min((rate.low for rate in rates if rate.low is not None), default=0.0)
    return next((start for start in (0.8, 0.6, 0.2) if low >= start), 0.0)


def _group(
    title: str,
    sides: Sequence[Mapping[str, Rate]],
    result: EvalResult,
    start: float,
    slices: Mapping[str, Slice],
) -> Iterator[Markup]:
    names = list(dict.fromkeys(name for side in sides for name in side))
    if names:
        yield Markup("<h3>{}</h3>").format(title)
    nothing = Rate(passed=0, counted=0, rate=None, low=None, high=None)
    names.sort(key=lambda name: slices[name].difference if name in slices else 0.0)
    for name in names[:_MAX_ROWS]:
        rates = [side.get(name, nothing) for side in sides]
        yield _row(single_line(name), rates, result, start, slices.get(name))
    if len(names) > _MAX_ROWS:
        yield Markup('<p class="about">and {} more</p>').format(len(names) - _MAX_ROWS)


def _row(name: str, rates: Sequence[Rate], result: EvalResult, start: float, change: Slice | None) -> Markup:
    height = _MARKER_SPACING * max(2, len(rates)) + 4
    lane = height / len(rates)
    told = "; ".join(
        f"{single_line(side.label)} {format_percent(rate.rate)} ({format_rate_interval(rate)})"
        for side, rate in zip(result.sides, rates, strict=True)
    )
    body = Markup("").join(
        _whisker(index, rate, len(rates), lane * (index + 0.5), start) for index, rate in enumerate(rates)
    )
    grid = Markup("").join(svg_line("grid", tick, 0, tick, "100%") for tick in (0, 25, 50, 75, 100))
    return Markup(
        '<div class="row"><div class="name">{}<small>{}</small></div><div class="track">{}</div>'
        '<div class="value{}">{}</div></div>'
    ).format(
        name,
        pluralize(max(rate.counted for rate in rates), "case"),
        svg_element(f"{name}: {told}", height, grid + body),
        "" if len(rates) <= 2 else " many",  # noqa: PLR2004 - as far apart as the whiskers
        _value(rates, change),
    )


def _value(rates: Sequence[Rate], change: Slice | None) -> Markup:
    if change:
        return Markup('<span class="{}">{}</span>').format(
            change_css_class(change), format_points(change.difference)
        )
    return Markup("").join(Markup("<span>{}</span>").format(format_percent(rate.rate)) for rate in rates)


def change_css_class(change: Slice) -> str:
    """Only an interval that leaves out zero is given the colour of a finding."""
    return "good" if change.low > 0 else "bad" if change.high < 0 else ""


def _whisker(index: int, rate: Rate, sides: int, y: float, start: float) -> Markup:
    if rate.rate is None or rate.low is None or rate.high is None:
        return Markup("")
    low, middle, high = (
        100 * (max(value, start) - start) / (1 - start) for value in (rate.low, rate.rate, rate.high)
    )
    tip = f"{format_percent(rate.rate)} ({format_rate_interval(rate)}), {rate.passed} of {rate.counted}"
    where = f"{y:g}"
    return svg_line(f"whisker {side_css_class(index, sides)}", low, where, high, where) + plot_marker(
        index, sides, middle, where, tip
    )


def _axis(start: float) -> Markup:
    ticks = Markup("").join(
        Markup("<span>{} %</span>").format(f"{100 * (start + (1 - start) * part):g}")
        for part in (0, 0.25, 0.5, 0.75, 1)
    )
    return Markup(
        '<div class="row axis" aria-hidden="true"><div></div><div class="ticks">{}</div><div></div></div>'
    ).format(ticks)


# ---- latency


def latency_plot(result: EvalResult) -> Markup:
    known = [side.latency_p95_ms or side.latency_p50_ms or 0 for side in result.sides]
    top = axis_ceiling(max(known))
    rows = [
        _latency(index, side, top, len(result.sides), side_role(index, result))
        for index, side in enumerate(result.sides)
    ]
    ticks = Markup("").join(
        Markup("<span>{}</span>").format(_tick(top * part)) for part in (0, 0.25, 0.5, 0.75, 1)
    )
    axis = Markup(
        '<div class="row axis" aria-hidden="true"><div></div><div class="ticks">{}</div><div></div></div>'
    )
    return plot_figure(*rows, axis.format(ticks))


def _tick(value: float) -> str:
    return f"{value:g} ms" if value < 1000 else f"{value / 1000:g} s"  # noqa: PLR2004


def _latency(index: int, side: VariantResult, top: float, sides: int, part: str) -> Markup:
    p50, p95 = side.latency_p50_ms, side.latency_p95_ms
    grid = Markup("").join(svg_line("grid", tick, 0, tick, "100%") for tick in (0, 25, 50, 75, 100))
    told = f"p50 {format_milliseconds(p50)}, p95 {format_milliseconds(p95)}"
    body = Markup("")
    if p50 is not None:
        end = 100 * (p95 if p95 is not None else p50) / top
        body = svg_line(f"whisker {side_css_class(index, sides)}", 100 * p50 / top, 14, end, 14)
        body += svg_line(f"whisker {side_css_class(index, sides)}", end, 9, end, 19)
        body += plot_marker(index, sides, 100 * p50 / top, 14, told)
    return Markup(
        '<div class="row"><div class="name">{}<code>{}</code></div><div class="track">{}</div>'
        '<div class="value"><span>{}</span><small>p95 {}</small></div></div>'
    ).format(
        Markup("<small>{}</small>").format(part) if part else "",
        single_line(side.label),
        svg_element(f"{single_line(side.label)}: {told}", 28, grid + body),
        format_milliseconds(p50),
        format_milliseconds(p95),
    )
