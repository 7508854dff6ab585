"""Whether calls are really assigned with the weights that were logged.

A split that differs from what was asked for means that something drops or misroutes calls, and then no
other number of the rollout can be trusted.  The mixture bets on six tilts of the odds; with true weights it
is a martingale that starts at 1, so an alarm at 1,000 has a false-alarm rate of 0.001 over the rollout's
whole life.

Source: Lindon and Malek, "Anytime-valid inference for multinomial count data" (arXiv 2011.03567).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.eprocess import ROUNDING, log_mean, log_mean_of_six, log_threshold, state_reader

TILTS = (0.5, 0.8, 0.9, 1.1, 1.25, 2.0)  # of the odds that a call falls on the canary
ALARM = 0.001
_LOG_TILTS = tuple(math.log(tilt) for tilt in TILTS)


@dataclass(slots=True)
class SampleRatioTest:
    calls: int = 0
    canary_calls: int = 0
    expected: float = 0.0  # sum of the weights
    logs: list[float] = field(default_factory=lambda: [0.0] * len(TILTS))
    highest: float = 0.0

    def update(self, canary: bool, weight: float) -> None:
        """Add the next assignment; ``weight`` strictly between 0 and 1, as logged."""
        self.update_all(((canary, weight),))

    def update_all(self, assignments: Iterable[tuple[bool, float]]) -> None:
        """Add assignments, one after the other. One that cannot be raises ``Invalid``, and none is added."""
        known, (c1, c2, c3, c4, c5, c6) = -1.0, (0.0,) * len(TILTS)
        t1, t2, t3, t4, t5, t6 = _LOG_TILTS
        l1, l2, l3, l4, l5, l6 = self.logs
        calls, canary_calls, expected = self.calls, self.canary_calls, self.expected
        highest, slack = self.highest, 0.0  # as in ``TwoArmTest.update_all``
        for canary, weight in assignments:
            if weight != known:
                if not 0.0 < weight < 1.0:
                    raise Invalid(f"weight {weight}: needs 0 < weight < 1")
                # p' = tilt*w/(tilt*w + 1 - w)
                known = weight
                c1, c2, c3, c4, c5, c6 = (math.log1p(weight * (tilt - 1.0)) for tilt in TILTS)
            l1, l2, l3, l4, l5, l6 = l1 - c1, l2 - c2, l3 - c3, l4 - c4, l5 - c5, l6 - c6
            if canary:
                l1, l2, l3, l4, l5, l6 = l1 + t1, l2 + t2, l3 + t3, l4 + t4, l5 + t5, l6 + t6
                canary_calls += 1
                slack -= t6 - c6
            else:
                slack += c1
            calls += 1
            expected += weight
            if slack < ROUNDING and max(l1, l2, l3, l4, l5, l6) > highest:
                now = log_mean_of_six(l1, l2, l3, l4, l5, l6)
                highest = max(highest, now)
                slack = highest - now
        self.calls, self.canary_calls, self.expected = calls, canary_calls, expected
        self.logs, self.highest = [l1, l2, l3, l4, l5, l6], highest

    @property
    def log_e(self) -> float:
        return log_mean(self.logs)

    def alarmed(self, alpha: float = ALARM) -> bool:
        """Whether the evidence of a wrong split has ever reached ``1/alpha``."""
        return self.highest >= log_threshold(alpha)

    def to_json(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "canary_calls": self.canary_calls,
            "expected": self.expected,
            "logs": list(self.logs),
            "highest": self.highest,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        calls, canary_calls = read.count("calls"), read.count("canary_calls")
        logs = read.numbers("logs", len(TILTS))
        return cls(calls, canary_calls, read.number("expected"), logs, read.number("highest"))
