"""``promptops shadow noise``: how much a version differs from itself."""

from promptops.cli.options.common import JsonOption, OutOption, ReferenceArgument
from promptops.cli.options.evaluation import NoWorseOption
from promptops.cli.options.model_calls import JobsOption, MaxCostOption
from promptops.cli.options.replay import (
    InputSelection,
    LastOption,
    PairJudgeOption,
    ReplayFileOption,
    ReplayOptions,
    ReplaySettings,
    RestartReplayOption,
    SampleOption,
    SelectOption,
    SemanticOption,
    SettingOption,
)
from promptops.cli.shadow_replays import ReportTarget, ShadowFormat, ShadowFormatOption, run_replays
from promptops.cli.shadow_requests import build_noise_request
from promptops.config.settings import current_settings


def shadow_noise(
    reference: ReferenceArgument,
    last: LastOption = None,
    sample: SampleOption = None,
    file: ReplayFileOption = None,
    select: SelectOption = None,
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
    """Answer real inputs twice with one version: differences smaller than these mean nothing."""
    settings = current_settings()
    chosen = ReplayOptions(
        inputs=InputSelection.read(file, last, sample, select),
        settings=ReplaySettings.read(options),
        noise=True,
        judge=judge,
        semantic=semantic,
        no_worse_than=no_worse_than,
        jobs=jobs,
        max_cost=max_cost,
        restart=restart,
    )
    request = build_noise_request(reference, settings, chosen)
    return run_replays([request], settings, chosen, ReportTarget("json" if as_json else form.value, out))
