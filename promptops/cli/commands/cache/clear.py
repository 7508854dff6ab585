"""``promptops cache clear``: forget answers, keep runs."""

from dataclasses import replace
from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import older_than_option
from promptops.cli.options.run_filters import ModelFilter, RunsArgument, filter_by_reference
from promptops.config.settings import current_settings
from promptops.console import print_json, print_text
from promptops.registry import RegistryDatabase, RunFilter, clear_cache, parse_time

OlderOption = Annotated[str | None, older_than_option("Only answers older than 30d, or a date.")]


def cache_clear(
    reference: RunsArgument = None,
    model: ModelFilter = None,
    older_than: OlderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let answers not be used again. The runs that gave them stay in the registry."""
    settings = current_settings()
    chosen = filter_by_reference(RunFilter(model=model), reference, settings)
    if older_than:
        chosen = replace(chosen, until=parse_time(older_than, "--older-than"))
    with RegistryDatabase.open_existing(settings.registry) as registry:
        cleared = clear_cache(registry, chosen)
    if as_json:
        print_json({"cleared": cleared})
        return
    print_text(f"{cleared:,} answers will not be used again; no run was deleted")
