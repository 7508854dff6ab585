"""``promptops runs export``: runs as JSONL or CSV."""

import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from time import time
from typing import Annotated

import typer

from promptops.cli.options.flags import format_option, out_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import RunsArgument, filter_by_reference, read_run_filter
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings, current_settings
from promptops.console import DataStream, note
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, RunFilter, export_runs


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


FormatOption = Annotated[ExportFormat, format_option("One JSON object a line, or CSV.")]
OutOption = Annotated[Path | None, out_option("Write here instead of stdout.")]


ReleaseOption = Annotated[
    bool,
    typer.Option(
        "--for-release", help="Figures and outcomes of the channels' runs; no inputs, outputs or other texts."
    ),
]
SinceLastOption = Annotated[
    bool, typer.Option("--since-last", help="Only what is new since the last export with this option.")
]


@with_option_groups(without=("min_cost", "min_latency"), filters=read_run_filter)
def runs_export(
    reference: RunsArgument = None,
    form: FormatOption = ExportFormat.JSONL,
    out: OutOption = None,
    *,
    filters: RunFilter,
    for_release: ReleaseOption = False,
    since_last: SinceLastOption = False,
) -> None:
    """Write runs with their inputs and outputs, oldest first. A file appears whole or not at all.

    CSV holds values as they were logged: a spreadsheet may take a text that begins with = for a formula.
    With --for-release another registry can judge releases by these runs: `runs import` takes the file in.
    """
    settings = current_settings()
    if for_release or since_last:
        if not for_release or form is not ExportFormat.JSONL or reference or filters != RunFilter():
            raise Invalid(
                "--since-last goes with --for-release, and that takes no other choice of runs",
                hint="promptops runs export --for-release --since-last --out FILE",
            )
        _export_for_release(settings, out, since_last=since_last)
        return
    chosen = filter_by_reference(filters, reference, settings)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        if out is None or str(out) == "-":
            export_runs(registry, chosen, form.value, DataStream())
            return
        with WriteTarget.output(out).replacing(0o600) as stream:
            count = export_runs(registry, chosen, form.value, stream)
    note(f"{count:,} runs written to {out}")


def _export_for_release(settings: Settings, out: Path | None, *, since_last: bool) -> None:
    from promptops.registry import (
        ExportCheckpoint,
        Spool,
        export_release,
        read_export_checkpoint,
        save_export_checkpoint,
    )

    with RegistryDatabase.open_existing(settings.registry) as registry:
        Spool(settings.registry).replay(registry)
        since = read_export_checkpoint(registry) if since_last else ExportCheckpoint()
        file = None if out is None or str(out) == "-" else out
        with WriteTarget.output(file).replacing(0o600) if file else nullcontext(sys.stdout) as stream:
            done = export_release(registry, stream, since=since, now=time())
        sys.stdout.flush()
        if since_last:
            save_export_checkpoint(registry, done.mark)
    where = f" to {file}" if file else ""
    stretch = f"the log behind {done.since_seq:,} to {done.mark.through_seq:,}"
    note(f"{done.runs:,} runs written{where}: {stretch}")
    for gap in done.gaps:
        note(f"  {gap}")
