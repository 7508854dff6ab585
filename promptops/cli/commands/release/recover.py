"""``promptops release recover``: bring back a state branch that is gone or damaged."""

from dataclasses import asdict

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, desk_here
from promptops.console import print_json, print_text
from promptops.release.context import at_hand


def release_recover(local: LocalOption = False, as_json: JsonOption = False) -> None:
    """Bring back the state branch from any clone that has it, and its files from its own history."""
    with desk_here(local=local, registry=at_hand) as desk:
        done = desk.ledger.recover()
    if as_json:
        print_json(asdict(done))
        return
    if done.branch:
        print_text(f"promptops-state is back at {done.commit[:12]}, found as {done.branch}")
    for path in done.files:
        print_text(f"mended: {path}")
    if not done.branch and not done.files:
        print_text("nothing is missing and nothing is damaged")
