"""One version, one set of inputs, one logged run.

The started row is on disk before the model is called and the finished row before the answer is returned.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from promptops.calling import Calling, Gate, Limits, now, output_problem, request_for
from promptops.checks import Compiled, Subject, compile_checks, prepare_checks, run_checks
from promptops.models.catalog import Catalog
from promptops.models.request import Adapter, Completion, ModelError, OnText
from promptops.prompt import Check, Prompt
from promptops.registry.cache import Kept, Replies, reply_key
from promptops.registry.records import CheckResult, FinishedRun, Kind, StartedRun
from promptops.registry.rows import describe
from promptops.registry.ulid import new_run_id
from promptops.render import Rendered, messages_hash, render
from promptops.versions import Version


class Journal(Protocol):
    """Where runs are logged. Both return once the row is durable, and raise when it can't be.

    One that logs in groups returns at once; whoever gave it then waits for its word before a run counts.
    """

    def start(self, run: StartedRun, prompt: Prompt) -> None: ...
    def finish(self, run_id: str, end: FinishedRun) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How a run came about; everything that is neither the version nor its inputs."""

    kind: Kind = "run"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    case_id: str | None = None
    trial: int = 0
    expected: Any = None
    checks: Sequence[Check] = ()  # beside the prompt's own
    unit_hash: str | None = None
    batch_id: str | None = None
    batch_line: int | None = None
    eval_id: str | None = None
    arm: str | None = None
    rollout: str | None = None
    weight_bp: int | None = None
    unit_key_id: str | None = None
    excluded: str | None = None
    fallback: str | None = None
    shadow_of: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    started: StartedRun
    finished: FinishedRun
    error: ModelError | None = None

    def as_json(self) -> dict[str, Any]:
        """The object that scripts rely on; the same that ``runs show --json`` gives."""
        return describe(self.started, self.finished)

    @property
    def answer(self) -> str:
        """The text of the answer, or its tool calls as JSON when it has no text."""
        calls = [dict(call) for call in self.finished.tool_calls]
        return self.finished.output or (json.dumps(calls, ensure_ascii=False, indent=2) if calls else "")

    @property
    def passed(self) -> bool:
        checks = self.finished.checks
        return self.finished.error_type is None and all(check.passed for check in checks)


@dataclass(frozen=True, slots=True)
class Runner:
    """Makes runs. One runner may have many under way at once."""

    adapter_for: Callable[[str], Adapter]
    catalog: Catalog
    journal: Journal
    limits: Limits = field(default_factory=Limits)
    replies: Replies | None = None  # where answers are looked for before a model is asked
    keyed: bool = True  # whether these answers may be found by later runs
    root: Path | None = None  # the project's, from which its own checks are imported

    async def run(
        self,
        version: Version,
        inputs: Mapping[str, Any],
        origin: Origin | None = None,
        on_text: OnText | None = None,
        gate: Gate | None = None,
    ) -> Run:
        """Run once. A failed call is a Run with its error; only what is wrong before the call raises."""
        origin = origin or Origin()
        prompt = version.prompt
        checks = _compiled(prompt, self.root)
        if origin.checks:
            checks = (*checks, *compile_checks(origin.checks, prompt.path, self.root))
        rendered = render(prompt, inputs)
        for pin in (prompt.model, *prompt.fallback):
            self.adapter_for(pin)  # an unknown model is found before anything is logged
        started = _started(version, rendered, origin)
        self.journal.start(started, prompt)
        calling = Calling(
            prompt=prompt, adapter_for=self.adapter_for, limits=self.limits, on_text=on_text, gate=gate
        )
        try:
            if kept := self.find(prompt, rendered, origin.trial):
                end = _reused(prompt, kept, _check(prompt, checks, rendered, origin, kept.end))
                return self._close(Run(started=started, finished=end))
            answer = await calling.answer(rendered.messages)
        except ModelError as error:
            return self._close(Run(started=started, finished=self._failed(calling, error), error=error))
        except asyncio.CancelledError:
            cut = ModelError("interrupted", "interrupted", partial="".join(calling.heard))
            self._close(Run(started=started, finished=self._failed(calling, cut), error=cut))
            raise
        key = self._key(calling, origin.trial) if self.keyed else None
        end = self._answered(calling, answer)
        checked = replace(end, cache_key=key, checks=_check(prompt, checks, rendered, origin, end))
        return self._close(Run(started=started, finished=checked))

    def find(self, prompt: Prompt, rendered: Rendered, trial: int = 0) -> Kept | None:
        """The kept reply to the request that the first pin would be sent."""
        if self.replies is None:
            return None
        request = request_for(prompt, prompt.model, rendered.messages)
        identity = self.adapter_for(prompt.model).identity(request)
        kept = self.replies.find(reply_key(identity, trial))
        if prompt.output is None or not prompt.output.repair or (kept and not _invalid(prompt, kept)):
            return kept
        return self.replies.find(reply_key(identity, trial, _repaired(prompt)))

    def _key(self, calling: Calling, trial: int) -> str | None:
        if calling.asked is None:
            return None
        identity = self.adapter_for(calling.asked.model).identity(calling.asked)
        repaired = len(calling.completions) > 1
        return reply_key(identity, trial, _repaired(calling.prompt) if repaired else "")

    def _close(self, run: Run) -> Run:
        self.journal.finish(run.started.run_id, run.finished)
        return run

    def _failed(self, calling: Calling, error: ModelError) -> FinishedRun:
        return FinishedRun(
            finished_at=now(),
            state="interrupted" if error.type == "interrupted" else "failed",
            output=error.partial or None,
            latency_ms=calling.waited_ms,
            first_token_ms=calling.first_token_ms,
            attempts=calling.attempts,
            error_type=error.type,
            error_message=error.message,
            retryable=error.retryable,
            **self._usage(calling),
        )

    def _answered(self, calling: Calling, answer: Completion) -> FinishedRun:
        problem = output_problem(calling.prompt, answer)
        return FinishedRun(
            finished_at=now(),
            state="finished",
            response_model=answer.response_model,
            output=answer.text,
            tool_calls=answer.tool_calls,
            finish_reason=answer.finish_reason,
            response_id=answer.response_id,
            latency_ms=calling.waited_ms,
            first_token_ms=calling.first_token_ms,
            attempts=calling.attempts,
            error_type="invalid_output" if problem else None,
            error_message=problem or None,
            retryable=False if problem else None,
            **self._usage(calling),
        )

    def _usage(self, calling: Calling) -> dict[str, Any]:
        """Tokens and costs over all completions: a repaired answer costs both calls."""
        answers = [completion for _, completion in calling.completions]
        costs = [self.catalog.cost(model, completion) for model, completion in calling.completions]
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


@lru_cache(maxsize=256)
def _compiled(prompt: Prompt, root: Path | None) -> tuple[Compiled, ...]:
    compiled = compile_checks(prompt.checks, prompt.path, root)
    prepare_checks(compiled, prompt.output.schema if prompt.output else None, None)
    return compiled


def _repaired(prompt: Prompt) -> str:
    return f"{prompt.output.repair} {prompt.output.schema_text}" if prompt.output else ""


def _invalid(prompt: Prompt, kept: Kept) -> str:
    tools = tuple(kept.end.tool_calls)
    return output_problem(prompt, Completion(text=kept.end.output or "", response_model="", tool_calls=tools))


def _reused(prompt: Prompt, kept: Kept, results: tuple[CheckResult, ...]) -> FinishedRun:
    """An earlier answer, with the latency and cost that it had and checked anew; nothing is spent."""
    problem = _invalid(prompt, kept)
    return replace(
        kept.end,
        finished_at=now(),
        spent_usd=0.0,
        attempts=(),
        cache_source=kept.run_id,
        error_type="invalid_output" if problem else None,
        error_message=problem or None,
        retryable=False if problem else None,
        checks=results,
    )


def _check(
    prompt: Prompt, checks: Sequence[Compiled], rendered: Rendered, origin: Origin, end: FinishedRun
) -> tuple[CheckResult, ...]:
    subject = Subject(
        output=end.output or "",
        inputs=rendered.inputs,
        expected=origin.expected,
        schema=prompt.output.schema if prompt.output else None,
        latency_ms=end.latency_ms,
        cost_usd=end.cost_usd,
    )
    return run_checks(checks, subject)


def _started(version: Version, rendered: Rendered, origin: Origin) -> StartedRun:
    prompt = version.prompt
    return StartedRun(
        run_id=new_run_id(),
        started_at=now(),
        reference=version.reference,
        prompt=prompt.name,
        digest=prompt.digest,
        request_model=prompt.model,
        messages_hash=messages_hash(rendered.messages),
        kind=origin.kind,
        source=version.source,
        commit_sha=version.commit_sha,
        dirty=version.dirty,
        version=version.version,
        channel=version.channel,
        rollout=origin.rollout,
        weight_bp=origin.weight_bp,
        unit_hash=origin.unit_hash,
        unit_key_id=origin.unit_key_id,
        excluded=origin.excluded,
        fallback=origin.fallback,
        shadow_of=origin.shadow_of,
        case_id=origin.case_id,
        trial=origin.trial,
        batch_id=origin.batch_id,
        batch_line=origin.batch_line,
        eval_id=origin.eval_id,
        arm=origin.arm,
        parameters=prompt.parameters,
        overrides=origin.overrides,
        inputs=rendered.inputs,
        inputs_hash=_hash(rendered.inputs),
        metadata=origin.metadata,
    )


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _total(values: Sequence[float | None]) -> Any:
    """The sum, or None when there is nothing to add or one part is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
