"""``promptops shadow run``: two versions on real inputs, without serving the answers to users."""

from dataclasses import replace
from typing import Annotated

import typer

from promptops.cli.options.evaluation import ModelsOption
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.provider_batch import ProviderOptions, read_provider_options
from promptops.cli.options.replay import ReplayOptions, read_replay_options
from promptops.cli.shadow_replays import ReportTarget, read_report_target, run_replays
from promptops.cli.shadow_requests import ControlOption, build_shadow_requests
from promptops.config.settings import current_settings
from promptops.errors import Invalid

CandidateArgument = Annotated[
    str | None,
    typer.Argument(metavar="REF", help="The candidate: NAME, NAME@REV, NAME:CHANNEL or a prompt file."),
]


@with_option_groups(replay=read_replay_options, provider=read_provider_options, target=read_report_target)
def shadow_run(
    reference: CandidateArgument = None,
    against: ControlOption = None,
    models: ModelsOption = None,
    *,
    replay: ReplayOptions,
    provider: ProviderOptions,
    target: ReportTarget,
) -> int:
    """Answer real inputs with two versions, without serving the answers, until it is clear which does better.

    Inputs are the log's, each once; both versions are asked now. The same command goes on where an earlier
    one stopped: no finished pair is made again.
    """
    if reference is None:
        raise Invalid("which prompt?", hint="promptops shadow run NAME@REV")
    settings = current_settings()
    replay = replace(replay, provider=provider)
    requests = build_shadow_requests(reference, against, models or [], settings, replay)
    return run_replays(requests, settings, replay, target)
