"""Which cases are shown one by one: bounded, those that say most first."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from promptops.evaluation.result import CaseResult, Flip
from promptops.evaluation.summary import case_result, most, shown, trial_of
from promptops.evaluation.trials import Answer, Answered

LISTED = 1_000  # cases
FLIPS = 100  # in each direction


@dataclass(slots=True)
class Listing:
    """Cases in the order of the golden set; where there are too many, those that all passed go first."""

    limit: int = LISTED
    _telling: list[tuple[int, tuple[CaseResult, ...]]] = field(default_factory=list)
    _plain: list[tuple[int, tuple[CaseResult, ...]]] = field(default_factory=list)
    left_out: int = 0

    def add(self, answered: Answered) -> None:
        telling = any(not answer.passed for answers in answered.sides for answer in answers)
        room = self.limit - len(self._telling)
        if telling and room > 0:
            self._telling.append((answered.index, _results(answered)))
            if len(self._plain) >= room:
                self._plain.pop()
                self.left_out += 1
        elif not telling and room > len(self._plain):
            self._plain.append((answered.index, _results(answered)))
        else:
            self.left_out += 1

    def by_side(self, sides: int) -> tuple[tuple[CaseResult, ...], ...]:
        found = [results for _, results in sorted([*self._telling, *self._plain], key=lambda each: each[0])]
        return tuple(tuple(results[side] for results in found) for side in range(sides))


def _results(answered: Answered) -> tuple[CaseResult, ...]:
    return tuple(case_result(answered.case, answers) for answers in answered.sides)


@dataclass(slots=True)
class Flips:
    """Cases that one side passes and the other does not, the worst so many."""

    limit: int = FLIPS
    total: int = 0
    _heap: list[tuple[float, int, Flip]] = field(default_factory=list)
    _number: "count[int]" = field(default_factory=lambda: count(0, -1))

    def add(self, answered: Answered, loss: float) -> None:
        self.total += 1
        if len(self._heap) == self.limit and self._heap[0][0] >= loss:
            return
        entry = (loss, next(self._number), _flip(answered, loss))
        (heapq.heappush if len(self._heap) < self.limit else heapq.heappushpop)(self._heap, entry)

    def worst_first(self) -> tuple[Flip, ...]:
        return tuple(flip for _, _, flip in sorted(self._heap, key=lambda each: each[:2], reverse=True))


def _flip(answered: Answered, loss: float) -> Flip:
    case, (control, candidate) = answered.case, answered.sides
    return Flip(
        case_id=case.id,
        tags=case.tags,
        inputs=shown(case.inputs),
        expected=case.expected,
        control=trial_of(_typical(control)),
        candidate=trial_of(_typical(candidate)),
        loss=loss,
    )


def _typical(answers: Sequence[Answer]) -> Answer:
    """The first that went as most did."""
    passed = most([answer.passed for answer in answers])
    return next((answer for answer in answers if answer.passed == passed), answers[0])
