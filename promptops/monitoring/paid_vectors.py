"""Vectors of texts within a budget."""

import asyncio
import math
import os
from collections.abc import Sequence

from promptops.config.settings import Settings
from promptops.errors import Invalid
from promptops.providers.catalog import Catalog
from promptops.providers.embeddings import EmbeddingCall, embedding_endpoint
from promptops.providers.http.network import Network
from promptops.providers.http.single import SingleTransport
from promptops.providers.types import CompletionRequest, ModelError
from promptops.runner.batch import BatchOptions
from promptops.runner.batch.budget import Budget, Prices

_NO_ANSWER = {"max_tokens": 1}  # vectors are no tokens: this bounds what a call may cost


class PaidVectors:
    """Asks a model for vectors."""

    def __init__(self, settings: Settings, model: str, options: BatchOptions) -> None:
        """Raises Invalid or ModelError where nothing could be asked, or a budget not be kept."""
        if "/" not in model:
            raise Invalid(
                f"--semantic {model}: which provider?", hint="--semantic openai/text-embedding-3-small"
            )
        embedding_endpoint(model, os.environ)
        catalog, most = Catalog.load(settings), options.max_cost
        if most is not None and options.assume_cost is None and catalog.price(model) is None:
            raise Invalid(
                f"the price of {model} is unknown, so --max-cost cannot be enforced",
                hint="--assume-cost USD says what one call costs, or give prices under `models:`",
            )
        prices = Prices(catalog, options.assume_cost)
        self._budget = Budget(math.inf if most is None else most, prices)
        self._model = model
        self._timeout = options.limits.timeout
        self.texts = 0

    @property
    def spent(self) -> float:
        return self._budget.spent

    def __call__(self, texts: Sequence[str]) -> list[list[float]]:
        """One of each text. Raises OverBudget before the budget is passed, and ModelError."""
        return asyncio.run(self._ask(texts))

    async def _ask(self, texts: Sequence[str]) -> list[list[float]]:
        call = EmbeddingCall(self._model, texts, None, SingleTransport(Network.from_env(os.environ)))
        messages = tuple({"role": "user", "content": text} for text in texts)
        request = CompletionRequest(
            model=self._model, messages=messages, parameters=_NO_ANSWER, timeout=self._timeout
        )
        reserved = await self._budget.reserve(request)
        try:
            answer = await call.complete(request)
        except ModelError as error:
            self._budget.settle(request, reserved, error)
            raise
        self._budget.settle(request, reserved, answer)
        self.texts += len(texts)
        return call.vectors
