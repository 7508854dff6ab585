"""What the state branch remembers: transitions, evidence, versions, and what was live when."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.config.text import whole_number
from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.transition_log import TransitionRecord, decode_record
from promptops.release.state_trust import AuditedReleases, allows_tampering
from promptops.versions.release_reader import decode_snapshots, read_released_snapshot
from promptops.versions.release_state import ChannelState, ReleasedSnapshot


class LedgerHistory:
    """Reads the newest commit of the branch, whoever made it."""

    def __init__(self, branch: StateBranch) -> None:
        self._branch = branch
        self._repo = branch.repo

    def log(self, prompt: str | None = None, channel: str | None = None) -> list[TransitionRecord]:
        files = self._files(f"log/{prompt}" if prompt else "log")
        found = [decode_record(text, path) for path, text in files.items() if path.endswith(".json")]
        kept = [
            record
            for record in found
            if prompt in (None, record.prompt) and channel in (None, record.channel)
        ]
        return sorted(kept, key=lambda record: (record.at, record.prompt, record.generation), reverse=True)

    def at(self, prompt: str, channel: str, moment: float) -> ChannelState | None:
        before = (record for record in self.log(prompt, channel) if record.seconds <= moment)
        last = next(before, None)
        return last.after if last else None

    def file(self, path: str, kind: str) -> bytes:
        commit = self._commit()
        if commit is None:
            raise NotFound(f"there is no {STATE_BRANCH} here", hint="promptops release sync")
        good = self._audited(commit).tampered_files().get(path)
        try:
            return self._repo.read_blob(good) if good else self._repo.read(commit, path)
        except NotFound:
            raise NotFound(
                f"{STATE_BRANCH} holds no {kind} {path}",
                hint="promptops release recover brings back what it held before",
            ) from None

    def evidence(self, rollout: str) -> list[tuple[int, dict[str, Any]]]:
        files = self._files(f"evidence/{rollout}")
        numbered = sorted((_generation(path), path) for path in files if path.endswith(".json"))
        return [(generation, decode_evidence(files[path], path)) for generation, path in numbered]

    def versions(self, prompt: str) -> list[ReleasedSnapshot]:
        found = decode_snapshots(self._files(f"versions/{prompt}"), prompt)
        return sorted(found, key=lambda frozen: (len(frozen.version), frozen.version))

    def frozen(self, prompt: str, digest: str) -> Iterator[ReleasedSnapshot]:
        commit = self._commit()
        found = read_released_snapshot(self._repo, commit, prompt, digest) if commit else None
        if found:
            yield found

    def _commit(self) -> str | None:
        """The newest commit; where that is of another branch, the last one that was verified."""
        newest = self._branch.newest_commit(own=True)
        if newest is None or allows_tampering(self._repo):
            return newest
        return self._branch.audit(newest).content

    def _files(self, folder: str) -> Mapping[str, bytes]:
        """All files below a folder, as the transitions left them."""
        commit = self._commit()
        return self._audited(commit).files(folder) if commit else {}

    def _audited(self, commit: str) -> AuditedReleases:
        return AuditedReleases(self._repo, self._branch.audit(commit))


def _generation(path: str) -> int:
    stem = path.rpartition("/")[2].removesuffix(".json")
    return whole_number(stem) or 0


def decode_evidence(text: bytes, path: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(
            f"{STATE_BRANCH}:{path} is damaged: {error}", hint="promptops release recover repairs it"
        ) from None
    if not isinstance(data, dict):
        raise Invalid(
            f"{STATE_BRANCH}:{path} is damaged: no object", hint="promptops release recover repairs it"
        )
    return data
