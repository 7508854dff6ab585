"""A confidence sequence as inline SVG: the band in which the difference lies, narrowing call by call."""

import math

from markupsafe import Markup

from promptops.cli.reports.release.text_plot import PlotScale, plot_scale, sample_points
from promptops.cli.reports.release.view import flat_line
from promptops.release.analysis.findings import MetricFinding

_WIDTH, _HEIGHT = 640, 120
_MAX_POINTS = 200


def confidence_plot(one: MetricFinding) -> Markup:
    """Upwards is worse. The lines are "the same" and the limit; empty where there is no evidence yet."""
    points = sample_points(one.trail, _MAX_POINTS)
    if not points:
        return Markup("")
    points = [(0, -math.inf, math.inf), *points]  # before the first call nothing is ruled out
    scale, last = plot_scale(one), max(calls for calls, _, _ in points) or 1
    upper = [(calls / last, high) for calls, _, high in points]
    lower = [(calls / last, low) for calls, low, _ in reversed(points)]
    band = " ".join(_at(share, value, scale) for share, value in [*upper, *lower])
    tip = (
        f"{flat_line(one.metric.name)}: the interval of the difference over {last:,} calls; upwards is worse"
    )
    return Markup(
        '<figure><svg role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">'
        '<polygon class="band" points="{}"/>{}{}</svg>'
        "<figcaption><span>0</span><span>{} calls; upwards is worse, above the solid line too much</span>"
        "</figcaption></figure>"
    ).format(
        tip,
        _WIDTH,
        _HEIGHT,
        band,
        _horizontal_line(scale.same, scale, "same"),
        _horizontal_line(scale.limit, scale, "limit"),
        f"{last:,}",
    )


def _at(share: float, value: float, scale: PlotScale) -> str:
    return f"{share * _WIDTH:.1f},{_y(value, scale):.1f}"


def _y(value: float, scale: PlotScale) -> float:
    return _HEIGHT * (1 - min(1.0, max(0.0, scale.share(value))))


def _horizontal_line(value: float, scale: PlotScale, kind: str) -> Markup:
    y = f"{_y(value, scale):.1f}"
    return Markup('<line class="{}" x1="0" x2="{}" y1="{}" y2="{}"/>').format(kind, _WIDTH, y, y)
