"""``promptops batch``: one version over a file of inputs."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copyfileobj
from sys import stdin
from time import monotonic
from typing import Annotated, Any, BinaryIO

import typer

from promptops.cli.options.common import (
    JsonOption,
    ModelOption,
    ReferenceArgument,
    SetOption,
    parse_overrides,
)
from promptops.cli.options.flags import out_option, restart_option, unit_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.model_calls import JobsOption, read_call_options
from promptops.cli.options.overrides import apply_overrides, local_model_override
from promptops.cli.progress import Progress
from promptops.config.settings import Settings, current_settings
from promptops.console import note, pluralize, print_json, print_json_line
from promptops.errors import ExitCode, Invalid
from promptops.evaluation.shadow.live.spawn import start_drain_if_due
from promptops.registry import format_line_ranges
from promptops.runner.batch import BatchJob, BatchOptions, BatchReport, run_batch
from promptops.versions.references import Reference, parse_reference
from promptops.versions.resolve import resolve_version, with_provenance

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="JSON lines of {inputs, unit?, metadata?} (- is stdin), or a .csv with a column for each input.",
    ),
]
OutOption = Annotated[Path | None, out_option("Write the results here.")]
UnitOption = Annotated[
    str | None,
    unit_option("Where a line says whom it is for, such as metadata.user.", metavar="PATH"),
]
RestartOption = Annotated[bool, restart_option()]


@with_option_groups(calls=read_call_options)
def batch(
    reference: ReferenceArgument,
    file: FileArgument,
    *,
    out: OutOption = None,
    jobs: JobsOption = 16,
    unit: UnitOption = None,
    model: ModelOption = None,
    assignments: SetOption = None,
    calls: BatchOptions,
    restart: RestartOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run a version over a file of inputs. Results are JSON lines in the order of the file.

    On a channel each line meets the version that its unit falls on. The same command carries on where an
    earlier one stopped: no finished call is made again.
    """
    if as_json and out is None:
        raise Invalid("--json prints a summary, and stdout has the results", hint="give --out FILE as well")
    settings = current_settings()
    version = with_provenance(resolve_version(reference, settings), settings)
    version, overrides = apply_overrides(
        version, model or local_model_override(version), parse_overrides(assignments)
    )
    reused = "off" if version.channel and calls.cache == "use" else calls.cache
    options = replace(calls, concurrency=jobs, cache=reused)
    job = BatchJob(
        version=version,
        source=file,
        channel=_channel_reference(reference, settings),
        on_result=print_json_line,
        out=out,
        unit=unit,
        overrides=overrides,
        restart=restart,
    )
    clock = monotonic()
    try:
        with open_batch_input(file) as stream, Progress(version.prompt.name) as bar:
            report = run_batch(settings, options, job, stream, bar.show_tally)
    finally:
        if job.channel:
            start_drain_if_due(settings)
    return print_batch_report(report, monotonic() - clock, as_json=as_json)


def _channel_reference(reference: str, settings: Settings) -> Reference | None:
    parsed = parse_reference(reference, settings)
    return parsed if parsed.channel is not None else None


@contextmanager
def open_batch_input(file: str) -> Iterator[BinaryIO]:
    """The file, which is read twice; stdin is kept on disk for that."""
    if file == "-":
        with tempfile.TemporaryFile() as copy:
            copyfileobj(stdin.buffer, copy)
            copy.seek(0)
            yield copy
        return
    with _readable_path(file).open("rb") as stream:
        yield stream


def _readable_path(file: str) -> Path:
    path = Path(file)
    if not path.is_file() or not os.access(path, os.R_OK):
        raise Invalid(f"cannot read {file}: " + ("permission denied" if path.exists() else "no such file"))
    return path


def print_batch_report(report: BatchReport, seconds: float, *, as_json: bool) -> int:
    """Say what came of a batch. Returns the exit code."""
    if as_json:
        print_json(_summary(report, seconds))
    if report.repeated_lines:
        note(
            f"{pluralize(len(report.repeated_lines), 'call')} that an earlier process left under way "
            f"made again: line {format_line_ranges(report.repeated_lines)}"
        )
    note(_sentence(report, seconds))
    if report.aborted_by and report.left:
        raise report.aborted_by
    if report.over_budget:
        raise report.over_budget
    if report.interrupted and report.left:
        note("interrupted; the same command goes on from here")
        return ExitCode.INTERRUPTED
    if report.tally.failed:
        note("the same command tries the failed lines again")
        return ExitCode.UNAVAILABLE
    return ExitCode.NO if report.tally.failed_checks else ExitCode.OK


def _sentence(report: BatchReport, seconds: float) -> str:
    tally = report.tally
    parts = [
        f"{pluralize(report.lines, 'line')}: {tally.done:,} run in {seconds:.1f} s",
        f"{report.earlier:,} done before" if report.earlier else "",
        f"{tally.cached:,} from the cache" if tally.cached else "",
        f"{tally.failed:,} failed" if tally.failed else "",
        f"{tally.failed_checks:,} failed a check" if tally.failed_checks else "",
        f"{tally.truncated:,} cut off at the most tokens allowed" if tally.truncated else "",
        f"{report.left:,} left" if report.left else "",
        f"${tally.spent_usd:.4f} spent"
        + (f" and {tally.unpriced:,} of unknown cost" if tally.unpriced else ""),
    ]
    return ", ".join(filter(None, parts))


def _summary(report: BatchReport, seconds: float) -> dict[str, Any]:
    tally = report.tally
    return {
        "batch_id": report.batch_id,
        "lines": report.lines,
        "run": tally.done,
        "done_before": report.earlier,
        "left": report.left,
        "failed": tally.failed,
        "failed_checks": tally.failed_checks,
        "cached": tally.cached,
        "truncated": tally.truncated,
        "repeated_lines": report.repeated_lines,
        "spent_usd": tally.spent_usd,
        "calls_of_unknown_cost": tally.unpriced,
        "seconds": round(seconds, 3),
        "interrupted": report.interrupted,
    }
