"""What is known of models: prices, context window, retirement, abilities.

It comes from the file that litellm carries, read without importing litellm. Parsing that file takes longer
than a call's other work, so that an index of the fields used here is kept in the user's cache folder:
one model a line, found by searching the text.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptops.providers.local.cache_dir import cache_folder
from promptops.providers.pricing import CompletionCost, completion_cost, is_price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.config.settings import Settings
    from promptops.providers.types import Completion

_FILE = "model_prices_and_context_window_backup.json"
_FORMAT = 1
_FIELDS = frozenset(
    {"litellm_provider", "mode", "max_tokens", "max_input_tokens", "max_output_tokens", "deprecation_date"}
)
_CAPABILITIES = frozenset(
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
_DATED = r"[-@](?:\d{4}-\d\d-\d\d|\d{8}|\d\d-\d{4}|\d{4}|\d{3})"

EMBEDDED_WINDOW = 4096  # tokens of messages and answer together
_EMBEDDED: Mapping[str, Any] = {  # a model that runs in this process costs nothing, and that is known
    "litellm_provider": "local",
    "mode": "chat",
    "input_cost_per_token": 0.0,
    "output_cost_per_token": 0.0,
    "max_input_tokens": EMBEDDED_WINDOW,
    "supports_response_schema": True,
}


class Catalog:
    """``models`` of the settings go before litellm's file, key by key. Unknown is None."""

    def __init__(
        self, index: bytes, custom: Mapping[str, Mapping[str, Any]], file: Path | None = None
    ) -> None:
        self._index = index
        self._custom = custom
        self._file = file
        self._found: dict[str, dict[str, Any] | None] = {}

    @classmethod
    def load(cls, settings: Settings | None = None, env: Mapping[str, str] = os.environ) -> Catalog:
        custom = settings.models if settings is not None else {}
        file = _catalogue_file()
        if file is None:
            return cls(b"", custom)
        return cls(_load_index(file, env), custom, file)

    @property
    def source(self) -> str:
        """Where the data comes from: ``litellm 1.106.2, installed 2026-11-22``."""
        return _source(self._file) if self._file else ""

    def entry(self, model: str) -> Mapping[str, Any] | None:
        """Everything known of a model in litellm's notation."""
        if model not in self._found:
            merged = {**(self._known(model) or {}), **self._custom.get(model, {})}
            self._found[model] = merged or None
        return self._found[model]

    def price(self, model: str) -> tuple[float, float] | None:
        """Dollars per input and per output token, of a short prompt."""
        entry = self.entry(model) or {}
        sent, answered = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
        return None if sent is None or answered is None else (float(sent), float(answered))

    def window(self, model: str) -> int | None:
        """The longest prompt, in tokens."""
        entry = self.entry(model) or {}
        return _count(entry.get("max_input_tokens", entry.get("max_tokens")))

    def max_output(self, model: str) -> int | None:
        return _count((self.entry(model) or {}).get("max_output_tokens"))

    def deprecation_date(self, model: str) -> str | None:
        date = (self.entry(model) or {}).get("deprecation_date")
        return str(date) if date else None

    def mode(self, model: str) -> str | None:
        return (self.entry(model) or {}).get("mode")

    def provider(self, model: str) -> str | None:
        return (self.entry(model) or {}).get("litellm_provider")

    def supports(self, model: str, what: str) -> bool | None:
        """Whether a known model has an ability (``response_schema``, ``vision``, …)."""
        entry = self.entry(model)
        if entry is None or ("mode" not in entry and f"supports_{what}" not in entry):
            return None
        return bool(entry.get(f"supports_{what}"))

    def cost(
        self, model: str, completion: Completion, service_tier: str | None = None
    ) -> CompletionCost | None:
        entry = self.entry(model)
        return completion_cost(entry, completion, service_tier) if entry else None

    def dated_ids(self, alias: str) -> list[str]:
        """The dated names behind one that moves (``openai/gpt-4o``), oldest first, in the same notation."""
        provider, slash, rest = alias.rpartition("/")
        stem = re.escape(rest.removesuffix("-latest"))
        names = re.findall(rf'^"((?:[^"]*/)?{stem}{_DATED})":'.encode(), self._index, re.MULTILINE)
        found = {f"{provider}{slash}{name.decode().rpartition('/')[2]}" for name in names}
        return sorted(name for name in found if name != alias and self._known(name))

    def names(self) -> list[str]:
        """Every name in litellm's file, in its notation (``gpt-4o``, ``groq/llama-3.3-70b-versatile``)."""
        return [name.decode() for name in re.findall(rb'^"([^"\n]+)":', self._index, re.MULTILINE)]

    def _known(self, model: str) -> Mapping[str, Any] | None:
        if model.startswith("local/"):
            return _EMBEDDED
        if entry := self._line(model):
            return entry
        provider, _, rest = model.partition("/")
        if provider == "fireworks_ai" and (
            entry := self._line(f"{provider}/accounts/fireworks/models/{rest}")
        ):
            return entry
        entry = self._line(rest) if rest else None
        return entry if entry and entry.get("litellm_provider") == provider else None

    def _line(self, name: str) -> dict[str, Any] | None:
        start = self._index.find(f"\n{json.dumps(name)}:".encode())
        if start < 0:
            return None
        line = self._index[start + 1 : self._index.index(b"\n", start + 1)]
        entry: dict[str, Any] = json.loads(b"{%s}" % line)[name]
        return entry


def _catalogue_file() -> Path | None:
    spec = importlib.util.find_spec("litellm")
    file = Path(spec.origin).parent / _FILE if spec and spec.origin else None
    return file if file and file.is_file() else None


def _version(file: Path) -> str:
    names = [entry.name for entry in file.parents[1].glob("litellm-*.dist-info")]
    return names[0].removesuffix(".dist-info").removeprefix("litellm-") if names else "unknown"


def _source(file: Path) -> str:
    return (
        f"litellm {_version(file)}, installed {time.strftime('%Y-%m-%d', time.gmtime(file.stat().st_mtime))}"
    )


def _load_index(file: Path, env: Mapping[str, str]) -> bytes:
    """The kept index, or a new one; a cache folder that cannot be used costs time and nothing else."""
    state = file.stat()
    head = json.dumps([_FORMAT, str(file), state.st_size, state.st_mtime_ns]).encode()
    kept = cache_folder(env) / "catalogue.jsonl"
    with contextlib.suppress(OSError):
        index = kept.read_bytes()
        if index.startswith(head) and index.endswith(b"\n\n"):
            return index
    index = head + build_index(json.loads(file.read_bytes()))
    with contextlib.suppress(OSError):
        _write_index(index, kept)
    return index


def build_index(catalogue: Mapping[str, Mapping[str, Any]]) -> bytes:
    """One line a model, between empty lines."""
    lines = [
        f"{json.dumps(name)}:{json.dumps(_used_fields(entry), separators=(',', ':'))}"
        for name, entry in catalogue.items()
        if name != "sample_spec" and entry.get("mode", "chat") in {"chat", "completion", "responses"}
    ]
    return "\n".join(["", *lines, "", ""]).encode()


def _used_fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in entry.items()
        if key in _FIELDS or is_price(key) or (key in _CAPABILITIES and value is True)
    }


def _write_index(index: bytes, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    try:
        fresh.write_bytes(index)
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
