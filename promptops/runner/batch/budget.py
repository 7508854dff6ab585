"""``--max-cost``: what a batch may cost, and what each call reserves of it before it is made."""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.render import estimate_tokens
from promptops.providers.catalog import Catalog
from promptops.providers.pricing import asked_tier
from promptops.providers.types import Completion, CompletionRequest, ModelError

_MAY_BE_BILLED = frozenset({"timeout", "cut_off", "malformed_reply", "content_filter"})
_TOLERANCE_USD = 1e-9  # dollars: what floating point loses over many additions
_TOKEN_BYTES = 4


@dataclass(frozen=True, slots=True)
class Prices:
    """What one call costs: at most, and in the end."""

    catalog: Catalog
    assumed: float | None = None  # where the price, or a bound on the answer, is unknown
    tier: str | None = None  # that all calls are billed at; else the one that each asks for

    def check(self, prompt: Prompt) -> None:
        """Raise Invalid for a prompt whose calls cannot be priced."""
        for pin in (prompt.model, *prompt.fallback):
            if self.assumed is not None:
                continue
            tier = self._tier(prompt.parameters)
            if self.catalog.price(pin, tier) is None:
                at = f" at service_tier {tier}" if tier else ""
                raise Invalid(
                    f"the price of {pin}{at} is unknown, so --max-cost cannot be enforced",
                    hint="--assume-cost USD says what one call costs, or give prices under `models:`",
                )
            if longest_answer(prompt.parameters, pin, self.catalog) is None:
                raise Invalid(
                    f"nothing says how long an answer of {pin} may be, so --max-cost cannot be enforced",
                    hint="set parameters.max_tokens, or say with --assume-cost USD what one call costs",
                )

    def at_most(self, request: CompletionRequest) -> float:
        """The cost of the longest answer that the parameters allow."""
        longest = longest_answer(request.parameters, request.model, self.catalog)
        if self.assumed is not None and (longest is None or not _is_bounded(request)):
            return self.assumed
        asked = Completion(
            text="", response_model="", input_tokens=sent_tokens(request), output_tokens=longest or 0
        )
        cost = self.catalog.cost(request.model, asked, self._tier(request.parameters))
        return (cost.cost_list_usd if cost else self.assumed) or 0.0

    def of(self, request: CompletionRequest, ended: Completion | ModelError | None, reserved: float) -> float:
        """What a call is counted with once it has ended."""
        if ended is None:
            return reserved
        completion = ended.completion if isinstance(ended, ModelError) else ended
        if completion is not None:
            cost = self.catalog.cost(request.model, completion, self._tier(request.parameters))
            return cost.cost_usd if cost else reserved
        return reserved if isinstance(ended, ModelError) and ended.type in _MAY_BE_BILLED else 0.0

    def ceiling(self, request: CompletionRequest) -> float | None:
        """As ``at_most``; None where no price or no bound on the answer is known."""
        priced = self.catalog.price(request.model, self._tier(request.parameters)) is not None
        bounded = longest_answer(request.parameters, request.model, self.catalog) is not None
        return self.at_most(request) if self.assumed is not None or (priced and bounded) else None

    def _tier(self, parameters: Mapping[str, Any]) -> str | None:
        return self.tier or asked_tier(parameters)


def sent_tokens(request: CompletionRequest) -> int:
    """About how many tokens a request holds, tools and schema among them."""
    extras = compact_json([list(request.tools), request.output_schema]) if _has_extras(request) else ""
    return estimate_tokens(request.messages) + math.ceil(len(extras) / _TOKEN_BYTES)


def _has_extras(request: CompletionRequest) -> bool:
    return bool(request.tools or request.output_schema)


def _is_bounded(request: CompletionRequest) -> bool:
    return "max_tokens" in request.parameters or "max_completion_tokens" in request.parameters


def longest_answer(parameters: Mapping[str, Any], model: str, catalog: Catalog) -> int | None:
    bound = answer_bound(parameters)
    if bound is None and model.startswith("local/"):
        return 0
    return catalog.max_output(model) if bound is None else bound


def answer_bound(parameters: Mapping[str, Any]) -> int | None:
    """The tokens that an answer may have; of two bounds the larger, as providers choose which holds."""
    given = [parameters.get(name) for name in ("max_completion_tokens", "max_tokens")]
    return max((int(bound) for bound in given if bound is not None), default=None)


class Budget:
    """Calls reserve what they may cost at most; what they did not use comes back."""

    def __init__(self, most: float, prices: Prices, spent: float = 0.0) -> None:
        self.most = most
        self.prices = prices
        self.spent = spent
        self._reserved = 0.0
        self._calls = 0
        self._excess = 1.0  # how far a call has cost more than was reserved: tokens are only estimated
        self._changed = asyncio.Event()

    @property
    def left(self) -> float:
        return self.most - self.spent

    async def reserve(self, request: CompletionRequest) -> float:
        """Wait for what other calls give back, while there are any. Raises OverBudget."""
        at_most = self.prices.at_most(request)
        while self.spent + self._reserved + at_most * self._excess > self.most + _TOLERANCE_USD:
            if not self._calls:
                raise self._over(at_most * self._excess)
            self._changed.clear()
            await self._changed.wait()
        reserved = at_most * self._excess
        self._reserved += reserved
        self._calls += 1
        return reserved

    def commit(self, request: CompletionRequest) -> None:
        """Count a call that is answered later with what it may cost at most. Raises OverBudget."""
        at_most = self.prices.at_most(request)
        if self.spent + at_most > self.most + _TOLERANCE_USD:
            raise self._over(at_most)
        self.spent += at_most

    def _over(self, at_most: float) -> OverBudget:
        return OverBudget(
            f"the next call may cost ${at_most:.6f}, and of --max-cost ${self.most:g} "
            f"${max(0.0, self.left):.6f} is left",
            hint="the same command with a higher --max-cost goes on from here",
        )

    def settle(
        self, request: CompletionRequest, reserved: float, ended: Completion | ModelError | None
    ) -> None:
        self._calls -= 1
        self._reserved = self._reserved - reserved if self._calls else 0.0
        cost = self.prices.of(request, ended, reserved)
        self.spent += cost
        if foreseen := self.prices.at_most(request):
            self._excess = max(self._excess, cost / foreseen)
        self._changed.set()
