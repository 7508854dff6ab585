"""How numbers are written in every format."""

import math

from promptops.evaluation.result import Rate

NO_VALUE = "–"
_SECOND = 1000
_DIGITS = 3  # significant, of money


def format_percent(value: float | None) -> str:
    return NO_VALUE if value is None else f"{100 * value:.1f} %"


def format_rate_interval(rate: Rate) -> str:
    """The interval's ends in percent, rounded outwards."""
    if rate.low is None or rate.high is None:
        return NO_VALUE
    return f"{math.floor(1000 * rate.low + 1e-6) / 10:.1f}–{math.ceil(1000 * rate.high - 1e-6) / 10:.1f} %"


def format_points(value: float) -> str:
    """A signed difference of rates."""
    written = f"{abs(100 * value):.1f}"
    return f"{sign_of(value) if written != '0.0' else '±'}{written} points"


def format_difference_interval(low: float, high: float) -> str:
    """The interval of a difference of rates, in points."""
    return f"{sign_of(low)}{abs(100 * low):.1f} to {sign_of(high)}{abs(100 * high):.1f}"


def sign_of(value: float) -> str:
    return "−" if value < 0 else "+"  # noqa: RUF001 - as wide as the plus


def format_signed(value: float) -> str:
    """A difference of scores."""
    return f"{sign_of(value)}{abs(value):.3g}"


def format_usd(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    if value >= 1 or value <= 0:
        return f"${value:,.2f}" if value else "$0"
    return f"${value:.{min(12, _DIGITS - 1 - math.floor(math.log10(value)))}f}"


def format_milliseconds(value: float | None) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:.0f} ms" if value < _SECOND else f"{value / _SECOND:,.2f} s"


def format_integer(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:,.0f}"


def format_p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004
