"""``promptops run``: one version, one set of inputs, one logged answer."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from promptops.cli.last_run import note_own_run
from promptops.cli.options.common import (
    InputOption,
    InputsOption,
    JsonOption,
    ModelOption,
    ReferenceArgument,
    SetOption,
    parse_overrides,
)
from promptops.cli.options.flags import reasoning_option, retries_option, unit_option
from promptops.cli.options.overrides import TimeoutOption
from promptops.cli.planned_call import PlannedCall, RunOptions, plan_call
from promptops.config.settings import Settings, current_settings
from promptops.console import note, pluralize, print_json, print_text
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt.tool_calls import answer_text
from promptops.providers.catalog import Catalog
from promptops.registry import FinishedRun
from promptops.runner import PreparedRun, Run
from promptops.runner.extraction import may_replace_text
from promptops.runner.retry import Limits
from promptops.runner.session import Session
from promptops.versions.resolve import Version

if TYPE_CHECKING:
    from promptops.runner.model_graded import ModelGradedChecks

RetriesOption = Annotated[int, retries_option()]
StreamOption = Annotated[
    bool | None, typer.Option("--stream/--no-stream", help="Print text as it comes, as on a terminal.")
]
MetaOption = Annotated[
    list[str] | None, typer.Option("--meta", metavar="KEY=VALUE", help="Log this with the run.")
]
AllChecksOption = Annotated[
    bool, typer.Option("--all-checks", help="Also make the checks that cost more calls, as a judge does.")
]
UnitOption = Annotated[
    str | None,
    unit_option("Whom it is for: the same unit meets the same version of a channel.", metavar="UNIT"),
]
PrepareOption = Annotated[
    bool,
    typer.Option(
        "--prepare", help="Call no model: log the run as begun and print what to send; see runs finish."
    ),
]
ReasoningOption = Annotated[bool, reasoning_option("Print what the model thought aloud too, on stderr.")]
NoLogOption = Annotated[bool, typer.Option("--no-log", help="Do not write to the registry.")]


def run(
    reference: ReferenceArgument,
    given: InputOption = None,
    inputs: InputsOption = None,
    model: ModelOption = None,
    assignments: SetOption = None,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 120.0,
    metadata: MetaOption = None,
    stream: StreamOption = None,
    unit: UnitOption = None,
    prepare: PrepareOption = False,
    all_checks: AllChecksOption = False,
    reasoning: ReasoningOption = False,
    no_log: NoLogOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run a version once and print the model's answer alone on stdout. Every run is logged."""
    if prepare and no_log:
        raise Invalid("--prepare logs a run to be finished later, and --no-log none")
    settings = current_settings()
    options = RunOptions(
        inputs=given,
        inputs_file=inputs,
        model=model,
        overrides=parse_overrides(assignments),
        metadata=_metadata(metadata),
        unit=unit,
    )
    limits = Limits(retries=retries, timeout=timeout)
    streams = partial(_should_stream, asked=stream, as_json=as_json)
    execution = _RunExecution(
        settings=settings, limits=limits, streams=streams, all_checks=all_checks, log=not no_log
    )
    with plan_call(reference, settings, options, log=not no_log) as call:
        if prepare:
            print_json(asyncio.run(_prepare_run(settings, call)).as_json())
            return 0
        done, streamed = asyncio.run(execution.make(call))
    try:
        if reasoning and done.reasoning and not as_json:
            note(f"{done.reasoning}\n")
        return print_run(done, streamed=streamed, as_json=as_json)
    finally:
        if not no_log:
            sys.stdout.flush()
            call.answered(done)


async def _prepare_run(settings: Settings, call: PlannedCall) -> PreparedRun:
    async with Session(settings) as session:
        runner = session.runner()
        prepared = runner.begin(call.ready(runner, False))
    note_own_run(settings, prepared.started.run_id)
    return prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunExecution:
    settings: Settings
    limits: Limits
    streams: Callable[[Version, Catalog], bool]
    all_checks: bool
    log: bool

    async def make(self, call: PlannedCall) -> tuple[Run, bool]:
        """The run, and whether its text has been printed as it came."""
        async with Session(self.settings, log=self.log) as session:
            runner = session.runner(self.limits)
            prepared = call.ready(runner, True)
            version, streams = prepared.version, self.streams(prepared.version, runner.catalog)
            model_graded = _model_graded_checks(session, version, self.limits) if self.all_checks else None
            prepared = runner.begin(prepared)
            if self.log:
                note_own_run(self.settings, prepared.started.run_id)
            done = await runner.answer(prepared, _print_piece if streams else None)
            if model_graded:
                done = await model_graded.finish(done, log=self.log)
            if self.log:
                call.ended(done)
        return done, streams


def _model_graded_checks(session: Session, version: Version, limits: Limits) -> "ModelGradedChecks":
    from promptops.runner.model_graded import (
        JudgeResolver,
        LoggedGraderClient,
        prepare_model_graded_checks,
        session_runs,
    )

    judges = JudgeResolver(session.settings)
    client = LoggedGraderClient(make_run=session_runs(session, limits), judges=judges)
    return prepare_model_graded_checks(version, client)


def print_run(run: Run, *, streamed: bool, as_json: bool) -> int:
    """Print one run: the answer on stdout, what is to be said about it on stderr. Returns the exit code."""
    if as_json:
        print_json(run.as_json())
    elif run.error is None and not streamed:
        print_text(run.answer)
    elif streamed:
        _print_after_stream(run)
    if run.error:
        raise run.error
    if run.truncated:
        note(truncation_warning(run.finished))
    if run.finished.error_type:
        note(f"invalid output: {run.finished.error_message}")
    if run.full_text != run.text:
        note("the answer is the JSON that was found in a longer text: see runs show")
    for check in run.finished.checks:
        if not check.passed:
            note(f"check {'error' if check.error else 'failed'}: {check.name}: {check.message}")
    return 0 if run.passed else 1


def _print_after_stream(run: Run) -> None:
    if run.finished.output:
        print_text("")
    if run.tool_calls:
        print_text(answer_text("", run.tool_calls))


def truncation_warning(end: FinishedRun) -> str:
    """What was cut off, and where all of the tokens went when nothing was left for an answer."""
    raise_it = "raise parameters.max_tokens (or max_completion_tokens)"
    if end.output or end.tool_calls:
        return f"the answer was cut off at {_tokens(end.output_tokens)}: {raise_it}"
    thought = end.reasoning_tokens or 0
    spent = f"{thought:,} of {_tokens(end.output_tokens)} went into reasoning" if thought else ""
    return f"the answer is empty: {spent or f'it was cut off at {_tokens(end.output_tokens)}'}; {raise_it}"


def _tokens(count: int | None) -> str:
    return "its longest" if count is None else pluralize(count, "token")


def _print_piece(text: str) -> None:
    print_text(text, end="", flush=True)


def _should_stream(version: Version, catalog: Catalog, asked: bool | None, *, as_json: bool) -> bool:
    """On a terminal text is shown as it comes, unless another may still take its place."""
    if as_json:
        return False
    if asked is not None:
        return asked
    return sys.stdout.isatty() and not may_replace_text(version.prompt, catalog)


def _metadata(pairs: Sequence[str] | None) -> dict[str, str]:
    metadata = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"--meta {pair}: metadata is KEY=VALUE")
        metadata[key] = value
    return metadata
