"""Anthropic's message batches: all requests in one body, all results in one file.

There is no place for a key of one's own. A job whose answer was lost is found by when it was made and how
many requests it has, and once it has ended by whose results it holds.
"""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptops.config.clock import utc_seconds
from promptops.providers.batches.lines import bounded_lines, read_results, result_of_reply
from promptops.providers.batches.messages import MessagesWriter, completion_from_message
from promptops.providers.batches.splitting import check_batch, split_by_limits
from promptops.providers.batches.types import (
    AcceptanceUnknown,
    BatchLimits,
    BatchResult,
    BatchState,
    BatchStatus,
    ResultKind,
    SubmittedBatch,
)
from promptops.providers.batches.wire import (
    checked_id,
    count,
    jobs_since,
    look_for_lost,
    moment,
    require_service,
    unknown_state,
)
from promptops.providers.errors import error_from_reply
from promptops.providers.http.file_body import FileBody
from promptops.providers.http.transport import HttpReply
from promptops.providers.json_body import decode_json
from promptops.providers.openai.response import as_mapping
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from promptops.providers.batches.wire import BatchWire
    from promptops.providers.types import CompletionRequest

ANTHROPIC_LIMITS = BatchLimits(100_000, 256 * 10**6)
_PATH = "messages/batches"
_CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_FRAME = 64  # bytes of a body around its requests, and more than enough
_OVER: dict[str, ResultKind] = {"expired": "expired", "canceled": "cancelled"}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_COUNTS = ("processing", "succeeded", "errored", "canceled", "expired")


class AnthropicBatches:
    """``arguments_of`` makes what litellm is called with for a request."""

    name = "anthropic"

    def __init__(
        self,
        *,
        model: str,
        wire: BatchWire,
        arguments_of: Callable[[CompletionRequest], Mapping[str, Any]],
    ) -> None:
        self.model = model
        self.limits = replace(ANTHROPIC_LIMITS, bytes=ANTHROPIC_LIMITS.bytes - _FRAME)
        self._wire = wire
        self._arguments_of = arguments_of
        self._writer: MessagesWriter | None = None
        self._made: set[str] = set()  # ids of the jobs of this object

    def check(self) -> None:
        require_service(self._wire, _PATH)

    def split(
        self, requests: Iterable[tuple[str, CompletionRequest]]
    ) -> Iterator[list[tuple[str, CompletionRequest]]]:
        return split_by_limits(requests, self.limits, self._size)

    def submit(
        self,
        requests: Sequence[tuple[str, CompletionRequest]],
        key: str,
        known: Collection[str] = (),
    ) -> SubmittedBatch:
        del key  # there is no place for one
        check_batch(requests, self.limits, self._size)
        since = time.time()
        with tempfile.TemporaryDirectory(prefix="promptops-batch-") as folder:
            file = Path(folder) / "requests.json"
            with file.open("wb") as lines:
                lines.write(b'{"requests":[')
                for number, each in enumerate(requests):
                    lines.write((b"," if number else b"") + self._entry(*each))
                lines.write(b"]}")
            body = FileBody(file, content_type="application/json")
            betas = ",".join(sorted(self._written().betas))
            headers = {"anthropic-beta": betas} if betas else {}
            try:
                job = _submitted(self._wire.post_once(_PATH, body, headers))
            except AcceptanceUnknown as error:
                ids = frozenset(each for each, _ in requests)
                job = look_for_lost(lambda: self._find(ids, since, known), self._wire.pause, error)
        self._made.add(job.id)
        return job

    def find(
        self, key: str, *, since: str, custom_ids: Collection[str] = (), known: Collection[str] = ()
    ) -> SubmittedBatch | None:
        del key  # there is no place for one
        return self._find(frozenset(custom_ids), utc_seconds(since), known)

    def status(self, batch_id: str) -> BatchStatus:
        return _status(self._job(batch_id))

    def results(self, batch_id: str, expected: Collection[str]) -> Iterator[BatchResult]:
        status = self.status(batch_id)
        if not status.is_over:
            raise ModelError("bad_request", f"{batch_id} is not over: {status.word}")
        with self._file(batch_id) as file:
            yield from read_results([file], expected, self._result)

    def cancel(self, batch_id: str) -> BatchStatus:
        return _status(self._wire.post(f"{_PATH}/{checked_id(batch_id, 'job')}/cancel"))

    def _job(self, batch_id: str) -> Mapping[str, Any]:
        return self._wire.get(f"{_PATH}/{checked_id(batch_id, 'job')}")

    def _file(self, batch_id: str) -> Any:
        """At its place below the base URL: a ``results_url`` of another host would be sent the key."""
        return self._wire.download(f"{_PATH}/{checked_id(batch_id, 'job')}/results")

    def _written(self) -> MessagesWriter:
        self._writer = self._writer or MessagesWriter(self.model)
        return self._writer

    def _size(self, custom_id: str, request: CompletionRequest) -> int:
        if not _CUSTOM_ID.fullmatch(custom_id):
            raise ModelError("bad_request", "Anthropic takes ids of at most 64 letters, digits, - and _")
        return len(self._entry(custom_id, request)) + 1  # a comma

    def _entry(self, custom_id: str, request: CompletionRequest) -> bytes:
        """One request of the body, made once."""
        made = request.bodies.get(_PATH)
        if made is None:
            whole = replace(request, stream=False) if request.stream else request
            params = self._written().params(self._arguments_of(whole))
            made = request.bodies[_PATH] = json.dumps(params, separators=(",", ":")).encode()
        return b'{"custom_id":"%s","params":%s}' % (custom_id.encode(), made)

    def _find(self, ids: frozenset[str], since: float, known: Collection[str]) -> SubmittedBatch | None:
        """The job that holds our requests; else the one of that time and size whose results are not out."""
        possible = []
        for job in jobs_since(self._wire, _PATH, since, cursor="after_id"):
            if _total(job) != len(ids) or checked_id(job.get("id"), "job") in {*known, *self._made}:
                continue
            if _status(job).is_over:
                if self._is_ours(job, ids):
                    return _submitted(job)
            else:
                possible.append(replace(_submitted(job), verified=False))
        if len(possible) > 1:
            named = " and ".join(job.id for job in possible[:5])
            hint = "try again when they have ended: their results show whose they are"
            raise AcceptanceUnknown("server", f"the job may be any of {named}", hint=hint)
        return possible[0] if possible else None

    def _is_ours(self, job: Mapping[str, Any], ids: frozenset[str]) -> bool:
        """Whether the first result that can be read is of one of the requests."""
        try:
            file = self._file(checked_id(job.get("id"), "job"))
        except ModelError:
            return False
        with file:
            for line in bounded_lines(file):
                with contextlib.suppress(ValueError):
                    custom_id = as_mapping(decode_json(line or b"")).get("custom_id")
                    return isinstance(custom_id, str) and custom_id in ids
        return False

    def _result(self, custom_id: str, row: Mapping[str, Any]) -> BatchResult:
        result = as_mapping(row.get("result"))
        kind = result.get("type")
        if isinstance(kind, str) and kind in _OVER:
            return BatchResult(kind=_OVER[kind], custom_id=custom_id)
        return result_of_reply(custom_id, lambda: completion_from_message(self._message(result), self.model))

    def _message(self, result: Mapping[str, Any]) -> Mapping[str, Any]:
        if result.get("type") == "errored":
            raise self._error(as_mapping(result.get("error")))
        message = result.get("message")
        if result.get("type") != "succeeded" or not isinstance(message, dict):
            raise ModelError("malformed_reply", "the result holds no reply")
        return message

    def _error(self, reported: Mapping[str, Any]) -> ModelError:
        """``{"type": "error", "error": {"type", "message"}}``, or the inner object alone."""
        inner = as_mapping(reported.get("error")) or reported
        kind = inner.get("type")
        status = _STATUS.get(kind, 500) if isinstance(kind, str) else 500
        body = json.dumps({"error": inner}).encode()
        return error_from_reply(HttpReply(status, {}, body), where=self._wire.place)


def _total(job: Mapping[str, Any]) -> int | None:
    counts = [count(as_mapping(job.get("request_counts")).get(name)) for name in _COUNTS]
    known = [each for each in counts if each is not None]
    return sum(known) if known else None


def _submitted(job: Mapping[str, Any]) -> SubmittedBatch:
    return SubmittedBatch(
        id=checked_id(job.get("id"), "job"),
        requests=_total(job) or None,
        created_at=moment(job.get("created_at")),
        expires_at=moment(job.get("expires_at")),
    )


def _status(job: Mapping[str, Any]) -> BatchStatus:
    word = job.get("processing_status")
    counts = as_mapping(job.get("request_counts"))
    states: dict[Any, BatchState] = {"in_progress": "pending", "canceling": "pending", "ended": "ended"}
    state = states.get(word) if isinstance(word, str) else None
    if state is None or not isinstance(word, str):
        raise unknown_state(word)
    if state == "ended":
        state = "cancelled" if counts.get("canceled") else "expired" if counts.get("expired") else "ended"
    failed = [count(counts.get(name)) for name in ("errored", "canceled", "expired")]
    return BatchStatus(
        id=checked_id(job.get("id"), "job"),
        state=state,
        word=word,
        total=_total(job) or None,
        succeeded=count(counts.get("succeeded")),
        failed=sum(each for each in failed if each is not None),
        created_at=moment(job.get("created_at")),
        expires_at=moment(job.get("expires_at")),
        ended_at=moment(job.get("ended_at")),
    )
