"""Moves of one prompt's production channel, for tests of the ledger."""

from pathlib import Path

from promptops.release.assignment import salt_of
from promptops.release.ledger import Ledger, TransitionResult
from promptops.release.plan import ReleasePlan, decode_plan
from promptops.release.rules import Move, Transition
from promptops.release.steps import start_rollout
from promptops.versions.release_state import ChannelState, ReleasedVersion, ReleaseState
from promptops.versions.resolve import Version, resolve_version
from support.git_repositories import GitFolder, new_repository, prompt_text

NOW = 1_790_000_000.0
HOUR = 3600.0


def three_versions(path: Path) -> GitFolder:
    """A repository with three versions of ``support/triage``."""
    made = new_repository(path)
    for text in ("Hello", "Hi", "Good day"):
        made.commit(text, {"prompts/support/triage.yaml": prompt_text(text)})
    return made


def channel(ledger: Ledger) -> ChannelState:
    state = ledger.head("support/triage")
    assert state is not None
    return state.channels["production"]


def version(folder: GitFolder, rev: str) -> Version:
    return resolve_version(f"support/triage@{rev}", folder.settings())


def released(found: Version) -> ReleasedVersion:
    return ReleasedVersion("", found.prompt.digest, found.commit_sha)


def release(ledger: Ledger, found: Version, *, now: float = NOW) -> TransitionResult:
    move = Transition(move=Move.RELEASE, stable=released(found), reason="the first one")
    return ledger.commit_transition("support/triage", "production", lambda _: move, now=now, version=found)


def plan() -> ReleasePlan:
    return decode_plan("quick", {})


def start(
    ledger: Ledger, found: Version, *, now: float = NOW + HOUR, rollout: str = "r-1"
) -> TransitionResult:
    salt = salt_of("support/triage", "production", found.prompt.digest)
    new = start_rollout(rollout, released(found), plan(), salt, now)
    move = Transition(move=Move.START, rollout=new)
    return ledger.commit_transition(
        "support/triage", "production", lambda _: move, now=now, version=found, plan=plan()
    )


def roll_back(state: ReleaseState | None) -> Transition | None:
    channel = state.channels["production"] if state else None
    return Transition(
        move=Move.ROLLBACK, rollout=channel.rollout if channel else None, reason="wrong\nanswers"
    )


def pause(state: ReleaseState | None) -> Transition | None:
    rollout = state.channels["production"].rollout if state else None
    return Transition(move=Move.PAUSE, rollout=rollout, phase="paused", reason="lunch")
