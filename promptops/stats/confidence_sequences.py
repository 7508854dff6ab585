"""Confidence sequences: bounds that hold at every call at once, got by inverting the bets.

The lower bound is the largest difference that ``WORSE`` rejects, the upper bound the smallest that
``NOT_WORSE`` rejects, each at ``alpha``; so "not worse" holds exactly when the upper bound is within the
margin (a multiple of the step).  A bound that has been reached stays (the running intersection).

Both are searched by bisection on a grid, which takes it that whoever rejects one difference rejects those
beyond it.  For means that is so on every path.  For two arms single calls may disagree, as k_s and lmax
move with g; over a rollout their sum does not, which the tests hold against a walk over the whole grid.

Where the difference itself changes during a rollout, what was ruled out early may be what holds later: then
``low`` is above ``high``.

Source: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 2021 (arXiv 1810.08240); Waudby-Smith and
Ramdas, JRSS-B 2024 (arXiv 2010.09686), section 4.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from promptops.stats.eprocess import Hypothesis, MeanTest, log_threshold, paired_test
from promptops.stats.intervals import Interval, last_index_where
from promptops.stats.non_inferiority import MarginTest, Observation, PairedMarginTest
from promptops.stats.rank_losses import Percentiles
from promptops.stats.two_arm import FROM_ZERO, MAX_DIFFERENCE, RANKS, Prior, TwoArmTest

FULL_RANGE = Interval(-1.0, 1.0)
_MAX_RATIO = 64.0
_TINY = 1e-9  # of steps: what rounding sets apart


def first_exclusion(
    observations: Iterable[Observation],
    question: Hypothesis,
    g: float,
    alpha: float,
    prior: Prior = FROM_ZERO,
) -> int | None:
    """The number of the call (from 1) at which a difference of ``g`` was first ruled out, else None."""
    return TwoArmTest(question, g, prior).update_all(observations, log_threshold(alpha))


def difference_bounds(
    observations: Sequence[Observation],
    alpha: float,
    prior: Prior = FROM_ZERO,
    *,
    margin: float | None = None,
    step: float = 0.001,
    inside: Interval = FULL_RANGE,
) -> Interval:
    """Bounds on canary's minus stable's mean loss, each holding at all times with probability 1 - alpha.

    ``margin``: the one (above 0) that "not worse" is bet on log-optimally with.  ``step`` (in losses, 0.001
    = a tenth of a point) is the fineness; bounds are rounded outwards to it.  ``inside``: bounds found
    earlier on a prefix of the same observations, which shortens the search and stay in force.
    """

    def rejected(question: Hypothesis, g: float) -> bool:
        if abs(g) > MAX_DIFFERENCE:
            return False
        if _is_by_margin(question, g, margin):
            return MarginTest(g).update_all(observations, log_threshold(alpha)) is not None
        return first_exclusion(observations, question, g, alpha, prior) is not None

    return _bounds(rejected, step, inside, margin)


def _is_by_margin(question: Hypothesis, bound: float, margin: float | None) -> bool:
    """Whether a bound is tested by the log-optimal bet: it grows fast for margins, slowly for less."""
    return question is Hypothesis.NOT_WORSE and margin is not None and bound >= margin - _TINY


def pair_bounds(
    differences: Sequence[float], alpha: float, margin: float | None = None, *, step: float = 0.001
) -> Interval:
    """Bounds on the mean of differences in [-1, 1], candidate's loss minus control's, of pairs.

    ``margin``: as of ``difference_bounds``.
    """

    def rejected(question: Hypothesis, bound: float) -> bool:
        if not -1.0 < bound < 1.0:
            return False
        by_margin = _is_by_margin(question, bound, margin)
        test = PairedMarginTest(bound) if by_margin else paired_test(question, bound)
        return _rejects_any(test, differences, alpha)

    return _bounds(rejected, step, FULL_RANGE, margin)


def _rejects_any(test: MeanTest | PairedMarginTest, values: Sequence[float], alpha: float) -> bool:
    """Whether the test rejects after any of the values."""
    threshold = log_threshold(alpha)
    for value in values:
        test.update(value)
        if test.wealth.highest >= threshold:
            return True
    return False


def ratio_bounds(
    observations: Sequence[Observation],
    alpha: float,
    prior: Prior = RANKS,
    *,
    step: float = 0.01,
    inside: Interval | None = None,
) -> Interval:
    """Bounds on the factor between canary's and stable's values (latency, cost): 1.08 = 8 % more.

    The factor is the one by which the canary's values must be divided to rank as stable's do.  Observations
    hold values in place of losses; ``step`` 0.01 = to about 1 %.  An open end is 1/64 or 64.
    """

    def rejected(question: Hypothesis, log_ratio: float) -> bool:
        return _ratio_excluded(observations, question, math.exp(log_ratio), alpha, prior)

    reach = inside or Interval(1 / _MAX_RATIO, _MAX_RATIO)
    found = _bounds(rejected, math.log1p(step), Interval(math.log(reach.low), math.log(reach.high)))
    return Interval(math.exp(found.low), math.exp(found.high))


def _ratio_excluded(
    observations: Sequence[Observation], question: Hypothesis, ratio: float, alpha: float, prior: Prior
) -> bool:
    ranked = _ranked(observations, ratio)
    return first_exclusion(ranked, question, 0.0, alpha, prior) is not None


def _ranked(observations: Sequence[Observation], ratio: float) -> Iterator[Observation]:
    """Each value's percentile among stable's before it, the canary's divided by the ratio."""
    seen = Percentiles()
    for canary, weight, value in observations:
        yield canary, weight, seen.score(value / ratio if canary else value)
        if not canary:
            seen.add(value)


def _bounds(
    rejected: Callable[[Hypothesis, float], bool], step: float, inside: Interval, margin: float | None = None
) -> Interval:
    def lower(index: int) -> bool:
        return rejected(Hypothesis.WORSE, index * step)

    def upper(index: int) -> bool:
        return rejected(Hypothesis.NOT_WORSE, -index * step)

    low = last_index_where(
        lower, math.floor(inside.low / step + _TINY), math.ceil(inside.high / step - _TINY)
    )
    first, last = inside.low, inside.high
    if margin is not None and first < (edge := math.ceil(margin / step - _TINY) * step) < last:
        # tested in another way on either side of the margin, so one side alone is searched
        first, last = (first, edge) if rejected(Hypothesis.NOT_WORSE, edge) else (edge, last)
    high = last_index_where(upper, math.floor(-last / step + _TINY), math.ceil(-first / step - _TINY))
    return Interval(max(inside.low, round(low * step, 9)), min(inside.high, round(-high * step, 9)))
