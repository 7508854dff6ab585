"""E-processes: bets against a hypothesis whose winnings are evidence, valid whenever they are looked at.

A bet ``x >= -1`` with conditional mean at most 0 under the hypothesis multiplies the wealth by ``1 + c*x``.
The mean of six such processes, one a share ``c`` in ``BET_FRACTIONS``, is a test supermartingale: it exceeds
``1/alpha`` at any time with probability at most ``alpha`` (Ville).  They are kept as logarithms, so that
a hundred thousand calls neither overflow nor wipe one out.

Sources: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS-B 2024
(arXiv 2010.09686), section 4; Shekhar and Ramdas (arXiv 2112.09162).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from math import exp, log
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid

BET_FRACTIONS = (0.03, 0.08, 0.16, 0.3, 0.5, 0.8)
ROUNDING = 1e-9  # of sums of logarithms
_MAX_EXPONENT = 700.0  # exp() of more overflows


class Hypothesis(StrEnum):
    """Which hypothesis is bet against; losses are larger for worse."""

    WORSE = "worse"  # H0: the mean (or the difference) is at most the bound
    NOT_WORSE = "not worse"  # H0: it is at least the bound


def log_threshold(alpha: float) -> float:
    """The logarithm of the evidence at which a test of level ``alpha`` rejects: ``log(1/alpha)``."""
    if not 0.0 < alpha < 1.0:
        raise Invalid(f"alpha is {alpha}, not a number between 0 and 1")
    return -math.log(alpha)


def e_value(log_e: float) -> float:
    """``exp(log_e)``, bounded by 1e304 so that it can be written as JSON."""
    return math.exp(min(log_e, _MAX_EXPONENT))


def log_mean(logs: Iterable[float], weights: Sequence[float] = ()) -> float:
    """The logarithm of the mean of numbers given by their logarithms; ``weights`` sum to 1."""
    found = list(logs)
    top = max(found)
    if weights:
        return top + math.log(
            math.fsum([w * math.exp(value - top) for w, value in zip(weights, found, strict=True)])
        )
    return top + math.log(sum([math.exp(value - top) for value in found]) / len(found))


def log_mean_of_six(a: float, b: float, c: float, d: float, e: float, f: float) -> float:
    """``log_mean`` of six, which the loops over calls need often."""
    top = max(a, b, c, d, e, f)
    return top + log(
        (exp(a - top) + exp(b - top) + exp(c - top) + exp(d - top) + exp(e - top) + exp(f - top)) / 6
    )


def impossible_call(weight: float, loss: float) -> Invalid:
    """For a call that no assignment by chance, or no loss, can have made."""
    return Invalid(f"weight {weight}, loss {loss}: needs 0 < weight < 1 and 0 <= loss <= 1")


@dataclass(slots=True)
class Wealth:
    """Wealth by share and the highest that its mean has been, as logarithms; no ``weights``: equal ones."""

    logs: list[float] = field(default_factory=lambda: [0.0] * len(BET_FRACTIONS))
    highest: float = 0.0
    weights: tuple[float, ...] = ()

    def bet(self, x: float) -> None:
        """Multiply each share's wealth by ``1 + c*x``; ``x`` is at least -1, its mean under H0 at most 0."""
        log1p = math.log1p
        c1, c2, c3, c4, c5, c6 = BET_FRACTIONS
        l1, l2, l3, l4, l5, l6 = self.logs
        self.logs = logs = [
            l1 + log1p(c1 * x),
            l2 + log1p(c2 * x),
            l3 + log1p(c3 * x),
            l4 + log1p(c4 * x),
            l5 + log1p(c5 * x),
            l6 + log1p(c6 * x),
        ]
        # a bet that is lost raises the wealth of none, and a mean is never above its largest part
        if x > 0.0 and max(logs) > self.highest:
            self.highest = max(self.highest, self.log_e)

    def stake(self, stakes: Sequence[float], gain: float) -> None:
        """Multiply each wealth by one plus its own stake's gain, the mean of which is at most 0 under H0."""
        self.logs = [log + math.log1p(each * gain) for log, each in zip(self.logs, stakes, strict=True)]
        if gain > 0.0 and max(self.logs) > self.highest:
            self.highest = max(self.highest, self.log_e)

    @property
    def log_e(self) -> float:
        return log_mean(self.logs, self.weights)

    def to_json(self) -> dict[str, Any]:
        return {"logs": list(self.logs), "highest": self.highest}

    @classmethod
    def from_json(cls, state: Mapping[str, Any], weights: tuple[float, ...] = ()) -> Self:
        read = state_reader(state)
        logs = read.numbers("logs", len(weights or BET_FRACTIONS))
        return cls(logs, read.number("highest"), weights)


@dataclass(frozen=True, slots=True)
class StateReader:
    """Reads numbers from a stored state and names the one that is missing or damaged."""

    state: Mapping[str, Any]

    def number(self, key: str) -> float:
        value = self.state.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise _damaged(key)
        return float(value)

    def count(self, key: str) -> int:
        value = self.state.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _damaged(key)
        return value

    def numbers(self, key: str, length: int | None = None) -> list[float]:
        values = self.state.get(key)
        if not isinstance(values, list) or (length is not None and len(values) != length):
            raise _damaged(key)
        return [StateReader({key: value}).number(key) for value in values]

    def inner(self, key: str) -> Mapping[str, Any]:
        value = self.state.get(key)
        if not isinstance(value, Mapping):
            raise _damaged(key)
        return value

    def question(self) -> Hypothesis:
        value = self.state.get("question")
        if value not in set(Hypothesis):
            raise _damaged("question")
        return Hypothesis(value)


def state_reader(state: object) -> StateReader:
    if not isinstance(state, Mapping):
        raise Invalid("stored evidence is not a JSON object", hint="recompute it from the observations")
    return StateReader(state)


def _damaged(key: str) -> Invalid:
    return Invalid(
        f"stored evidence is damaged: `{key}` is missing or unusable",
        hint="recompute it from the observations",
    )


class WealthTest:
    """A test whose evidence is its wealth."""

    __slots__ = ()
    wealth: Wealth

    @property
    def log_e(self) -> float:
        """The logarithm of the current e-value."""
        return self.wealth.log_e

    def rejects(self, alpha: float) -> bool:
        """Whether the evidence has ever reached ``1/alpha``: once said, it stays said."""
        return self.wealth.highest >= log_threshold(alpha)


@dataclass(slots=True)
class MeanTest(WealthTest):
    """Bets on one stream of values between ``low`` and ``high`` against a bound on their mean.

    ``WORSE``: H0 mean <= bound, bet ``(v - bound)/(bound - low)``.
    ``NOT_WORSE``: H0 mean >= bound, bet ``(bound - v)/(high - bound)``.
    Holds for values that are neither independent nor alike, as long as each one's mean given the past is on
    the hypothesis's side.
    """

    question: Hypothesis
    bound: float
    low: float
    high: float
    count: int = 0
    total: float = 0.0
    wealth: Wealth = field(default_factory=Wealth)

    def __post_init__(self) -> None:
        if not self.low < self.bound < self.high:
            raise Invalid(
                f"the bound {self.bound} is not strictly between {self.low} and {self.high}: nothing to test"
            )

    def update(self, value: float) -> None:
        """Add one value; one outside ``[low, high]`` raises ``Invalid`` and changes nothing."""
        if not self.low <= value <= self.high:
            raise Invalid(f"the value {value} is not between {self.low} and {self.high}")
        if self.question is Hypothesis.WORSE:
            self.wealth.bet((value - self.bound) / (self.bound - self.low))
        else:
            self.wealth.bet((self.bound - value) / (self.high - self.bound))
        self.count += 1
        self.total += value

    @property
    def mean(self) -> float:
        """The mean so far; 0 before the first value."""
        return self.total / self.count if self.count else 0.0

    def to_json(self) -> dict[str, Any]:
        return {
            "question": str(self.question),
            "bound": self.bound,
            "low": self.low,
            "high": self.high,
            "count": self.count,
            "total": self.total,
            **self.wealth.to_json(),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        bound, low, high = read.number("bound"), read.number("low"), read.number("high")
        wealth = Wealth.from_json(state)
        return cls(read.question(), bound, low, high, read.count("count"), read.number("total"), wealth)


def paired_test(question: Hypothesis, bound: float) -> MeanTest:
    """Tests the mean of differences D = candidate's loss - control's loss in [-1, 1] on the same inputs.

    ``WORSE``: prod(1 + c(D - tau)/(1 + tau)); ``NOT_WORSE``: prod(1 + c(delta - D)/(1 - delta)).
    """
    return MeanTest(question, bound, -1.0, 1.0)
