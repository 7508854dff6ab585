"""Every transition as a file of the state branch, so that the log is whole whatever becomes of messages.

``log/<prompt>/<generation>.json``:

    {"prompt", "channel", "id", "generation", "at", "subject",
     "transition": {…}                  the move, so that it can be made again on another state
     "after": {…}                       the channel as it was from then on
     "version", "plan", "evidence"}     what the same commit has added: two digests and a path
"""

import json
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH, GitRepo
from promptops.release.ledger.serialize import decode_channel, decode_transition
from promptops.release.timestamps import parse_timestamp
from promptops.release.transitions import Transition
from promptops.versions.release_state import ChannelState


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRecord:
    """One transition. ``at``: ISO 8601, UTC."""

    prompt: str
    channel: str
    generation: int
    at: str
    subject: str
    transition: Transition
    after: ChannelState
    version: str | None = None
    plan: str | None = None
    evidence: str | None = None

    @property
    def seconds(self) -> float:
        return parse_timestamp(self.at)


def record_path(prompt: str, generation: int) -> str:
    return f"log/{prompt}/{generation}.json"


def read_record(repo: GitRepo, commit: str, prompt: str, generation: int) -> TransitionRecord | None:
    path = record_path(prompt, generation)
    try:
        return decode_record(repo.read(commit, path), path)
    except NotFound:
        return None


def decode_record(text: bytes, path: str) -> TransitionRecord:
    try:
        data: dict[str, Any] = json.loads(text)
        plain = {key: data.get(key) for key in ("version", "plan", "evidence")}
        return TransitionRecord(
            prompt=data["prompt"],
            channel=data["channel"],
            generation=data["generation"],
            at=data["at"],
            subject=data["subject"],
            transition=decode_transition(data["transition"], data["prompt"]),
            after=decode_channel(data["after"], data["prompt"]),
            **plain,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(
            f"{STATE_BRANCH}:{path} is damaged: {error}",
            hint=f"git log {STATE_BRANCH} -- {path} shows who wrote it; promptops release recover repairs it",
        ) from None
