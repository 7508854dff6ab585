"""``promptops runs export``: runs as JSONL or CSV, or as a data set for training."""

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promptops.cli.options.flags import before_option, format_option, out_option, redacted_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_filters import RunsArgument, filter_by_reference, read_run_filter
from promptops.config.clock import utc_moment
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings, current_settings
from promptops.console import DataStream, note
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, RunExportFormat, RunFilter, export_runs, parse_time

if TYPE_CHECKING:
    from promptops.interop.datasets import DatasetFormat


class ExportFormat(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"
    OPENAI = "openai-jsonl"
    TRL_SFT = "trl-sft"
    TRL_DPO = "trl-dpo"
    PARQUET = "parquet"


_RUNS: Mapping[ExportFormat, RunExportFormat] = {ExportFormat.JSONL: "jsonl", ExportFormat.CSV: "csv"}
_DATASETS: "Mapping[ExportFormat, DatasetFormat]" = {
    ExportFormat.OPENAI: "openai-jsonl",
    ExportFormat.TRL_SFT: "trl-sft",
    ExportFormat.TRL_DPO: "trl-dpo",
    ExportFormat.PARQUET: "parquet",
}
FormatOption = Annotated[
    ExportFormat, format_option("Runs (jsonl, csv), or a data set for training with a manifest beside it.")
]
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
BeforeOption = Annotated[str | None, before_option("Started before: 90m, 12h, 7d, 2w or a date.")]
PassedOption = Annotated[
    bool, typer.Option("--passed", help="Only answers that passed all their checks; of a data set.")
]
MinOption = Annotated[
    list[str] | None,
    typer.Option(
        "--min",
        metavar="NAME=VALUE",
        help="Only answers with an outcome or score so high, as thumbs=1; of pairs, the better ones.",
    ),
]
EditsOption = Annotated[
    bool, typer.Option("--edits", help="People's better answers in place of the logged ones.")
]
RedactedOption = Annotated[bool, redacted_option("Take also what was redacted, as it is kept.")]


@with_option_groups(without=("min_cost", "min_latency"), filters=read_run_filter)
def runs_export(
    reference: RunsArgument = None,
    form: FormatOption = ExportFormat.JSONL,
    out: OutOption = None,
    *,
    filters: RunFilter,
    for_release: ReleaseOption = False,
    since_last: SinceLastOption = False,
    before: BeforeOption = None,
    passed: PassedOption = False,
    minimum: MinOption = None,
    edits: EditsOption = False,
    redacted: RedactedOption = False,
) -> None:
    """Write runs with their inputs and outputs, oldest first. A file appears whole or not at all.

    A data set holds the messages that were sent with the answer, never inputs of a golden set; trl-dpo
    pairs a better and a worse answer to the same messages. --passed, --min, --edits and --redacted choose.
    With --for-release another registry can judge releases by these runs: `runs import` takes the file in.
    """
    settings = current_settings()
    filters = replace(filters, until=parse_time(before, "--before") if before else None)
    if form in _DATASETS and not (for_release or since_last):
        from promptops.cli.dataset_export import export_training_data, read_choices

        chosen = filter_by_reference(filters, reference, settings)
        choices = read_choices(passed=passed, minimum=minimum, edits=edits, redacted=redacted)
        export_training_data(settings, _DATASETS[form], chosen, choices, out)
        return
    if passed or minimum or edits or redacted:
        raise Invalid(
            "--passed, --min, --edits and --redacted choose what a data set holds",
            hint="promptops runs export --format trl-sft --out FILE",
        )
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
            export_runs(registry, chosen, _RUNS[form], DataStream())
            return
        with WriteTarget.output(out).replacing(0o600) as stream:
            count = export_runs(registry, chosen, _RUNS[form], stream)
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
            done = export_release(registry, stream, since=since, now=utc_moment())
        sys.stdout.flush()
        if since_last:
            save_export_checkpoint(registry, done.mark)
    where = f" to {file}" if file else ""
    stretch = f"the log behind {done.since_seq:,} to {done.mark.through_seq:,}"
    note(f"{done.runs:,} runs written{where}: {stretch}")
    for gap in done.gaps:
        note(f"  {gap}")
