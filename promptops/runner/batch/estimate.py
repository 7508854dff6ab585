"""What runs would cost before any is made."""

import os

from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.errors import OverBudget
from promptops.prompt import Prompt
from promptops.prompt.render import RenderedPrompt
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.pricing import BATCH_TIER
from promptops.providers.types import ModelClient
from promptops.registry import NoJournal, RegistryDatabase, ReplyCache
from promptops.runner import Runner
from promptops.runner.batch.budget import Prices
from promptops.runner.batch.options import BatchOptions
from promptops.runner.retry import request_for


class CostEstimator(Closing):
    """Use as a context. What the cache holds costs nothing."""

    def __init__(self, settings: Settings, options: BatchOptions) -> None:
        catalog = Catalog.load(settings)
        self._settings = settings
        self._catalog = catalog
        self._prices = Prices(catalog, options.assume_cost, BATCH_TIER if options.provider else None)
        self._registry = RegistryDatabase.open_existing(settings.registry)
        replies = ReplyCache.open(self._registry) if options.cache == "use" else None
        self._adapters: dict[str, ModelClient] = {}
        self._runner = Runner(self._adapter, catalog, NoJournal(), replies=replies)

    def close(self) -> None:
        self._registry.close()

    def check(self, prompt: Prompt) -> None:
        """Raise Invalid when the prompt's calls cannot be priced."""
        self._prices.check(prompt)

    def of(self, prompt: Prompt, rendered: RenderedPrompt, trial: int = 0) -> float:
        """What one run costs at most, without retries and repairs."""
        if self._runner.find(prompt, rendered, trial):
            return 0.0
        return self._prices.at_most(request_for(prompt, prompt.model, rendered.messages))

    def _adapter(self, model: str) -> ModelClient:
        if model not in self._adapters:
            self._adapters[model] = create_client(model, self._settings, os.environ, catalog=self._catalog)
        return self._adapters[model]


def check_max_cost(most: float, spent: float, costs: list[float]) -> None:
    """Raise OverBudget when what is still to be called may cost more than is left."""
    total, calls = sum(costs), sum(cost > 0 for cost in costs)
    if spent + total > most:
        before = f" beside ${spent:.4f} spent before" if spent else ""
        raise OverBudget(
            f"{calls:,} calls may cost ${total:.4f}{before}, above --max-cost ${most:g}; nothing was called",
            hint="raise --max-cost, lower parameters.max_tokens, or give fewer lines",
        )
