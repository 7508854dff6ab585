"""``promptops runs report``: how prompts did over a time, as one file."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from enum import StrEnum
from typing import Annotated

import typer

from promptops.cli.options.common import OutOption, write_report
from promptops.cli.options.flags import format_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import filter_by_reference, read_run_filter
from promptops.cli.reports.usage import render_usage
from promptops.cli.reports.usage.view import UsageReport
from promptops.config.clock import utc_now
from promptops.config.settings import Settings, current_settings
from promptops.console import print_report
from promptops.errors import PromptopsError
from promptops.registry import (
    CELL_KEY,
    RegistryDatabase,
    RunCell,
    RunFilter,
    parse_time,
    read_cells,
    read_non_traffic_stats,
)
from promptops.reports.usage import Usage, usage_filter

_DEFAULT_SPAN = "30d"


class UsageFormat(StrEnum):
    html = "html"
    markdown = "markdown"
    json = "json"
    prometheus = "prometheus"


NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[REF]...", help="NAME (with * for several), NAME@REV or NAME:CHANNEL.", show_default=False
    ),
]
FormatOption = Annotated[UsageFormat, format_option("html, markdown, json, prometheus.", metavar="FORMAT")]


@with_option_groups(without=("error", "min_cost", "min_latency"), filters=read_run_filter)
def runs_report(
    names: NamesArgument = None,
    form: FormatOption = UsageFormat.markdown,
    out: OutOption = None,
    *,
    filters: RunFilter,
) -> None:
    """Report on calls, errors, cost, latency, checks and feedback: in all, by version, model and day.

    Without --since of the last 30 days. The figures are those of `runs stats` with the same filters; the
    HTML is one file that needs no other.
    """
    settings = current_settings()
    until = utc_now()
    filters = replace(filters, since=filters.since or parse_time(_DEFAULT_SPAN))
    chosen = [filter_by_reference(filters, name, settings) for name in names or (None,)]
    with RegistryDatabase.open_existing(settings.registry) as registry:
        cells = _read_cells(registry, chosen)
        apart = [] if filters.kind or len(chosen) > 1 else read_non_traffic_stats(registry, chosen[0])
    prompts = sorted({cell["prompt"] for cell in cells})
    usage = Usage(
        cells,
        since=filters.since,
        until=until,
        group="version" if len(prompts) == 1 else "prompt",
        releases=_releases(settings, prompts),
    )
    given = {name: value for name, value in asdict(filters).items() if value is not None}
    title = ", ".join(names or ["All prompts"])
    report = render_usage(UsageReport(title=title, usage=usage, apart=apart, filters=given), form.value)
    if out is None:
        print_report(report, form.value)
    else:
        write_report(out, report)


def _read_cells(registry: RegistryDatabase, chosen: Sequence[RunFilter]) -> list[RunCell]:
    """Of all filters; what two of them choose is counted once."""
    cells = (cell for each in chosen for cell in read_cells(registry, usage_filter(each), outcomes=True))
    return list({tuple(cell[name] for name in CELL_KEY): cell for cell in cells}.values())


def _releases(settings: Settings, prompts: Sequence[str]) -> list[tuple[str, str]]:
    """When what of the only prompt was released; nothing where that cannot be read."""
    if len(prompts) != 1:
        return []
    from promptops.reports.releases import read_releases

    try:
        return read_releases(settings, prompts[0])
    except PromptopsError:
        return []
