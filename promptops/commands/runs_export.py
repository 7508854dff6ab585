"""``promptops runs export``: runs as JSONL or CSV."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from promptops.commands.run_filters import (
    ChannelFilter,
    ErrorFilter,
    KindFilter,
    ModelFilter,
    RunsArgument,
    SinceFilter,
    TagFilter,
    runs_of,
)
from promptops.output import note
from promptops.registry.exchange import export, written_whole
from promptops.registry.store import Registry
from promptops.settings import here


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="One JSON object a line, or CSV.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")
]


def runs_export(
    reference: RunsArgument = None,
    form: FormatOption = Format.JSONL,
    out: OutOption = None,
    model: ModelFilter = None,
    error: ErrorFilter = None,
    since: SinceFilter = None,
    channel: ChannelFilter = None,
    tag: TagFilter = None,
    kind: KindFilter = None,
) -> None:
    """Write runs with their inputs and outputs, oldest first. A file appears whole or not at all.

    CSV holds values as they were logged: a spreadsheet may take a text that begins with = for a formula.
    """
    settings = here()
    chosen = runs_of(
        reference, settings, model=model, error=error, since=since, channel=channel, tag=tag, kind=kind
    )
    with Registry.open_existing(settings.registry) as registry:
        if out is None or str(out) == "-":
            export(registry, chosen, form.value, sys.stdout)
            return
        with written_whole(out) as stream:
            count = export(registry, chosen, form.value, stream)
    note(f"{count:,} runs written to {out}")
