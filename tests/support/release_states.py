"""Release states for tests, written as the ledger keeps them."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.git.repo import GitRepo
from promptops.git.state_branch import write_commit
from promptops.release.ledger.commit_builder import TransitionPayload, build_content
from promptops.release.ledger.serialize import decode_channel
from promptops.release.transitions import Move, Transition
from promptops.versions.release_reader import read_release
from promptops.versions.release_state import ChannelState
from promptops.versions.resolve import resolve_version
from support.git_repositories import GitFolder

STATE = "refs/heads/promptops-state"
NOW = 1_790_000_000.0
PLAN = "sha256:" + "1f" * 32


def released(folder: GitFolder, name: str, rev: str, version: str) -> dict[str, Any]:
    """A version as a channel names it."""
    found = resolve_version(f"{name}@{rev}", folder.settings())
    return {"version": version, "digest": f"sha256:{found.prompt.digest}", "commit": found.commit_sha}


def rollout(canary: Mapping[str, Any], name: str, **more: Any) -> dict[str, Any]:
    """A canary that half of all units meet."""
    return {
        "id": "r-1",
        "canary": canary,
        "plan": PLAN,
        "phase": "progressing",
        "weight_bp": 5000,
        "salt": f"{name}/production/{canary['digest']}",
        "unit": "session",
    } | more


def write_state(
    folder: GitFolder,
    name: str,
    stable: Mapping[str, Any],
    canary: Mapping[str, Any] | None = None,
    *,
    ref: str = STATE,
    **more: Any,
) -> str:
    """Commit what ``NAME:production`` is to serve; ``more`` is said of the rollout."""
    wanted: dict[str, Any] = {"stable": stable}
    if canary:
        wanted["rollout"] = rollout(canary, name, **more)
    with GitRepo(folder.settings()) as repo:
        head = repo.refs(ref).get(ref)
        for move in _moves(_production(repo, head, name), decode_channel(wanted, name)):
            head = _commit(repo, head, name, move)
    folder.git("update-ref", ref, str(head))
    return str(head)


def _production(repo: GitRepo, head: str | None, name: str) -> ChannelState:
    state = read_release(repo, head, name) if head else None
    return state.channels["production"] if state else ChannelState()


def _moves(now: ChannelState, wanted: ChannelState) -> Iterator[Transition]:
    """How a channel comes from one state to another one."""
    assert wanted.stable
    if now.rollout:
        yield Transition(move=Move.ABORT, rollout=now.rollout)
    if now.stable is None or now.stable.digest != wanted.stable.digest:
        yield Transition(move=Move.RELEASE, stable=wanted.stable)
    if wanted.rollout:
        yield Transition(move=Move.START, rollout=wanted.rollout)


def _commit(repo: GitRepo, head: str | None, name: str, move: Transition) -> str:
    state = read_release(repo, head, name) if head else None
    change = TransitionPayload(prompt=name, channel="production", transition=move, at=NOW)
    content = build_content(repo, head, state, change)
    return write_commit(repo.settings, head, content.files, content.message)
