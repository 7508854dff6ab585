"""``promptops release sync``: fetch what others released, and hand in what is here alone."""

from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import project_release_context
from promptops.console import print_json, print_text
from promptops.release.context import open_optional_registry

DiscardOption = Annotated[
    bool,
    typer.Option("--discard", help="Give up what was done here where it contradicts what others did."),
]


def release_sync(discard: DiscardOption = False, as_json: JsonOption = False) -> None:
    """Fetch what others released, and do again on top of it what was done here while offline.

    A rollback or abort wins over a start, advance or pause of the same canary.
    """
    with project_release_context(registry=open_optional_registry) as context:
        done = context.ledger.sync(discard=discard)
    if as_json:
        print_json(asdict(done))
        return
    for subject in done.replayed:
        print_text(f"handed in: {subject}")
    for subject in done.dropped:
        print_text(f"dropped: {subject}")
    if not done.replayed and not done.dropped:
        quiet = "nothing to hand in; " + ("something new was fetched" if done.fetched else "nothing new")
        print_text("there is no remote" if done.pushed is None else quiet)
