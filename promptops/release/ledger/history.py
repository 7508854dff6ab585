"""What the state branch remembers: transitions, evidence, versions, and what was live when."""

import json
from collections.abc import Iterator
from typing import Any

from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH, GitRepo
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.transition_log import TransitionRecord, read_record, read_records
from promptops.versions.release_state import (
    ChannelState,
    ReleasedSnapshot,
    ReleaseState,
    list_released_snapshots,
    read_released_snapshot,
    release_path,
)


class LedgerHistory:
    """Reads the newest commit of the branch, whoever made it."""

    def __init__(self, branch: StateBranch) -> None:
        self._branch = branch
        self._repo = branch.repo

    def log(self, prompt: str | None = None, channel: str | None = None) -> list[TransitionRecord]:
        commit = self._branch.newest_commit(own=True)
        found = read_records(self._repo, commit, prompt) if commit else []
        return [record for record in reversed(found) if channel in (None, record.channel)]

    def at(self, prompt: str, channel: str, moment: float) -> ChannelState | None:
        before = (record for record in self.log(prompt, channel) if record.seconds <= moment)
        last = next(before, None)
        return last.after if last else None

    def file(self, path: str, kind: str) -> bytes:
        commit = self._branch.newest_commit(own=True)
        if commit is None:
            raise NotFound(f"there is no {STATE_BRANCH} here", hint="promptops release sync")
        try:
            return self._repo.read(commit, path)
        except NotFound:
            raise NotFound(
                f"{STATE_BRANCH} holds no {kind} {path}",
                hint="promptops release recover brings back what it held before",
            ) from None

    def evidence(self, rollout: str) -> list[tuple[int, dict[str, Any]]]:
        commit = self._branch.newest_commit(own=True)
        if commit is None:
            return []
        paths = [entry.path for entry in self._repo.list_files(commit, f"evidence/{rollout}")]
        numbered = sorted((_generation(path), path) for path in paths if path.endswith(".json"))
        texts = self._repo.read_many([(commit, path) for _, path in numbered])
        return [
            (generation, _decode(text, path))
            for (generation, path), text in zip(numbered, texts, strict=True)
        ]

    def versions(self, prompt: str) -> list[ReleasedSnapshot]:
        commit = self._branch.newest_commit(own=True)
        found = list_released_snapshots(self._repo, commit, prompt) if commit else []
        return sorted(found, key=lambda frozen: (len(frozen.version), frozen.version))

    def frozen(self, prompt: str, digest: str) -> Iterator[ReleasedSnapshot]:
        commit = self._branch.newest_commit(own=True)
        found = read_released_snapshot(self._repo, commit, prompt, digest) if commit else None
        if found:
            yield found

    def require_unedited(self, commit: str | None, state: ReleaseState | None) -> None:
        """Raise Invalid where a state is not what its last transition left."""
        if commit and state and not matches_log(self._repo, commit, state):
            raise Invalid(
                f"{STATE_BRANCH}:{release_path(state.prompt)} was edited by hand: it is not what its last "
                "transition left",
                hint="promptops release recover brings that back; git log keeps the edit",
            )


def matches_log(repo: GitRepo, commit: str, state: ReleaseState) -> bool:
    """Whether a state is what the last transition in the log left."""
    last = read_record(repo, commit, state.prompt, state.generation)
    if last is None:  # a state that was there before its log is
        return not repo.list_files(commit, f"log/{state.prompt}")
    following = read_record(repo, commit, state.prompt, state.generation + 1)
    return following is None and state.channels.get(last.channel) == last.after


def _generation(path: str) -> int:
    stem = path.rpartition("/")[2].removesuffix(".json")
    return int(stem) if stem.isdigit() else 0


def _decode(text: bytes, path: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Invalid(
            f"{STATE_BRANCH}:{path} is damaged: {error}", hint="promptops release recover mends it"
        ) from None
    if not isinstance(data, dict):
        raise Invalid(
            f"{STATE_BRANCH}:{path} is damaged: no object", hint="promptops release recover mends it"
        )
    return data
