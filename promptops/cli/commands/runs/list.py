"""``promptops runs list``: the latest runs, newest first."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import LimitOption, RunsArgument, filter_by_reference, read_run_filter
from promptops.cli.reports.numbers import integer_cell, usd_cell
from promptops.cli.reports.run_tables import format_age, run_result, run_version
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.registry import RegistryDatabase, RunFilter, RunRecord, list_runs, short_ids


@with_option_groups(filters=read_run_filter)
def runs_list(
    reference: RunsArgument = None,
    *,
    filters: RunFilter,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List the latest runs, newest first. The start of a run's id is enough to name it."""
    settings = current_settings()
    chosen = filter_by_reference(filters, reference, settings)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        runs = list_runs(registry, chosen, limit=limit)
        ids = short_ids(registry, [run["run_id"] for run in runs])
    if as_json:
        print_json(runs)
    elif not runs:
        note(f"no such runs in {settings.registry}" if reference else f"no runs in {settings.registry}")
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
