"""``promptops release gate``: the pairs that a plan wants before a canary starts."""

from promptops.cli.options.common import JsonOption, OutOption
from promptops.cli.options.evaluation import NoWorseOption
from promptops.cli.options.model_calls import JobsOption, MaxCostOption
from promptops.cli.options.release import TargetArgument, YesOption
from promptops.cli.options.replay import (
    InputSelection,
    LastOption,
    PairJudgeOption,
    ReplayFileOption,
    ReplayOptions,
    ReplaySettings,
    RestartReplayOption,
    SelectOption,
    SemanticOption,
    SettingOption,
    StopRule,
    UntilOption,
)
from promptops.cli.shadow_gate_request import prepare_rollout_shadow, with_gate
from promptops.cli.shadow_replays import ReportTarget, ShadowFormat, ShadowFormatOption, run_replays
from promptops.cli.shadow_requests import build_shadow_requests
from promptops.config.settings import current_settings
from promptops.console import note


def release_gate(
    target: TargetArgument,
    yes: YesOption = False,
    last: LastOption = None,
    file: ReplayFileOption = None,
    select: SelectOption = None,
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
    """Answer logged inputs with stable and a canary that waits in its shadow phase, as its plan says.

    This spends money: off a terminal it needs --yes. `tick` reads the pairs, and starts or ends the canary.
    """
    settings = current_settings()
    chosen = ReplayOptions(
        inputs=InputSelection.read(file, last, None, select),
        settings=ReplaySettings.read(options),
        until=StopRule.read(until),
        judge=judge,
        semantic=semantic,
        no_worse_than=no_worse_than,
        jobs=jobs,
        max_cost=max_cost,
        restart=restart,
    )
    gate = prepare_rollout_shadow(settings, target, yes=yes)
    chosen = with_gate(chosen, gate)
    requests = build_shadow_requests(gate.candidate, gate.control, [], settings, chosen)
    code = run_replays(requests, settings, chosen, ReportTarget("json" if as_json else form.value, out))
    note(f"next: promptops tick {gate.target}")
    return code
