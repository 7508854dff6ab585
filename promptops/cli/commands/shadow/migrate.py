"""``promptops shadow migrate``: which prompts survive the move from one model to another."""

from dataclasses import replace
from typing import Annotated

import typer

from promptops.cli.model_migration import build_migration_requests
from promptops.cli.options.flags import model_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.replay import ReplayOptions, read_replay_options
from promptops.cli.shadow_replays import ReportTarget, read_report_target, run_replays
from promptops.config.settings import current_settings

NamesArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="This prompt, or those that match; may hold *.")
]
MovesOption = Annotated[
    list[str] | None, model_option("Prompts pinned to OLD are tried with NEW.", metavar="OLD=NEW")
]


@with_option_groups(without=("shard", "on"), replay=read_replay_options, target=read_report_target)
def shadow_migrate(
    names: NamesArgument = None,
    models: MovesOption = None,
    *,
    replay: ReplayOptions,
    target: ReportTarget,
) -> int:
    """Try every prompt that is pinned to a model with another one, and list them, worst first."""
    settings = current_settings()
    requests = build_migration_requests(names, models or [], settings, replay)
    return run_replays(requests, settings, replay, replace(target, table=True))
