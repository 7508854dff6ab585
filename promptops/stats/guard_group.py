"""Several guards that may each roll back, with one error rate over all of them.

Guards whose values arrive within the same window form a group and are scored together, call by call:
stopping at "the first of them that rejects" over processes of different delay would peek ahead of the
slower one.  Within a group the current e-values are averaged (an average of e-values is one, whatever their
dependence) and the running maximum is taken of the average.  Each of m groups is tested at alpha/m.

Promotion needs no correction: every guard must reject at alpha (intersection-union).

Source: Vovk and Wang, "E-values: calibration, combination and applications", Annals of Statistics 2021
(arXiv 1912.06116), sections 3 and 4.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from promptops.errors import Invalid
from promptops.stats.eprocess import Hypothesis, log_mean, log_threshold, state_reader
from promptops.stats.two_arm import NO_HISTORY, Prior, TwoArmTest


@dataclass(slots=True)
class GuardGroup:
    """The ``WORSE`` processes of guards with one window, by name.

    ``at_highest`` holds each guard's log e-value at the call where their average was highest: what a
    rollback is attributed by.
    """

    guards: dict[str, TwoArmTest]
    highest: float = 0.0
    at_highest: dict[str, float] = field(default_factory=dict)

    def update(self, canary: bool, weight: float, losses: Mapping[str, float]) -> None:
        """Add the next call of the prefix that all guards share; one without a value on it is left out."""
        if unknown := losses.keys() - self.guards.keys():
            raise Invalid(f"no guard of this group: {', '.join(sorted(unknown))}")
        for name, loss in losses.items():
            self.guards[name].update(canary, weight, loss)
        if any(max(guard.wealth.logs) > self.highest for guard in self.guards.values()):
            self._update_highest()

    def _update_highest(self) -> None:
        logs = {name: guard.log_e for name, guard in self.guards.items()}
        if (mean := log_mean(logs.values())) > self.highest:
            self.highest, self.at_highest = mean, logs

    @property
    def log_e(self) -> float:
        """The logarithm of the average of the guards' current e-values."""
        return log_mean(guard.log_e for guard in self.guards.values())

    def rejects(self, alpha: float, groups: int = 1) -> bool:
        """Whether the group has ever shown harm, where ``alpha`` is shared by so many groups."""
        return self.highest >= log_threshold(alpha / groups)

    def attribution(self) -> dict[str, float]:
        """Each guard's log e-value by closed testing at the group's highest point, strongest first."""
        found = closed_testing(self.at_highest)
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def to_json(self) -> dict[str, Any]:
        return {
            "guards": {name: guard.to_json() for name, guard in self.guards.items()},
            "highest": self.highest,
            "at_highest": dict(self.at_highest),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        guards = {name: TwoArmTest.from_json(each) for name, each in read.inner("guards").items()}
        at_highest = read.inner("at_highest")
        logs = {name: state_reader(at_highest).number(name) for name in at_highest}
        return cls(guards, read.number("highest"), logs)


def new_guard_group(names: Sequence[str], priors: Mapping[str, Prior] | None = None) -> GuardGroup:
    """A new group: each guard bets against "no worse at all" (tau = 0)."""
    if not names:
        raise Invalid("a group of guards needs at least one guard")
    known = priors or {}
    return GuardGroup(
        {name: TwoArmTest(Hypothesis.WORSE, 0.0, known.get(name, NO_HISTORY)) for name in names}
    )


def closed_testing(logs: Mapping[str, float]) -> dict[str, float]:
    """Adjusted evidence per hypothesis: ``e*_k = min over j of (e_k + the j smallest others)/(j + 1)``.

    Takes and gives logarithms.  Naming every k with ``e*_k >= 1/alpha`` names a wrong one with probability
    at most alpha, whatever the dependence.
    """
    return {name: _adjusted(own, [v for n, v in logs.items() if n != name]) for name, own in logs.items()}


def _adjusted(own: float, others: Sequence[float]) -> float:
    total = lowest = own
    for count, log in enumerate(sorted(others), start=2):
        total = max(total, log) + math.log1p(math.exp(-abs(total - log)))
        lowest = min(lowest, total - math.log(count))
    return lowest
