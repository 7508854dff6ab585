"""What a completion cost, by an entry of the catalogue (pure). Keys are litellm's; unknown is None, never 0.

Prices above a prompt length and tiered prices count; the higher price holds for the whole call. A cached,
cache-written, audio or image token without a price of its own costs what any input or output token costs, a
reasoning token what any output token costs. Cheaper hours (``off_peak_pricing``) do not count: in them the
cost is too high. A service tier counts by its own prices: one that is not in the list has an unknown cost.
A batch whose price is not listed costs half the list price at the providers that say so of all their models.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, Literal

from promptops.dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promptops.providers.types import Completion

INPUT, OUTPUT, REASONING = "input_cost_per_token", "output_cost_per_token", "output_cost_per_reasoning_token"
CACHED, WRITTEN = "cache_read_input_token_cost", "cache_creation_input_token_cost"
WRITTEN_1H = "cache_creation_input_token_cost_above_1hr"  # written for an hour and not for five minutes
AUDIO_IN, AUDIO_OUT, AUDIO_CACHED = (
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
    "cache_read_input_audio_token_cost",
)
IMAGE_IN, IMAGE_OUT = "input_cost_per_image_token", "output_cost_per_image_token"
RATES = (
    *(INPUT, OUTPUT, REASONING, CACHED, WRITTEN, WRITTEN_1H),
    *(AUDIO_IN, AUDIO_OUT, AUDIO_CACHED, IMAGE_IN, IMAGE_OUT),
)
_CACHED_SHARE = {"fireworks_ai": 0.5}  # of the input price, for models whose cached price is not listed
_STANDARD_TIERS = frozenset({"", "auto", "default", "on_demand", "standard", "standard_only"})
BATCH_TIER = "batch"
"""The service tier of what a provider's batch service answers."""
_BATCH_SUFFIX = "_batches"
_SUFFIXES = {BATCH_TIER: _BATCH_SUFFIX}  # of a tier's prices, where it is not the tier's own name
_HALF_PRICE_BATCHES = frozenset({"anthropic", "azure", "groq", "openai"})
_SAME_PRICE = frozenset({("groq", "flex")})  # tiers that give up speed or certainty alone
_MAX_KNOWN = 64
_PRICE = rf"({'|'.join(RATES)})(?:_above_(\d+)(k?)_tokens)?(?:_([a-z]+))?"


@dataclass(frozen=True, slots=True)
class CompletionCost:
    cost_usd: float  # as billed
    cost_list_usd: float | None  # as if nothing had been cached


def is_price(key: str) -> bool:
    """Whether a key of the catalogue is one of those that this file reads."""
    return key == "tiered_pricing" or re.fullmatch(_PRICE, key) is not None


def asked_tier(parameters: Mapping[str, Any]) -> str | None:
    """The service tier that a prompt's parameters ask for."""
    tier = parameters.get("service_tier")
    return tier if isinstance(tier, str) else None


class ModelPrices:
    """An entry's, worked out once for each service tier and each length of prompt that makes a difference."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self._entry = entry
        self._lengths = sorted({0, *_lengths(entry)})
        self._rates: dict[tuple[str | None, int, int], dict[str, float]] = {}

    def cost(self, completion: Completion, service_tier: str | None = None) -> CompletionCost | None:
        """None when the tokens or a price they need are unknown. What the provider says it billed goes first.

        ``service_tier`` is the one that was asked for: the answer's own goes before it.
        """
        listed = self._list_cost(completion, completion.service_tier or service_tier)
        if completion.cost_usd is None:
            return listed
        return CompletionCost(completion.cost_usd, listed.cost_list_usd if listed else None)

    def _list_cost(self, completion: Completion, service_tier: str | None) -> CompletionCost | None:
        sent, answered = completion.input_tokens, completion.output_tokens
        if sent is None or answered is None:
            return None
        rates = self._rates_for(sent, service_tier)
        if rates.get(INPUT) is None or (answered and rates.get(OUTPUT) is None):
            return None
        answer = _output_cost(rates, completion, answered)
        cached = min(completion.cached_tokens or 0, sent)
        written = min(completion.cache_write_tokens or 0, sent - cached)
        listed = billed = _input_cost(rates, completion, sent, 0, 0)
        if cached or written:
            billed = _input_cost(rates, completion, sent, cached, written)
        return CompletionCost(billed + answer, listed + answer)

    def _rates_for(self, sent: int, service_tier: str | None) -> dict[str, float]:
        key = service_tier, bisect_left(self._lengths, sent), bisect_right(self._lengths, sent)
        if key not in self._rates:
            if len(self._rates) >= _MAX_KNOWN:  # an answer names its tier as it likes
                self._rates.clear()
            self._rates[key] = rates_for(self._entry, sent, service_tier)
        return self._rates[key]


def _input_cost(
    rates: Mapping[str, float], completion: Completion, sent: int, cached: int, written: int
) -> float:
    """Cached and written tokens are text as far as there is text; audio is cached before images are."""
    base = rates[INPUT]
    if not (cached or written or completion.input_audio_tokens or completion.input_image_tokens):
        return sent * base
    audio = min(completion.input_audio_tokens or 0, sent)
    image = min(completion.input_image_tokens or 0, sent - audio)
    beyond = max(0, cached + written - (sent - audio - image))
    cached_audio = min(beyond, audio, cached)
    image -= min(image, beyond - cached_audio)
    audio -= cached_audio
    long = min(completion.cache_write_1h_tokens or 0, written)
    read = rates.get(CACHED, base)
    write = rates.get(WRITTEN, base)
    return (
        (sent - cached - written - audio - image) * base
        + (cached - cached_audio) * read
        + cached_audio * rates.get(AUDIO_CACHED, read)
        + (written - long) * write
        + long * rates.get(WRITTEN_1H, write)
        + audio * rates.get(AUDIO_IN, base)
        + image * rates.get(IMAGE_IN, base)
    )


def _output_cost(rates: Mapping[str, float], completion: Completion, answered: int) -> float:
    rate = rates.get(OUTPUT, 0.0)
    cost, left = 0.0, answered
    if not (completion.reasoning_tokens or completion.output_audio_tokens or completion.output_image_tokens):
        return answered * rate
    for tokens, key in (
        (completion.reasoning_tokens, REASONING),
        (completion.output_audio_tokens, AUDIO_OUT),
        (completion.output_image_tokens, IMAGE_OUT),
    ):
        part = min(tokens or 0, left)
        cost += part * rates.get(key, rate)
        left -= part
    return left * rate + cost


def rates_for(entry: Mapping[str, Any], sent: int, service_tier: str | None = None) -> dict[str, float]:
    """Dollars per token for a call with ``sent`` input tokens; unknown rates are absent."""
    suffix = _tier_suffix(entry, service_tier)
    if suffix == _BATCH_SUFFIX:
        entry = _with_batch_prices(entry)
    if suffix and entry.get(INPUT + suffix) is None:
        return {INPUT: 0.0, OUTPUT: 0.0} if entry.get(INPUT) == entry.get(OUTPUT) == 0 else {}
    if not suffix and (tier := _length_tier(entry.get("tiered_pricing"), sent)):
        return _known_rates(
            {OUTPUT: entry.get(OUTPUT), **{key: tier.get(key) for key in RATES if key in tier}}
        )
    rates = {key: entry.get(key + suffix, entry.get(key)) for key in RATES}
    rates[OUTPUT] = entry.get(OUTPUT + suffix)
    for threshold, key, served, value in _long_prompt_prices(entry):
        past = sent >= threshold if entry.get("litellm_provider") == "xai" else sent > threshold
        if past and served == suffix:
            rates[key] = value
        elif past and not served:  # the tier has no price of its own for this length
            rates[key] = max(value, rates[key] or 0.0)
    share = _CACHED_SHARE.get(entry.get("litellm_provider", ""))
    if share and rates[CACHED] is None and rates[INPUT] is not None:
        rates[CACHED] = share * float(rates[INPUT])
    return _known_rates(rates)


def batch_price_source(entry: Mapping[str, Any]) -> Literal["listed", "half"] | None:
    """Whether a model's price in a batch is listed, or half of its list price; None where it is unknown."""
    if entry.get(INPUT + _BATCH_SUFFIX) is not None:
        return "listed"
    halved = entry.get("litellm_provider") in _HALF_PRICE_BATCHES and entry.get(INPUT) is not None
    return "half" if halved else None


def _with_batch_prices(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """With half of each list price that has no batch price, where that is what the provider takes.

    OpenAI lists a batch price for cached tokens where they have one of their own, and Anthropic's discounts
    multiply.
    """
    source = batch_price_source(entry)
    if source != "half" and entry.get("litellm_provider") != "anthropic":
        return entry
    listed = {key: value for key, value in entry.items() if isinstance(value, int | float) and _is_plain(key)}
    return {**{f"{key}{_BATCH_SUFFIX}": value / 2 for key, value in listed.items()}, **entry}


def _is_plain(key: str) -> bool:
    """Whether it is a price of the standard tier."""
    match = re.fullmatch(_PRICE, key)
    return match is not None and match[4] is None


def _tier_suffix(entry: Mapping[str, Any], service_tier: str | None) -> str:
    """What ends the keys of a tier's prices; empty for the standard one."""
    tier = (service_tier or "").lower()
    if tier in _STANDARD_TIERS or (entry.get("litellm_provider"), tier) in _SAME_PRICE:
        return ""
    return _SUFFIXES.get(tier, f"_{tier}")


def _long_prompt_prices(entry: Mapping[str, Any]) -> list[tuple[int, str, str, Any]]:
    """Prices above a prompt length, the longest last; those of a service tier after the plain ones."""
    tokens = (key for key in entry if "_tokens" in key)
    found = [(match, entry[key]) for key in tokens if (match := re.fullmatch(_PRICE, key))]
    return sorted(
        (
            (int(m[2]) * (1000 if m[3] else 1), m[1], f"_{m[4]}" if m[4] else "", value)
            for m, value in found
            if m[2] and value is not None
        ),
        key=lambda row: row[:3],
    )


def _length_tier(tiers: Any, sent: int) -> Mapping[str, Any] | None:
    """The tier whose range holds the prompt's length; above the highest, the highest."""
    if not isinstance(tiers, list) or sent <= 0:
        return None
    priced = sorted((tier for tier in tiers if INPUT in tier and len(tier.get("range", ())) == 2), key=_start)
    holding = [tier for tier in priced if _start(tier) < sent <= tier["range"][1]]
    return next(iter(holding or priced[-1:]), None)


def _start(tier: Mapping[str, Any]) -> float:
    return float(tier["range"][0])


def _lengths(entry: Mapping[str, Any]) -> Iterator[float]:
    """The lengths of a prompt at which, or beyond which, a price changes."""
    yield from (threshold for threshold, *_ in _long_prompt_prices(entry))
    tiers = entry.get("tiered_pricing")
    for tier in tiers if isinstance(tiers, list) else ():
        yield from map(float, tier.get("range", ()))


def _known_rates(rates: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(rate) for key, rate in rates.items() if rate is not None}
