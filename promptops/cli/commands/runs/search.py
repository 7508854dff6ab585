"""``promptops runs search``: find runs by the words of their inputs and outputs."""

import re
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import LimitOption, filter_by_reference, read_run_filter
from promptops.cli.reports.run_tables import format_age, run_version
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.escapes import escape_line
from promptops.registry import (
    RegistryDatabase,
    RunFilter,
    SearchHit,
    SearchResult,
    list_runs,
    search_runs,
    short_ids,
)

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[WORDS]...",
        help='All must occur, in words too. Also "a phrase", a OR b, a NOT b, (a b), output:a.',
    ),
]
PromptFilter = Annotated[
    str | None,
    typer.Option("--prompt", metavar="REF", help="NAME (with * for several), NAME@REV or NAME:CHANNEL."),
]
_EXCERPT_LENGTH = 80  # characters of an answer where no words were asked for


@with_option_groups(filters=read_run_filter)
def runs_search(
    words: WordsArgument = None,
    prompt: PromptFilter = None,
    *,
    filters: RunFilter,
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """Search the inputs and outputs of runs that have ended, newest first."""
    settings = current_settings()
    chosen = filter_by_reference(filters, prompt, settings)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        if words:
            result = search_runs(registry, " ".join(words), chosen, limit=limit, progress=_note_progress)
        else:
            latest = list_runs(registry, chosen, limit=limit)
            result = SearchResult(
                [SearchHit(run, escape_line(run["output"] or "")[:_EXCERPT_LENGTH]) for run in latest]
            )
        ids = short_ids(registry, [hit.run["run_id"] for hit in result.hits])
    if result.note:
        note(f"promptops: {result.note}")
    if as_json:
        print_json([{**hit.run, "snippet": _plain(hit.snippet)} for hit in result.hits])
    elif not result.hits:
        note("nothing found")
    else:
        rows = [
            (
                ids[hit.run["run_id"]],
                format_age(hit.run["started_at"]),
                run_version(hit.run),
                _plain(hit.snippet),
            )
            for hit in result.hits
        ]
        print_table(("RUN", "AGE", "VERSION", "FOUND"), rows, numeric=(1,))


def _plain(snippet: str) -> str:
    return re.sub("[\x02\x03]", "", snippet)


def _note_progress(done: int, last: int) -> None:
    note(f"indexing runs for search: {done:,} of {last:,}")
