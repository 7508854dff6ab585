"""Release state as the text that ``release_state`` reads back."""

import base64
import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import yaml

from promptops.config.yaml import parse_yaml
from promptops.errors import Invalid
from promptops.release.transitions import Move, Transition
from promptops.versions.release_state import (
    ChannelState,
    ReleasedSnapshot,
    ReleasedVersion,
    ReleaseState,
    Rollout,
    ShadowState,
    decode_release,
)

_LINE_WIDTH = 1_000_000
_STATE_KEYS = ("rollout", "stable", "shadow")


def encode_release(state: ReleaseState) -> bytes:
    channels = {name: encode_channel(each) for name, each in sorted(state.channels.items())}
    head = {"prompt": state.prompt, **({"project": state.project} if state.project else {})}
    return _dump_yaml({**head, "generation": state.generation, "channels": channels})


def encode_channel(state: ChannelState) -> dict[str, Any]:
    return _without_none(
        {
            "stable": _released(state.stable),
            "previous": _released(state.previous),
            "rollout": _rollout(state.rollout),
            "shadow": _shadow(state.shadow),
        }
    )


def encode_snapshot(frozen: ReleasedSnapshot) -> bytes:
    """A released version whole. A file that YAML would not give back byte by byte stands there as base64."""
    head = {"prompt": frozen.prompt, "version": frozen.version, "digest": f"sha256:{frozen.digest}"}
    if frozen.commit:
        head["commit"] = frozen.commit
    return _dump_yaml(head) + _dump_yaml(
        {"files": {path: _encode_file(data) for path, data in frozen.files.items()}}
    )


def encode_transition(transition: Transition) -> dict[str, Any]:
    """A move as JSON, so that it can be made again on another state."""
    content = {field.name: getattr(transition, field.name) for field in fields(transition)}
    content |= {
        "move": str(transition.move),
        "verdict": str(transition.verdict),
        "signals": list(transition.signals),
        "skipped": list(transition.skipped),
        "authors": [printable_line(name) for name in transition.authors],
        "rollout": _rollout(transition.rollout),
        "stable": _released(transition.stable),
        "shadow": _shadow(transition.shadow),
        "ends": _rollout(transition.ends),
    }
    return {key: value for key, value in content.items() if value not in (None, "", [], False)}


def decode_transition(content: Mapping[str, Any], prompt: str) -> Transition:
    named = {key: content[key] for key in _STATE_KEYS if key in content}
    state = decode_channel(named, prompt)
    ended = decode_channel({"rollout": content["ends"]}, prompt).rollout if "ends" in content else None
    known = {field.name for field in fields(Transition)}  # what a later release adds is not damage
    plain = {key: value for key, value in content.items() if key in known and key not in _STATE_KEYS}
    lists = {key: tuple(map(str, plain.get(key, ()))) for key in ("signals", "skipped", "authors")}
    try:
        return Transition(
            **{
                **plain,
                "move": Move(plain["move"]),
                **lists,
                "rollout": state.rollout,
                "stable": state.stable,
                "shadow": state.shadow,
                "ends": ended,
            }
        )
    except (TypeError, KeyError, ValueError) as error:
        raise Invalid(
            f"a transition of {prompt} cannot be read: {error}", hint="another release of promptops wrote it"
        ) from None


def decode_channel(content: Mapping[str, Any], prompt: str) -> ChannelState:
    whole = {"prompt": prompt, "generation": 0, "channels": {"it": content}}
    return decode_release(json.dumps(whole, ensure_ascii=False).encode(), prompt).channels["it"]


def encode_json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True, default=str).encode() + b"\n"


def printable_line(text: str) -> str:
    """What fits a trailer, and what every YAML reader takes."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _released(released: ReleasedVersion | None) -> dict[str, Any] | None:
    if released is None:
        return None
    content = {
        "version": released.version,
        "digest": f"sha256:{released.digest}",
        "commit": released.commit,
        "since": released.since,
    }
    return _without_none(content)


def _rollout(rollout: Rollout | None) -> dict[str, Any] | None:
    if rollout is None:
        return None
    content = {field.name: getattr(rollout, field.name) for field in fields(rollout)}
    content |= {"canary": _released(rollout.canary), "plan": f"sha256:{rollout.plan}"}
    content["signals"] = list(rollout.signals) or None
    content["reason"] = printable_line(rollout.reason) if rollout.reason else None
    return _without_none(content)


def _shadow(shadow: ShadowState | None) -> dict[str, Any] | None:
    if shadow is None:
        return None
    more = {"sample_bp": shadow.sample_bp, "max_usd": shadow.max_usd}
    return _without_none({**(_released(shadow.released) or {}), **more})


def _without_none(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value is not None}


def _encode_file(data: bytes) -> Any:
    try:
        text = data.decode()
        if (
            parse_yaml(_dump_yaml({"it": text}), "a frozen file", max_bytes=10 * len(data) + 1000).data["it"]
            == text
        ):
            return text
    except (UnicodeDecodeError, Invalid):
        pass
    return {"base64": base64.b64encode(data).decode()}


class _BlockTextDumper(yaml.SafeDumper):
    """Texts of several lines stand as such, where YAML can."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockTextDumper.add_representer(str, _represent_text)


def _dump_yaml(content: Mapping[str, Any]) -> bytes:
    text = yaml.dump(content, Dumper=_BlockTextDumper, sort_keys=False, allow_unicode=True, width=_LINE_WIDTH)
    return str(text).encode()
