"""Shadow runs made with their progress shown, printed, and turned into an exit code."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from promptops.cli.command_words import lasting_reference
from promptops.cli.options.common import JsonOption, OutOption, write_report
from promptops.cli.options.flags import format_option
from promptops.cli.options.provider_batch import showing_jobs, with_provider
from promptops.cli.options.replay import ReplayOptions
from promptops.cli.progress import Progress
from promptops.cli.reports.retention import comparison_without_unkept_texts, report_retention
from promptops.cli.reports.shadow import ShadowFormatName, print_comparisons, render_comparisons
from promptops.config.settings import LogSettings, Settings
from promptops.console import note
from promptops.dataclass import dataclass
from promptops.errors import ExitCode, Invalid
from promptops.evaluation.gate import combine_decisions, decide_shadow
from promptops.evaluation.shadow.replay import ReplayOutcome, replay
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.shadow.result import ShadowComparison
from promptops.providers.types import ModelError
from promptops.runner.batch.provider_jobs.passes import JobsWaiting

_LABEL_WIDTH = 28  # characters beside a progress bar; the end of a label tells models apart


class ShadowFormat(StrEnum):
    text = "text"
    json = "json"
    markdown = "markdown"
    html = "html"


ShadowFormatOption = Annotated[ShadowFormat, format_option(f"{', '.join(ShadowFormat)}.", metavar="FORMAT")]


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """How and where comparisons are written; ``table``: one line for each of many prompts."""

    form: ShadowFormatName
    file: Path | None = None
    table: bool = False


def read_report_target(
    *, form: ShadowFormatOption = ShadowFormat.text, as_json: JsonOption = False, out: OutOption = None
) -> ReportTarget:
    return ReportTarget("json" if as_json else form.value, out)


def run_replays(
    requests: Sequence[ShadowRequest], settings: Settings, options: ReplayOptions, target: ReportTarget
) -> int:
    """Make shadow runs one after another and write what they found. Returns the exit code."""
    outcomes = _replay_all(settings, options, requests, lenient=target.table)
    sides = (side.prompt for each in requests for side in (each.control, each.candidate))
    write_comparisons([each.comparison for each in outcomes], target, report_retention(settings, sides))
    for text in dict.fromkeys(text for each in outcomes for text in each.notes):
        note(text)
    return shadow_exit_code(outcomes, gate=options.no_worse_than is not None)


def _replay_all(
    settings: Settings, options: ReplayOptions, requests: Sequence[ShadowRequest], *, lenient: bool
) -> list[ReplayOutcome]:
    """``lenient``: a prompt that cannot be tried is said to be so, unless all cannot."""
    outcomes: list[ReplayOutcome] = []
    problem: Invalid | None = None
    waiting: JobsWaiting | None = None
    for request in requests:
        try:
            outcomes.append(_replay_one(settings, options, request))
        except JobsWaiting as jobs:  # those of the others are submitted all the same
            note(jobs.message)
            waiting = jobs
        except Invalid as error:
            if not lenient:
                raise
            problem = error
            note(f"{request.candidate.label}: not tried: {error.message}")
    if waiting:
        raise waiting
    if problem and not outcomes:
        raise problem
    return outcomes


def _replay_one(settings: Settings, options: ReplayOptions, request: ShadowRequest) -> ReplayOutcome:
    label = request.candidate.label
    calls = with_provider(options.calls, options.provider, **_lasting(request))
    with Progress(label if len(label) <= _LABEL_WIDTH else f"…{label[1 - _LABEL_WIDTH :]}") as bar:
        return replay(settings, showing_jobs(calls, bar), request, bar.show_tally)


def _lasting(request: ShadowRequest) -> dict[str, object]:
    """What names this comparison alone, later too. Recorded answers are those of whichever was live."""
    model = request.candidate.overrides.get("model")
    control = {} if request.recorded else {"against": lasting_reference(request.control.version)}
    candidate = {"reference": lasting_reference(request.candidate.version)}
    return {**candidate, **control, **({"models": [model]} if model else {})}


def write_comparisons(
    comparisons: Sequence[ShadowComparison], target: ReportTarget, log: LogSettings
) -> None:
    if target.file is not None or target.form != "text":
        comparisons = [comparison_without_unkept_texts(one, log) for one in comparisons]
    if target.file is None:
        print_comparisons(comparisons, target.form, table=target.table)
        return
    text = render_comparisons(comparisons, target.form, table=target.table)
    write_report(target.file, text)


def shadow_exit_code(outcomes: Sequence[ReplayOutcome], *, gate: bool) -> int:
    """Raise what kept one from its end; else 0, or what the gate says: no beats undecided beats yes."""
    for each in outcomes:
        if each.comparison.stopped == "interrupted":
            note("interrupted; the same command goes on from here")
            return ExitCode.INTERRUPTED
    if any(each.comparison.stopped == "cancelled" for each in outcomes):
        note("a job was cancelled before all was answered; the same command asks for the rest")
        return ExitCode.UNAVAILABLE
    if failures := [each.failure for each in outcomes if each.failure]:
        raise _with_context(failures[0])
    if over := [
        each.over_budget for each in outcomes if each.comparison.stopped == "budget" and each.over_budget
    ]:
        raise over[0]
    if not gate:
        return 0
    decision = combine_decisions(decide_shadow(each.comparison) for each in outcomes)
    for reason in decision.reasons:
        note(reason)
    return decision.code


def _with_context(failure: ModelError) -> ModelError:
    message = failure.message
    if "in a row" not in message:
        message = f"call after call failed: {message}"
    return ModelError(failure.type, message, status=failure.status, hint=failure.hint)
