"""``promptops release sync``: fetch remote releases and push local ones."""

from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import project_release_context
from promptops.console import print_json, print_text
from promptops.errors import ExitCode
from promptops.release.context import is_tampered, open_optional_registry
from promptops.release.state_trust import tampering_error

DiscardOption = Annotated[
    bool,
    typer.Option("--discard", help="Give up what was done here where it contradicts what others did."),
]


def release_sync(discard: DiscardOption = False, as_json: JsonOption = False) -> int:
    """Fetch remote releases, and push local ones on top of them.

    A rollback or abort wins over a start, advance or pause of the same canary. Exit code 4 says that a file
    was changed by hand there: nothing is taken over; `release verify` names it, `release recover` repairs it.
    """
    with project_release_context(registry=open_optional_registry) as context:
        done = context.ledger.sync(discard=discard, strict=True)
        if is_tampered(context):
            raise tampering_error(context.ledger.tampering())
    if as_json:
        print_json(asdict(done))
        return ExitCode.OK
    for subject in done.replayed:
        print_text(f"pushed: {subject}")
    for subject in done.dropped:
        print_text(f"dropped: {subject}")
    if not done.replayed and not done.dropped:
        quiet = "nothing to push; " + ("something new was fetched" if done.fetched else "nothing new")
        print_text("there is no remote" if done.pushed is None else quiet)
    return ExitCode.OK
