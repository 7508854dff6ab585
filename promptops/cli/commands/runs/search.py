"""``promptops runs search``: find runs by the words of their inputs and outputs."""

import re
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.run_filters import (
    ChannelFilter,
    CostFilter,
    ErrorFilter,
    KindFilter,
    LatencyFilter,
    LimitOption,
    ModelFilter,
    SinceFilter,
    TagFilter,
    runs_of,
)
from promptops.cli.reports.run_tables import age, version_of
from promptops.config.settings import here
from promptops.console import note, one_line, print_json, print_table
from promptops.registry.runs.queries import list_runs, short_ids
from promptops.registry.runs.search import Found, Hit, search
from promptops.registry.store import Registry

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WORDS]...", help='All must occur. Also "a phrase", ref*, a OR b, a NOT b, output:word.'
    ),
]
PromptFilter = Annotated[
    str | None,
    typer.Option("--prompt", metavar="REF", help="NAME (with * for several), NAME@REV or NAME:CHANNEL."),
]
_SHOWN = 80  # characters of an answer where no words were asked for


def runs_search(
    words: WordsArgument = None,
    prompt: PromptFilter = None,
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
    """Search the inputs and outputs of runs that have ended, newest first."""
    settings = here()
    chosen = runs_of(
        prompt, settings, model=model, error=error, since=since, min_cost=min_cost,
        min_latency=min_latency, channel=channel, tag=tag, kind=kind,
    )  # fmt: skip
    with Registry.open_existing(settings.registry) as registry:
        if words:
            found = search(registry, " ".join(words), chosen, limit=limit, progress=_say_progress)
        else:
            latest = list_runs(registry, chosen, limit=limit)
            found = Found([Hit(run, one_line(run["output"] or "")[:_SHOWN]) for run in latest])
        ids = short_ids(registry, [hit.run["run_id"] for hit in found.hits])
    if found.note:
        note(f"promptops: {found.note}")
    if as_json:
        print_json([{**hit.run, "snippet": _plain(hit.snippet)} for hit in found.hits])
    elif not found.hits:
        note("nothing found")
    else:
        rows = [
            (ids[hit.run["run_id"]], age(hit.run["started_at"]), version_of(hit.run), _plain(hit.snippet))
            for hit in found.hits
        ]
        print_table(("RUN", "AGE", "VERSION", "FOUND"), rows, numeric=(1,))


def _plain(snippet: str) -> str:
    return re.sub("[\x02\x03]", "", snippet)


def _say_progress(done: int, last: int) -> None:
    note(f"indexing runs for search: {done:,} of {last:,}")
