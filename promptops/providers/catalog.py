"""What is known of models: prices, context window, retirement, abilities.

It comes from a list of one model a line (``catalog_index``), found by searching the text.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from promptops.providers.catalog_index import Index, load_index
from promptops.providers.endpoints import DIRECT_PROVIDERS
from promptops.providers.pricing import (
    BATCH_TIER,
    INPUT,
    OUTPUT,
    CompletionCost,
    ModelPrices,
    batch_price_source,
    rates_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.config.settings import Settings
    from promptops.providers.types import Completion

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
    """``models`` of the settings go before the list, key by key. Unknown is None.

    ``source`` says where the list comes from and how old it is: ``litellm 1.110.2 of 2026-11-20``.
    """

    def __init__(self, index: Index, custom: Mapping[str, Mapping[str, Any]]) -> None:
        self._lines, self.source, self.day = index
        self._custom = custom
        self._found: dict[str, dict[str, Any] | None] = {}
        self._prices: dict[str, ModelPrices] = {}
        self._dated: dict[str, list[str]] = {}
        self._providers: frozenset[str] | None = None

    @classmethod
    def load(cls, settings: Settings | None = None, env: Mapping[str, str] = os.environ) -> Catalog:
        return cls(load_index(env), settings.models if settings is not None else {})

    def entry(self, model: str) -> Mapping[str, Any] | None:
        """Everything known of a model in litellm's notation."""
        if model not in self._found:
            self._found[model] = self._merged(model) or None
        return self._found[model]

    def _merged(self, model: str) -> dict[str, Any]:
        """What holds for a deployment or a fine-tuned model is what its base has, and that of its base."""
        chain = [model]
        while (base := self._custom.get(chain[-1], {}).get("base_model")) and base not in chain:
            chain.append(base)
        merged: dict[str, Any] = {}
        for name in reversed(chain):
            merged = {**(self._known(name) or {}), **merged, **self._custom.get(name, {})}
        merged.pop("base_model", None)
        return merged

    def price(self, model: str, service_tier: str | None = None) -> tuple[float, float] | None:
        """Dollars per input and per output token, of a short prompt."""
        entry = self._priced(model)
        if "tiered_pricing" in entry:
            entry = {key: value for key, value in entry.items() if key != "tiered_pricing"}
        rates = rates_for(entry, 0, service_tier)
        sent, answered = rates.get(INPUT), rates.get(OUTPUT)
        return None if sent is None or answered is None else (sent, answered)

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
        """``service_tier`` is the one that was asked for; the tier that answered goes before it."""
        if model not in self._prices:
            self._prices[model] = ModelPrices(self._priced(model))
        return self._prices[model].cost(completion, service_tier)

    def batch_cost(self, model: str, completion: Completion) -> CompletionCost | None:
        """What a provider's batch service takes for an answer; None where its price is not known."""
        return self.cost(model, replace(completion, service_tier=BATCH_TIER))

    def batch_price_source(self, model: str) -> Literal["listed", "half"] | None:
        """Whether batch prices of a model are listed, or half of what is; None where they are unknown."""
        return batch_price_source(self._priced(model))

    def _priced(self, model: str) -> Mapping[str, Any]:
        """The entry, with the provider that the model's name begins with where it names none."""
        provider, slash, _ = model.partition("/")
        entry = self.entry(model) or {}
        return {"litellm_provider": provider, **entry} if slash else entry

    def dated_ids(self, alias: str) -> list[str]:
        """The dated names behind one that moves (``openai/gpt-5.4``), oldest first, in the same notation."""
        if alias not in self._dated:
            self._dated[alias] = self._find_dated(alias)
        return list(self._dated[alias])

    def _find_dated(self, alias: str) -> list[str]:
        provider, slash, rest = alias.rpartition("/")
        stem = re.escape(rest.removesuffix("-latest"))
        names = re.findall(rf'^"((?:[^"]*/)?{stem}{_DATED})":'.encode(), self._lines, re.MULTILINE)
        found = {f"{provider}{slash}{name.decode().rpartition('/')[2]}" for name in names}
        return sorted(name for name in found if name != alias and self._known(name))

    def names(self) -> list[str]:
        """Every name of the list, in litellm's notation (``gpt-4o``, ``groq/llama-3.3-70b-versatile``)."""
        return [name.decode() for name in re.findall(rb'^"([^"\n]+)":', self._lines, re.MULTILINE)]

    def providers(self) -> frozenset[str]:
        """What models' names begin with, before a slash: all that are known here."""
        if self._providers is None:
            self._providers = self._find_providers()
        return self._providers

    def _find_providers(self) -> frozenset[str]:
        named = re.findall(rb'^"([^"/\n]+)/', self._lines, re.MULTILINE)
        listed = re.findall(rb'"litellm_provider":"([^"]+)"', self._lines)
        own = (name.partition("/")[0] for name in self._custom if "/" in name)
        return frozenset({*(name.decode() for name in (*named, *listed)), *own, *DIRECT_PROVIDERS, "local"})

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
        start = self._lines.find(f"\n{json.dumps(name)}:".encode())
        if start < 0:
            return None
        line = self._lines[start + 1 : self._lines.index(b"\n", start + 1)]
        entry: dict[str, Any] = json.loads(b"{%s}" % line)[name]
        return entry


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
