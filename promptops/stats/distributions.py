"""Distribution functions that the standard library lacks, to about twelve digits.

Source: Abramowitz and Stegun 26.5 (incomplete beta), 26.7 (Student's t); the continued fraction is
evaluated by Lentz's method (Lentz 1976, as modified by Thompson and Barnett 1986).
"""

import math
from collections.abc import Callable
from statistics import NormalDist

from promptops.errors import Invalid

_TINY = 1e-300
_PRECISION = 1e-15
_MAX_TERMS = 20_000


def normal_quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


def two_sided_z(confidence: float) -> float:
    """1.96 for 0.95."""
    return normal_quantile(1.0 - (1.0 - check_confidence(confidence)) / 2.0)


def check_confidence(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise Invalid(f"a confidence of {confidence}: needs a number between 0 and 1, such as 0.95")
    return confidence


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), a and b above 0."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    if x < (a + 1.0) / (a + b + 2.0):
        return math.exp(log_front) * _beta_fraction(x, a, b) / a
    return 1.0 - math.exp(log_front) * _beta_fraction(1.0 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _avoid_zero(1.0 - (a + b) * x / (a + 1.0))
    found = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for step in (even, odd):
            d = 1.0 / _avoid_zero(1.0 + step * d)
            c = _avoid_zero(1.0 + step / c)
            found *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            break
    return found


def _avoid_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def beta_quantile(probability: float, a: float, b: float) -> float:
    return _invert(lambda x: beta_cdf(x, a, b), probability, 0.0, 1.0)


def binomial_cdf(successes: int, trials: int, rate: float) -> float:
    """The probability of at most so many successes."""
    if successes < 0:
        return 0.0
    if successes >= trials:
        return 1.0
    return beta_cdf(1.0 - rate, trials - successes, successes + 1.0)


def student_quantile(confidence: float, freedom: float) -> float:
    """The value whose two-sided tail is 1 - confidence: 2.262 for 0.95 and 9 degrees of freedom."""
    tail = 1.0 - check_confidence(confidence)
    x = beta_quantile(tail, freedom / 2.0, 0.5)
    return math.sqrt(freedom * (1.0 - x) / x)


def _invert(rising: Callable[[float], float], target: float, low: float, high: float) -> float:
    for _ in range(200):
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if rising(middle) < target:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0
