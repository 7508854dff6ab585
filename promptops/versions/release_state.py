"""What is released where, as the branch ``promptops-state`` holds it, which only promptops writes.

``releases/<prompt>.yaml`` says what each channel serves. ``versions/<prompt>/<digest12>.yaml`` holds a
released version frozen, so that it outlives the commit that it came from:

    prompt: support/triage
    version: v12
    digest: sha256:4c1d…            (64 digits)
    commit: 3f2c9e1…
    files:
      support/triage.yaml: "…"      (every file it is made of; {base64: …} where it is not text)

``plans/<digest12>.yaml`` is a plan as it was when a rollout began, ``evidence/<rollout>/<generation>.json``
what was known at a transition: counts, sums and e-values, never inputs, outputs or users.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from promptops.config.yaml import Document, parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.repo import STATE_BRANCH as BRANCH

_MAX_BYTES = 20_000_000  # a frozen version holds its images
_SHORT = 12
_ALL_BP = 10_000
_ROLLOUT_TEXTS = frozenset({"id", "salt", "unit", "started", "step_started", "deadline", "reason"})


@dataclass(frozen=True, slots=True)
class ReleasedVersion:
    """A version as a channel names it."""

    version: str
    digest: str  # 64 hex digits
    commit: str | None = None
    since: str | None = None


Phase = Literal["eval", "shadow", "progressing", "awaiting", "paused", "invalid", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One canary's life on one channel. Times are ISO-8601 UTC text."""

    id: str
    canary: ReleasedVersion
    plan: str  # digest of the pinned plan, 64 hex digits
    phase: Phase
    step: int = 0
    weight_bp: int = 0  # of 10,000: the share of units that meet the canary
    salt: str = ""  # PROMPT/CHANNEL/sha256:DIGEST of the canary
    unit: str = "session"  # whom an assignment sticks to, as the plan says
    started: str = ""
    step_started: str = ""
    deadline: str | None = None
    reason: str | None = None  # why it is paused, invalid, inconclusive or waits for a person
    signals: tuple[str, ...] = ()  # that have paused it: resumed, it is not paused by the same ones again


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowState:
    """A version that answers a sample of a channel's calls behind the users' backs."""

    released: ReleasedVersion
    sample_bp: int
    max_usd: float | None = None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What one channel serves."""

    stable: ReleasedVersion | None = None
    previous: ReleasedVersion | None = None
    rollout: Rollout | None = None
    shadow: ShadowState | None = None

    @property
    def canary(self) -> ReleasedVersion | None:
        return self.rollout.canary if self.rollout else None


@dataclass(frozen=True, slots=True)
class ReleaseState:
    """One prompt's releases. ``project``: the folder of its project, "" at the top of the repository."""

    prompt: str
    generation: int
    channels: Mapping[str, ChannelState]
    project: str = ""

    def named(self) -> Iterable[ReleasedVersion]:
        """Every version that some channel names, stable ones first."""
        for arm in ("stable", "canary", "previous"):
            yield from (found for state in self.channels.values() if (found := getattr(state, arm)))

    def live(self, digest: str) -> tuple[str, ...]:
        """Where a version is live: "production", or "production canary" while it is tried there."""
        return tuple(
            f"{name} canary" if released is state.canary else name
            for name, state in self.channels.items()
            for released in (state.stable, state.canary)
            if released is not None and released.digest == digest
        )


@dataclass(frozen=True, slots=True)
class ReleasedSnapshot:
    """A released version with all files that it is made of, by path below ``prompts/``."""

    prompt: str
    version: str
    digest: str
    commit: str | None
    files: Mapping[str, bytes]

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise NotFound(f"the frozen {self.prompt} {self.version} has no file {path}")
        return self.files[path]


def release_path(prompt: str) -> str:
    return f"releases/{prompt}.yaml"


def plan_path(digest: str) -> str:
    return f"plans/{digest[:_SHORT]}.yaml"


def snapshot_path(prompt: str, digest: str) -> str:
    return f"versions/{prompt}/{digest[:_SHORT]}.yaml"


def decode_release(text: bytes, prompt: str) -> ReleaseState:
    """The releases of a prompt from the text of their file."""
    document = parse_yaml(text, f"{BRANCH}:{release_path(prompt)}")
    data = _mapping(document, document.data)
    channels = {
        name: _channel(document, _mapping(document, state))
        for name, state in _mapping(document, data.get("channels", {})).items()
    }
    if data.get("prompt") != prompt or not isinstance(data.get("generation"), int):
        raise _damaged(document, f"it must name the prompt {prompt} and its generation")
    return ReleaseState(prompt, data["generation"], channels, str(data.get("project", "")))


def _channel(document: Document, state: Mapping[str, Any]) -> ChannelState:
    return ChannelState(
        stable=_released(document, state.get("stable")),
        previous=_released(document, state.get("previous")),
        rollout=_rollout(document, state.get("rollout")),
        shadow=_shadow(document, state.get("shadow")),
    )


def _rollout(document: Document, value: Any) -> Rollout | None:
    if value is None:
        return None
    data = dict(_mapping(document, value))
    canary, plan = _released(document, data.pop("canary", None)), _digest(document, data.pop("plan", None))
    try:
        data["signals"] = tuple(map(str, data.pop("signals", ())))
        data |= {name: _text(document, name, data[name]) for name in _ROLLOUT_TEXTS & data.keys()}
        rollout = Rollout(canary=canary, plan=plan, **data)  # type: ignore[arg-type]  # looked at below
    except TypeError as error:
        raise _damaged(document, f"the rollout: {str(error).partition(') ')[2]}") from None
    whole = all(type(number) is int for number in (rollout.step, rollout.weight_bp))
    if canary is None or rollout.phase not in get_args(Phase) or not whole or rollout.step < 0:
        raise _damaged(document, "the rollout names no canary, no known phase or no step")
    if not 0 <= rollout.weight_bp <= _ALL_BP:
        raise _damaged(document, f"a weight of {rollout.weight_bp} basis points")
    return rollout


def _text(document: Document, name: str, value: Any) -> str | None:
    if isinstance(value, list | dict):
        raise _damaged(document, f"the rollout's {name} is no text")
    return None if value is None else str(value)


def _shadow(document: Document, value: Any) -> ShadowState | None:
    if value is None:
        return None
    data = _mapping(document, value)
    released, sample, most = _released(document, data), data.get("sample_bp"), data.get("max_usd")
    if released is None or type(sample) is not int or not 0 < sample <= _ALL_BP:
        raise _damaged(document, f"a shadow sampled at {sample} basis points")
    if most is not None and (type(most) not in (int, float) or most < 0):
        raise _damaged(document, f"a shadow that may spend {most} dollars")
    return ShadowState(released=released, sample_bp=sample, max_usd=None if most is None else float(most))


def _released(document: Document, value: Any) -> ReleasedVersion | None:
    if value is None:
        return None
    data = _mapping(document, value)
    since, commit = data.get("since"), data.get("commit")
    return ReleasedVersion(
        str(data.get("version", "")),
        _digest(document, data.get("digest")),
        None if commit is None else str(commit),
        None if since is None else str(since),
    )


def decode_snapshot(text: bytes, path: str, prompt: str) -> ReleasedSnapshot:
    """A released version from the text of its file."""
    document = parse_yaml(text, f"{BRANCH}:{path}", max_bytes=_MAX_BYTES)
    data = _mapping(document, document.data)
    files = {name: _bytes(document, value) for name, value in _mapping(document, data.get("files")).items()}
    commit = data.get("commit")
    version = str(data.get("version", ""))
    digest = _digest(document, data.get("digest"))
    if data.get("prompt") != prompt or digest[:_SHORT] != path.rpartition("/")[2][: -len(".yaml")]:
        raise _damaged(document, f"it must be the version of {prompt} that its path names")
    return ReleasedSnapshot(prompt, version, digest, None if commit is None else str(commit), files)


def decode_snapshot_head(text: bytes, path: str) -> tuple[str, str]:
    """The digest and the number of a frozen version, without reading its files."""
    document = parse_yaml(text.partition(b"\nfiles:")[0], f"{BRANCH}:{path}")
    head = _mapping(document, document.data)
    return _digest(document, head.get("digest")), str(head.get("version", ""))


def _mapping(document: Document, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _damaged(document, "a mapping is missing")
    return value


def _digest(document: Document, value: Any) -> str:
    digits = str(value).removeprefix("sha256:")
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):  # of a SHA-256
        raise _damaged(document, f"`{value}` is not a digest")
    return digits


def _bytes(document: Document, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(_mapping(document, value).get("base64", ""), validate=True)
    except (TypeError, ValueError) as error:
        raise _damaged(document, f"a file is not base64: {error}") from error


def _damaged(document: Document, what: str) -> Invalid:
    return Invalid(
        f"{document.path} is damaged: {what}",
        hint=f"git log {BRANCH} shows who wrote it; promptops release recover brings the last good one back",
    )
