"""One answer for one prompt: retries, repair of an output that breaks its schema, fallback to further pins.

These three happen here and nowhere else, and each attempt is kept for the run's row.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Protocol

from promptops.checks.json import output_schema_problem
from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import OverBudget
from promptops.prompt import Prompt
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion, CompletionRequest, ModelClient, ModelError, OnText
from promptops.redaction import redact_sent_keys, redact_texts
from promptops.runner.caller_tools import NO_TOOLS, CallerTools
from promptops.runner.extraction import with_extracted_json

if TYPE_CHECKING:  # loaded for prompts that have guards
    from promptops.guards import StreamGate

INITIAL_BACKOFF = 0.5  # seconds before the first retry; doubles with each
MAX_BACKOFF = 30.0
_OF_ONE_MODEL = frozenset({"content_filter", "context_exceeded"})  # another model may well answer
_OF_PROVIDER = ("response_model", "finish_reason", "response_id", "reasoning")
MAX_RETRY_AFTER = 120.0  # seconds: a longer Retry-After is an answer, not a pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    retries: int = 2  # retries after a retryable failure, for each pin
    timeout: float = 120.0  # seconds for one attempt


GUARD_LIMITS = Limits(retries=1, timeout=10.0)
"""Of a call that a guard makes while somebody waits for an answer."""


class RateLimiter(Protocol):
    """Says when a call may be made, where many runs share a provider and a budget."""

    async def acquire(self, request: CompletionRequest) -> Any:
        """Wait until the call may be made; what comes back is handed to ``release``. May raise OverBudget."""
        ...

    def release(self, permit: Any, ended: Completion | ModelError | None) -> None: ...


@dataclass(slots=True, kw_only=True)
class CallAttempts:
    """The calls behind one run, and what has come of them so far."""

    prompt: Prompt
    caller_tools: CallerTools = NO_TOOLS
    adapter_for: Callable[[str], ModelClient]
    catalog: Catalog
    limits: Limits
    on_text: OnText | None = None
    gate: "StreamGate | None" = None  # that ``on_text`` passes, where guards hold the answer back
    limiter: RateLimiter | None = None
    asked: CompletionRequest | None = None  # of the pin under way, before any repair
    requests: dict[str, CompletionRequest] = field(default_factory=dict)  # by pin
    attempts: list[dict[str, Any]] = field(default_factory=list)
    completions: list[tuple[str, Completion]] = field(default_factory=list)  # with the pin that gave each
    failures: list[tuple[str, Completion]] = field(default_factory=list)  # that were billed all the same
    streamed: list[str] = field(default_factory=list)  # the text of the attempt under way
    clock: float = field(default_factory=time.perf_counter)
    timed: bool = True  # whether anybody has waited for the answers, so that they have a latency
    queued_s: float = 0.0  # seconds waited at the limiter, which are nobody's latency

    async def answer(self, messages: Sequence[Mapping[str, Any]]) -> Completion:
        """The first pin's answer, or that of the next after a retryable failure. Raises ModelError."""
        pins = (self.prompt.model, *self.prompt.fallback)
        for pin in pins[:-1]:
            try:
                return await self._from_pin(pin, messages)
            except ModelError as error:
                if not error.retryable and error.type not in _OF_ONE_MODEL:
                    raise
        return await self._from_pin(pins[-1], messages)

    async def again(self, messages: Sequence[Mapping[str, Any]], answer: str, demand: str) -> Completion:
        """Another answer of the pin that answered, told what is wrong with this one. Raises ModelError."""
        pin = self.completions[-1][0] if self.completions else self.prompt.model
        request = self.request(pin, messages)
        said = {"role": "assistant", "content": answer}, {"role": "user", "content": demand}
        return await self._with_retries(replace(request, messages=(*request.messages, *said)))

    @property
    def full_text(self) -> str | None:
        """The text of the last answer where only a part of it is the answer."""
        return self.attempts[-1].get("full_text") if self.attempts else None

    @property
    def latency_ms(self) -> float | None:
        return None if not self.timed else _ms(self.clock + self.queued_s)

    @property
    def first_token_ms(self) -> float | None:
        known = [completion.first_token_ms for _, completion in self.completions]
        return next((each for each in known if each is not None), None)

    def request(self, pin: str, messages: Sequence[Mapping[str, Any]]) -> CompletionRequest:
        """What a pin is asked: one object for a pin, so that its body is made once."""
        if pin not in self.requests:
            stream = self.on_text is not None
            request = request_for(self.prompt, pin, messages, timeout=self.limits.timeout, stream=stream)
            self.requests[pin] = self.caller_tools.added_to(request)
        return self.requests[pin]

    async def _from_pin(self, pin: str, messages: Sequence[Mapping[str, Any]]) -> Completion:
        output = self.prompt.output
        request = self.asked = self.request(pin, messages)
        completion = await self._with_retries(request)
        for _ in range(output.repair if output else 0):
            problem = output_problem(self.prompt, completion)
            if not problem or completion.is_refusal or completion.is_truncated:
                break  # neither is repaired by asking again: a refusal stands, and the ceiling is the same
            self.attempts[-1] |= {"output": completion.text, "invalid_output": problem}
            request = replace(
                request, messages=(*request.messages, *_repair_messages(completion.text, problem))
            )
            try:
                completion = await self._with_retries(request)
            except OverBudget:
                break  # the answer that there is has been paid for
        return completion

    async def _with_retries(self, request: CompletionRequest) -> Completion:
        for retry in range(self.limits.retries):
            try:
                return await self._attempt(request)
            except ModelError as error:
                pause = _backoff(retry, error.retry_after)
                if not error.retryable or pause > MAX_RETRY_AFTER:
                    raise
            await asyncio.sleep(pause)
        return await self._attempt(request)

    async def _attempt(self, request: CompletionRequest) -> Completion:
        if self.limiter is None:
            return await self._call(request)
        clock = time.perf_counter()
        permit = await self.limiter.acquire(request)
        self.queued_s += time.perf_counter() - clock
        ended: Completion | ModelError | None = None
        try:
            ended = await self._call(request)
        except ModelError as error:
            ended = error
            raise
        finally:
            self.limiter.release(permit, ended)
        return ended

    async def _call(self, request: CompletionRequest) -> Completion:
        record: dict[str, Any] = {"model": request.model, "started_at": utc_now()}
        self.attempts.append(record)
        self.streamed.clear()
        if self.gate is not None:
            self.gate.restart()
        clock = time.perf_counter()
        hear = self._on_stream if self.on_text else None
        try:
            completion = await self.adapter_for(request.model).complete(request, hear)
        except ModelError as error:
            error.partial = redact_sent_keys(error.partial, cut=True) if error.partial else ""
            record["error"] = {"type": error.type, "message": error.message, "status": error.status}
            if error.completion:
                self._note_failure(record, request.model, without_sent_keys(error.completion))
            raise
        finally:
            record["latency_ms"] = _ms(clock) if self.timed else None
        return self._note_answer(record, request.model, without_sent_keys(completion))

    def _note_failure(self, record: dict[str, Any], pin: str, completion: Completion) -> None:
        if completion.reasoning:
            record["reasoning"] = completion.reasoning
        if completion.is_metered:
            self.failures.append((pin, completion))

    def _note_answer(self, record: dict[str, Any], pin: str, completion: Completion) -> Completion:
        answer = with_extracted_json(self.prompt, pin, completion, self.catalog)
        if answer.reasoning:
            record["reasoning"] = answer.reasoning
        if answer.text != completion.text:
            record["full_text"] = completion.text
        if answer.system_fingerprint:
            record["system_fingerprint"] = answer.system_fingerprint
        self.completions.append((pin, answer))
        return answer

    def _on_stream(self, text: str) -> None:
        self.streamed.append(text)
        if self.on_text:
            self.on_text(text)


def without_sent_keys(completion: Completion) -> Completion:
    """The answer of an endpoint that repeats the key which it was sent, without it."""
    text = redact_sent_keys(completion.text, cut=completion.is_truncated)
    if text != completion.text:
        completion = replace(completion, text=text)
    changed = {
        name: shown
        for name in _OF_PROVIDER
        if (value := getattr(completion, name)) and (shown := redact_texts(value)) != value
    }
    if completion.tool_calls:
        changed["tool_calls"] = tuple(redact_texts(completion.tool_calls))
    return replace(completion, **changed) if changed else completion


def request_for(
    prompt: Prompt,
    pin: str,
    messages: Sequence[Mapping[str, Any]],
    *,
    timeout: float = 120.0,
    stream: bool = False,
) -> CompletionRequest:
    """What a prompt asks of one of its pins."""
    return CompletionRequest(
        model=pin,
        messages=tuple(messages),
        parameters=prompt.parameters,
        tools=prompt.tools,
        output_schema=prompt.output_schema,
        timeout=timeout,
        stream=stream,
    )


def output_problem(prompt: Prompt, answer: Completion) -> str:
    """Why an answer breaks the prompt's output schema; empty when it doesn't, or calls a tool instead."""
    schema = prompt.output_schema
    if schema is None or answer.tool_calls:
        return ""
    problem = output_schema_problem(answer.text, schema)
    if problem and answer.is_refusal:
        return "the model declined to answer"
    return (
        f"the answer was cut off at its longest (max_tokens): {problem}"
        if problem and answer.is_truncated
        else problem
    )


def _repair_messages(answer: str, problem: str) -> tuple[dict[str, str], dict[str, str]]:
    demand = f"That does not match the required JSON schema: {problem}. Answer with the corrected JSON only."
    return {"role": "assistant", "content": answer}, {"role": "user", "content": demand}


def _backoff(retry: int, retry_after: float | None) -> float:
    """Seconds to wait: what the provider asks for, else exponential, jittered on the upper half."""
    if retry_after is not None:
        return retry_after
    return min(MAX_BACKOFF, INITIAL_BACKOFF * 2.0**retry) * random.uniform(0.5, 1)  # noqa: S311 - jitter


def _ms(since: float) -> float:
    return round((time.perf_counter() - since) * 1000, 3)
