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
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.stats.eprocess import BET_FRACTIONS, Hypothesis, Wealth, log_mean, log_threshold, state_reader
from promptops.stats.non_inferiority import Observation
from promptops.stats.two_arm import FROM_ZERO, Prior, TwoArmTest

_BLOCK = 100  # calls that are gone through again where one of them may be the highest
GuardLoss = tuple[int, Observation]  # the number of a call in the prefix, and what one guard saw in it


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
        self.update_all({name: [(0, (canary, weight, loss))] for name, loss in losses.items()})

    def update_all(self, losses: Mapping[str, Sequence[GuardLoss]]) -> None:
        """Add many calls of the prefix, as ``update`` adds one; by guard, those that it has a value on."""
        if unknown := losses.keys() - self.guards.keys():
            raise Invalid(f"no guard of this group: {', '.join(sorted(unknown))}")
        begun, end = (
            dict.fromkeys(losses, 0),
            max((calls[-1][0] for calls in losses.values() if calls), default=-1),
        )
        for behind in range(_BLOCK, end + _BLOCK + 1, _BLOCK):
            block = {}
            for name, calls in losses.items():
                first = begun[name]
                begun[name] = bisect_left(calls, (behind,), first)
                block[name] = calls[first : begun[name]]
            self._update_block(block)

    def _update_block(self, losses: Mapping[str, Sequence[GuardLoss]]) -> None:
        """Add calls, and go through them one by one where the average may have been higher than ever."""
        before = {name: (test.calls, test.total, test.wealth.logs) for name, test in self.guards.items()}
        peaks = []
        for name, test in self.guards.items():
            ever, test.wealth.highest = test.wealth.highest, test.log_e
            try:
                test.update_all([call for _, call in losses.get(name, ())])
                peaks.append(test.wealth.highest)  # in these calls
            finally:
                test.wealth.highest = max(ever, test.wealth.highest)
        if log_mean(peaks) > self.highest:
            self._find_highest(
                {
                    name: replace(self.guards[name], calls=calls, total=total, wealth=Wealth(logs))
                    for name, (calls, total, logs) in before.items()
                },
                losses,
            )

    def _find_highest(
        self, before: Mapping[str, TwoArmTest], losses: Mapping[str, Sequence[GuardLoss]]
    ) -> None:
        """Go through these calls again, and keep where the average was higher than ever."""
        logs = {name: test.log_e for name, test in before.items()}
        changes = sorted((place, name, call) for name, calls in losses.items() for place, call in calls)
        for _, together in groupby(changes, key=itemgetter(0)):
            for _, name, call in together:
                before[name].update(*call)
                logs[name] = before[name].log_e
            if max(logs.values()) > self.highest and (mean := log_mean(logs.values())) > self.highest:
                self.highest, self.at_highest = mean, dict(logs)

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
    return GuardGroup({name: TwoArmTest(Hypothesis.WORSE, 0.0, known.get(name, FROM_ZERO)) for name in names})


def closed_testing(logs: Mapping[str, float]) -> dict[str, float]:
    """Adjusted evidence per hypothesis: ``e*_k = min over j of (e_k + the j smallest others)/(j + 1)``.

    Takes and gives logarithms.  Naming every k with ``e*_k >= 1/alpha`` names a wrong one with probability
    at most alpha, whatever the dependence.
    """
    return {name: _adjusted(own, [v for n, v in logs.items() if n != name]) for name, own in logs.items()}


def least_losses(hypotheses: int, alpha: float, odds: float = 1.0) -> int:
    """How many losses, all on the side in question, can show one of so many hypotheses by closed testing.

    ``odds``: of the other side, (1 - w)/w; 1 for pairs.
    """
    lost = 1
    while log_mean([lost * math.log1p(c * odds) for c in BET_FRACTIONS]) < log_threshold(alpha / hypotheses):
        lost += 1
    return lost


def _adjusted(own: float, others: Sequence[float]) -> float:
    total = lowest = own
    for count, log in enumerate(sorted(others), start=2):
        total = max(total, log) + math.log1p(math.exp(-abs(total - log)))
        lowest = min(lowest, total - math.log(count))
    return lowest
