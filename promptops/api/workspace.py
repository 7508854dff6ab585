"""What applications import: ``from promptops import Workspace``.

    with Workspace.open(".") as workspace:
        run = workspace.run("support/triage:production", {"ticket": text}, unit=user_id)
        print(run.text)
        workspace.feedback(run.id, "up")

One workspace serves a whole program: its threads, its event loops, hundreds of calls at once. The calls are
made on threads of its own, which the first call starts. Not across a fork: open it in the child.
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self, TypeVar

from promptops.api.prepared_call import PreparedCall
from promptops.api.streaming import Stream
from promptops.config.closing import Closing
from promptops.config.registry_location import is_postgres_url
from promptops.config.settings import Settings, find_settings
from promptops.errors import Invalid
from promptops.prompt.canonical_json import json_data_problem
from promptops.providers.types import OnText
from promptops.registry import Feedback, outcomes_of_feedback, read_released_answer
from promptops.release.bundle import BundleSource, write_bundle
from promptops.runner import PreparedRun, ReportedResult, Run
from promptops.runner.retry import Limits
from promptops.service import CallRequest, RefreshableSource, RepositorySource, Service
from promptops.service.background_loop import workspace_closed_error
from promptops.service.periodic_sync import PeriodicSync, sync_releases

__all__ = ["PreparedCall", "Run", "Stream", "Workspace"]

T = TypeVar("T")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LIMITS = Limits()


class Workspace(Closing):
    """One project, for as long as a program runs. Use it as a context manager, or call ``close``.

    A reference is what the command line takes: ``NAME:CHANNEL``, ``NAME@REV`` or ``NAME``. All errors are
    PromptopsErrors; a call that the model or its provider failed raises ModelError, with the ``run_id``.
    """

    def __init__(
        self,
        settings: Settings,
        source: Callable[[], RefreshableSource],
        sync: Callable[[], PeriodicSync] | None = None,
    ) -> None:
        self.settings = settings
        self._source = source
        self._sync = sync
        self._lock = threading.Lock()
        self._service: Service | None = None
        self._process = os.getpid()
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] = ".",
        *,
        sync_every: float | None = None,
        registry: str | os.PathLike[str] | None = None,
    ) -> Self:
        """The project that ``path`` lies in.

        ``sync_every``: seconds between two fetches of the release state from the remote; without it, what
        others release arrives by whatever else fetches here. A release that has arrived is served within 5 s.
        """
        settings = find_settings(Path(path), os.environ, registry=_absolute(registry))
        sync = (
            (lambda: PeriodicSync(sync_every, lambda: sync_releases(settings)))
            if sync_every is not None
            else None
        )
        return cls(settings, lambda: RepositorySource(settings), sync)

    @classmethod
    def from_bundle(
        cls, file: str | os.PathLike[str], *, registry: str | os.PathLike[str] | None = None
    ) -> Self:
        """What ``promptops release bundle`` wrote, where there is no git. A new file is read within 5 s.

        Runs are logged to ``registry``, else to PROMPTOPS_REGISTRY, else to registry.db beside the bundle.
        """
        source = BundleSource(Path(file).absolute())
        return cls(source.settings(_absolute(registry)), lambda: source)

    def run(
        self,
        reference: str,
        inputs: Mapping[str, Any] = _NOTHING,
        *,
        unit: str | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
        on_text: OnText | None = None,
        limits: Limits = _LIMITS,
    ) -> Run:
        """Make one logged call and wait for its answer; also where an event loop runs, which it holds up.

        ``unit``: whom the call is for (a session, a user), so that one unit stays with one version.
        ``on_text`` is called with each piece of text as it comes, on the thread that called this.
        """
        asked = _call_request(reference, inputs, unit, metadata, limits)
        if on_text is None:
            return self._wait(lambda service: service.answer(service.ready(asked)))
        with Stream(lambda take: self._submit(lambda service: service.run(asked, take))) as stream:
            for piece in stream:
                on_text(piece)
        return stream.run

    async def arun(
        self,
        reference: str,
        inputs: Mapping[str, Any] = _NOTHING,
        *,
        unit: str | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
        limits: Limits = _LIMITS,
    ) -> Run:
        """``run`` for asyncio, from any loop. Cancelling it ends the call, which is logged as interrupted."""
        asked = _call_request(reference, inputs, unit, metadata, limits)
        return await self._await(lambda service: service.run(asked))

    def stream(
        self,
        reference: str,
        inputs: Mapping[str, Any] = _NOTHING,
        *,
        unit: str | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
        limits: Limits = _LIMITS,
    ) -> Stream:
        """The answer piece by piece: ``for piece in workspace.stream(…)``, or ``async for``."""
        asked = _call_request(reference, inputs, unit, metadata, limits)
        return Stream(lambda take: self._submit(lambda service: service.run(asked, take)))

    def prepare(
        self,
        reference: str,
        inputs: Mapping[str, Any] = _NOTHING,
        *,
        unit: str | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
    ) -> PreparedCall:
        """A call for a client of the application's own: logged as started until it is finished."""
        asked = _call_request(reference, inputs, unit, metadata, _LIMITS)
        prepared = self._wait(lambda service: service.prepare(asked))
        return PreparedCall(prepared, self._finish, self._afinish)

    async def aprepare(
        self,
        reference: str,
        inputs: Mapping[str, Any] = _NOTHING,
        *,
        unit: str | None = None,
        metadata: Mapping[str, Any] = _NOTHING,
    ) -> PreparedCall:
        asked = _call_request(reference, inputs, unit, metadata, _LIMITS)
        prepared = await self._await(lambda service: service.prepare(asked))
        return PreparedCall(prepared, self._finish, self._afinish)

    def feedback(
        self,
        run_id: str,
        thumbs: Literal["up", "down"] | None = None,
        *,
        metric: str | None = None,
        value: float | None = None,
        comment: str = "",
        edit: str | None = None,
        occurred_at: str | None = None,
    ) -> int:
        """Log what somebody says of an answer, or does with it; saying it again changes nothing.

        ``metric`` with ``value`` is any other outcome: correct, accepted, dwell_s, or a name of your own.
        ``edit`` is the text that the answer became. Returns how many outcomes are new.
        """
        feedback: Feedback = {
            "thumbs": thumbs,
            "metric": metric,
            "value": value,
            "comment": comment,
            "edit": edit,
            "occurred_at": occurred_at,
        }
        outcomes = outcomes_of_feedback(run_id, feedback, self.settings.log)
        return self._wait(lambda service: service.feedback(run_id, outcomes))

    def released_answer(self, run_id: str) -> str | None:
        """The answer of a ``held`` run, or the better one released in its place; None while it waits.

        Raises NotFound for a run that is not known, Invalid where its answer was rejected or never held.
        """
        return self._wait(
            lambda service: service.journal.with_registry(lambda log: read_released_answer(log, run_id))
        )

    def write_bundle(self, file: str | os.PathLike[str]) -> None:
        """Write what all channels serve to one file, as ``promptops release bundle`` does."""
        write_bundle(self.settings, Path(file))

    def _finish(self, prepared: PreparedRun, reported: ReportedResult) -> Run:
        return self._wait(lambda service: service.finish(prepared, reported))

    async def _afinish(self, prepared: PreparedRun, reported: ReportedResult) -> Run:
        return await self._await(lambda service: service.finish(prepared, reported))

    def close(self) -> None:
        """End what is under way, logged as interrupted; prepared calls that nobody finished stay started."""
        with self._lock:
            self._closed = True
            service, self._service = self._service, None
        atexit.unregister(self.close)
        if service and os.getpid() == self._process:
            service.close()

    def _running(self) -> Service:
        with self._lock:
            if self._closed:
                raise workspace_closed_error()
            if self._service is None:
                self._process = os.getpid()
                self._service = Service(self.settings, self._source(), self._sync and self._sync())
                atexit.register(self.close)
            elif os.getpid() != self._process:
                raise Invalid(
                    "this workspace was used before the process forked", hint="open one in the child"
                )
            return self._service

    def _submit(self, work: Callable[[Service], Coroutine[Any, Any, T]]) -> Future[T]:
        service = self._running()
        return service.loop.submit(work(service))

    def _wait(self, work: Callable[[Service], Coroutine[Any, Any, T]]) -> T:
        service = self._running()
        try:
            return service.loop.result(work(service))
        except CancelledError:
            raise workspace_closed_error() from None

    async def _await(self, work: Callable[[Service], Coroutine[Any, Any, T]]) -> T:
        future = self._submit(work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise
            raise workspace_closed_error() from None


def _call_request(
    reference: str,
    inputs: Mapping[str, Any],
    unit: str | None,
    metadata: Mapping[str, Any],
    limits: Limits,
) -> CallRequest:
    """Copied: the caller may go on to change what it gave."""
    kept = dict(metadata)
    if reason := json_data_problem(kept):
        raise Invalid(
            f"the metadata cannot be logged: {reason}", hint="give strings, numbers, lists, objects"
        )
    whom = None if unit is None else str(unit)
    return CallRequest(reference=reference, inputs=dict(inputs), unit=whom, metadata=kept, limits=limits)


def _absolute(registry: str | os.PathLike[str] | None) -> Path | str | None:
    """A path from the current folder, or the URL of a database as it is."""
    if isinstance(registry, str) and is_postgres_url(registry):
        return registry
    return None if registry is None else Path(registry).expanduser().absolute()
