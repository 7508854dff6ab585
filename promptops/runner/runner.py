"""Makes runs.

The started row is on disk before the model is called and the finished row before the answer is returned.
"""

import asyncio
import traceback
from collections.abc import Callable, Mapping
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from promptops.checks import CompiledCheck, compile_checks, validate_checks
from promptops.checks.types import truncate_line
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.log import PackageLogger
from promptops.prompt import Prompt
from promptops.prompt.mock_parameters import require_measurable
from promptops.prompt.render import RenderedPrompt, compile_templates, render_prompt
from promptops.prompt.untrusted import NO_NONCE
from promptops.providers.catalog import Catalog
from promptops.providers.parameters import check_model_name, check_parameters, check_tools
from promptops.providers.types import CompletionRequest, ModelClient, ModelError, OnText
from promptops.redaction import redact
from promptops.registry import CachedReply, FinishedRun, ReplyCache, StartedRun, new_run_id, reply_key
from promptops.runner.extraction import extracts_json
from promptops.runner.results import (
    cached_output_problem,
    from_cache,
    from_completion,
    from_error,
    from_report,
    with_checks,
    with_shadow,
)
from promptops.runner.retry import CallAttempts, Limits, RateLimiter, request_for
from promptops.runner.run import PreparedRun, ReportedResult, Run, RunContext, request_nonce, started_run
from promptops.versions.resolve import Version

_LOG = PackageLogger("promptops.runner")
_MAX_WORDS = 400
_MEASURING_KINDS = ("eval", "shadow", "judge")


class JournalProtocol(Protocol):
    """Where runs are logged. Both return once the row is durable, and raise when it can't be.

    One that logs in groups returns at once; whoever gave it then waits for its word before a run counts.
    """

    def start(self, run: StartedRun, prompt: Prompt) -> None: ...
    def finish(self, run_id: str, end: FinishedRun) -> None: ...


@dataclass(frozen=True, slots=True)
class Runner:
    """Makes runs. One runner may have many under way at once."""

    adapter_for: Callable[[str], ModelClient]
    catalog: Catalog
    journal: JournalProtocol
    limits: Limits = field(default_factory=Limits)
    replies: ReplyCache | None = None  # where answers are looked for before a model is asked
    cacheable: bool = True  # whether these answers may be found by later runs
    root: Path | None = None  # the project's, from which its own checks are imported

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
        run_id = new_run_id()
        rendered = render_prompt(
            prompt, inputs, request_nonce(run_id) if prompt.untrusted_inputs else NO_NONCE
        )
        for pin in (prompt.model, *prompt.fallback) if called else ():
            self.adapter_for(pin)
        if not called:
            check_model_name(prompt.model)
            check_parameters(prompt.parameters, direct=True)
            check_tools(prompt.tools)
        started = started_run(version, rendered, origin, run_id)
        return PreparedRun(version=version, origin=origin, rendered=rendered, checks=checks, started=started)

    def load(self, version: Version) -> None:
        """Have all at hand that a first call would wait for. Raises what is wrong with the version."""
        prompt = version.prompt
        project_checks(prompt, self.root)
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
        prompt, rendered, trial = prepared.version.prompt, prepared.rendered, prepared.origin.trial
        calling = CallAttempts(
            prompt=prompt,
            caller_tools=prepared.origin.caller_tools,
            adapter_for=self.adapter_for,
            catalog=self.catalog,
            limits=self.limits,
            on_text=on_text,
            limiter=limiter,
        )
        try:
            if not calling.caller_tools and (kept := self.find(prompt, rendered, trial)):
                end = with_checks(prepared, from_cache(prompt, kept, self.catalog))
            else:
                completion = await calling.answer(rendered.messages)
                key = self._key(calling, trial, rendered.nonce) if self.cacheable else None
                end = from_completion(prepared, calling, completion, self.catalog, key)
        except ModelError as error:
            return self._close(prepared, from_error(calling, error, self.catalog), error)
        except asyncio.CancelledError:
            cut = ModelError("interrupted", "interrupted", partial="".join(calling.streamed))
            self._close(prepared, from_error(calling, cut, self.catalog), cut)
            raise
        except PromptopsError:
            raise
        except Exception as error:
            failure = _unexpected_error(error, calling)
            run = self._close(prepared, from_error(calling, failure, self.catalog), failure)
            if on_text is not None:  # who listens may have raised it
                raise
            return run
        return self._close(prepared, end)

    def finish(self, prepared: PreparedRun, reported: ReportedResult, latency_ms: float | None = None) -> Run:
        """End a run whose call somebody else has made; without ``latency_ms`` since it was prepared."""
        error = reported.model_error(prepared.started.run_id)
        return self._close(prepared, from_report(prepared, reported, self.catalog, latency_ms), error)

    def find(self, prompt: Prompt, rendered: RenderedPrompt, trial: int = 0) -> CachedReply | None:
        """The kept reply to the request that the first pin would be sent."""
        if self.replies is None:
            return None
        request = request_for(prompt, prompt.model, rendered.messages)
        identity = self._identity(request, rendered.nonce)
        for variant in _reply_variants(prompt, self.catalog):
            kept = self.replies.find(reply_key(identity, trial, variant))
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
        end = with_shadow(prepared, end)
        self.journal.finish(prepared.started.run_id, end)
        return Run(started=prepared.started, finished=end, error=error)


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
