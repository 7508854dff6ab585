"""``promptops last``: the answer of one's own last run, once more."""

from typing import Annotated

from promptops.cli.last_run import find_logged_run, own_run_ids
from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import id_option, limit_option
from promptops.cli.reports.run_tables import run_result, run_version
from promptops.config.settings import current_settings
from promptops.console import note, note_dimly, print_json, print_text
from promptops.prompt.tool_calls import answer_text
from promptops.registry import RegistryDatabase, RunRecord, without_held_text

LimitOption = Annotated[int | None, limit_option("Print so many of your latest runs, the newest last.")]
IdOption = Annotated[bool, id_option("Print the run's id alone.")]


def last(limit: LimitOption = None, only_id: IdOption = False, as_json: JsonOption = False) -> int:
    """Print the answer of your own last run. Exit 1 where it has none.

    As a run's id, `last` names the same run: promptops feedback last up. --json prints what runs show
    prints of a run, without its messages; with -n as a list.
    """
    settings = current_settings()
    ids = own_run_ids(settings)[: limit or 1][::-1]
    if only_id:
        for run_id in ids:
            print_text(run_id)
        return 0
    with RegistryDatabase.open_existing(settings.registry) as registry:
        runs = [without_held_text(registry, find_logged_run(registry, run_id, settings)) for run_id in ids]
    if as_json:
        print_json(runs[0] if limit is None else runs)
        return 0
    answered = [_print(run, alone=limit is None) for run in runs]
    return int(not all(answered))


def _print(run: RunRecord, *, alone: bool) -> bool:
    """Whether there was an answer to print; else stderr says why there is none."""
    if not alone:
        note_dimly(f"{run['run_id']}  {run_version(run)}  {run_result(run)}")
    if run["output"] is not None or run["tool_calls"]:
        print_text(answer_text(run["output"], run["tool_calls"]))
    if run["state"] == "finished" and (run["output"] is not None or run["tool_calls"]):
        return True
    note(f"run {run['run_id']} {_why_no_answer(run)}")
    return False


def _why_no_answer(run: RunRecord) -> str:
    if run["held"] not in (None, "released"):
        return f"is held: {run['held']}"
    if run["error"]:
        return f"failed: {run['error']['message'] or run['error']['type']}"
    return "has not ended" if run["state"] == "started" else "has no answer in the log"
