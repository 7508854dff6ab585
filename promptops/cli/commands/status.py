"""``promptops status``: what is live, and how a canary is doing."""

import time
from enum import StrEnum
from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import exit_code_option, format_option, watch_option
from promptops.cli.options.release import TargetsArgument, project_release_context
from promptops.cli.reports.release import print_status
from promptops.console import clear_screen, note
from promptops.errors import ExitCode
from promptops.registry import RegistryDatabase
from promptops.release.context import is_tampered, resolve_targets
from promptops.release.status import statuses_of
from promptops.release.status_view import StatusView

_REFRESH_INTERVAL_S = 2.0


class StatusFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


FormatOption = Annotated[StatusFormat, format_option("text, json, markdown, html.", metavar="FORMAT")]
WatchOption = Annotated[
    bool,
    watch_option("Show it again every two seconds, with calls that no tick has scored yet."),
]
ExitCodeOption = Annotated[
    bool,
    exit_code_option("Exit 3 while a canary is active, 4 while its evidence is invalid."),
]


def status(
    names: TargetsArgument = None,
    form: FormatOption = StatusFormat.TEXT,
    watch: WatchOption = False,
    exit_code: ExitCodeOption = False,
    as_json: JsonOption = False,
) -> int:
    """Show what each channel serves and how its canary is doing: phase, weight, evidence, what is missing.

    It reads what the last tick has found and moves nothing; with --watch it also scores what came since,
    without keeping that. Exit code 4 says that the state branch was
    changed by hand: what is shown is the last good state.
    """
    chosen = StatusFormat.JSON if as_json else form
    while True:
        views, tampered = _views(names or [], recompute=watch)
        if watch:
            clear_screen()
        if not views and chosen is StatusFormat.TEXT:
            note("nothing is released yet: promptops promote NAME@REV releases a version")
        else:
            print_status(views, chosen.value)
        if not watch:
            return ExitCode.INVALID if tampered else _status_exit_code(views) if exit_code else ExitCode.OK
        time.sleep(_REFRESH_INTERVAL_S)


def _views(names: list[str], *, recompute: bool) -> tuple[list[StatusView], bool]:
    """Each channel, and whether the state of one of them was tampered with."""
    with project_release_context(registry=RegistryDatabase.open_existing) as context:
        pending = context.ledger.pending()
        targets = resolve_targets(names, context)
        with context.ledger.branch.pinned():
            views = statuses_of(context, targets, pending, recompute=recompute)
            tampered = any(is_tampered(context, target.prompt) for target in targets)
            return views, tampered or (not names and is_tampered(context))


def _status_exit_code(views: list[StatusView]) -> int:
    phases = {view.rollout.phase for view in views if view.rollout}
    if "invalid" in phases:
        return ExitCode.INVALID
    return ExitCode.UNDECIDED if phases else ExitCode.OK
