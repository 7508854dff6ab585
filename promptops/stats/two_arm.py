"""Canary against stable, call by call: evidence that it is worse, or not worse by more than the margin.

Call i falls on the canary (A = 1) with a known weight w that may depend on everything before it; Y in [0,
1] is its loss.  With g = tau (``WORSE``, H0: mu_c - mu_s <= g) or g = delta (``NOT_WORSE``, H0: mu_c - mu_s
>= g)::

    k    = (m0*n0 + sum of earlier Y)/(n0 + number of earlier calls)
    k_s  = clip(k - w*g, EDGE, 1 - EDGE - g);  k_c = k_s + g
    G    = A(Y - k_c)/w - (1 - A)(Y - k_s)/(1 - w)
    lmax = min(w/k_c, (1-w)/(1-k_s)) for WORSE;  min(w/(1-k_c), (1-w)/k_s) for NOT_WORSE
    E    = mean over c of prod(1 ± c*lmax*G), reject at 1/alpha

G has mean (mu_c - mu_s) - g whatever k is, and lmax keeps every factor at or above 0: a test
supermartingale under H0 for any drift of the base rate and any predictable weights.

Sources: Turner, Ly and Grünwald, JSPI 2024 (arXiv 2106.02693); Waudby-Smith and Ramdas, JRSS-B 2024
(arXiv 2010.09686); Shekhar and Ramdas (arXiv 2112.09162); Lindon and Malek (arXiv 2011.03567).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from promptops.errors import Invalid
from promptops.stats.eprocess import Hypothesis, Wealth, WealthTest, state_reader

EDGE = 1e-3  # k stays this far from 0 and 1
MAX_DIFFERENCE = 1.0 - 2 * EDGE  # of the differences that can be asked about


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of the loss beforehand: stable's mean over the last 30 days, worth ``count`` calls."""

    mean: float = 0.5
    count: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.mean <= 1.0 or not self.count > 0.0:
            raise Invalid(f"a prior mean of {self.mean} worth {self.count} calls: needs 0..1 and above 0")


NO_HISTORY = Prior()


def prior_from_history(mean: float) -> Prior:
    """The prior where stable has history: its mean loss, worth 50 calls."""
    return Prior(mean, 50.0)


@dataclass(slots=True)
class TwoArmTest(WealthTest):
    """The e-process of one metric; ``g`` is a difference of losses within ±0.998 (0.02 = 2 points).

    Negative ``g`` are for confidence sequences: k_s is then kept above EDGE - g, so that k_c stays above
    EDGE.
    """

    question: Hypothesis
    g: float
    prior: Prior = NO_HISTORY
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
        if not (0.0 < weight < 1.0 and 0.0 <= loss <= 1.0):
            raise Invalid(f"weight {weight}, loss {loss}: needs 0 < weight < 1 and 0 <= loss <= 1")
        prior, g = self.prior, self.g
        k = (prior.mean * prior.count + self.total) / (prior.count + self.calls)
        k_s = k - weight * g
        if not (EDGE <= k_s <= 1.0 - EDGE and EDGE - g <= k_s <= 1.0 - EDGE - g):
            k_s = min(max(k_s, EDGE, EDGE - g), 1.0 - EDGE, 1.0 - EDGE - g)
        k_c, rest = k_s + g, 1.0 - weight
        gain = (loss - k_c) / weight if canary else (k_s - loss) / rest
        if self.question is Hypothesis.WORSE:
            self.wealth.bet(min(weight / k_c, rest / (1.0 - k_s)) * gain)
        else:
            self.wealth.bet(-min(weight / (1.0 - k_c), rest / k_s) * gain)
        self.calls += 1
        self.total += loss

    def to_json(self) -> dict[str, Any]:
        return {
            "question": str(self.question),
            "g": self.g,
            "prior": [self.prior.mean, self.prior.count],
            "calls": self.calls,
            "total": self.total,
            **self.wealth.to_json(),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        prior = Prior(*read.numbers("prior", 2))
        wealth = Wealth.from_json(state)
        return cls(
            read.question(), read.number("g"), prior, read.count("calls"), read.number("total"), wealth
        )
