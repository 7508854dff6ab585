"""Facts on models as one model a line, which ``Catalog`` searches as text.

They are those of ``models.jsonl.gz``, a snapshot of the list that litellm carries, or of an installed litellm
when its release is newer than the snapshot's: releases are compared, as the time of an installation says
nothing of the age of what was installed. Parsing litellm's own file takes longer than a call's other work,
so that the lines made of it are kept in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import time
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.providers.local.cache_dir import cache_folder
from promptops.providers.pricing import is_price

if TYPE_CHECKING:
    from collections.abc import Mapping

SNAPSHOT = Path(__file__).with_name("models.jsonl.gz")
_GZIP = 31  # what zlib calls the format, whose own module takes longer to import than this to unpack
OLD_AFTER_DAYS = 120
"""Providers change prices and retire models: a snapshot that is older is said to be old."""
LITELLM_FILE = "model_prices_and_context_window_backup.json"
_FORMAT = 3
_FIELDS = frozenset(
    {"litellm_provider", "mode", "max_tokens", "max_input_tokens", "max_output_tokens", "deprecation_date"}
)
_ABILITIES = frozenset(
    {
        "supports_response_schema",
        "supports_vision",
        "supports_function_calling",
        "supports_parallel_function_calling",
        "supports_tool_choice",
        "supports_reasoning",
        "supports_prompt_caching",
        "supports_pdf_input",
        "supports_audio_input",
        "supports_system_messages",
    }
)


class Index(NamedTuple):
    lines: bytes
    source: str  # ``litellm 1.110.2 of 2026-11-20``
    day: str  # of that release, or of the installation


def load_index(env: Mapping[str, str]) -> Index:
    lines = _shipped_lines()
    version, released = snapshot_head(lines)
    file = _litellm_file()
    installed = _version(file) if file else ""
    if file is None or _numbers(installed) <= _numbers(version):
        return Index(lines, f"litellm {version} of {released}", released)
    day = time.strftime("%Y-%m-%d", time.gmtime(file.stat().st_mtime))
    return Index(_kept_lines(file, env), f"litellm {installed}, installed {day}", day)


@cache  # a run asks for its client and for its price
def _shipped_lines() -> bytes:
    return read_snapshot()


def read_snapshot(file: Path = SNAPSHOT) -> bytes:
    """Unpacked it would be a fiftieth of all that a base installation takes."""
    return zlib.decompress(file.read_bytes(), _GZIP)


def snapshot_head(lines: bytes) -> tuple[str, str]:
    """The release of litellm that a snapshot was made of, and the day on which it came out."""
    head = json.loads(lines.partition(b"\n")[0])
    return str(head["litellm"]), str(head["released"])


def build_snapshot(catalogue: Mapping[str, Mapping[str, Any]], version: str, released: str) -> bytes:
    """The file as ``read_snapshot`` takes it; the same facts give the same bytes."""
    import gzip

    head = json.dumps({"litellm": version, "released": released}).encode()
    return gzip.compress(head + build_lines(dict(sorted(catalogue.items()))), mtime=0)


def build_lines(catalogue: Mapping[str, Mapping[str, Any]]) -> bytes:
    """One line a model, between empty lines."""
    lines = [
        f"{json.dumps(name)}:{json.dumps(_used(entry), separators=(',', ':'))}"
        for name, entry in catalogue.items()
        if name != "sample_spec" and entry.get("mode", "chat") in {"chat", "completion", "responses"}
    ]
    return "\n".join(["", *lines, "", ""]).encode()


def _used(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in entry.items()
        if key in _FIELDS or is_price(key) or (key in _ABILITIES and value is True)
    }


def _litellm_file() -> Path | None:
    spec = importlib.util.find_spec("litellm")
    file = Path(spec.origin).parent / LITELLM_FILE if spec and spec.origin else None
    return file if file and file.is_file() else None


def _version(file: Path) -> str:
    names = [entry.name for entry in file.parents[1].glob("litellm-*.dist-info")]
    return names[0].removesuffix(".dist-info").removeprefix("litellm-") if names else ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _kept_lines(file: Path, env: Mapping[str, str]) -> bytes:
    """The kept lines, or new ones; a cache folder that cannot be used costs time and nothing else."""
    state = file.stat()
    head = json.dumps([_FORMAT, str(file), state.st_size, state.st_mtime_ns]).encode()
    kept = cache_folder(env) / "catalogue.jsonl"
    with contextlib.suppress(OSError):
        lines = kept.read_bytes()
        if lines.startswith(head) and lines.endswith(b"\n\n"):
            return lines
    lines = head + build_lines(json.loads(file.read_bytes()))
    with contextlib.suppress(OSError):
        _keep(lines, kept)
    return lines


def _keep(lines: bytes, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        fresh.write_bytes(lines)
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
