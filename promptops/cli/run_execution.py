"""How ``run`` and ``chat`` make one run and print its answer."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING

from promptops.cli.last_run import note_own_run
from promptops.cli.planned_call import PlannedCall, RunOptions, plan_call
from promptops.cli.reports.run_tables import guard_deed
from promptops.config.settings import Settings
from promptops.console import note, print_json, print_text, stderr_is_terminal
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Undecided
from promptops.prompt.tool_calls import answer_text
from promptops.providers.catalog import Catalog
from promptops.registry import FinishedRun
from promptops.runner import PreparedRun, Run
from promptops.runner.extraction import may_replace_text
from promptops.runner.retry import Limits
from promptops.runner.session import Session, session_runs
from promptops.versions.resolve import Version

if TYPE_CHECKING:
    from promptops.runner.batch.rate_limiter import AdaptiveLimiter
    from promptops.runner.model_graded import ModelGradedChecks


@dataclass(frozen=True, slots=True, kw_only=True)
class RunExecution:
    settings: Settings
    limits: Limits
    streams: Callable[[Version, Catalog], bool]
    all_checks: bool = False
    log: bool = True
    reasoning: bool = False
    as_json: bool = False
    quiet: bool = False
    limiter: "AdaptiveLimiter | None" = None  # of the budget that its runs share
    before: Callable[[PreparedRun], object] = id  # called with what is about to be logged and sent

    def plan(self, reference: str, options: RunOptions) -> AbstractContextManager[PlannedCall]:
        """The call that the options ask for, which is open as a context."""
        if options.converses:
            from promptops.cli.continued_call import plan_continued_call

            return plan_continued_call(reference, self.settings, options, log=self.log)
        return plan_call(reference, self.settings, options, log=self.log)

    def run(self, reference: str, options: RunOptions) -> int:
        """Make the run and print it."""
        with self.plan(reference, options) as call:
            done, streamed = asyncio.run(self.make(call))
        try:
            return self.print(done, streamed=streamed)
        finally:
            if self.log:
                sys.stdout.flush()
                call.answered(done)

    def print(self, done: Run, *, streamed: bool) -> int:
        """Print a run: the exit code, or what it failed by."""
        if self.reasoning and done.reasoning and not self.as_json:
            note(f"{done.reasoning}\n")
        try:
            return print_run(done, streamed=streamed, as_json=self.as_json)
        finally:
            if not (self.as_json or self.quiet) and stderr_is_terminal():
                from promptops.cli.run_summary import note_summary

                note_summary(done, logged=self.log)

    async def make(self, call: PlannedCall, heard: list[str] | None = None) -> tuple[Run, bool]:
        """The run, and whether its text has been printed as it came: a refusal and calls of tools are not.

        ``heard`` gets what has come, also of an answer that is cut.
        """
        heard = [] if heard is None else heard
        async with Session(self.settings, log=self.log) as session:
            runner = session.runner(self.limits)
            prepared = call.ready(runner, True)
            version, streams = prepared.version, self.streams(prepared.version, runner.catalog)
            model_graded = _model_graded_checks(session, version, self.limits) if self.all_checks else None
            if prepared.is_reviewed and not self.log:
                raise Invalid("--no-log: a person cannot release an answer that is not logged")
            if self.limiter and self.limiter.budget:
                self.limiter.budget.prices.check(version.prompt)
            self.before(prepared)
            prepared = runner.begin(prepared)
            if self.log:
                note_own_run(self.settings, prepared.started.run_id)
            on_text = partial(_print_piece, heard) if streams else None
            done = await runner.answer(prepared, on_text, self.limiter)
            if model_graded and not done.held:
                done = await model_graded.finish(done, log=self.log)
            if self.log:
                call.ended(done)
        return done, bool(heard)


def cost_limiter(
    settings: Settings, max_cost: float | None, assume_cost: float | None
) -> "AdaptiveLimiter | None":
    """What keeps the runs of one command within ``--max-cost``."""
    if max_cost is None:
        return None
    from promptops.runner.batch.budget import Budget, Prices
    from promptops.runner.batch.rate_limiter import AdaptiveLimiter

    return AdaptiveLimiter(1, budget=Budget(max_cost, Prices(Catalog.load(settings), assume_cost)))


def _model_graded_checks(session: Session, version: Version, limits: Limits) -> "ModelGradedChecks":
    from promptops.runner.model_graded import (
        JudgeResolver,
        LoggedGraderClient,
        prepare_model_graded_checks,
    )

    judges = JudgeResolver(session.settings)
    client = LoggedGraderClient(make_run=session_runs(session, limits), judges=judges)
    return prepare_model_graded_checks(version, client)


def print_run(run: Run, *, streamed: bool, as_json: bool) -> int:
    """Print one run: the answer on stdout, what is to be said about it on stderr. Returns the exit code."""
    if as_json:
        print_json(run.as_json())
    if run.held:
        raise Undecided(
            f"the answer of run {run.id} is held until a person has released it",
            hint=f"promptops review start {run.prompt}:{run.channel} --held, then promptops ui",
        )
    if not as_json:
        _print_answer(run, streamed=streamed)
    if run.error:
        raise run.error
    _note_findings(run)
    return 0 if run.passed else 1


def _note_findings(run: Run) -> None:
    """What is to be said about an answer, or why there is none."""
    if run.blocked:
        note(f"blocked: {run.message}")
    for decision in run.guards:
        if decision.did != "passed":
            why = f": {decision.why}" if decision.why else ""
            note(f"guard {decision.guard}: {guard_deed(decision.on, decision.did)}{why}")
    if run.truncated:
        note(truncation_warning(run.finished))
    if run.finished.error_type and not run.blocked:
        note(f"invalid output: {run.finished.error_message}")
    if run.full_text != run.text:
        note("the answer is the JSON that was found in a longer text: see runs show")
    for check in run.finished.checks:
        if not check.passed:
            note(f"check {'error' if check.error else 'failed'}: {check.name}: {check.message}")


def _print_answer(run: Run, *, streamed: bool) -> None:
    if not streamed:
        if run.error is None and not run.blocked:
            print_text(run.answer)
        return
    if run.finished.output or run.blocked:
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
    from promptops.reports.numbers import pluralize

    return "its longest" if count is None else pluralize(count, "token")


def _print_piece(heard: list[str], text: str) -> None:
    heard.append(text)
    print_text(text, end="", flush=True)


def should_stream(version: Version, catalog: Catalog, asked: bool | None, *, as_json: bool) -> bool:
    """On a terminal text is shown as it comes, unless another may still take its place."""
    if as_json:
        return False
    if asked is not None:
        return asked
    return sys.stdout.isatty() and not may_replace_text(version.prompt, catalog)
