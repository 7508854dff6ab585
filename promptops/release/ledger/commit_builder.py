"""One transition made into the files and the message of a commit."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptops.config.clock import format_timestamp
from promptops.config.text import whole_number
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.git.repo import GitRepo
from promptops.release.ledger.commit_message import format_message, format_subject, transition_trailers
from promptops.release.ledger.serialize import (
    encode_channel,
    encode_json,
    encode_release,
    encode_snapshot,
    encode_transition,
    printable_line,
)
from promptops.release.ledger.transition_log import read_record, record_path
from promptops.release.rules import apply_transition
from promptops.release.timestamps import parse_timestamp
from promptops.release.transitions import Transition
from promptops.versions.frozen import is_sound
from promptops.versions.release_reader import read_released_snapshot
from promptops.versions.release_state import (
    ChannelState,
    ReleasedSnapshot,
    ReleasedVersion,
    ReleaseState,
    decode_snapshot,
    plan_path,
    release_path,
    snapshot_path,
)

_NUMBER = re.compile(rb"^version: ['\"]?v(\d+)['\"]?\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionPayload:
    """A move with what the same commit keeps beside it."""

    prompt: str
    channel: str
    transition: Transition
    at: float
    frozen: ReleasedSnapshot | None = None  # its number is allotted when it is written
    plan: tuple[str, bytes] | None = None  # digest and text
    evidence: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CommitContent:
    files: Mapping[str, bytes]
    message: str
    subject: str
    state: ReleaseState


def build_content(
    repo: GitRepo, head: str | None, state: ReleaseState | None, change: TransitionPayload
) -> CommitContent:
    """What a commit on ``head`` says. Raises Invalid where the move does not apply any more."""
    prompt, channel = change.prompt, change.channel
    at = _monotonic_time(repo, head, state, change.at)
    frozen, known = _allot_version(repo, head, change)
    transition = _sanitize(_with_version_numbers(change.transition, repo, head, prompt, frozen))
    before = state.channels.get(channel, ChannelState()) if state else ChannelState()
    after = apply_transition(before, transition, at)
    generation = state.generation + 1 if state else 1
    project = state.project if state else repo.settings.prefix
    new = ReleaseState(prompt, generation, {**(state.channels if state else {}), channel: after}, project)
    title = format_subject(prompt, channel, before, after, transition)
    files = {release_path(prompt): encode_release(new)}
    if frozen and not known:
        files[snapshot_path(prompt, frozen.digest)] = encode_snapshot(frozen)
    if change.plan:
        files[plan_path(change.plan[0])] = change.plan[1]
    evidence = None
    if change.evidence is not None and _evidence_matches(change.evidence, transition):
        about = transition.evidence_rollout.id if transition.evidence_rollout else prompt
        evidence = f"evidence/{about}/{generation}.json"
        files[evidence] = encode_json(change.evidence)
    record = {
        "prompt": prompt,
        "channel": channel,
        "id": os.urandom(
            8
        ).hex(),  # the same move made twice in a second is two commits, and one of them loses
        "generation": generation,
        "at": format_timestamp(at),
        "subject": title,
        "transition": encode_transition(transition),
        "after": encode_channel(after),
        "version": frozen.digest if frozen else None,
        "plan": change.plan[0] if change.plan else None,
        "evidence": evidence,
    }
    files[record_path(prompt, generation)] = encode_json(record)
    words = transition_trailers(prompt, channel, generation, before, after, transition) | {
        "Evidence": evidence
    }
    return CommitContent(files, format_message(title, words, transition.reason), title, new)


def _evidence_matches(evidence: Mapping[str, Any], transition: Transition) -> bool:
    """Not so where another rollout turned out to be active when the move was made."""
    about = transition.evidence_rollout and transition.evidence_rollout.id
    return about is None or evidence.get("rollout") in (None, about)


def _sanitize(transition: Transition) -> Transition:
    return replace(
        transition, reason=printable_line(transition.reason), actor=printable_line(transition.actor)
    )


def _monotonic_time(repo: GitRepo, head: str | None, state: ReleaseState | None, at: float) -> float:
    """The moment, or that of the transition before where a clock has gone backwards."""
    last = read_record(repo, head, state.prompt, state.generation) if head and state else None
    return max(at, parse_timestamp(last.at)) if last else at


# numbers


def _allot_version(
    repo: GitRepo, head: str | None, change: TransitionPayload
) -> tuple[ReleasedSnapshot | None, bool]:
    """The version with its number, and whether the branch holds it already."""
    if change.frozen is None:
        return None, False
    known = _read_known(repo, head, change.frozen) if head else None
    if known and is_sound(known):
        return known, True
    number = known.version if known else _damaged_number(repo, head, change.frozen)
    return replace(change.frozen, version=number or f"v{_next_number(repo, head, change.prompt)}"), False


def _damaged_number(repo: GitRepo, head: str | None, wanted: ReleasedSnapshot) -> str:
    """The number of a version whose file is there and cannot be read; "" where there is none."""
    path = snapshot_path(wanted.prompt, wanted.digest)
    return wanted.version if head and any(repo.list_files(head, path)) else ""


def _read_known(repo: GitRepo, head: str, wanted: ReleasedSnapshot) -> ReleasedSnapshot | None:
    """The version as the branch holds it; None also where that file is damaged, and written again."""
    try:
        return read_released_snapshot(repo, head, wanted.prompt, wanted.digest)
    except Invalid:
        return None


def _next_number(repo: GitRepo, head: str | None, prompt: str) -> int:
    if head is None:
        return 1
    folder = f"versions/{prompt}/"
    paths = [entry.path for entry in repo.list_files(head, folder.rstrip("/"))]
    paths = [path for path in paths if "/" not in path[len(folder) :]]
    texts = repo.read_many([(head, path) for path in paths])
    return 1 + max(
        (_version_number(text, path, prompt) for path, text in zip(paths, texts, strict=True)), default=0
    )


def _version_number(text: bytes, path: str, prompt: str) -> int:
    found = _NUMBER.search(text)  # a frozen version is long, and its number stands near the top
    if found:
        return whole_number(found[1].decode()) or 0
    try:
        digits = decode_snapshot(text, path, prompt).version.removeprefix("v")
    except Invalid:  # a damaged file has no number to be kept clear of
        return 0
    return whole_number(digits) or 0


def _with_version_numbers(
    transition: Transition, repo: GitRepo, head: str | None, prompt: str, frozen: ReleasedSnapshot | None
) -> Transition:
    """The move with the numbers of the versions that it names, allotted here or before."""

    def number(released: ReleasedVersion | None) -> ReleasedVersion | None:
        if released is None:
            return None
        known = frozen if frozen and frozen.digest == released.digest else None
        if known is None and not released.version and head:
            known = _read_known(repo, head, ReleasedSnapshot(prompt, "", released.digest, None, {}))
        if known is None:
            return released
        return replace(released, version=known.version, commit=released.commit or known.commit)

    rollout, shadow = transition.rollout, transition.shadow
    return replace(
        transition,
        stable=number(transition.stable),
        rollout=rollout and replace(rollout, canary=number(rollout.canary) or rollout.canary),
        shadow=shadow and replace(shadow, released=number(shadow.released) or shadow.released),
    )
