"""How the bounds narrowed pair by pair, and how the ratios lie to their limit."""

import math
from collections.abc import Iterator

from promptops.cli.reports.shadow.view import (
    METRIC_LABELS,
    RATIO_METRICS,
    format_bounds,
    format_metric_value,
)
from promptops.evaluation.shadow.result import MetricComparison, ShadowComparison
from promptops.reports.interval_plot import IntervalPlot, plot_intervals
from promptops.reports.svg import (
    Drawing,
    PlotRow,
    plot_line,
    side_marker,
    vertical_grid,
)

_ROW_HEIGHT = 28


def evidence_plots(one: ShadowComparison, number: int) -> Iterator[IntervalPlot]:
    """How the interval of each difference narrowed. ``number`` keeps the plots of several runs apart."""
    for metric in one.questions:
        kind = "ratio" if metric.name in RATIO_METRICS else "binary"
        title = METRIC_LABELS[metric.name].capitalize()
        prefix = f"run-{number}-"
        if plot := plot_intervals(
            metric.name, title, metric.trail, metric.margin, kind=kind, steps="pairs", prefix=prefix
        ):
            yield plot


def ratio_rows(one: ShadowComparison) -> list[PlotRow]:
    """Median ratios with their bounds between a half and twice; the dashed line is the limit."""
    return [_ratio_row(metric) for metric in one.questions if metric.name in RATIO_METRICS]


def _ratio_row(metric: MetricComparison) -> PlotRow:
    lines = [
        *vertical_grid((0, 0.5, 1)),
        plot_line("limit", _across(metric.margin), 0, _across(metric.margin), "100%"),
        plot_line("whisker candidate", _across(metric.low), 14, _across(metric.high), 14),
    ]
    markers = []
    if metric.control and metric.candidate:
        ratio = metric.candidate / metric.control
        markers = [side_marker(1, 2, _across(ratio), "14", "ratio of the medians")]
    label = METRIC_LABELS[metric.name]
    bounds = format_bounds(metric)
    return PlotRow(
        name=label,
        note="candidate to control",
        drawing=Drawing(f"{label}: {bounds}", _ROW_HEIGHT, lines, markers),
        values=[(bounds, ""), (f"median {format_metric_value(metric, metric.candidate)}", "small")],
    )


def _across(ratio: float) -> float:
    return 50 + 50 * max(-1.0, min(1.0, math.log2(max(ratio, 1e-9))))
