"""``promptops shadow run``: two versions on real inputs, without serving the answers to users."""

from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption, OutOption
from promptops.cli.options.evaluation import ModelsOption, NoWorseOption
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
from promptops.cli.shadow_requests import ControlOption, build_shadow_requests
from promptops.config.settings import current_settings
from promptops.errors import Invalid

CandidateArgument = Annotated[
    str | None,
    typer.Argument(metavar="REF", help="The candidate: NAME, NAME@REV, NAME:CHANNEL or a prompt file."),
]


def shadow_run(
    reference: CandidateArgument = None,
    against: ControlOption = None,
    models: ModelsOption = None,
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
    """Answer real inputs with two versions, without serving the answers, until it is clear which does better.

    Inputs are the log's, each once; both versions are asked now. The same command goes on where an earlier
    one stopped: no finished pair is made again.
    """
    if reference is None:
        raise Invalid("which prompt?", hint="promptops shadow run NAME@REV")
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
    requests = build_shadow_requests(reference, against, models or [], settings, chosen)
    return run_replays(requests, settings, chosen, ReportTarget("json" if as_json else form.value, out))
