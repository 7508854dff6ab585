"""When one side fails call after call, nothing is learned of its answers: going on is no use."""

from dataclasses import dataclass, field

from promptops.evaluation.shadow.pair import ARMS, ShadowAnswer, ShadowPair
from promptops.providers.types import ModelError

_FATAL = frozenset({"authentication", "not_found"})
_CALL_ERRORS = frozenset({"bad_request", "content_filter"})  # of the call, though they may be the inputs'
_MAX_FATAL, _MAX_TRANSIENT = 3, 20  # in a row


@dataclass(slots=True)
class FailureStreak:
    """Counts failures in a row of each side by itself: the other's success is none of its own."""

    concurrency: int
    failure: ModelError | None = None
    _in_a_row: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ARMS, 0))
    _answered: set[str] = field(default_factory=set)

    def add(self, pair: ShadowPair) -> None:
        for arm in ARMS:
            side: ShadowAnswer = getattr(pair, arm)
            if side.answered and side.error not in _CALL_ERRORS:
                self._answered.add(arm)
                self._in_a_row[arm] = 0
                continue
            self._in_a_row[arm] += 1
            limit = _MAX_FATAL if side.error in _FATAL else max(_MAX_TRANSIENT, self.concurrency)
            if self._in_a_row[arm] >= limit and self.failure is None:
                self.failure = _failure(arm, side, self._in_a_row[arm])

    @property
    def both_have_answered(self) -> bool:
        return len(self._answered) == len(ARMS)


def _failure(arm: str, side: ShadowAnswer, times: int) -> ModelError:
    return ModelError(
        side.error,  # type: ignore[arg-type]  # as it was logged
        f"the {arm} failed {times} times in a row: {side.message}",
        hint="the same command goes on from here",
    )
