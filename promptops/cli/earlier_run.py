"""Which run ``run -c`` and ``chat -c`` go on from, and with which words."""

import sys
from dataclasses import replace

from promptops.cli.last_run import find_logged_run, own_run_ids
from promptops.cli.planned_call import RunOptions
from promptops.config.settings import Settings
from promptops.config.text import decode_input
from promptops.console import note
from promptops.errors import Invalid, NotFound, WrongUsage
from promptops.registry import RegistryDatabase, RunRecord, get_run, open_with_waiting_runs
from promptops.runner.conversation import EarlierTurn, read_earlier_turn
from promptops.versions.references import parse_reference
from promptops.versions.working_tree import working_tree_names

Words = tuple[str | None, str | None]


def continue_run(settings: Settings, options: RunOptions, words: Words, run: str) -> tuple[str, RunOptions]:
    """The reference and options of a run that goes on from another."""
    reference, message = _reference_and_message(settings, options, words)
    name = parse_reference(reference, settings).name if reference else None
    earlier = find_earlier_turn(settings, name, run)
    if message == "-":
        message = decode_input(sys.stdin.buffer.read(), "stdin")
    longer = replace(options, earlier=earlier, text=message, converses=True)
    return reference or earlier.started.reference, longer


def find_earlier_turn(settings: Settings, name: str | None, run: str = "") -> EarlierTurn:
    """The named run, else one's own last run of the prompt that a model has answered."""
    with open_with_waiting_runs(settings) as registry:
        record = (
            _own_answered_run(registry, settings, name)
            if not run
            else find_logged_run(registry, run, settings)
        )
        if name not in (None, record["prompt"]):
            raise Invalid(
                f"run {record['run_id']} is of {record['prompt']}, not of {name}",
                hint=f"promptops runs list {name} shows those of {name}",
            )
        return read_earlier_turn(registry, record, settings)


def _own_answered_run(registry: RegistryDatabase, settings: Settings, name: str | None) -> RunRecord:
    """What is passed over on the way to it is said: a run that is newer is the one that people expect."""
    passed_over = ""
    for run_id in own_run_ids(settings):
        try:
            run = get_run(registry, run_id)
        except NotFound:  # pruned, or it waits beside a registry that cannot be written
            passed_over = passed_over or f"run {run_id} is not in the registry"
            continue
        if name not in (None, run["prompt"]):
            continue
        finished = run["state"] == "finished" and not run["error"]
        if finished or run["held"] or run["output"] or run["tool_calls"]:
            if passed_over:
                note(f"{passed_over}; going on from run {run['run_id']}")
            return run
        passed_over = passed_over or f"run {run_id} was not answered"
    raise NotFound(
        f"there is no answered run of {name or 'yours'} to go on from",
        hint="--run RUN names one; `promptops runs list` shows the latest of everybody",
    )


def _reference_and_message(settings: Settings, options: RunOptions, words: Words) -> Words:
    """One word alone is the message, as with ``llm -c``, unless an input has the message."""
    reference, message = words
    if message is not None or reference is None:
        return words
    if options.inputs or options.inputs_file:
        return words
    if reference in working_tree_names(settings):
        raise WrongUsage(
            f"{reference} is a prompt: what is to be said to it?",
            hint=f"promptops run {reference} -c MESSAGE",
        )
    return None, reference
