"""When one side fails call after call, nothing is learned of its answers, whatever the other side does."""

from dataclasses import field

from promptops.dataclass import dataclass
from promptops.evaluation.shadow.pair import ARMS, ShadowAnswer, ShadowPair
from promptops.providers.types import ModelError
from promptops.runner.failure_streak import FailureStreak

_CALL_ERRORS = frozenset(
    {"bad_request", "content_filter", "context_exceeded"}
)  # of the call, though they may be the inputs'


@dataclass(slots=True)
class SideFailures:
    """Watches each side of pairs for failures in a row."""

    concurrency: int
    failure: ModelError | None = None
    _streaks: dict[str, FailureStreak] = field(init=False)
    _answered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._streaks = {arm: FailureStreak(self.concurrency) for arm in ARMS}

    def add(self, pair: ShadowPair) -> None:
        for arm in ARMS:
            side: ShadowAnswer = getattr(pair, arm)
            answered = side.answered and side.error not in _CALL_ERRORS
            if answered:
                self._answered.add(arm)
            streak = self._streaks[arm]
            if streak.add(None if answered else side.error) and self.failure is None:
                self.failure = _failure(arm, side, streak.length)

    @property
    def both_have_answered(self) -> bool:
        return len(self._answered) == len(ARMS)


def _failure(arm: str, side: ShadowAnswer, times: int) -> ModelError:
    return ModelError(
        side.error,  # type: ignore[arg-type]  # as it was logged
        f"the {arm} failed {times} times in a row: {side.message}",
        hint="the same command goes on from here",
    )
