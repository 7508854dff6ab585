"""The calls of a program that runs for a long time: placed, logged and made on threads of their own.

The event loop only waits for models. Git and templates are the calling thread's work, or that of a reader
where an event loop calls; a writer logs many runs at once. So none of them holds up the answers of other
calls. With ``sync_every`` one more thread talks to the remote.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from promptops.config.clock import utc_now
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.providers.types import (
    REFUSAL,
    Completion,
    CompletionRequest,
    ModelClient,
    ModelError,
    OnText,
)
from promptops.registry import FinishedRun, RegistryDatabase, RunOutcome, add_run_outcomes, redact_outcomes
from promptops.runner import PreparedRun, ReportedResult, Run, RunContext, Runner, is_shadow_sampled
from promptops.runner.caller_tools import NO_TOOLS, CallerTools
from promptops.runner.extraction import may_replace_text
from promptops.runner.observer import observer_for
from promptops.runner.retry import Limits
from promptops.runner.routing import Router, prepare_routed_run
from promptops.runner.session import Session
from promptops.service.background_loop import BackgroundLoop, Worker
from promptops.service.chat_inputs import are_complete, inputs_from_chat
from promptops.service.grouped_journal import GroupedJournal
from promptops.service.periodic_sync import FailureReports, PeriodicSync
from promptops.service.sources import RefreshableSource
from promptops.versions.references import Reference, parse_reference
from promptops.versions.release_state import ShadowState
from promptops.versions.resolve import Version

if TYPE_CHECKING:  # only some channels have one
    from promptops.service.shadow_worker import ShadowWorker

T = TypeVar("T")

POLL_INTERVAL_S = (
    0.5  # how often a moved ref, a new bundle and a registry that can be written again are looked for
)
_MAX_REFERENCES = 1_000
_QUICK_S = 0.003
_TELEMETRY_S = 10.0  # to send what waits
_SHUTDOWN_TIMEOUT_S = 2.0  # at the end nobody waits longer for a fetch, or for a model's weights


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """One call, as the application asks for it."""

    reference: str
    inputs: Mapping[str, Any]
    unit: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    chat: Sequence[Mapping[str, Any]] = ()  # messages that stand for inputs which are not given
    chat_optional: bool = False  # whether it is left out where all inputs are given
    tenant: str | None = None
    api_key: str | None = None
    caller_tools: CallerTools = NO_TOOLS
    version: Version | None = None  # that was made for this call alone, in place of the reference
    client: ModelClient | None = None  # that makes this call alone

    @property
    def facts(self) -> dict[str, Any]:
        """What is logged of it, beside its inputs."""
        return {
            "metadata": self.metadata,
            "tenant": self.tenant,
            "api_key": self.api_key,
            "caller_tools": self.caller_tools,
        }

    def inputs_of(self, version: Version) -> Mapping[str, Any]:
        if not self.chat or (self.chat_optional and are_complete(version.prompt, self.inputs)):
            return self.inputs
        return inputs_from_chat(version.prompt, self.chat, self.inputs)


@dataclass(frozen=True, slots=True)
class ReadyCall:
    """A call that can be made; ``shadow`` answers a sample of the channel's calls too."""

    runner: Runner
    prepared: PreparedRun
    inputs: Mapping[str, Any]
    shadow: ShadowState | None = None


class Service:
    """Its coroutines run on its own loop, ``loop``; all else may be called by any thread."""

    def __init__(
        self, settings: Settings, source: RefreshableSource, sync: PeriodicSync | None = None
    ) -> None:
        observer_for(settings)  # what telemetry lacks is said here, and not by each call
        self._settings = settings
        self._source = source
        self._serving = Router(source, settings.registry)
        self._sync = sync
        self._refresh_reports = FailureReports()
        self._on_channels = False
        self._quick: dict[
            str, object
        ] = {}  # references, each with the state of releases that it was quick in
        self._references: dict[str, Reference] = {}
        self._served: tuple[object, Mapping[str, Version]] = (None, {})
        self.loop = BackgroundLoop("promptops-loop")
        self.journal = GroupedJournal(settings, self.loop.loop)
        self._session = Session(
            settings,
            pooled=True,
            journal=self.journal,
            written=self.journal.written,
            find_judge=source.judge,
        )
        self._reader = Worker("promptops-reader")
        self.loop.submit(self._watch())

    def ready(self, request: CallRequest, *, called: bool = True) -> ReadyCall:
        """Find the version, check the inputs and render, on the calling thread. Nothing is logged.

        With ``called`` off somebody else makes the call, and its model need not be known here.
        """
        runner = self._session.runner(request.limits)
        client = request.client
        if client is not None:
            runner = replace(runner, adapter_for=lambda _: client)
        reference = None if request.version else self._reference(request.reference)
        if reference is None or reference.channel is None:
            version = request.version or self._source.find(request.reference)
            context = RunContext(**request.facts)
            inputs = request.inputs_of(version)
            prepared = runner.ready(version, inputs, context, called=called)
            return ReadyCall(runner, prepared, inputs)
        self._on_channels = True
        placement = self._serving.place(reference, request.unit, request.metadata)
        # a shadow waits in memory, not in the registry
        alone = replace(placement, shadow=None) if placement.shadow else placement
        inputs = request.inputs_of(placement.stable or placement.version)  # what callers know of
        prepared = prepare_routed_run(runner, alone, inputs, called=called, **request.facts)
        # a shadow would answer without the tools, so that nothing could be compared
        shadow = None if request.caller_tools.tools else placement.shadow
        return ReadyCall(runner, prepared, inputs, shadow)

    def _reference(self, text: str) -> Reference:
        if known := self._references.get(text):
            return known
        found = parse_reference(text, self._settings)
        if found.channel is not None and len(self._references) < _MAX_REFERENCES:  # it hangs on no file
            self._references[text] = found
        return found

    async def aready(self, request: CallRequest) -> ReadyCall:
        """``ready``: on the thread that may wait for git, until that has been seen to be quick.

        To change threads costs more than most calls take to get ready. While the releases stand still a
        channel's calls need no git, and where one was slow all the same, the next is the other thread's.
        """
        known = self._quick.get(request.reference)
        if known is not None and known is self._source.stamp():
            return self._timed_ready(request)
        return await self.read(lambda: self._timed_ready(request))

    def _timed_ready(self, request: CallRequest) -> ReadyCall:
        stamp, clock = self._source.stamp(), time.perf_counter()
        self._quick.pop(request.reference, None)
        call = self.ready(request)
        cheap = call.prepared.started.channel is not None or request.version is not None
        if cheap and time.perf_counter() - clock < _QUICK_S:
            self._quick[request.reference] = stamp
        return call

    async def run(self, request: CallRequest, on_text: OnText | None = None) -> Run:
        return await self.answer(await self.aready(request), on_text)

    async def read(self, work: Callable[[], T]) -> T:
        """Do what may wait for git or a disk on a thread of its own, one thing after the other."""
        return await asyncio.wrap_future(self._reader.submit(work))

    def find(self, reference: str) -> Version:
        """What a reference means that names no channel."""
        return self._source.find(reference)

    async def serving(self) -> Mapping[str, Version]:
        """What each channel serves to most callers now, by its reference. All that calls need is loaded."""
        return await self.read(self._served_now)

    async def answer(
        self, call: ReadyCall, on_text: OnText | None = None, *, all_as_text: bool = True
    ) -> Run:
        """Make one call. One that fails raises its ModelError, after it has been logged.

        With ``all_as_text`` a refusal is heard too, and tool calls without a text beside them, as JSON.
        """
        prepared = await self._start(call)
        replaced = may_replace_text(prepared.version.prompt, call.runner.catalog)
        heard = _StreamedText(on_text) if on_text and not replaced else None
        try:
            run = await call.runner.answer(prepared, heard.take if heard else None, heard)
        finally:
            await self.journal.written(prepared.started.run_id)
        await self._report_canary_failure(run)
        self._offer_to_shadow(call, run)
        if run.error:
            run.error.run_id = run.started.run_id
            raise run.error
        late = run.answer if all_as_text else run.text if run.finish_reason != REFUSAL else ""
        if on_text and not (heard and heard.begun) and late:
            on_text(late)
        return run

    async def prepare(self, request: CallRequest) -> PreparedRun:
        """Log a call that the application makes itself."""
        return await self._start(await self.read(lambda: self.ready(request, called=False)))

    async def finish(self, prepared: PreparedRun, reported: ReportedResult) -> Run:
        run = self._session.runner().finish(prepared, reported)
        await self.journal.written(run.started.run_id)
        await self._report_canary_failure(run)
        return run

    async def feedback(self, run_id: str, outcomes: Sequence[RunOutcome]) -> int:
        """How many of these outcomes were not told before."""

        def add(registry: RegistryDatabase) -> int:
            log = self._settings.log
            return add_run_outcomes(registry, run_id, redact_outcomes(registry, outcomes, log))

        return await self.journal.with_registry(add)

    def close(self) -> None:
        """End what is under way, logged as interrupted, and every thread."""
        self.loop.close(self._end)
        self._reader.close(_SHUTDOWN_TIMEOUT_S)
        if "_shadows" in self.__dict__:
            self._shadows.close()
        self._serving.close()
        if self._sync:
            self._sync.close(_SHUTDOWN_TIMEOUT_S)
        if self._settings.telemetry.otlp:
            from promptops.runner.traced_calls import flush_telemetry

            flush_telemetry(_TELEMETRY_S)

    @cached_property
    def _shadows(self) -> "ShadowWorker":
        from promptops.service.shadow_worker import ShadowWorker

        return ShadowWorker(self._settings, self._source)

    def _served_now(self) -> Mapping[str, Version]:
        self._on_channels = True
        stamp = self._source.stamp()
        if self._served[0] is not stamp:
            self._served = stamp, self._load_all()
        return self._served[1]

    def _load_all(self) -> dict[str, Version]:
        found: dict[str, Version] = {}
        for state in self._source.all_releases().values():
            live = [name for name, channel in state.channels.items() if channel.stable]
            for text in (f"{state.prompt}:{name}" for name in live):
                try:
                    stable, *others = self._serving.versions(parse_reference(text, self._settings))
                except Invalid as error:
                    self._refresh_reports.report(error)
                    continue
                found[text] = stable
                for version in (stable, *others):
                    self._load(version)
        return found

    def _load(self, version: Version) -> None:
        runner = self._session.runner()
        with suppress(PromptopsError):  # whoever calls it hears what is wrong with it
            runner.load(version)

    async def _end(self) -> None:
        await self._session.__aexit__(None, None, None)

    async def _start(self, call: ReadyCall) -> PreparedRun:
        """See the call on disk before it is made."""
        prepared = call.runner.begin(call.prepared)
        run_id = prepared.started.run_id
        try:
            await self.journal.written(run_id)
        except asyncio.CancelledError:
            self.journal.finish(run_id, _interrupted_run())
            await self.journal.written(run_id)
            raise
        return prepared

    def _offer_to_shadow(self, call: ReadyCall, run: Run) -> None:
        shadow = call.shadow
        if shadow and is_shadow_sampled(shadow, run.started, run.finished):
            guarded = call.prepared.guarding is not None  # what they redact is sent to nobody
            inputs = call.prepared.rendered.inputs if guarded else call.inputs
            self._reader.submit(lambda: self._shadows.offer(run.started, inputs, shadow))

    async def _report_canary_failure(self, run: Run) -> None:
        if run.started.arm == "canary" and (run.finished.error_type or run.started.fallback):
            await self.read(lambda: self._serving.ended(run))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self.journal.flush_backlog()
            if self._on_channels:
                await self.read(self._refresh)
            if self._sync:
                self._sync.poll()

    def _refresh(self) -> None:
        self._refresh_reports.watch(self._source.refresh)  # where it fails, what was known is served on


class _StreamedText:
    """Text on its way to the caller; as a limiter it lets no other attempt begin once some has been shown."""

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self._failure: ModelError | None = None
        self.begun = False

    def take(self, text: str) -> None:
        self.begun = True
        self._on_text(text)

    async def acquire(self, request: CompletionRequest) -> None:  # noqa: ARG002 - a limiter may ask what for
        if self.begun and self._failure:
            self._failure.retry_after = math.inf  # which no retry waits for
            raise self._failure

    def release(self, permit: None, ended: Completion | ModelError | None) -> None:  # noqa: ARG002 - it gives none
        if isinstance(ended, ModelError):
            self._failure = ended


def _interrupted_run() -> FinishedRun:
    return FinishedRun(
        finished_at=utc_now(), state="interrupted", error_type="interrupted", error_message="before the call"
    )
