"""``promptops release gate``: the pairs that a plan wants before a canary starts."""

from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.release import TargetArgument, YesOption
from promptops.cli.options.replay import ReplayOptions, read_replay_options
from promptops.cli.shadow_gate_request import prepare_rollout_shadow, with_gate
from promptops.cli.shadow_replays import ReportTarget, read_report_target, run_replays
from promptops.cli.shadow_requests import build_shadow_requests
from promptops.config.settings import current_settings
from promptops.console import note


@with_option_groups(
    without=("recorded", "sample", "shard", "on"), replay=read_replay_options, target=read_report_target
)
def release_gate(
    name: TargetArgument, yes: YesOption = False, *, replay: ReplayOptions, target: ReportTarget
) -> int:
    """Answer logged inputs with stable and a canary that waits in its shadow phase, as its plan says.

    This spends money: off a terminal it needs --yes. `tick` reads the pairs, and starts or ends the canary.
    """
    settings = current_settings()
    wanted = prepare_rollout_shadow(settings, name, yes=yes)
    replay = with_gate(replay, wanted)
    requests = build_shadow_requests(wanted.candidate, wanted.control, [], settings, replay)
    code = run_replays(requests, settings, replay, target)
    note(f"next: promptops tick {wanted.target}")
    return code
