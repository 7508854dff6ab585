"""A run whose prompt has guards: inputs looked at before the call, the answer before it leaves.

Imported for such prompts alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Protocol

from promptops.config.clock import utc_now
from promptops.errors import OverBudget
from promptops.guards import (
    AnswerTexts,
    CompiledGuards,
    Guarding,
    SpendingGrader,
    StreamGate,
    guard_answer,
    guard_inputs_by_model,
    text_for_log,
)
from promptops.prompt import Guard, Prompt
from promptops.providers.catalog import Catalog
from promptops.providers.types import REFUSAL, ModelError, OnText
from promptops.registry import FinishedRun, GuardDecision
from promptops.runner.results import (
    Answer,
    answer_of,
    answer_subject,
    from_completion,
    with_checks,
    with_output,
)
from promptops.runner.retry import CallAttempts
from promptops.runner.run import PreparedRun

_NO_ANSWER = Answer(None, (), None, None, None)
BlockedSide = Literal["input_blocked", "output_blocked"]
_MESSAGES: Mapping[BlockedSide, str] = {
    "input_blocked": "This request was blocked.",
    "output_blocked": "The answer was blocked.",
}
CONTENT_FILTER = "content_filter"
"""The finish reason of an answer that a guard has blocked, as of one that a provider has."""


class AnswerSource(Protocol):
    """Who makes the run: its first answer, which no guard has seen."""

    @property
    def catalog(self) -> Catalog: ...

    async def first_end(self, prepared: PreparedRun, calling: CallAttempts) -> FinishedRun: ...


def gate_for(prepared: PreparedRun, guarding: Guarding, on_text: OnText | None) -> StreamGate | None:
    """What holds back an answer on its way to a listener; None where no guard would."""
    guards = guarding.guards
    if on_text is None or not guards.changes_outputs:
        return None
    whole = guards.needs_whole_answer or prepared.version.prompt.output is not None
    return StreamGate(guards.outputs, answer_subject(prepared, _NO_ANSWER), on_text, whole=whole)


async def guarded_end(
    runner: AnswerSource,
    prepared: PreparedRun,
    guarding: Guarding,
    calling: CallAttempts,
    gate: StreamGate | None,
) -> FinishedRun:
    """The end of a run: no model is called for inputs that are blocked, and no answer leaves unseen."""
    grader = guarding.grader
    decisions, blocked = guarding.decisions, guarding.blocked
    if blocked is None and guarding.guards.graded_inputs and grader:
        seen = await guard_inputs_by_model(
            guarding.guards.graded_inputs,
            prepared.rendered.inputs,
            grader,
            prepared.origin.caller_tools.tools,
        )
        decisions, blocked = (*decisions, *seen.decisions), seen.blocked
    if blocked is not None:
        return _without_call(blocked, decisions, calling.latency_ms)
    end = await runner.first_end(prepared, calling)
    answering = _Answering(runner, prepared, guarding.guards, calling, grader)
    end, answered = await answering.guarded(end)
    attempts = _attempts_for_log(prepared, guarding.guards, end.attempts)
    end = replace(end, guards=(*decisions, *answered), attempts=attempts)
    if gate is not None and end.error_type != "output_blocked" and end.finish_reason != REFUSAL:
        gate.passed(end.output or "")
    return end if end.error_type == "output_blocked" else with_checks(prepared, end)


def _attempts_for_log(
    prepared: PreparedRun, guards: CompiledGuards, attempts: Sequence[Mapping[str, Any]]
) -> Sequence[Mapping[str, Any]]:
    """What was written on the way to the answer, without what is redacted in that."""
    if not any(each.guard.do == "redact" for each in guards.outputs):
        return attempts
    subject = answer_subject(prepared, _NO_ANSWER)
    return [
        {
            key: text_for_log(guards.outputs, subject, value) if key in _TEXTS and value else value
            for key, value in attempt.items()
        }
        for attempt in attempts
    ]


class _Answering:
    """Looks at one answer after the other, until one may leave or there are no more retries."""

    def __init__(
        self,
        runner: AnswerSource,
        prepared: PreparedRun,
        guards: CompiledGuards,
        calling: CallAttempts,
        grader: SpendingGrader | None,
    ) -> None:
        self._runner = runner
        self._prepared = prepared
        self._guards = guards.outputs
        self._fields = guards.fields
        self._calling = calling
        self._grader = grader
        self._retries: dict[str, int] = {}

    async def guarded(self, end: FinishedRun) -> tuple[FinishedRun, tuple[GuardDecision, ...]]:
        decisions: list[GuardDecision] = []
        while True:
            answer = AnswerTexts(end.output or "", end.tool_calls, self._fields)
            seen = await guard_answer(
                self._guards, answer_subject(self._prepared, answer_of(end)), answer, self._grader
            )
            decisions += seen.decisions
            guard = seen.stopped
            if guard is None or decisions[-1].did != "retried":
                break
            again = await self._again(guard, end, decisions[-1].why)
            if again is None:
                decisions[-1] = replace(decisions[-1], did=_AFTERWARDS[guard.then])
                break
            end = again
        did = decisions[-1].did if decisions else "passed"
        if guard is None or did == "flagged":
            retried = bool(self._retries)
            return _changed(self._prepared.version.prompt, end, answer, seen.answer, retried), tuple(
                decisions
            )
        self._note_rejected(end, decisions[-1].why)
        if did == "replaced":
            replaced = replace(end, output=guard.replacement or "", tool_calls=(), cache_key=None)
            return replace(replaced, error_type=None, error_message=None, retryable=None), tuple(decisions)
        return _blocked(end, guard, "output_blocked"), tuple(decisions)

    async def _again(self, guard: Guard, end: FinishedRun, why: str) -> FinishedRun | None:
        """The end with another answer; None where no retry is left, or nothing more may be spent."""
        if self._retries.get(guard.name, 0) >= guard.retries:
            return None
        self._retries[guard.name] = self._retries.get(guard.name, 0) + 1
        self._note_rejected(end, why)
        demand = f"That answer cannot be sent: {why or guard.name}. Answer again, without that."
        messages = self._prepared.rendered.messages
        try:
            completion = await self._calling.again(messages, end.output or "", demand)
        except OverBudget:
            return None
        return from_completion(self._calling, completion, self._runner.catalog)

    def _note_rejected(self, end: FinishedRun, why: str) -> None:
        """The log keeps what the model wrote beside what its caller got."""
        attempts = self._calling.attempts
        if attempts and not end.cache_source and "output" not in attempts[-1]:
            attempts[-1] |= {"output": end.output, "guarded": why}


_AFTERWARDS: Mapping[str, Any] = {"block": "blocked", "replace": "replaced", "flag": "flagged"}


def _changed(
    prompt: Prompt, end: FinishedRun, before: AnswerTexts, after: AnswerTexts, retried: bool
) -> FinishedRun:
    """What guards have changed is no reply of the provider: it is kept for nobody else."""
    if before is after:
        return replace(end, cache_key=None) if retried else end
    attempts = [
        {key: value for key, value in attempt.items() if key not in ("full_text", "reasoning")}
        for attempt in end.attempts
    ]  # they hold what was redacted
    changed = replace(end, tool_calls=tuple(after.tool_calls), attempts=attempts, cache_key=None)
    return changed if end.output is None else with_output(prompt, changed, after.text)


def _without_call(
    guard: Guard, decisions: tuple[GuardDecision, ...], latency_ms: float | None
) -> FinishedRun:
    """The end of a run whose inputs were blocked: nothing was asked, and nothing spent."""
    end = FinishedRun(
        finished_at=utc_now(),
        state="finished",
        latency_ms=latency_ms,
        input_tokens=0,
        output_tokens=0,
        cost_usd=0.0,
        cost_list_usd=0.0,
        spent_usd=0.0,
        guards=decisions,
    )
    return _blocked(end, guard, "input_blocked")


def _blocked(end: FinishedRun, guard: Guard, side: BlockedSide) -> FinishedRun:
    return replace(
        end,
        output=None,
        tool_calls=(),
        finish_reason=CONTENT_FILTER,
        cache_key=None,
        error_type=side,
        error_message=guard.message or _MESSAGES[side],
        retryable=False,
    )


def without_rejected_texts(guarding: Guarding, end: FinishedRun) -> FinishedRun:
    """What its caller may see: what no guard has let pass is of the log alone."""
    if not guarding.guards.changes_outputs:
        return end
    attempts = [
        {key: value for key, value in attempt.items() if key not in _OF_LOG} for attempt in end.attempts
    ]
    return replace(end, attempts=attempts)


def hide_partial_answer(
    prepared: PreparedRun, guarding: Guarding, calling: CallAttempts, error: ModelError
) -> None:
    """No guard has looked at what had come of an answer when its call failed: it goes into the log alone."""
    if not guarding.guards.changes_outputs:
        return
    if error.partial:
        if calling.attempts:
            calling.attempts[-1].setdefault("output", error.partial)
        error.partial = ""
    calling.attempts[:] = map(dict, _attempts_for_log(prepared, guarding.guards, calling.attempts))


_TEXTS = frozenset({"output", "full_text", "reasoning"})
_OF_LOG = _TEXTS | {"guarded"}
