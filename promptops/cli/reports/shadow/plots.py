"""How the bounds narrowed pair by pair, and how the ratios lie to their limit."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from promptops.cli.reports.eval.svg import plot_figure, plot_marker, svg_element, svg_line
from promptops.cli.reports.shadow.view import METRIC_LABELS, format_bounds, format_margin, format_metric_value
from promptops.evaluation.shadow.result import MetricComparison

_HEIGHT = 160.0
_HALF = 50.0


def evidence_plot(question: MetricComparison) -> Markup:
    """The confidence sequence of a difference: a bar after so many pairs, zero and the limit as lines."""
    reach = max(
        0.1, *(max(abs(low), abs(high)) for _, low, high in question.trail[len(question.trail) // 3 :])
    )
    last = question.trail[-1][0]

    def down(number: float) -> str:
        return f"{_HALF - _HALF * max(-1.0, min(1.0, number / reach)):.2f}%"

    lines = svg_line("grid", 0, down(0.0), 100, down(0.0)) + svg_line(
        "front", 0, down(question.margin), 100, down(question.margin)
    )
    bars = Markup("").join(
        svg_line("whisker candidate", 100 * pairs / last, down(low), 100 * pairs / last, down(high))
        for pairs, low, high in question.trail
    )
    told = (
        f"{METRIC_LABELS[question.name]} after {last} pairs: "
        f"{format_bounds(question)}, limit {format_margin(question)}"
    )
    about = Markup('<p class="about">{}; up is worse, dashed is the limit</p>').format(told)
    return plot_figure(about, _axes(svg_element(told, _HEIGHT, lines + bars), reach, last))


def _axes(drawing: Markup, reach: float, last: int) -> Markup:
    """Points upwards, pairs to the right."""
    return Markup(
        '<div class="scatter"><div class="ticks up"><span>+{0}</span><span>0</span>'
        "<span>\u2212{0}</span></div>"
        '<div class="field">{1}</div><div class="ticks"><span>0</span><span>{2}</span></div>'
        '<div class="unit">points, by pairs</div></div>'
    ).format(f"{100 * reach:.0f}", drawing, f"{last:,}")


def ratio_plot(questions: Sequence[MetricComparison]) -> Markup:
    """Median ratios with their bounds between a half and twice; the dashed line is the limit."""
    return plot_figure(*map(_ratio, questions))


def _ratio(question: MetricComparison) -> Markup:
    def across(ratio: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, math.log2(max(ratio, 1e-9))))

    grid = Markup("").join(svg_line("grid", tick, 0, tick, "100%") for tick in (0, 50, 100))
    grid += svg_line("front", across(question.margin), 0, across(question.margin), "100%")
    body = grid + svg_line("whisker candidate", across(question.low), 14, across(question.high), 14)
    if question.control and question.candidate:
        body += plot_marker(1, 2, across(question.candidate / question.control), 14, "ratio of the medians")
    told = f"{METRIC_LABELS[question.name]}: {format_bounds(question)}"
    return Markup(
        '<div class="row"><div class="name">{}<small>0.5× to 2×</small></div><div class="track">{}</div>'
        '<div class="value"><span>{}</span><small>{}</small></div></div>'
    ).format(
        METRIC_LABELS[question.name],
        svg_element(told, 28, body),
        format_bounds(question).removesuffix(" ×"),
        format_metric_value(question, question.candidate),
    )
