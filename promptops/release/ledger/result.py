"""A transition that is wanted, and what has become of it."""

from collections.abc import Callable, Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.release.ledger.commit_builder import CommitContent, TransitionPayload
from promptops.release.transitions import Transition
from promptops.versions.release_state import ReleasedSnapshot, ReleaseState

DecideTransition = Callable[[ReleaseState | None], Transition | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionResult:
    """What has become of a transition.

    ``pushed``: None where there is no remote; False where the remote does not have it, and ``problem`` says
    why. ``commit`` and ``state`` are those that hold now, also where nothing was to be done.
    """

    changed: bool
    commit: str | None
    state: ReleaseState | None
    transition: Transition | None = None
    pushed: bool | None = None
    problem: str = ""
    proposed: str | None = None  # the branch that it was written to instead
    message: str = ""  # the commit's subject


@dataclass(frozen=True, slots=True)
class TransitionRequest:
    prompt: str
    channel: str
    change: DecideTransition
    now: float
    frozen: ReleasedSnapshot | None
    plan: tuple[str, bytes] | None
    evidence: Mapping[str, Any] | None

    def payload_for(self, transition: Transition) -> TransitionPayload:
        return TransitionPayload(
            prompt=self.prompt,
            channel=self.channel,
            transition=transition,
            at=self.now,
            frozen=self.frozen,
            plan=self.plan,
            evidence=self.evidence,
        )


@dataclass(frozen=True, slots=True)
class BuiltCommit:
    commit: str
    content: CommitContent

    def written(self, transition: Transition) -> TransitionResult:
        return TransitionResult(
            changed=True,
            commit=self.commit,
            state=self.content.state,
            transition=transition,
            message=self.content.subject,
        )
