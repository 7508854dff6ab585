"""How runs end: answered, failed, answered before, or as somebody else reports."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.checks import CheckSubject, run_checks
from promptops.config.clock import utc_now
from promptops.prompt import Prompt
from promptops.prompt.chat import system_text
from promptops.prompt.tool_calls import comparable_calls
from promptops.providers.catalog import Catalog
from promptops.providers.pricing import asked_tier
from promptops.providers.types import REFUSAL, TRUNCATED, Completion, ModelError
from promptops.registry import CachedReply, FinishedRun, RunState, StartedRun, is_sampled
from promptops.runner.extraction import with_extracted_json
from promptops.runner.retry import CallAttempts, output_problem
from promptops.runner.run import PreparedRun, ReportedResult

if TYPE_CHECKING:
    from promptops.versions.release_state import ShadowState


def from_error(calling: CallAttempts, error: ModelError, catalog: Catalog) -> FinishedRun:
    return FinishedRun(
        finished_at=utc_now(),
        state="interrupted" if error.type == "interrupted" else "failed",
        output=error.partial or None,
        latency_ms=calling.latency_ms,
        first_token_ms=calling.first_token_ms,
        attempts=calling.attempts,
        error_type=error.type,
        error_message=error.message,
        retryable=error.retryable,
        **_usage([*calling.failures, *calling.completions], catalog, calling.prompt),
    )


def from_completion(
    calling: CallAttempts,
    answer: Completion,
    catalog: Catalog,
    cache_key: str | None = None,
) -> FinishedRun:
    """The end of a run that a model has answered, before its checks."""
    usage = _usage([*calling.failures, *calling.completions], catalog, calling.prompt)
    return FinishedRun(
        finished_at=utc_now(),
        state="finished",
        response_model=answer.response_model,
        output=answer.text,
        tool_calls=answer.tool_calls,
        finish_reason=answer.finish_reason,
        response_id=answer.response_id,
        cache_key=cache_key,
        latency_ms=calling.latency_ms,
        first_token_ms=calling.first_token_ms,
        attempts=calling.attempts,
        **_problem(output_problem(calling.prompt, answer)),
        **usage,
    )


def from_cache(prompt: Prompt, kept: CachedReply, catalog: Catalog) -> FinishedRun:
    """An earlier answer, with the latency and cost that it had; nothing is spent."""
    answer = _kept_answer(prompt, kept, catalog)
    return replace(
        kept.end,
        output=answer.text if kept.end.output is not None else None,
        finished_at=utc_now(),
        spent_usd=0.0,
        attempts=(),
        cache_source=kept.run_id,
        **_problem(output_problem(prompt, answer)),
    )


def from_report(
    prepared: PreparedRun, reported: ReportedResult, catalog: Catalog, latency_ms: float | None = None
) -> FinishedRun:
    """The end of a run whose caller asked the model itself, priced by its tokens and checked as any other."""
    if latency_ms is None:
        latency_ms = round((time.perf_counter() - prepared.clock) * 1000, 3)
    prompt = prepared.version.prompt
    completion = Completion(
        text=reported.output or "",
        response_model=reported.response_model or "",
        input_tokens=reported.input_tokens,
        output_tokens=reported.output_tokens,
        tool_calls=tuple(reported.tool_calls or ()),
    )
    answer = with_extracted_json(prompt, prompt.model, completion, catalog)
    whole = {"full_text": completion.text} if answer.text != completion.text else {}
    end = FinishedRun(
        finished_at=utc_now(),
        state="finished",
        response_model=reported.response_model,
        output=answer.text if reported.output is not None else None,
        tool_calls=answer.tool_calls,
        attempts=({"model": prompt.model, **whole},) if whole else (),
        latency_ms=latency_ms,
        **_usage([(prompt.model, answer)], catalog, prompt),
    )
    if reported.error is not None:
        state: RunState = "interrupted" if reported.error_type == "interrupted" else "failed"
        return replace(
            end, state=state, error_type=reported.error_type, error_message=reported.error, retryable=False
        )
    end = replace(end, **_problem(output_problem(prompt, answer)))
    return with_checks(prepared, end, calls_known=reported.tool_calls is not None)


def with_hold(prepared: PreparedRun, end: FinishedRun) -> FinishedRun:
    """The end with word that a person has to release the answer, where there is one."""
    answered = end.output is not None or end.tool_calls
    return replace(end, held="waiting") if prepared.is_reviewed and answered else end


def without_held_answer(end: FinishedRun) -> FinishedRun:
    """What its caller gets: nothing that the model wrote, nor what quotes it, while that is held."""
    if end.held is None:
        return end
    checks = tuple(replace(check, message="") for check in end.checks)
    message = "the answer is invalid" if end.error_type else None
    return replace(end, output=None, tool_calls=(), attempts=(), checks=checks, error_message=message)


def with_shadow(prepared: PreparedRun, end: FinishedRun) -> FinishedRun:
    """The end with word of who is to answer the same inputs in the background, where somebody is."""
    shadow, run = prepared.origin.shadow, prepared.started
    if shadow is None or not is_shadow_sampled(shadow, run, end):
        return end
    return replace(
        end,
        shadow={"prompt": run.prompt, "channel": str(run.channel), "digest": shadow.released.digest},
    )


def is_shadow_sampled(shadow: "ShadowState", run: StartedRun, end: FinishedRun) -> bool:
    """Whether a run is one of those that the shadow answers too: drawn by its id, blind to its answer.

    Not what nobody waited for, not what that very version has answered, and no input that a guard of the
    version that serves has blocked: the candidate may lack that guard.
    """
    answered = end.state != "interrupted" and end.error_type != "input_blocked"
    made = answered and end.cache_source is None and run.digest != shadow.released.digest
    return made and is_sampled(run.run_id, "shadow", shadow.sample_bp / 10_000)


def with_output(prompt: Prompt, end: FinishedRun, output: str) -> FinishedRun:
    """The end with another text as its answer, which may break the schema of the output."""
    answer = Completion(
        text=output, response_model="", tool_calls=tuple(end.tool_calls), finish_reason=end.finish_reason
    )
    return replace(end, output=output, **_problem(output_problem(prompt, answer)))


def with_checks(prepared: PreparedRun, end: FinishedRun, *, calls_known: bool = True) -> FinishedRun:
    """The end with the checks that need no further calls. A reported text alone says nothing of tools."""
    if not prepared.checks:
        return end
    subject = answer_subject(prepared, answer_of(end))
    subject = subject if calls_known else replace(subject, tool_calls=None)
    return replace(end, checks=run_checks(prepared.checks, subject))


def answer_of(end: FinishedRun) -> "Answer":
    return Answer(end.output, end.tool_calls, end.finish_reason, end.latency_ms, end.cost_usd)


class Answer(NamedTuple):
    """What checks look at."""

    output: str | None
    tool_calls: Sequence[Mapping[str, Any]]
    finish_reason: str | None
    latency_ms: float | None
    cost_usd: float | None


def answer_subject(prepared: PreparedRun, answer: Answer) -> CheckSubject:
    """An answer of a run, for checks to look at."""
    return CheckSubject(
        output=answer.output or comparable_calls(answer.tool_calls),
        inputs=prepared.rendered.inputs,
        expected=prepared.origin.expected,
        schema=prepared.version.prompt.output_schema,
        latency_ms=answer.latency_ms,
        cost_usd=answer.cost_usd,
        refused=answer.finish_reason == REFUSAL,
        truncated=answer.finish_reason == TRUNCATED,
        system=system_text(prepared.rendered.messages),
        nonce=prepared.rendered.nonce,
        tool_calls=answer.tool_calls,
        tools=(*prepared.version.prompt.tools, *prepared.origin.caller_tools.tools),
    )


def cached_output_problem(prompt: Prompt, kept: CachedReply, catalog: Catalog) -> str:
    """Why a kept answer breaks the output schema of the prompt; empty when it doesn't."""
    return output_problem(prompt, _kept_answer(prompt, kept, catalog))


def _kept_answer(prompt: Prompt, kept: CachedReply, catalog: Catalog) -> Completion:
    end = kept.end
    answer = Completion(
        text=end.output or "",
        response_model="",
        tool_calls=tuple(end.tool_calls),
        finish_reason=end.finish_reason,
    )
    return with_extracted_json(prompt, prompt.model, answer, catalog)


def _problem(problem: str) -> dict[str, Any]:
    return {
        "error_type": "invalid_output" if problem else None,
        "error_message": problem or None,
        "retryable": False if problem else None,
    }


def _usage(completions: Sequence[tuple[str, Completion]], catalog: Catalog, prompt: Prompt) -> dict[str, Any]:
    """Tokens and costs over all completions: a repaired answer costs both calls, a failed one its own."""
    tier = asked_tier(prompt.parameters)
    answers = [completion for _, completion in completions]
    costs = [catalog.cost(model, completion, tier) for model, completion in completions]
    billed = _total([cost.cost_usd if cost else None for cost in costs])
    return {
        "input_tokens": _total([each.input_tokens for each in answers]),
        "output_tokens": _total([each.output_tokens for each in answers]),
        "cached_tokens": _total([each.cached_tokens for each in answers]),
        "reasoning_tokens": _total([each.reasoning_tokens for each in answers]),
        "cost_usd": billed,
        "cost_list_usd": _total([cost.cost_list_usd if cost else None for cost in costs]),
        "spent_usd": billed,
    }


def _total(values: Sequence[float | None]) -> Any:
    """The sum, or None when there is nothing to add or one part is unknown."""
    if len(values) == 1:  # as of nearly all runs
        return values[0]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
