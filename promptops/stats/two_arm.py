"""Canary against stable, call by call: evidence that it is worse, or not worse by more than the margin.

Call i falls on the canary (A = 1) with a known weight w that may depend on everything before it; Y in [0,
1] is its loss.  With g = tau (``WORSE``, H0: mu_c - mu_s <= g) or g = delta (``NOT_WORSE``, H0: mu_c - mu_s
>= g)::

    k    = (m0*n0 + sum of earlier Y)/(n0 + number of earlier calls)
    k_s  = clip(k - w*g, edge, 1 - edge - g);  k_c = k_s + g
    G    = A(Y - k_c)/w - (1 - A)(Y - k_s)/(1 - w)
    lmax = min(w/k_c, (1-w)/(1-k_s)) for WORSE;  min(w/(1-k_c), (1-w)/k_s) for NOT_WORSE
    E    = mean over c of prod(1 ± c*lmax*G), reject at 1/alpha

G has mean (mu_c - mu_s) - g whatever k is, and lmax keeps every factor at or above 0: a test
supermartingale under H0 for any drift of the base rate and any predictable weights.

Losses start at k = 0 (``FROM_ZERO``): until there is a first one, g = 0 has G = 0 and the evidence is exactly
1.  A k that starts higher bets on which arm calls without a loss fall on, and a canary with 0 of 18 has been
rolled back against 0 of 182.  Not worse by a margin above 0 is bet on as ``non_inferiority`` says.

Sources: Turner, Ly and Grünwald, JSPI 2024 (arXiv 2106.02693); Waudby-Smith and Ramdas, JRSS-B 2024
(arXiv 2010.09686); Shekhar and Ramdas (arXiv 2112.09162); Lindon and Malek (arXiv 2011.03567).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from math import log1p
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.eprocess import (
    BET_FRACTIONS,
    ROUNDING,
    Hypothesis,
    Wealth,
    WealthTest,
    impossible_call,
    log_mean_of_six,
    state_reader,
)
from promptops.stats.non_inferiority import MarginTest, Observation

EDGE = 1e-3  # k stays this far from 0 and 1 in the first engine
MAX_DIFFERENCE = 1.0 - 2 * EDGE  # of the differences that can be asked about


@dataclass(frozen=True, slots=True)
class Prior:
    """Where k starts, worth ``count`` calls, and how far it stays from 0 and 1."""

    mean: float = 0.5
    count: float = 10.0
    edge: float = EDGE

    def __post_init__(self) -> None:
        if not (0.0 <= self.mean <= 1.0 and self.count > 0.0 and 0.0 <= self.edge <= EDGE):
            raise Invalid(f"a prior mean of {self.mean} worth {self.count} calls: needs 0..1 and above 0")


NO_HISTORY = Prior()  # of the first engine
FROM_ZERO = Prior(0.0, 10.0, edge=0.0)  # of losses
FROM_ONE = Prior(1.0, 10.0, edge=0.0)  # of losses that nearly every call has
RANKS = Prior(0.5, 50.0)  # ranks have a mean of a half


def prior_from_history(mean: float) -> Prior:
    """What the first engine starts with: stable's mean loss over the last 30 days, worth 50 calls."""
    return Prior(mean, 50.0)


@dataclass(slots=True)
class TwoArmTest(WealthTest):
    """The e-process of one metric; ``g`` is a difference of losses within ±0.998 (0.02 = 2 points).

    Negative ``g`` are for confidence sequences: k_s is then kept above edge - g, so that k_c stays above
    the edge.
    """

    question: Hypothesis
    g: float
    prior: Prior = FROM_ZERO
    calls: int = 0
    total: float = 0.0
    wealth: Wealth = field(default_factory=Wealth)

    def __post_init__(self) -> None:
        if not -MAX_DIFFERENCE <= self.g <= MAX_DIFFERENCE:
            raise Invalid(f"a difference of {self.g} cannot be tested: it is not within ±{MAX_DIFFERENCE}")

    def update(self, canary: bool, weight: float, loss: float) -> None:
        """Add the next call in assignment order.

        ``weight``: the canary's weight in force when it was assigned, strictly between 0 and 1; ``loss`` in
        [0, 1].  Anything else raises ``Invalid`` and changes nothing.
        """
        self.update_all(((canary, weight, loss),))

    def update_all(self, calls: Iterable[Observation], stop: float = math.inf) -> int | None:
        """Add calls, up to the one (its number from 1) at which log E is at least ``stop``.

        A call that cannot be raises ``Invalid``, and none is added.
        """
        g, worse, edge = self.g, self.question is Hypothesis.WORSE, self.prior.edge
        low, high = max(edge, edge - g), min(1.0 - edge, 1.0 - edge - g)
        known, worth = self.prior.mean * self.prior.count, self.prior.count
        count, total, highest, reached = self.calls, self.total, self.wealth.highest, None
        slack = 0.0  # log E is at least this far below its highest: no mean outgrows its fastest part
        checked, shift, rest = -1.0, 0.0, 0.0  # a weight that can be, and what follows from it
        c1, c2, c3, c4, c5, c6 = BET_FRACTIONS
        l1, l2, l3, l4, l5, l6 = self.wealth.logs
        for canary, weight, loss in calls:
            if not (weight == checked or 0.0 < weight < 1.0) or not 0.0 <= loss <= 1.0:
                raise impossible_call(weight, loss)
            if weight != checked:
                checked, shift, rest = weight, weight * g, 1.0 - weight
            k_s = (known + total) / (worth + count) - shift
            if k_s < low:
                k_s = low
            elif k_s > high:
                k_s = high
            k_c = k_s + g
            if worse:
                gain = (loss - k_c) / weight if canary else (k_s - loss) / rest
                left, right = weight * (1.0 - k_s), rest * k_c  # compared crosswise: neither may be 0
                x = gain * (rest / (1.0 - k_s) if right < left else weight / k_c)
            else:
                gain = (k_c - loss) / weight if canary else (loss - k_s) / rest
                left, right = weight * k_s, rest * (1.0 - k_c)
                x = gain * (rest / k_s if right < left else weight / (1.0 - k_c))
            count += 1
            total += loss
            l1 += log1p(c1 * x)
            l2 += log1p(c2 * x)
            l3 += log1p(c3 * x)
            l4 += log1p(c4 * x)
            l5 += log1p(c5 * x)
            most = log1p(c6 * x)
            l6 += most
            if x > 0.0:  # a bet that is lost raises the wealth of none
                slack -= most
                if slack < ROUNDING:
                    now = log_mean_of_six(l1, l2, l3, l4, l5, l6)
                    highest = max(highest, now)
                    slack = highest - now
                    if now >= stop:
                        reached = count - self.calls
                        break
        self.calls, self.total = count, total
        self.wealth.logs, self.wealth.highest = [l1, l2, l3, l4, l5, l6], highest
        return reached

    def to_json(self) -> dict[str, Any]:
        edge = [] if self.prior.edge == EDGE else [self.prior.edge]
        return {
            "question": str(self.question),
            "g": self.g,
            "prior": [self.prior.mean, self.prior.count, *edge],
            "calls": self.calls,
            "total": self.total,
            **self.wealth.to_json(),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        mean, count, *edge = read.numbers("prior")
        return cls(
            read.question(),
            read.number("g"),
            Prior(mean, count, *edge),
            read.count("calls"),
            read.number("total"),
            Wealth.from_json(state),
        )


AnyTwoArmTest = TwoArmTest | MarginTest


def two_arm_test(question: Hypothesis, g: float, prior: Prior = FROM_ZERO) -> AnyTwoArmTest:
    """The test of a question: by the log-optimal bet where losses are held against a margin."""
    if question is Hypothesis.NOT_WORSE and g > 0.0 and prior == FROM_ZERO:
        return MarginTest(g)
    return TwoArmTest(question, g, prior)


def two_arm_test_from_json(state: Mapping[str, Any]) -> AnyTwoArmTest:
    """A test as either class has stored it."""
    return MarginTest.from_json(state) if "margin" in state else TwoArmTest.from_json(state)
