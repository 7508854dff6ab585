"""``promptops runs export``: runs as JSONL or CSV."""

import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from time import time
from typing import Annotated

import typer

from promptops.cli.options.run_filters import (
    ChannelFilter,
    ErrorFilter,
    KindFilter,
    ModelFilter,
    RunsArgument,
    SinceFilter,
    TagFilter,
    runs_of,
)
from promptops.config.settings import Settings, here
from promptops.console import note
from promptops.errors import Invalid
from promptops.registry.runs.export import export, written_whole
from promptops.registry.store import Registry


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="One JSON object a line, or CSV.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write here instead of stdout.")
]


ReleaseOption = Annotated[
    bool,
    typer.Option(
        "--for-release", help="Figures and outcomes of the channels' runs; no inputs, outputs or other texts."
    ),
]
SinceLastOption = Annotated[
    bool, typer.Option("--since-last", help="Only what is new since the last export with this option.")
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
    for_release: ReleaseOption = False,
    since_last: SinceLastOption = False,
) -> None:
    """Write runs with their inputs and outputs, oldest first. A file appears whole or not at all.

    CSV holds values as they were logged: a spreadsheet may take a text that begins with = for a formula.
    With --for-release another registry can judge releases by these runs: `runs import` takes the file in.
    """
    settings = here()
    if for_release or since_last:
        given = (reference, model, error, since, channel, tag, kind)
        if not for_release or form is not Format.JSONL or any(given):
            raise Invalid(
                "--since-last goes with --for-release, and that takes no other choice of runs",
                hint="promptops runs export --for-release --since-last --out FILE",
            )
        _for_release(settings, out, since_last=since_last)
        return
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


def _for_release(settings: Settings, out: Path | None, *, since_last: bool) -> None:
    from promptops.registry.release.export import Mark, export_release, last_mark, note_mark
    from promptops.registry.runs.journal import Spool

    with Registry.open_existing(settings.registry) as registry:
        Spool(settings.registry).take_in(registry)
        since = last_mark(registry) if since_last else Mark()
        file = None if out is None or str(out) == "-" else out
        with written_whole(file) if file else nullcontext(sys.stdout) as stream:
            done = export_release(registry, stream, since=since, now=time())
        sys.stdout.flush()
        if since_last:
            note_mark(registry, done.mark)
    where = f" to {file}" if file else ""
    stretch = f"the log behind {done.since_seq:,} to {done.mark.through_seq:,}"
    note(f"{done.runs:,} runs written{where}: {stretch}")
    for gap in done.gaps:
        note(f"  {gap}")
