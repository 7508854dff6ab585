"""``promptops runs list``: the latest runs, newest first."""

from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import (
    ChannelFilter,
    CostFilter,
    ErrorFilter,
    KindFilter,
    LatencyFilter,
    LimitOption,
    ModelFilter,
    RunsArgument,
    SinceFilter,
    TagFilter,
    runs_of,
)
from promptops.cli.reports.run_tables import age, result_of, usd, version_of, whole
from promptops.config.settings import here
from promptops.console import note, print_json, print_table
from promptops.registry.runs.queries import Run, list_runs, short_ids
from promptops.registry.store import Registry


def runs_list(
    reference: RunsArgument = None,
    model: ModelFilter = None,
    error: ErrorFilter = None,
    since: SinceFilter = None,
    min_cost: CostFilter = None,
    min_latency: LatencyFilter = None,
    channel: ChannelFilter = None,
    tag: TagFilter = None,
    kind: KindFilter = None,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """List the latest runs, newest first. The start of a run's id is enough to name it."""
    settings = here()
    chosen = runs_of(
        reference, settings, model=model, error=error, since=since, min_cost=min_cost,
        min_latency=min_latency, channel=channel, tag=tag, kind=kind,
    )  # fmt: skip
    with Registry.open_existing(settings.registry) as registry:
        runs = list_runs(registry, chosen, limit=limit)
        ids = short_ids(registry, [run["run_id"] for run in runs])
    if as_json:
        print_json(runs)
    elif not runs:
        note(f"no such runs in {settings.registry}" if reference else f"no runs in {settings.registry}")
    else:
        rows = [
            (ids[run["run_id"]], age(run["started_at"]), version_of(run), _result(run),
             whole(run["latency_ms"]), usd(run["cost_usd"]))
            for run in runs
        ]  # fmt: skip
        print_table(("RUN", "AGE", "VERSION", "RESULT", "MS", "USD"), rows, numeric=(1, 4, 5))


def _result(run: Run) -> str:
    """With the kind of what was no answer to anybody."""
    return result_of(run) if run["kind"] in ("run", "batch") else f"{result_of(run)} ({run['kind']})"
