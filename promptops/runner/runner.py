"""Makes runs.

The started row is on disk before the model is called and the finished row before the answer is returned.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from promptops.checks import CompiledCheck, compile_checks, validate_checks
from promptops.checks.types import truncate_line
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.log import PackageLogger
from promptops.prompt import Prompt
from promptops.prompt.mock_parameters import require_measurable
from promptops.prompt.render import (
    RenderedPrompt,
    compile_templates,
    render_accepted,
    render_prompt,
    validate_inputs,
)
from promptops.prompt.untrusted import NO_NONCE
from promptops.providers.catalog import Catalog
from promptops.providers.parameters import check_model_name, check_parameters, check_tools
from promptops.providers.types import CompletionRequest, ModelClient, ModelError, OnText
from promptops.redaction import redact
from promptops.registry import CachedReply, FinishedRun, ReplyCache, StartedRun, new_run_id, reply_key
from promptops.runner.extraction import extracts_json
from promptops.runner.observer import CallObserver
from promptops.runner.results import (
    cached_output_problem,
    from_cache,
    from_completion,
    from_error,
    from_report,
    with_checks,
    with_hold,
    with_shadow,
    without_held_answer,
)
from promptops.runner.retry import CallAttempts, Limits, RateLimiter, request_for
from promptops.runner.run import PreparedRun, ReportedResult, Run, RunContext, request_nonce, started_run
from promptops.versions.resolve import Version

if TYPE_CHECKING:  # loaded for prompts that have guards
    from promptops.guards import SpendingGrader

_LOG = PackageLogger("promptops.runner")
_MAX_WORDS = 400
_MEASURING_KINDS = ("eval", "shadow", "judge", "probe")


class JournalProtocol(Protocol):
    """Where runs are logged. Both return once the row is durable, and raise when it can't be.

    One that logs in groups returns at once; whoever gave it then waits for its word before a run counts.
    """

    def start(self, run: StartedRun, prompt: Prompt) -> None: ...
    def finish(self, run_id: str, end: FinishedRun) -> None: ...


LookUp = Callable[[Sequence[str]], Awaitable[Mapping[str, CachedReply]]]


@dataclass(frozen=True, slots=True)
class Runner:
    """Makes runs. One runner may have many under way at once."""

    adapter_for: Callable[[str], ModelClient]
    catalog: Catalog
    journal: JournalProtocol
    limits: Limits = field(default_factory=Limits)
    replies: ReplyCache | None = None  # where ``find`` looks
    look_up: LookUp | None = None  # how answers are looked for before a model is asked
    cacheable: bool = True  # whether these answers may be found by later runs
    root: Path | None = None  # the project's, from which its own checks are imported
    timed: bool = True  # whether answers have a latency: somebody waits for them
    observer: CallObserver | None = None  # hears of calls as they are made
    grader: "Callable[[Version, str, RunContext], SpendingGrader] | None" = (
        None  # who makes the calls of guards
    )

    async def run(
        self,
        version: Version,
        inputs: Mapping[str, Any],
        origin: RunContext | None = None,
        on_text: OnText | None = None,
        limiter: RateLimiter | None = None,
    ) -> Run:
        """Run once. A failed call is a Run with its error; only what is wrong before the call raises."""
        return await self.answer(self.prepare(version, inputs, origin), on_text, limiter)

    def prepare(
        self, version: Version, inputs: Mapping[str, Any], origin: RunContext | None = None
    ) -> PreparedRun:
        """Make a run ready and log that it is about to be made."""
        return self.begin(self.ready(version, inputs, origin))

    def ready(
        self,
        version: Version,
        inputs: Mapping[str, Any],
        origin: RunContext | None = None,
        *,
        called: bool = True,
    ) -> PreparedRun:
        """Find everything that can be wrong before a call. Nothing is logged.

        With ``called`` off somebody else makes the call: its model need not be known here, and what a
        prompt may not send through us it does not hand to another client either.
        """
        origin = origin or RunContext()
        prompt = version.prompt
        origin.caller_tools.check(prompt)
        checks = project_checks(prompt, self.root)
        if origin.checks:
            checks = (*checks, *compile_checks(origin.checks, prompt.path, self.root))
        if origin.kind in _MEASURING_KINDS:
            require_measurable(prompt, f"a run of kind {origin.kind}")
        identity = origin.identity
        run_id = identity.run_id if identity else new_run_id()
        nonce = NO_NONCE
        if prompt.untrusted_inputs:
            nonce = identity.nonce if identity else request_nonce(run_id)
        guarding = None
        if prompt.guards:
            from promptops.guards import guarded_inputs

            grader = self._guard_grader(version, run_id, origin)
            accepted, tools = validate_inputs(prompt, inputs), origin.caller_tools.tools
            seen, guarding = guarded_inputs(prompt, accepted, self.root, grader, called=called, tools=tools)
            rendered = render_accepted(prompt, seen, nonce)
        else:
            rendered = render_prompt(prompt, inputs, nonce)
        for pin in (prompt.model, *prompt.fallback) if called else ():
            self.adapter_for(pin)
        if not called:
            check_model_name(prompt.model)
            check_parameters(prompt.parameters, direct=True)
            check_tools(prompt.tools)
        started = started_run(version, rendered, origin, run_id)
        prepared = PreparedRun(
            version=version,
            origin=origin,
            rendered=rendered,
            checks=checks,
            started=started,
            guarding=guarding,
        )
        if prepared.is_reviewed and not called:
            raise Invalid(
                f"a person releases the answers of {prompt.name}, so your own client cannot make the call",
                hint="run it through promptops, or leave out `review: required`",
            )
        return prepared

    def load(self, version: Version) -> None:
        """Have all at hand that a first call would wait for. Raises what is wrong with the version."""
        prompt = version.prompt
        project_checks(prompt, self.root)
        if prompt.guards:
            from promptops.guards import project_guards

            project_guards(prompt, self.root)
        compile_templates(prompt)
        for pin in (prompt.model, *prompt.fallback):
            self.adapter_for(pin)

    def begin(self, prepared: PreparedRun) -> PreparedRun:
        self.journal.start(prepared.started, prepared.version.prompt)
        return prepared

    async def answer(
        self, prepared: PreparedRun, on_text: OnText | None = None, limiter: RateLimiter | None = None
    ) -> Run:
        """Call the model for a run that has begun."""
        if self.observer:
            self.observer.begun(prepared)
        if prepared.is_reviewed:
            on_text = None  # it would be out before anybody has read it
        calling = CallAttempts(
            prompt=prepared.version.prompt,
            caller_tools=prepared.origin.caller_tools,
            adapter_for=self.adapter_for,
            catalog=self.catalog,
            limits=self.limits,
            on_text=on_text,
            limiter=limiter,
            timed=self.timed,
        )
        try:
            end = await self._end(prepared, calling)
        except ModelError as error:
            return self._failed(prepared, calling, error)
        except asyncio.CancelledError:
            self._failed(
                prepared,
                calling,
                ModelError("interrupted", "interrupted", partial="".join(calling.streamed)),
            )
            raise
        except PromptopsError as error:
            if calling.completions:  # an answer that is paid for, though nothing could look at it any more
                self._failed(prepared, calling, ModelError("interrupted", error.message))
            raise
        except Exception as error:
            run = self._failed(prepared, calling, _unexpected_error(error, calling))
            if on_text is not None:  # who listens may have raised it
                raise
            return run
        return self._close(prepared, end)

    def _failed(self, prepared: PreparedRun, calling: CallAttempts, error: ModelError) -> Run:
        if prepared.guarding is not None:
            from promptops.runner.guarding import hide_partial_answer

            hide_partial_answer(prepared, prepared.guarding, calling, error)
        return self._close(prepared, from_error(calling, error, self.catalog), error)

    async def _end(self, prepared: PreparedRun, calling: CallAttempts) -> FinishedRun:
        guarding = prepared.guarding
        if guarding is None:
            return with_checks(prepared, await self.first_end(prepared, calling))
        from promptops.runner.guarding import gate_for, guarded_end

        gate = calling.gate = gate_for(prepared, guarding, calling.on_text)
        if gate is not None:
            calling.on_text = gate.take
        return await guarded_end(self, prepared, guarding, calling, gate)

    async def first_end(self, prepared: PreparedRun, calling: CallAttempts) -> FinishedRun:
        """The end of a run by an earlier answer or by the model's, before anybody has looked at it."""
        rendered, trial = prepared.rendered, prepared.origin.trial
        if kept := await self._kept_reply(calling, rendered, trial):
            return from_cache(calling.prompt, kept, self.catalog)
        completion = await calling.answer(rendered.messages)
        key = self._key(calling, trial, rendered.nonce) if self.cacheable else None
        return from_completion(calling, completion, self.catalog, key)

    def _guard_grader(
        self, version: Version, run_id: str, origin: RunContext
    ) -> "Callable[[], SpendingGrader] | None":
        """Who makes the calls that guards ask for; nobody for a judge, whose guards would ask for more."""
        make = self.grader
        return None if make is None or origin.kind == "judge" else lambda: make(version, run_id, origin)

    def finish(self, prepared: PreparedRun, reported: ReportedResult, latency_ms: float | None = None) -> Run:
        """End a run whose call somebody else has made; without ``latency_ms`` since it was prepared."""
        error = reported.model_error(prepared.started.run_id)
        end = from_report(prepared, reported, self.catalog, latency_ms)
        if prepared.guarding is not None:
            end = replace(end, guards=prepared.guarding.decisions)
        return self._close(prepared, end, error)

    def find(self, prompt: Prompt, rendered: RenderedPrompt, trial: int = 0) -> CachedReply | None:
        """The kept reply to the request that the first pin would be sent."""
        if self.replies is None:
            return None
        request = request_for(prompt, prompt.model, rendered.messages)
        keys = self._reply_keys(prompt, request, rendered.nonce, trial)
        return self._usable_reply(prompt, keys, self.replies.find([*keys]))

    async def _kept_reply(
        self, calling: CallAttempts, rendered: RenderedPrompt, trial: int
    ) -> CachedReply | None:
        """As ``find``, for many that look at once."""
        if self.look_up is None or calling.caller_tools:
            return None
        prompt = calling.prompt
        request = calling.request(prompt.model, rendered.messages)
        keys = self._reply_keys(prompt, request, rendered.nonce, trial)
        return self._usable_reply(prompt, keys, await self.look_up([*keys]))

    def _reply_keys(
        self, prompt: Prompt, request: CompletionRequest, nonce: str, trial: int
    ) -> dict[str, str]:
        """The keys that a reply may be kept under, each with what was made of it there."""
        identity = self._identity(request, nonce)
        return {
            reply_key(identity, trial, variant): variant for variant in _reply_variants(prompt, self.catalog)
        }

    def _usable_reply(
        self, prompt: Prompt, keys: Mapping[str, str], found: Mapping[str, CachedReply]
    ) -> CachedReply | None:
        for key, variant in keys.items():
            kept = found.get(key)
            if kept and (variant == _repair_key(prompt) or not self._wants_repair(prompt, kept)):
                return kept
        return None

    def _wants_repair(self, prompt: Prompt, kept: CachedReply) -> bool:
        repair = prompt.output.repair if prompt.output else 0
        return bool(repair and cached_output_problem(prompt, kept, self.catalog))

    def _identity(self, request: CompletionRequest, nonce: str) -> tuple[str, str, bytes]:
        """What is asked, whatever code the tags around untrusted inputs have this time."""
        adapter, base_url, body = self.adapter_for(request.model).identity(request)
        return adapter, base_url, body.replace(nonce.encode(), NO_NONCE.encode()) if nonce else body

    def _key(self, calling: CallAttempts, trial: int, nonce: str) -> str | None:
        if calling.asked is None:
            return None
        identity = self._identity(calling.asked, nonce)
        variant = _extract_key(calling.prompt) if calling.full_text is not None else ""
        if len(calling.completions) > 1:
            variant = _repair_key(calling.prompt)
        return reply_key(identity, trial, variant)

    def _close(self, prepared: PreparedRun, end: FinishedRun, error: ModelError | None = None) -> Run:
        end = with_hold(prepared, with_shadow(prepared, end))
        self.journal.finish(prepared.started.run_id, end)
        if self.observer:
            self.observer.ended(prepared, end)
        if prepared.guarding is not None:
            from promptops.runner.guarding import without_rejected_texts

            end = without_rejected_texts(prepared.guarding, end)
        return Run(started=prepared.started, finished=without_held_answer(end), error=error)


def _unexpected_error(error: Exception, calling: CallAttempts) -> ModelError:
    """A bug, as the failure of the one call that met it, with the answer that has been paid for."""
    paid = calling.completions[-1][1].text if calling.completions else "".join(calling.streamed)
    trace = "".join(traceback.format_exception(error))
    _LOG.warning(f"this is a bug. Please report it with these lines:\n{redact(trace)}")
    words = f"unexpected {type(error).__name__}: {truncate_line(redact(str(error)), _MAX_WORDS)}"
    return ModelError("call_failed", words, partial=paid)


@lru_cache(maxsize=256)
def project_checks(prompt: Prompt, root: Path | None) -> tuple[CompiledCheck, ...]:
    """A prompt's own checks, ready to run."""
    compiled = compile_checks(prompt.checks, prompt.path, root)
    validate_checks(compiled, prompt.output_schema, None)
    return compiled


def _reply_variants(prompt: Prompt, catalog: Catalog) -> list[str]:
    """What may have been made of a reply for a prompt, by the keys that tell it apart from the plain one."""
    output = prompt.output
    extracted = [_extract_key(prompt)] if extracts_json(prompt, prompt.model, catalog) else []
    return ["", *extracted, *([_repair_key(prompt)] if output and output.repair else [])]


def _extract_key(prompt: Prompt) -> str:
    return f"json {prompt.output.schema_text}" if prompt.output else ""


def _repair_key(prompt: Prompt) -> str:
    output = prompt.output
    if output is None:
        return ""
    return f"{output.repair} {f'extract {output.extract} ' if output.extract else ''}{output.schema_text}"
