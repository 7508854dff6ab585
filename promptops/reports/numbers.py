"""How numbers are written, in every report and every table."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from promptops.evaluation.result import Rate

NO_VALUE = "–"
_SECOND = 1000
_MAX_RATIO = 60
_LEAST_P = 0.001
_DIGITS = 3  # significant, of money


def pluralize(number: int, noun: str) -> str:
    """``1 case``, ``1,200 cases``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def format_percent(value: float | None) -> str:
    return NO_VALUE if value is None else f"{100 * value:.1f} %"


def format_rate_interval(rate: "Rate") -> str:
    """The interval's ends in percent, rounded outwards."""
    if rate.low is None or rate.high is None:
        return NO_VALUE
    return f"{math.floor(1000 * rate.low + 1e-6) / 10:.1f}–{math.ceil(1000 * rate.high - 1e-6) / 10:.1f} %"


def format_percent_change(share: float) -> str:
    """A relative difference, without decimals: whoever reads it compares sizes."""
    written = f"{abs(100 * share):.0f}"
    return "same" if written == "0" else f"{sign_of(share)}{written} %"


def format_weight(basis_points: int) -> str:
    return f"{basis_points / 100:g} %"


def format_points(value: float) -> str:
    """A signed difference of rates."""
    written = f"{abs(100 * value):.1f}"
    return f"{sign_of(value) if written != '0.0' else '±'}{written} points"


def format_difference_interval(low: float, high: float) -> str:
    """The interval of a difference of rates, in points."""
    low, high = sorted((low, high))  # bounds that each hold at all times cross where the difference changes
    return f"{sign_of(low)}{abs(100 * low):.1f} to {sign_of(high)}{abs(100 * high):.1f}"


def format_ratio_interval(low: float, high: float) -> str:
    """The interval of a ratio; an end beyond 60 times is not known."""
    low, high = sorted((low, high))
    ends = ("…" if low < 1 / _MAX_RATIO else f"{low:.2f}", "…" if high > _MAX_RATIO else f"{high:.2f}")
    return f"{ends[0]} to {ends[1]} ×"


def sign_of(value: float) -> str:
    return "−" if value < 0 else "+"  # noqa: RUF001 - as wide as the plus


def format_signed(value: float) -> str:
    """A difference of scores."""
    return f"{sign_of(value)}{abs(value):.3g}"


def format_score(value: float | None) -> str:
    return NO_VALUE if value is None else f"{value:.3g}"


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
    return f"< {_LEAST_P}" if p < _LEAST_P else f"{p:.3f}"


# ---- cells of tables, which scripts may read


def usd_cell(value: float | None) -> str | None:
    return None if value is None else f"{value:.5f}" if value else "0"


def integer_cell(value: float | None) -> str | None:
    return None if value is None else f"{value:.0f}"


def short_count(value: int | None) -> str:
    """1234567 as 1.2M."""
    if value is None:
        return "-"
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= 10 * size or (value >= size and unit != "k"):
            return f"{value / size:.3g}{unit}"
    return str(value)


def format_bytes(count: int) -> str:
    """Bytes for people, in powers of ten."""
    for step, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count} bytes"
