"""Which cases are shown one by one: bounded, those that say most first."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from promptops.evaluation.result import CaseFlip, CaseResult
from promptops.evaluation.summary import case_result, is_majority, trial_result, truncate_inputs
from promptops.evaluation.trials import CaseTrials, TrialRun

MAX_LISTED_CASES = 1_000  # cases
MAX_LISTED_FLIPS = 100  # in each direction


@dataclass(slots=True)
class CaseListing:
    """Cases in the order of the golden set; where there are too many, those that all passed go first."""

    limit: int = MAX_LISTED_CASES
    _failing: list[tuple[int, tuple[CaseResult, ...]]] = field(default_factory=list)
    _passing: list[tuple[int, tuple[CaseResult, ...]]] = field(default_factory=list)
    left_out: int = 0

    def add(self, answered: CaseTrials) -> None:
        telling = any(not answer.passed for answers in answered.sides for answer in answers)
        room = self.limit - len(self._failing)
        if telling and room > 0:
            self._failing.append((answered.index, _case_results(answered)))
            if len(self._passing) >= room:
                self._passing.pop()
                self.left_out += 1
        elif not telling and room > len(self._passing):
            self._passing.append((answered.index, _case_results(answered)))
        else:
            self.left_out += 1

    def by_side(self, sides: int) -> tuple[tuple[CaseResult, ...], ...]:
        found = [results for _, results in sorted([*self._failing, *self._passing], key=lambda each: each[0])]
        return tuple(tuple(results[side] for results in found) for side in range(sides))


def _case_results(answered: CaseTrials) -> tuple[CaseResult, ...]:
    return tuple(case_result(answered.case, answers) for answers in answered.sides)


@dataclass(slots=True)
class TopRegressions:
    """Cases that one side passes and the other does not, the worst so many."""

    limit: int = MAX_LISTED_FLIPS
    total: int = 0
    _heap: list[tuple[float, int, CaseFlip]] = field(default_factory=list)
    _number: "count[int]" = field(default_factory=lambda: count(0, -1))

    def add(self, answered: CaseTrials, loss: float) -> None:
        self.total += 1
        if len(self._heap) == self.limit and self._heap[0][0] >= loss:
            return
        entry = (loss, next(self._number), _case_flip(answered, loss))
        (heapq.heappush if len(self._heap) < self.limit else heapq.heappushpop)(self._heap, entry)

    def worst_first(self) -> tuple[CaseFlip, ...]:
        return tuple(flip for _, _, flip in sorted(self._heap, key=lambda each: each[:2], reverse=True))


def _case_flip(answered: CaseTrials, loss: float) -> CaseFlip:
    case, (control, candidate) = answered.case, answered.sides
    return CaseFlip(
        case_id=case.id,
        tags=case.tags,
        inputs=truncate_inputs(case.inputs),
        expected=case.expected,
        control=trial_result(_representative(control)),
        candidate=trial_result(_representative(candidate)),
        loss=loss,
    )


def _representative(answers: Sequence[TrialRun]) -> TrialRun:
    """The first that went as most did."""
    passed = is_majority([answer.passed for answer in answers])
    return next((answer for answer in answers if answer.passed == passed), answers[0])
