"""``promptops runs list``: the latest runs, newest first."""

from dataclasses import replace
from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import all_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import LimitOption, RunsArgument, filter_by_reference, read_run_filter
from promptops.cli.reports.run_tables import format_age, run_result, run_version
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.registry import RegistryDatabase, RunFilter, RunRecord, list_runs, short_ids
from promptops.reports.numbers import integer_cell, usd_cell

AllOption = Annotated[bool, all_option("Also runs of batch, eval, judge and shadow.")]


@with_option_groups(filters=read_run_filter)
def runs_list(
    reference: RunsArgument = None,
    *,
    filters: RunFilter,
    limit: LimitOption = 20,
    every: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the latest runs that served somebody, newest first. The start of a run's id is enough to name it.

    Those are the runs of people and of channels; --all and --kind list others too.
    """
    settings = current_settings()
    chosen = filter_by_reference(filters, reference, settings)
    served = chosen.kind is None and not every
    chosen = replace(chosen, traffic=True) if served else chosen
    with RegistryDatabase.open_existing(settings.registry) as registry:
        runs = list_runs(registry, chosen, limit=limit)
        ids = short_ids(registry, [run["run_id"] for run in runs])
    if as_json:
        print_json(runs)
    elif not runs:
        more = "; --all lists those of batch, eval, judge and shadow too" if served else ""
        note(f"{'no such runs' if reference else 'no runs'} in {settings.registry}{more}")
    else:
        rows = [
            (ids[run["run_id"]], format_age(run["started_at"]), run_version(run), _result(run),
             integer_cell(run["latency_ms"]), usd_cell(run["spent_usd"]))
            for run in runs
        ]  # fmt: skip
        print_table(("RUN", "AGE", "VERSION", "RESULT", "MS", "SPENT"), rows, numeric=(1, 4, 5))


def _result(run: RunRecord) -> str:
    """With the kind of what was no answer to anybody."""
    return run_result(run) if run["kind"] in ("run", "batch") else f"{run_result(run)} ({run['kind']})"
