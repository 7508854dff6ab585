"""``promptops shadow noise``: how much a version differs from itself."""

from promptops.cli.options.common import ReferenceArgument
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.replay import ReplayOptions, read_replay_options
from promptops.cli.shadow_replays import ReportTarget, read_report_target, run_replays
from promptops.cli.shadow_requests import build_noise_request
from promptops.config.settings import current_settings


@with_option_groups(
    without=("recorded", "until", "shard", "on"), replay=read_replay_options, target=read_report_target
)
def shadow_noise(reference: ReferenceArgument, replay: ReplayOptions, target: ReportTarget) -> int:
    """Answer real inputs twice with one version: differences smaller than these mean nothing."""
    settings = current_settings()
    request = build_noise_request(reference, settings, replay)
    return run_replays([request], settings, replay, target)
