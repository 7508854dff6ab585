"""``promptops runs stats``: sums over runs."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import RunsArgument, filter_by_reference, read_run_filter
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.registry import (
    RegistryDatabase,
    RunFilter,
    StatsRow,
    read_guard_stats,
    read_non_traffic_stats,
    read_run_stats,
)
from promptops.reports.numbers import integer_cell, short_count, usd_cell


class GroupBy(StrEnum):
    PROMPT = "prompt"
    VERSION = "version"
    MODEL = "model"
    DAY = "day"


ByOption = Annotated[
    GroupBy | None, typer.Option("--by", help="A row for each. Of one prompt: version; else prompt.")
]
STATS_HEADERS = ("CALLS", "ERRORS", "TOKENS", "SPENT", "LIST", "HITS", "CHECKS", "P50 MS", "P95 MS")


@with_option_groups(without=("error", "min_cost", "min_latency"), filters=read_run_filter)
def runs_stats(
    reference: RunsArgument = None,
    by: ByOption = None,
    *,
    filters: RunFilter,
    as_json: JsonOption = False,
) -> None:
    """Sum up calls, errors, tokens, cost, cache hits and latency.

    SPENT is what was paid in USD, LIST what the answers would have cost had none come from the cache.
    Only runs that served somebody count, those of a batch on a channel too, unless --kind names another;
    other batches, eval, shadow and judge runs are summed up below them. Where prompts have guards, a table
    says what each of them did.
    """
    settings = current_settings()
    chosen = filter_by_reference(filters, reference, settings)
    chosen = replace(chosen, traffic=None if chosen.kind else True)
    by = by or (GroupBy.VERSION if reference and "*" not in reference else GroupBy.PROMPT)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        rows = read_run_stats(registry, chosen, by.value)
        others = [] if chosen.kind else read_non_traffic_stats(registry, chosen)
        guards = read_guard_stats(registry, chosen)
    if as_json:
        found = {"by": by.value, "kind": chosen.kind or "run", "rows": rows, "apart": others}
        print_json({**found, "guards": guards})
        return
    if rows:
        print_table(
            (by.value.upper(), *STATS_HEADERS),
            [_cells(_name(row, chosen), row) for row in rows],
            numeric=range(1, 10),
        )
    else:
        note(f"no such runs in {settings.registry}")
    if guards:
        note("\nGuards:")
        _print_guards(guards)
    if others:
        note("\nNot counted above:")
        print_table(
            ("KIND", *STATS_HEADERS), [_cells(row["key"], row) for row in others], numeric=range(1, 10)
        )


def _print_guards(guards: list[StatsRow]) -> None:
    deeds = [name for name in guards[0] if name not in ("prompt", "guard", "looked", "errors")]
    columns = ("prompt", "guard", "looked", *deeds, "errors")
    rows = [[row[name] for name in columns] for row in guards]
    print_table([name.upper() for name in columns], rows, numeric=range(2, len(columns)))


def _name(row: StatsRow, chosen: RunFilter) -> str:
    """The row's key; a version of the only prompt that is meant goes without the prompt's name."""
    key = str(row["key"])
    return key.removeprefix(f"{chosen.prompt}@")


def _cells(name: str, row: StatsRow) -> tuple[Any, ...]:
    checked = row["checked"]
    passed = f"{(checked - row['checks_failed']) / checked:.0%}" if checked else None
    tokens = f"{short_count(row['input_tokens'])}/{short_count(row['output_tokens'])}"
    return (
        name,
        row["calls"],
        row["errors"],
        tokens,
        usd_cell(row["spent_usd"]),
        usd_cell(row["cost_usd"]),
        row["cache_hits"],
        passed,
        integer_cell(row["p50_ms"]),
        integer_cell(row["p95_ms"]),
    )
