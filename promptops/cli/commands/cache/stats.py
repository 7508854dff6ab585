"""``promptops cache stats``: what of earlier answers can be used again."""

from dataclasses import asdict

from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import ModelFilter, RunsArgument, filter_by_reference
from promptops.config.settings import current_settings
from promptops.console import print_json, print_text
from promptops.registry import RegistryDatabase, RunFilter
from promptops.registry import read_cache_stats as stats_of


def cache_stats(
    reference: RunsArgument = None, model: ModelFilter = None, as_json: JsonOption = False
) -> None:
    """Count the answers that later batches and evals can use again, and what that has saved."""
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        stats = stats_of(registry, filter_by_reference(RunFilter(model=model), reference, settings))
    if as_json:
        print_json(asdict(stats))
        return
    print_text(f"{stats.replies:,} answers can be used again; {stats.stale:,} were cleared")
    print_text(f"{stats.hits:,} runs were answered from the cache, which saved ${stats.saved_usd:.4f}")
