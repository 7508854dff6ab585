"""Not worse by more than a margin: the bets that grow fastest where both sides are alike.

Two arms, at the margin d > 0, with p the mean loss of earlier calls (from .05, worth 10 calls)::

    b   = the root of w(p-a)/(a(1-a)) + (1-w)(p-b)/(b(1-b)) = 0 with a = b + d
    G   = A(Y - a)/w - (1 - A)(Y - b)/(1 - w)
    nu  = w(a - p)/(a(1 - a))
    E   = .15 P(.35 nu) + .25 P(.7 nu) + .45 P(nu) + .15 P(1.5 nu),  P(l) = prod(1 - l*G)

(b, a) are the rates with a difference of d that are hardest to tell from "both are p", and 1 - nu*G is then
the likelihood ratio of the two: no bet grows faster.  Any p and b that are known before the call keep E a
test supermartingale, so they are recomputed only now and then.  Pairs: G = D - d, and nu maximises
E log(1 - nu*G) where a share q of pairs differs, as often one way as the other; q = (2 + sum of
D*D)/(20 + pairs).

Sources: Grünwald, de Heide and Koolen, "Safe testing" (arXiv 1906.07801), for the projection; Garivier and
Kaufmann, COLT 2016, for the bound that it is held against; Waudby-Smith and Ramdas (arXiv 2010.09686).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from math import exp, fsum, log, log1p
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.eprocess import (
    ROUNDING,
    Hypothesis,
    MeanTest,
    Wealth,
    WealthTest,
    impossible_call,
    paired_test,
    state_reader,
)

WEIGHTS = (0.15, 0.25, 0.45, 0.15)  # of the four stakes
_SHARES = (0.35, 0.7, 1.0, 1.5)  # of the best bet, as the rates are only estimated
_SMALLEST, _LARGEST = 0.005, 0.9  # of the largest bet that cannot ruin
_PRIOR_MEAN, _PRIOR_CALLS = 0.05, 10.0
_PRIOR_DISCORDANT, _PRIOR_PAIRS = 2.0, 20.0
_EDGE = 1e-5  # p stays this far from 0 and 1
_BISECTIONS = 40
_REFRESH, _SETTLED, _REFRESH_SETTLED = (
    10,
    1000,
    100,
)  # calls between two estimates, and from which on fewer do
Observation = tuple[bool, float, float]  # on the canary?, its weight, the loss


def _new_wealth() -> Wealth:
    return Wealth([0.0] * len(WEIGHTS), weights=WEIGHTS)


def _log_mean_of_four(a: float, b: float, c: float, d: float) -> float:
    """``log_mean`` with these weights."""
    top, (w1, w2, w3, w4) = max(a, b, c, d), WEIGHTS
    return top + log(fsum((w1 * exp(a - top), w2 * exp(b - top), w3 * exp(c - top), w4 * exp(d - top))))


def _stakes(best: float, most: float) -> tuple[float, ...]:
    return tuple(min(max(share * best, _SMALLEST * most), _LARGEST * most) for share in _SHARES)


def _next_estimate(count: int) -> int:
    """The first count from this one on at which the bet is recomputed."""
    every = _REFRESH if count < _SETTLED else _REFRESH_SETTLED
    return -(-count // every) * every


def closest_rates(rate: float, weight: float, margin: float) -> float:
    """The b of the module's docstring: stable's rate, the canary's being ``b + margin``."""
    low, high = max(rate - margin, 0.0), min(rate, 1.0 - margin)
    rest = 1.0 - weight
    for _ in range(_BISECTIONS):
        b = (low + high) / 2.0
        a = b + margin
        # multiplied by a(1-a)b(1-b), which is positive
        if weight * (rate - a) * b * (1.0 - b) + rest * (rate - b) * a * (1.0 - a) > 0.0:
            low = b
        else:
            high = b
    return (low + high) / 2.0


@dataclass(frozen=True, slots=True)
class MarginBet:
    """What is staked on the next calls of two arms: ``b``, ``a``, and the four l of the docstring."""

    stable: float
    canary: float
    stakes: tuple[float, ...]


def margin_bet(rate: float, weight: float, margin: float) -> MarginBet:
    """The bet on calls in which the canary has this weight, where both arms seem to fail at ``rate``."""
    p = min(max(rate, _EDGE), 1.0 - _EDGE)
    b = closest_rates(p, weight, margin)
    a = b + margin
    best = weight * (a - p) / (a * (1.0 - a))
    return MarginBet(b, a, _stakes(best, min(weight / (1.0 - a), (1.0 - weight) / b)))


@dataclass(slots=True)
class MarginTest(WealthTest):
    """H0: the canary's mean loss is at least ``g`` (above 0) above stable's, at all times.

    ``rate`` and ``weight``: what the present bet was made for.
    """

    g: float
    calls: int = 0
    total: float = 0.0
    rate: float = _PRIOR_MEAN
    weight: float = 0.0
    wealth: Wealth = field(default_factory=_new_wealth)
    bet: MarginBet | None = field(default=None, compare=False, repr=False)

    def update(self, canary: bool, weight: float, loss: float) -> None:
        """Add the next call in assignment order; see ``TwoArmTest.update``."""
        self.update_all(((canary, weight, loss),))

    def update_all(self, calls: Iterable[Observation], stop: float = math.inf) -> int | None:
        """Add calls, up to the one (its number from 1) at which log E is at least ``stop``.

        A call that cannot be raises ``Invalid``, and none is added.
        """
        g, count, total, rate, known = self.g, self.calls, self.total, self.rate, self.weight
        bet = self.bet or margin_bet(rate, known or 0.5, g)
        k_s, k_c, (s1, s2, s3, s4) = bet.stable, bet.canary, bet.stakes
        l1, l2, l3, l4 = self.wealth.logs
        highest, due, reached = self.wealth.highest, _next_estimate(count), None
        slack = 0.0  # as in ``TwoArmTest.update_all``
        checked = -1.0  # a weight that can be
        for canary, weight, loss in calls:
            if not (weight == checked or 0.0 < weight < 1.0) or not 0.0 <= loss <= 1.0:
                raise impossible_call(weight, loss)
            checked = weight
            if count >= due or weight != known:
                rate, known = (_PRIOR_MEAN * _PRIOR_CALLS + total) / (_PRIOR_CALLS + count), weight
                bet, due = margin_bet(rate, weight, g), _next_estimate(count + 1)
                k_s, k_c, (s1, s2, s3, s4) = bet.stable, bet.canary, bet.stakes
            gain = (k_c - loss) / weight if canary else (loss - k_s) / (1.0 - weight)
            l1 += log1p(s1 * gain)
            l2 += log1p(s2 * gain)
            l3 += log1p(s3 * gain)
            most = log1p(s4 * gain)
            l4 += most
            count += 1
            total += loss
            if gain > 0.0:
                slack -= most
                if slack < ROUNDING:
                    now = _log_mean_of_four(l1, l2, l3, l4)
                    highest = max(highest, now)
                    slack = highest - now
                    if now >= stop:
                        reached = count - self.calls
                        break
        self.calls, self.total, self.rate, self.weight, self.bet = count, total, rate, known, bet
        self.wealth.logs, self.wealth.highest = [l1, l2, l3, l4], highest
        return reached

    def to_json(self) -> dict[str, Any]:
        return {
            "margin": self.g,
            "calls": self.calls,
            "total": self.total,
            "bet": [self.rate, self.weight],
            **self.wealth.to_json(),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        rate, weight = read.numbers("bet", 2)
        wealth = Wealth.from_json(state, WEIGHTS)
        return cls(read.number("margin"), read.count("calls"), read.number("total"), rate, weight, wealth)


@dataclass(slots=True)
class PairedMarginTest(WealthTest):
    """H0: the mean of differences D in [-1, 1], candidate minus control, is at least ``g`` above 0."""

    g: float
    count: int = 0
    squares: float = 0.0
    wealth: Wealth = field(default_factory=_new_wealth)
    stakes: tuple[float, ...] = ()

    def update(self, value: float) -> None:
        """Add one pair's difference; one outside [-1, 1] raises ``Invalid`` and changes nothing."""
        if not -1.0 <= value <= 1.0:
            raise Invalid(f"the value {value} is not between -1.0 and 1.0")
        if not self.stakes or self.count == _next_estimate(self.count):
            share = (_PRIOR_DISCORDANT + self.squares) / (_PRIOR_PAIRS + self.count)
            self.stakes = paired_stakes(share, self.g)
        self.wealth.stake(self.stakes, self.g - value)
        self.count += 1
        self.squares += value * value


def paired_stakes(discordant: float, margin: float) -> tuple[float, ...]:
    """The four l for pairs of which this share differs, as often one way as the other."""
    most = 1.0 / (1.0 - margin)
    half, low, high = min(discordant, 1.0) / 2.0, 0.0, most
    for _ in range(_BISECTIONS):
        stake = (low + high) / 2.0
        slope = (
            half * (margin - 1.0) / (1.0 + stake * (margin - 1.0))
            + (1.0 - 2.0 * half) * margin / (1.0 + stake * margin)
            + half * (margin + 1.0) / (1.0 + stake * (margin + 1.0))
        )
        if slope > 0.0:
            low = stake
        else:
            high = stake
    return _stakes((low + high) / 2.0, most)


def pair_test(question: Hypothesis, bound: float) -> MeanTest | PairedMarginTest:
    """The test of a question about pairs: by the log-optimal bet where they are held against a margin."""
    if question is Hypothesis.NOT_WORSE and bound > 0.0:
        return PairedMarginTest(bound)
    return paired_test(question, bound)
