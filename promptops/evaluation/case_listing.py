"""Which cases are shown one by one: bounded, those that say most first."""

from dataclasses import field

from promptops.dataclass import dataclass
from promptops.evaluation.result import CaseResult
from promptops.evaluation.summary import case_result
from promptops.evaluation.trials import CaseTrials

MAX_LISTED_CASES = 1_000


@dataclass(slots=True)
class CaseListing:
    """Cases in the order of the golden set; where there are too many, those that all passed go first."""

    limit: int = MAX_LISTED_CASES
    _failing: list[tuple[int, tuple[CaseResult, ...]]] = field(default_factory=list)
    _passing: list[tuple[int, tuple[CaseResult, ...]]] = field(default_factory=list)
    left_out: int = 0

    def add(self, answered: CaseTrials) -> None:
        failing = any(not answer.passed for answers in answered.sides for answer in answers)
        room = self.limit - len(self._failing)
        if failing and room > 0:
            self._failing.append((answered.index, _case_results(answered)))
            if len(self._passing) >= room:
                self._passing.pop()
                self.left_out += 1
        elif not failing and room > len(self._passing):
            self._passing.append((answered.index, _case_results(answered)))
        else:
            self.left_out += 1

    def by_side(self, sides: int) -> tuple[tuple[CaseResult, ...], ...]:
        listed = sorted([*self._failing, *self._passing], key=lambda entry: entry[0])
        return tuple(tuple(results[side] for _, results in listed) for side in range(sides))


def _case_results(answered: CaseTrials) -> tuple[CaseResult, ...]:
    return tuple(case_result(answered.case, answers) for answers in answered.sides)
