"""``promptops shadow migrate``: which prompts survive the move from one model to another."""

from typing import Annotated

import typer

from promptops.cli.model_migration import build_migration_requests
from promptops.cli.options.common import JsonOption, OutOption
from promptops.cli.options.evaluation import NoWorseOption
from promptops.cli.options.flags import model_option
from promptops.cli.options.model_calls import JobsOption, MaxCostOption
from promptops.cli.options.replay import (
    InputSelection,
    LastOption,
    PairJudgeOption,
    RecordedOption,
    ReplayFileOption,
    ReplayOptions,
    ReplaySettings,
    RestartReplayOption,
    SampleOption,
    SelectOption,
    SemanticOption,
    SettingOption,
    StopRule,
    UntilOption,
)
from promptops.cli.shadow_replays import ReportTarget, ShadowFormat, ShadowFormatOption, run_replays
from promptops.config.settings import current_settings
from promptops.errors import Invalid

NamesArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="This prompt, or those that match; may hold *.")
]
MovesOption = Annotated[
    list[str] | None,
    model_option("Prompts pinned to OLD are tried with NEW.", metavar="OLD=NEW"),
]


def shadow_migrate(
    names: NamesArgument = None,
    models: MovesOption = None,
    last: LastOption = None,
    sample: SampleOption = None,
    file: ReplayFileOption = None,
    select: SelectOption = None,
    recorded: RecordedOption = False,
    until: UntilOption = "verdict",
    judge: PairJudgeOption = None,
    semantic: SemanticOption = None,
    no_worse_than: NoWorseOption = None,
    jobs: JobsOption = 4,
    max_cost: MaxCostOption = None,
    options: SettingOption = None,
    restart: RestartReplayOption = False,
    form: ShadowFormatOption = ShadowFormat.text,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> int:
    """Try every prompt that is pinned to a model with another one, and list them, worst first."""
    if recorded and file:
        raise Invalid("--recorded needs answers of the log", hint="leave out --inputs")
    settings = current_settings()
    chosen = ReplayOptions(
        inputs=InputSelection.read(file, last, sample, select),
        settings=ReplaySettings.read(options),
        until=StopRule.read(until),
        recorded=recorded,
        judge=judge,
        semantic=semantic,
        no_worse_than=no_worse_than,
        jobs=jobs,
        max_cost=max_cost,
        restart=restart,
    )
    requests = build_migration_requests(names, models or [], settings, chosen)
    target = ReportTarget("json" if as_json else form.value, out, table=True)
    return run_replays(requests, settings, chosen, target)
