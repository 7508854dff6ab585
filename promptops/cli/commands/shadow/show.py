"""``promptops shadow show``: one shadow run, with what broke and what was fixed."""

from typing import Annotated

import typer

from promptops.cli.live_shadows import live_shadow_on
from promptops.cli.options.groups import with_option_groups
from promptops.cli.shadow_replays import ReportTarget, read_report_target, write_comparisons
from promptops.config.settings import current_settings
from promptops.evaluation.shadow.live_status import live_comparison
from promptops.evaluation.shadow.stored import stored_comparison
from promptops.registry import RegistryDatabase, get_shadow_run, list_shadow_runs

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="SHADOW",
        help="The id of a shadow run or its start; NAME: its latest; NAME:CHANNEL: what shadows it.",
    ),
]


@with_option_groups(target=read_report_target)
def shadow_show(which: IdArgument, target: ReportTarget) -> int:
    """Show what a shadow run has found, from the runs that it logged."""
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        if ":" in which:
            comparison = live_comparison(registry, live_shadow_on(settings, which))
        else:
            latest = list_shadow_runs(registry, which, limit=1)
            comparison = stored_comparison(registry, latest[0] if latest else get_shadow_run(registry, which))
    write_comparisons([comparison], target, settings.log)
    return 0
