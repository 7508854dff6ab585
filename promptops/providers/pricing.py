"""What a completion cost, by an entry of the catalogue (pure). Keys are litellm's; unknown is None, never 0.

Prices above a prompt length and tiered prices count; the higher price holds for the whole call. A cached
or cache-written token without a price of its own costs what any input token costs, a reasoning token what
any output token costs. Cheaper hours (``off_peak_pricing``) do not count: in them the cost is too high.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.providers.types import Completion

INPUT, OUTPUT, REASONING = "input_cost_per_token", "output_cost_per_token", "output_cost_per_reasoning_token"
CACHED, WRITTEN = "cache_read_input_token_cost", "cache_creation_input_token_cost"
RATES = (INPUT, OUTPUT, REASONING, CACHED, WRITTEN)
_CACHED_SHARE = {"fireworks_ai": 0.5}  # of the input price, for models whose cached price is not listed
SERVICE_TIERS = ("priority", "flex")
_ABOVE = re.compile(rf"({'|'.join(RATES)})_above_(\d+)(k?)_tokens(?:_({'|'.join(SERVICE_TIERS)}))?$")


@dataclass(frozen=True, slots=True)
class CompletionCost:
    cost_usd: float  # as billed
    cost_list_usd: float  # as if nothing had been cached


def is_price(key: str) -> bool:
    """Whether a key of the catalogue is one of those that this file reads."""
    plain = key.removesuffix("_priority").removesuffix("_flex")
    return plain in RATES or key == "tiered_pricing" or _ABOVE.match(key) is not None


def completion_cost(
    entry: Mapping[str, Any], completion: Completion, service_tier: str | None = None
) -> CompletionCost | None:
    """None when the tokens or a price they need are unknown."""
    sent, answered = completion.input_tokens, completion.output_tokens
    if sent is None or answered is None:
        return None
    rates = rates_for(entry, sent, service_tier)
    if rates.get(INPUT) is None or (answered and rates.get(OUTPUT) is None):
        return None
    base = rates[INPUT]
    cached = min(completion.cached_tokens or 0, sent)
    written = min(completion.cache_write_tokens or 0, sent - cached)
    answer = _output_cost(rates, answered, min(completion.reasoning_tokens or 0, answered))
    billed = (
        (sent - cached - written) * base
        + cached * rates.get(CACHED, base)
        + written * rates.get(WRITTEN, base)
    )
    return CompletionCost(billed + answer, sent * base + answer)


def _output_cost(rates: Mapping[str, float], answered: int, reasoning: int) -> float:
    rate = rates.get(OUTPUT, 0.0)
    return (answered - reasoning) * rate + reasoning * rates.get(REASONING, rate)


def rates_for(entry: Mapping[str, Any], sent: int, service_tier: str | None = None) -> dict[str, float]:
    """Dollars per token for a call with ``sent`` input tokens; unknown rates are absent."""
    if tier := _tier(entry.get("tiered_pricing"), sent):
        return _known_rates(
            {OUTPUT: entry.get(OUTPUT), **{key: tier.get(key) for key in RATES if key in tier}}
        )
    suffix = f"_{service_tier}" if service_tier in SERVICE_TIERS else ""
    rates = {key: entry.get(key + suffix, entry.get(key)) for key in RATES}
    for threshold, key, served, value in _long_prompt_prices(entry):
        past = sent >= threshold if entry.get("litellm_provider") == "xai" else sent > threshold
        if past and served in {"", suffix}:
            rates[key] = value
    share = _CACHED_SHARE.get(entry.get("litellm_provider", ""))
    if share and rates[CACHED] is None and rates[INPUT] is not None:
        rates[CACHED] = share * float(rates[INPUT])
    return _known_rates(rates)


def _long_prompt_prices(entry: Mapping[str, Any]) -> list[tuple[int, str, str, Any]]:
    """Prices above a prompt length, the longest last; those of a service tier after the plain ones."""
    found = [(match, entry[key]) for key in entry if "_above_" in key and (match := _ABOVE.match(key))]
    return sorted(
        (
            (int(m[2]) * (1000 if m[3] else 1), m[1], f"_{m[4]}" if m[4] else "", value)
            for m, value in found
            if value is not None
        ),
        key=lambda row: row[:3],
    )


def _tier(tiers: Any, sent: int) -> Mapping[str, Any] | None:
    """The tier whose range holds the prompt's length; above the highest, the highest."""
    if not isinstance(tiers, list) or sent <= 0:
        return None
    priced = sorted((tier for tier in tiers if INPUT in tier and len(tier.get("range", ())) == 2), key=_start)  # noqa: PLR2004
    holding = [tier for tier in priced if _start(tier) < sent <= tier["range"][1]]
    return next(iter(holding or priced[-1:]), None)


def _start(tier: Mapping[str, Any]) -> float:
    return float(tier["range"][0])


def _known_rates(rates: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(rate) for key, rate in rates.items() if rate is not None}
