"""What guards do with an input or an answer: each looks, and acts where its check does not pass."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from promptops.checks import (
    CHECK_KINDS,
    CheckSubject,
    GraderClient,
    check_argument,
    run_checks,
    run_graded_checks,
)
from promptops.dataclass import dataclass
from promptops.errors import OverBudget, PromptopsError
from promptops.guards.compile import CompiledGuard
from promptops.guards.texts import SCHEMA_FIELDS, AnswerTexts, TextReplacement, is_picture, texts_in
from promptops.guards.unescaped_text import UnescapedText, has_escapes
from promptops.prompt import Guard
from promptops.prompt.tool_calls import comparable_answer, comparable_calls
from promptops.registry import CheckResult, GuardDecision, GuardDeed

GRADED_SECONDS = 10.0  # that a guard waits for a model
PYTHON_SECONDS = 2.0  # and for a function of the project
_NOWHERE = "what it found is not in a place that can be redacted"
_AGAIN = "what is left of the text holds it again and again"
_MAX_ROUNDS = 20
_IN_TOOL = "what it found is in a tool of the caller, where nothing is redacted"
Tools = Sequence[Mapping[str, Any]]
T = TypeVar("T")
_DEEDS: Mapping[str, GuardDeed] = {
    "block": "blocked",
    "redact": "redacted",
    "flag": "flagged",
    "retry": "retried",
    "replace": "replaced",
}


class SpendingGrader(GraderClient, Protocol):
    """Makes the calls of a guard's check, and knows what they cost."""

    spent_usd: float
    unpriced: int  # calls of unknown cost
    over_budget: OverBudget | None  # a guard's call that may not be made is no verdict


@dataclass(frozen=True, slots=True)
class GuardedInputs:
    """Inputs as the guards leave them; ``blocked`` is the one that does not let them pass."""

    inputs: Mapping[str, Any]
    decisions: tuple[GuardDecision, ...] = ()
    blocked: Guard | None = None


@dataclass(frozen=True, slots=True)
class GuardedAnswer:
    """An answer as the guards leave it; ``stopped`` is the one that does not let it pass as it is."""

    answer: AnswerTexts
    decisions: tuple[GuardDecision, ...] = ()
    stopped: Guard | None = None


def guard_inputs(
    guards: Sequence[CompiledGuard], inputs: Mapping[str, Any], tools: Tools = ()
) -> GuardedInputs:
    """Those that ask no model. Behind one that blocks nobody decides, but the log gets what is redacted.

    ``tools``: those of the caller, which the model reads as well.
    """
    decisions: list[GuardDecision] = []
    blocked: Guard | None = None
    for each in guards:
        if blocked is not None:
            if each.guard.do == "redact":
                _, spans = _looked_at(each, _input_subject(each, inputs))
                inputs, _ = _without_spans(each, inputs, spans, *_of_inputs(each))
            continue
        clock = time.perf_counter()
        subject = _input_subject(each, inputs)
        result, spans = _looked_at(each, subject)
        inputs, gone = _without_spans(each, inputs, spans, *_of_inputs(each))
        result = result if gone else replace(result, error=True, message=_AGAIN)
        result = _with_tools(each, inputs, tools, result)
        decisions.append(_decision(each.guard, result, clock))
        if decisions[-1].did == "blocked":
            blocked = each.guard
    return GuardedInputs(inputs, tuple(decisions), blocked)


async def guard_inputs_by_model(
    guards: Sequence[CompiledGuard], inputs: Mapping[str, Any], grader: SpendingGrader, tools: Tools = ()
) -> GuardedInputs:
    """Those that ask a model: none of them changes an input."""
    decisions: list[GuardDecision] = []
    for each in guards:
        subject = _input_subject(each, inputs)
        if each.forbids_in_tools:
            subject = replace(subject, output="\n".join((subject.output, *_texts_of_tools(tools))))
        decisions.append(await _graded(each, subject, grader))
        if decisions[-1].did == "blocked":
            return GuardedInputs(inputs, tuple(decisions), each.guard)
    return GuardedInputs(inputs, tuple(decisions))


async def guard_answer(
    guards: Sequence[CompiledGuard], subject: CheckSubject, answer: AnswerTexts, grader: SpendingGrader | None
) -> GuardedAnswer:
    """All that look at outputs, up to one that does not let the answer pass as it is.

    Without a grader, those that ask a model are left out.
    """
    found = GuardedAnswer(answer)
    for each in guards:
        if each.needs_model:
            whole = comparable_answer(found.answer.text, found.answer.tool_calls) or ""
            decision = await _graded(each, replace(subject, output=whole), grader) if grader else None
        elif each.calls_function:
            found, decision = await _look_apart(each, subject, found)
        else:
            found, decision = _look_at_answer(each, subject, found)
        if decision is None:
            continue
        found = replace(found, decisions=(*found.decisions, decision))
        if decision.did in ("blocked", "retried", "replaced"):
            return replace(found, stopped=each.guard)
    return found


async def _look_apart(
    compiled: CompiledGuard, subject: CheckSubject, found: GuardedAnswer
) -> tuple[GuardedAnswer, GuardDecision]:
    """On another thread, so that a slow function keeps no other call waiting."""
    import asyncio

    return await asyncio.to_thread(_look_at_answer, compiled, subject, found)


def text_for_log(guards: Sequence[CompiledGuard], subject: CheckSubject, text: str) -> str:
    """What a model wrote that was no answer, without what guards redact in answers."""
    found = GuardedAnswer(AnswerTexts(text, ()))
    for each in guards:
        if each.guard.do == "redact":
            found, _ = _look_at_answer(each, subject, found)
    return found.answer.text


def _look_at_answer(
    compiled: CompiledGuard, subject: CheckSubject, found: GuardedAnswer
) -> tuple[GuardedAnswer, GuardDecision]:
    """What its values say is looked at whatever letters are escaped, and the answer as it is written."""
    clock, answer = time.perf_counter(), found.answer
    result = None
    if compiled.forbids and answer.is_structured:
        result, spans = _looked_at(compiled, replace(subject, output=answer.texts))
        if spans:
            changed, gone = _without_spans(
                compiled,
                answer,
                spans,
                lambda answer: replace(subject, output=answer.texts),
                lambda answer, spans: answer.replaced(_replacement(compiled, spans)),
            )
            result = result if gone else replace(result, error=True, message=_AGAIN)
            return replace(found, answer=changed), _decision(compiled.guard, result, clock)
    if result is None or result.passed:
        result, spans = _looked_at(compiled, _answer_subject(compiled, subject, answer))
        if spans and answer.tool_calls:  # it stands in the name of a tool
            result = replace(result, error=True, message=_NOWHERE)
        elif spans:
            text, gone = _without_spans(
                compiled,
                answer.text,
                spans,
                lambda text: replace(subject, output=text),
                lambda text, spans: _replacement(compiled, spans).part(text),
            )
            result = result if gone else replace(result, error=True, message=_AGAIN)
            found = replace(found, answer=AnswerTexts(text, answer.tool_calls, compiled.fields))
    return found, _decision(compiled.guard, result, clock)


def _without_spans(
    compiled: CompiledGuard,
    value: T,
    spans: Sequence[Any],
    seen: Callable[[T], CheckSubject],
    redacted: Callable[[T, Sequence[Any]], T],
) -> tuple[T, bool]:
    """A value without what was found, and whether nothing more is.

    Where nothing takes its place, what stood on its two sides may be such a thing together.
    """
    for _ in range(_MAX_ROUNDS):
        if not spans:
            return value, True
        value = redacted(value, spans)
        if not compiled.joins_what_is_left:
            return value, True
        result, spans = _looked_at(compiled, seen(value))
        if result.error:
            return value, False
    return value, False


def _looked_at(compiled: CompiledGuard, subject: CheckSubject) -> tuple[CheckResult, Sequence[Any]]:
    """What the check says, and what is to be redacted, where the guard does that.

    One that looks for what must not be there also looks at the text with its escapes undone.
    """
    result, spans = _looked_at_once(compiled, subject)
    decided = result.error or not (result.passed or compiled.guard.do == "redact")
    if decided or compiled.calls_function or not (compiled.forbids and has_escapes(subject.output)):
        return result, spans
    plain = UnescapedText(subject.output)
    other, found = _looked_at_once(compiled, replace(subject, output=plain.text))
    if other.passed:
        return result, spans
    return (other if result.passed or other.error else result), [*spans, *plain.written_spans(found)]


def _looked_at_once(compiled: CompiledGuard, subject: CheckSubject) -> tuple[CheckResult, Sequence[Any]]:
    (result,) = _run_check(compiled, subject)
    if result.passed or result.error or compiled.guard.do != "redact":
        return result, ()
    return _with_spans(compiled, subject, result)


def _run_check(compiled: CompiledGuard, subject: CheckSubject) -> Sequence[CheckResult]:
    if not compiled.calls_function:
        return run_checks((compiled.check,), subject)
    from promptops.privacy.time_limit import FunctionTimeoutError, call_within

    try:
        return call_within(PYTHON_SECONDS, lambda: run_checks((compiled.check,), subject))
    except FunctionTimeoutError as error:
        said = f"its function {error}"
        return [CheckResult(name=compiled.guard.name, passed=False, error=True, message=said)]


def _with_spans(
    compiled: CompiledGuard, subject: CheckSubject, result: CheckResult
) -> tuple[CheckResult, Sequence[Any]]:
    check = compiled.guard.check
    find = CHECK_KINDS[check.kind].spans
    assert find is not None  # noqa: S101 - compile_guards has seen to it
    try:
        spans = find(subject.output, check_argument(check, subject))
    except Exception as error:  # noqa: BLE001 - a guard that cannot say where is one that cannot say
        said = error.message if isinstance(error, PromptopsError) else f"{type(error).__name__}: {error}"
        return replace(result, error=True, message=said), ()
    if spans:
        return result, spans
    return replace(result, error=True, message=_NOWHERE), ()


async def _graded(compiled: CompiledGuard, subject: CheckSubject, grader: SpendingGrader) -> GuardDecision:
    """A judge that is down, slow or says nonsense is a check that cannot say."""
    import asyncio

    clock, spent, unpriced = time.perf_counter(), grader.spent_usd, grader.unpriced
    try:
        async with asyncio.timeout(GRADED_SECONDS):
            (result,) = await run_graded_checks((compiled.check,), subject, grader)
    except TimeoutError:
        said = f"no verdict after {GRADED_SECONDS:g} s"
        result = CheckResult(name=compiled.guard.name, passed=False, error=True, message=said)
        unpriced = -1  # a call that was cut off may be billed
    if grader.over_budget:
        raise grader.over_budget
    usd = grader.spent_usd - spent if grader.unpriced == unpriced else None
    return replace(_decision(compiled.guard, result, clock), usd=usd)


def _decision(guard: Guard, result: CheckResult, clock: float) -> GuardDecision:
    if result.error:
        did: GuardDeed = "blocked" if guard.on_error == "block" else "allowed"
    else:
        did = "passed" if result.passed else _DEEDS[guard.do]
    return GuardDecision(
        guard=guard.name,
        on=guard.on,
        did=did,
        why=result.message,
        error=result.error,
        ms=round((time.perf_counter() - clock) * 1000, 3),
    )


def _input_subject(compiled: CompiledGuard, inputs: Mapping[str, Any]) -> CheckSubject:
    values = [inputs[name] for name in _seen(compiled, inputs)]
    seen = values[0] if len(values) == 1 else values
    return CheckSubject(output=texts_in(seen, compiled.fields), inputs=inputs)


def _with_tools(
    compiled: CompiledGuard, inputs: Mapping[str, Any], tools: Tools, result: CheckResult
) -> CheckResult:
    """What the check says of the tools too. They are sent as they are or not at all: nothing is redacted."""
    redacts = compiled.guard.do == "redact"
    if result.error or not (tools and compiled.forbids_in_tools and (result.passed or redacts)):
        return result
    for text in _texts_of_tools(tools):
        found, _ = _looked_at(compiled, CheckSubject(output=text, inputs=inputs))
        if not found.passed:
            return replace(found, error=True, message=_IN_TOOL) if redacts and not found.error else found
    return result


def _texts_of_tools(tools: Tools) -> Sequence[str]:
    return [texts_in(list(tools), SCHEMA_FIELDS)] if tools else []


def _seen(compiled: CompiledGuard, inputs: Mapping[str, Any]) -> Sequence[str]:
    """The names of the inputs that a guard looks at: all but pictures."""
    return [
        name
        for name in compiled.guard.inputs or inputs
        if name in inputs and not (name in compiled.pictures and is_picture(inputs[name]))
    ]


def _of_inputs(compiled: CompiledGuard) -> tuple[Callable[..., CheckSubject], Callable[..., Any]]:
    return partial(_input_subject, compiled), partial(_redacted_inputs, compiled)


def _redacted_inputs(
    compiled: CompiledGuard, inputs: Mapping[str, Any], spans: Sequence[Any]
) -> Mapping[str, Any]:
    replacement = _replacement(compiled, spans)
    return {**inputs, **{name: replacement.value(inputs[name]) for name in _seen(compiled, inputs)}}


def _replacement(compiled: CompiledGuard, spans: Sequence[Any]) -> TextReplacement:
    return TextReplacement(spans, compiled.guard.replacement, compiled.guard.name, compiled.fields)


def _answer_subject(compiled: CompiledGuard, subject: CheckSubject, answer: AnswerTexts) -> CheckSubject:
    """All of it where no part may be left out; else the text, or the calls where there is none."""
    calls = answer.tool_calls
    whole = (
        comparable_answer(answer.text, calls) if compiled.forbids else answer.text or comparable_calls(calls)
    )
    return replace(subject, output=whole or "", tool_calls=calls)
