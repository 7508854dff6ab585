"""``Idempotency-Key``: a request that is sent again gets the answer of the first, and makes no other call."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from hashlib import sha256
from typing import Any

from aiohttp import web

from promptops.config.settings import LogSettings
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.gateway.access import Caller
from promptops.gateway.errors import ApiError
from promptops.providers.types import ModelError
from promptops.registry import (
    NOT_KEPT,
    SharedState,
    redact_finished_run,
    redact_started_run,
    run_as_record,
    run_from_record,
    without_quotes,
)
from promptops.runner import Run

HEADER = "Idempotency-Key"
_MAX_LENGTH = 255
_POLL_INTERVAL_S = 0.05
_MAX_WAIT_S = 600.0  # for a process that answers the first request, and may have stopped
_OF_ERRORS = ("type", "message", "status", "retry_after", "hint")
_MAX_KEPT = 2_000  # answers, of all callers

_ELSEWHERE = (
    "this request was answered by another process, and its answer is redacted or erased: it is kept nowhere"
)

RequestKey = tuple[str | None, str]


def request_key(request: web.Request, caller: Caller) -> RequestKey | None:
    """The header and whose it is: another key's is another one."""
    given = request.headers.get(HEADER)
    if not given:
        return None
    if len(given) > _MAX_LENGTH:
        raise ApiError(400, f"{HEADER} is longer than {_MAX_LENGTH} characters", "invalid_value")
    return caller.key_id, given


class PendingRun:
    """What becomes of the first request: its run, the failure of its call, or nothing."""

    def __init__(self) -> None:
        self.rules: Mapping[str, Any] = {}
        """What the prompt says of the log, where it is known."""
        self._done: asyncio.Future[Run] = asyncio.get_running_loop().create_future()

    @property
    def is_kept(self) -> bool:
        """Whether there is something that a repeated request can be answered with."""
        return self._done.done() and not self._done.cancelled()

    async def result(self) -> Run:
        """Waits for the first request. Raises what its call did."""
        try:
            return await asyncio.shield(self._done)
        except asyncio.CancelledError:
            if self._done.cancelled():
                raise ApiError(409, "the first request of this key was not answered", "conflict") from None
            raise

    def succeed(self, run: Run) -> None:
        if not self._done.done():
            self._done.set_result(run)

    def fail(self, error: PromptopsError | ApiError) -> None:
        if not self._done.done():
            self._done.set_exception(error)
            self._done.exception()  # seen, where nobody repeats the request

    def record(self, log: LogSettings) -> dict[str, Any] | None:
        """What came of it as JSON, for a file; None where there is nothing to answer with.

        An answer that ``log`` does not keep as it came is not that of a repeated request either.
        """
        if not self.is_kept:
            return None
        error = self._done.exception()
        if error is None:
            run = self._done.result()
            kept = redact_started_run(run.started, log), redact_finished_run(run.started, run.finished, log)
            whole = kept == (run.started, run.finished)
            return {"run": run_as_record(_without_request(run).started, run.finished)} if whole else NOT_KEPT
        if not isinstance(error, ModelError):
            return None
        message = without_quotes(error.message, log.with_prompt(self.rules))
        return {"error": _error_fields(error) | {"message": message}}

    def keep_answer(self) -> None:
        """Let go of what the request held, which may be megabytes: an error holds it by its traceback."""
        if not self.is_kept:
            return
        first, self._done = self._done, asyncio.get_running_loop().create_future()
        error = first.exception()
        if error is None:
            self.succeed(_without_request(first.result()))
        elif isinstance(error, ModelError):
            self.fail(ModelError(**_error_fields(error)))
        elif isinstance(error, PromptopsError | ApiError):
            self.fail(error)

    def take_over(self, record: Mapping[str, Any]) -> None:
        """What ``record`` has said of it, in another process."""
        if record == NOT_KEPT:
            self.fail(ApiError(409, _ELSEWHERE, "conflict"))
            return
        if "error" in record:
            self.fail(ModelError(**record["error"]))
            return
        run, end = run_from_record(record["run"])
        if end is not None:
            self.succeed(Run(started=run, finished=end))

    @contextmanager
    def failing(self) -> Iterator[None]:
        """A call that failed is not made again; one that was not made, or was cut off, may be."""
        try:
            yield
        except ModelError as error:
            self.fail(error)
            raise
        finally:
            self._done.cancel()


@dataclass(slots=True)
class _KeptRequest:
    digest: str
    pending: PendingRun = field(default_factory=PendingRun)


class RepeatedRequests:
    """The latest requests that can be repeated; with ``shared`` those of all processes of the server."""

    def __init__(self, log: LogSettings, shared: SharedState | None) -> None:
        self._log = log
        self._shared = shared
        self._kept: OrderedDict[RequestKey, _KeptRequest] = OrderedDict()

    async def find(self, key: RequestKey, digest: str) -> PendingRun | None:
        """The first request of this key. Raises ApiError where it asked for something else."""
        kept = self._kept.get(key)
        if kept is None and self._shared is not None:
            kept = await self._find_shared(self._shared, key, digest)
        if kept is None:
            return None
        if kept.digest != digest:
            raise ApiError(422, f"this {HEADER} was used for another request", "idempotency_mismatch")
        return kept.pending

    async def _find_shared(self, shared: SharedState, key: RequestKey, digest: str) -> _KeptRequest | None:
        """Waits for a request that another process answers."""
        until = time.monotonic() + _MAX_WAIT_S
        while (found := shared.claim(_shared_name(key), digest)) is not None:
            if found.digest != digest or found.outcome is not None:
                kept = _KeptRequest(found.digest)
                if found.outcome is not None:
                    kept.pending.take_over(json.loads(found.outcome))
                return kept
            if time.monotonic() > until:
                raise ApiError(409, "the first request of this key is still under way", "conflict")
            await asyncio.sleep(_POLL_INTERVAL_S)
        return None

    def begin(self, key: RequestKey, digest: str) -> PendingRun:
        kept = self._kept[key] = _KeptRequest(digest)
        while len(self._kept) > _MAX_KEPT:
            self._kept.popitem(last=False)
        return kept.pending

    def end(self, key: RequestKey, pending: PendingRun) -> None:
        kept = self._kept.get(key)
        if kept is not None and kept.pending is pending and not pending.is_kept:
            del self._kept[key]
        if self._shared is not None:
            record = pending.record(self._log)
            self._shared.settle(_shared_name(key), None if record is None else json.dumps(record))
        pending.keep_answer()


def _without_request(run: Run) -> Run:
    """What a request that is sent again is answered with."""
    return replace(run, started=replace(run.started, inputs=None, metadata={}))


def _error_fields(error: ModelError) -> dict[str, Any]:
    return {name: getattr(error, name) for name in _OF_ERRORS}


def _shared_name(key: RequestKey) -> str:
    return sha256(json.dumps(key).encode()).hexdigest()


def digest_of(body: Mapping[str, Any]) -> str:
    """Of what a request asks for, whether it is to be streamed or not."""
    asked = {name: value for name, value in body.items() if name not in ("stream", "stream_options")}
    return sha256(json.dumps(asked).encode()).hexdigest()
