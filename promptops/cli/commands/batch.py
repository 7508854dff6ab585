"""``promptops batch``: one version over a file of inputs."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from shutil import copyfileobj
from sys import stdin
from time import monotonic
from typing import Annotated, Any, BinaryIO

import typer

from promptops.cli.command_words import lasting_reference
from promptops.cli.options.common import (
    JsonOption,
    ModelOption,
    ReferenceArgument,
    SetOption,
    parse_overrides,
)
from promptops.cli.options.flags import format_option, out_option, restart_option, shard_option, unit_option
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.model_calls import JobsOption, read_call_options
from promptops.cli.options.overrides import apply_overrides, local_model_override
from promptops.cli.options.provider_batch import (
    ProviderOptions,
    read_provider_options,
    showing_jobs,
    with_provider,
)
from promptops.cli.progress import Progress
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_json_line, print_text
from promptops.errors import ExitCode, Invalid, WrongUsage
from promptops.evaluation.shadow.live.spawn import start_drain_if_due
from promptops.prompt import Prompt
from promptops.registry import format_line_ranges
from promptops.reports.numbers import pluralize
from promptops.runner.batch import (
    BatchJob,
    BatchOptions,
    BatchReport,
    CsvResults,
    JsonResults,
    OnResult,
    ResultFormat,
    Shard,
    run_batch,
)
from promptops.versions.references import Reference, parse_reference
from promptops.versions.resolve import resolve_version, with_provenance

FileArgument = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="JSON lines of {inputs, unit?, metadata?} (- is stdin), or a .csv with a column for each input.",
    ),
]
OutOption = Annotated[Path | None, out_option("Write the results here; as CSV where it ends in .csv.")]


class ResultFormatName(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"


FormatOption = Annotated[
    ResultFormatName | None, format_option("One JSON object a line, or CSV with a column for each input.")
]
UnitOption = Annotated[
    str | None,
    unit_option("Where a line says whom it is for, such as metadata.user.", metavar="PATH"),
]
RestartOption = Annotated[bool, restart_option()]
ShardOption = Annotated[
    str | None,
    shard_option("Run each N-th line, from line I on; --out gets -I-of-N in its name. Limits hold for each."),
]


@with_option_groups(calls=read_call_options, provider=read_provider_options)
def batch(
    reference: ReferenceArgument,
    file: FileArgument,
    *,
    out: OutOption = None,
    form: FormatOption = None,
    jobs: JobsOption = 16,
    unit: UnitOption = None,
    model: ModelOption = None,
    assignments: SetOption = None,
    calls: BatchOptions,
    provider: ProviderOptions,
    restart: RestartOption = False,
    shard: ShardOption = None,
    as_json: JsonOption = False,
) -> int:
    """Run a version over a file of inputs. Results are JSON lines, or CSV, in the order of the file.

    On a channel each line meets the version that its unit falls on. The same command carries on where an
    earlier one stopped: no finished call is made again. With --provider-batch a job of the provider answers,
    and every line of a channel meets its stable version.
    """
    part = None if shard is None else Shard.parse(shard)
    _check_flags(part, out, as_json=as_json, restart=restart)
    _check_provider_batch(provider, file, out)
    settings = current_settings()
    version = with_provenance(resolve_version(reference, settings), settings)
    version, overrides = apply_overrides(
        version, model or local_model_override(version), parse_overrides(assignments)
    )
    channel = None if provider.asked else _channel_reference(reference, settings)
    reused = "off" if channel and calls.cache == "use" else calls.cache
    options = with_provider(
        replace(calls, concurrency=jobs, cache=reused),
        provider,
        reference=lasting_reference(version),
        file=str(Path(file).absolute()),
    )
    results = _result_format(form, out, version.prompt)
    job = BatchJob(
        version=version,
        source=file,
        channel=channel,
        form=results,
        on_result=print_json_line if isinstance(results, JsonResults) else _csv_printer(results),
        out=part.file(out) if part and out else out,
        unit=unit,
        overrides=overrides,
        restart=restart,
        shard=part,
    )
    clock = monotonic()
    try:
        with open_batch_input(file) as stream, Progress(version.prompt.name) as bar:
            report = run_batch(settings, showing_jobs(options, bar), job, stream, bar.show_tally)
    finally:
        if job.channel:
            start_drain_if_due(settings)
    return print_batch_report(report, monotonic() - clock, as_json=as_json, shard=part)


def _check_flags(part: Shard | None, out: Path | None, *, as_json: bool, restart: bool) -> None:
    if as_json and out is None:
        raise Invalid("--json prints a summary, and stdout has the results", hint="give --out FILE as well")
    if part and restart:
        raise WrongUsage("--restart would begin the other shards again as well", hint="leave out --shard")


def _result_format(form: ResultFormatName | None, out: Path | None, prompt: Prompt) -> ResultFormat:
    named_so = form is None and out is not None and out.suffix.lower() == ".csv"
    return CsvResults(prompt.inputs) if named_so or form is ResultFormatName.CSV else JsonResults()


def _check_provider_batch(provider: ProviderOptions, file: str, out: Path | None) -> None:
    """Whoever collects the answers later needs the file, and a place for the results."""
    if provider.asked and file == "-":
        raise Invalid("--provider-batch reads FILE again when the answers are there", hint="give a file")
    if provider.detach and out is None:
        raise WrongUsage("--detach: where are the results to go?", hint="give --out FILE as well")


def _csv_printer(results: ResultFormat) -> OnResult:
    """Prints rows, and what stands above them before the first."""
    head = iter([results.head])

    def show(result: Mapping[str, Any]) -> None:
        print_text((next(head, b"") + results.encode(result)).decode(), end="", flush=True)

    return show


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


def print_batch_report(
    report: BatchReport, seconds: float, *, as_json: bool, shard: Shard | None = None
) -> int:
    """Say what came of a batch. Returns the exit code."""
    if as_json:
        print_json(_summary(report, seconds, shard))
    if report.repeated_lines:
        note(
            f"{pluralize(len(report.repeated_lines), 'call')} that an earlier process left under way "
            f"made again: line {format_line_ranges(report.repeated_lines)}"
        )
    note((f"shard {shard}: " if shard else "") + _sentence(report, seconds))
    if report.aborted_by and report.left:
        raise report.aborted_by
    if report.over_budget:
        raise report.over_budget
    if report.interrupted and report.left:
        note("interrupted; the same command goes on from here")
        return ExitCode.INTERRUPTED
    if report.cancelled and report.left:
        note("the job was cancelled before the others were answered; the same command asks for them")
        return ExitCode.UNAVAILABLE
    if report.tally.failed:
        note("the same command tries the failed lines again")
        return ExitCode.UNAVAILABLE
    return ExitCode.NO if report.tally.failed_checks else ExitCode.OK


def _sentence(report: BatchReport, seconds: float) -> str:
    tally = report.tally
    failed = tally.failed_checks - tally.blocked
    parts = [
        f"{pluralize(report.lines, 'line')}: {tally.done:,} run in {seconds:.1f} s",
        f"{report.earlier:,} done before" if report.earlier else "",
        f"{tally.cached:,} from the cache" if tally.cached else "",
        f"{tally.failed:,} failed" if tally.failed else "",
        f"{tally.blocked:,} blocked by guards" if tally.blocked else "",
        f"{failed:,} failed a check" if failed else "",
        f"{tally.truncated:,} cut off at the most tokens allowed" if tally.truncated else "",
        f"{report.left:,} left" if report.left else "",
        f"${tally.spent_usd:.4f} spent"
        + (f" and {tally.unpriced:,} of unknown cost" if tally.unpriced else ""),
    ]
    return ", ".join(filter(None, parts))


def _summary(report: BatchReport, seconds: float, shard: Shard | None) -> dict[str, Any]:
    tally = report.tally
    return {
        "batch_id": report.batch_id,
        "shard": str(shard) if shard else None,
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
