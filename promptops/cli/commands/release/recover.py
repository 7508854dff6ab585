"""``promptops release recover``: bring back a state branch that is gone or damaged."""

from dataclasses import asdict

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import LocalOption, project_release_context
from promptops.console import print_json, print_text
from promptops.release.context import open_optional_registry


def release_recover(local: LocalOption = False, as_json: JsonOption = False) -> None:
    """Restore the state branch from any clone that has it, and its files from its own history."""
    with project_release_context(local=local, registry=open_optional_registry) as context:
        done = context.ledger.recover()
    if as_json:
        print_json(asdict(done))
        return
    if done.branch:
        print_text(f"promptops-state is back at {done.commit[:12]}, found as {done.branch}")
    for path in done.files:
        print_text(f"repaired: {path}")
    for subject in done.replayed:
        print_text(f"made again: {subject}")
    for subject in done.dropped:
        print_text(f"left out: {subject}; refs/promptops/discarded has it")
    if not done.branch and not done.files:
        print_text("nothing is missing and nothing is damaged")
