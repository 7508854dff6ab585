"""What a commit of the state branch says."""

from collections.abc import Mapping

from promptops.release.ledger.serialize import printable_line
from promptops.release.transitions import FAIL_SAFE, Move, Transition
from promptops.versions.release_state import ChannelState, ReleasedVersion, Rollout

TRAILER = "Promptops"


def format_subject(
    prompt: str, channel: str, before: ChannelState, after: ChannelState, done: Transition
) -> str:
    """``release(support/triage): production canary v13 5% → 25%``."""
    return f"release({prompt}): {channel} {_describe_transition(before, after, done)}"


def format_message(title: str, trailers: Mapping[str, object], reason: str = "") -> str:
    """A message with its trailers, those without a value left out."""
    lines = [
        f"{TRAILER}-{key}: {printable_line(str(value))}"
        for key, value in trailers.items()
        if value not in ("", None)
    ]
    body = [printable_line(reason)] if reason else []
    return "\n\n".join([title, *body, "\n".join(lines)]) + "\n"


def transition_trailers(
    prompt: str, channel: str, generation: int, before: ChannelState, after: ChannelState, done: Transition
) -> dict[str, object]:
    rollout = after.rollout or done.rollout or before.rollout
    return {
        "Rollout": rollout.id if rollout else "",
        "Ends": done.ends.id if done.ends else "",
        "Prompt": prompt,
        "Channel": channel,
        "Transition": done.move,
        "Canary": _digest(rollout.canary if rollout else None),
        "Stable": _digest(after.stable),
        "Weight-Bp": after.rollout.weight_bp if after.rollout else 0 if rollout else "",
        "Verdict": done.verdict,
        "Evidence": "",  # its path, where there is one
        "Generation": generation,
        "Actor": done.actor,
        "Reason": done.reason,
        "Forced": "yes" if done.forced else "",
        "Skipped": ", ".join(done.skipped),
        "Authors": ", ".join(done.authors),
    }


def _describe_transition(before: ChannelState, after: ChannelState, done: Transition) -> str:
    if done.move is Move.SHADOW:
        shadow = after.shadow
        return f"shadow {_name(shadow.released)} {_percent(shadow.sample_bp)}" if shadow else "shadow off"
    if done.move in (Move.RELEASE, Move.PROMOTE):
        return f"{_name(before.stable)} → {_name(after.stable)}" if before.stable else _name(after.stable)
    if done.move in FAIL_SAFE:
        how = "rolled back" if done.move is Move.ROLLBACK else "aborted"
        return f"{', '.join(_describe_removed(before, after))}, {how}"
    over = f", in place of {_name(before.canary)}" if done.ends and before.rollout else ""
    return f"canary {_name(after.canary)} {_describe_progress(None if over else before.rollout, after)}{over}"


def _describe_removed(before: ChannelState, after: ChannelState) -> list[str]:
    gone = before.rollout
    stable = [] if before.stable == after.stable else [f"{_name(before.stable)} → {_name(after.stable)}"]
    canary = [f"canary {_name(gone.canary)} {_percent(gone.weight_bp)} → 0%"] if gone else []
    return [*stable, *canary]


def _describe_progress(old: Rollout | None, after: ChannelState) -> str:
    new = after.rollout
    assert new is not None  # noqa: S101 - all other moves have one
    weight = _percent(new.weight_bp)
    if new.phase != "progressing":
        return f"{new.phase} at {weight}" if new.weight_bp else new.phase
    if old and old.phase in ("paused", "invalid", "inconclusive"):
        return f"resumed at {weight}"
    return f"{_percent(old.weight_bp if old else 0)} → {weight}"


def _percent(weight_bp: int) -> str:
    return f"{weight_bp / 100:g}%"


def _name(released: ReleasedVersion | None) -> str:
    return "nothing" if released is None else released.version or released.digest[:12]


def _digest(released: ReleasedVersion | None) -> str:
    return f"{released.version} sha256:{released.digest}" if released else ""
