"""What plots are drawn with: inline SVG, with places in percent.

So a plot is as wide as its page, and its text is not scaled.
"""

import math

from markupsafe import Markup

from promptops.cli.reports.eval.view import side_role, single_line
from promptops.evaluation.result import EvalResult

_SHAPES = (
    "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z",
    "M0-6L6 0L0 6L-6 0Z",
    "M-4.5-4.5H4.5V4.5H-4.5Z",
    "M0-5.5L5.5 4.5H-5.5Z",
    "M0 5.5L5.5-4.5H-5.5Z",
    "M-2-5H2V-2H5V2H2V5H-2V2H-5V-2H-2Z",
)


def side_css_class(index: int, sides: int) -> str:
    """The class of a side's marks: the control is hollow, the candidate full; of many, each has a colour."""
    return ("control", "candidate")[index] if sides == 2 else f"s{index % len(_SHAPES)}"  # noqa: PLR2004


def marker_path(index: int, sides: int) -> str:
    return _SHAPES[0] if sides <= 2 else _SHAPES[index % len(_SHAPES)]  # noqa: PLR2004


def legend_marker(index: int, sides: int) -> Markup:
    return Markup(
        '<svg class="mark {}" width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">'
        '<path d="{}"/></svg>'
    ).format(side_css_class(index, sides), marker_path(index, sides))


def plot_legend(result: EvalResult) -> Markup:
    if len(result.sides) < 2:  # noqa: PLR2004 - one needs no telling apart
        return Markup("")
    items = (
        Markup("<li>{} {} <code>{}</code></li>").format(
            legend_marker(index, len(result.sides)), side_role(index, result), single_line(side.label)
        )
        for index, side in enumerate(result.sides)
    )
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(items))


def plot_figure(*parts: Markup) -> Markup:
    return Markup('<div class="plot">{}</div>').format(Markup("").join(parts))


def svg_element(label: str, height: float, body: Markup) -> Markup:
    return Markup('<svg role="img" aria-label="{}" width="100%" height="{}">{}</svg>').format(
        label, f"{height:g}", body
    )


def svg_line(kind: str, x1: float, y1: object, x2: float, y2: object) -> Markup:
    return Markup('<line class="{}" x1="{}%" y1="{}" x2="{}%" y2="{}"/>').format(
        kind, f"{x1:.2f}", y1, f"{x2:.2f}", y2
    )


def plot_marker(index: int, sides: int, x: float, y: object, tip: str) -> Markup:
    # a drawing of its own: a path has no places in percent
    return Markup(
        '<svg x="{}%" y="{}" overflow="visible"><path class="{}" d="{}"><title>{}</title></path></svg>'
    ).format(f"{x:.2f}", y, side_css_class(index, sides), marker_path(index, sides), tip)


def axis_ceiling(value: float) -> float:
    """The next of 1, 2, 4, 8 × ten to a whole power, which quarters well."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((step * power for step in (1, 2, 4, 6, 8) if step * power >= value), 10 * power)
