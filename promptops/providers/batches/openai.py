"""OpenAI's batch service, and endpoints compatible with it: one file of requests in, two of results out.

Each line of the input is the body that a direct call would send. Answers stand in the output file, and
requests that failed or whose time ran out in the error file, which counts no less.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from promptops.config.clock import utc_seconds
from promptops.providers.batches.lines import read_results, result_of_reply
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
from promptops.providers.errors import error_from_payload, error_from_reply, sanitize_line
from promptops.providers.http.file_body import FileForm
from promptops.providers.http.transport import HttpReply
from promptops.providers.openai.response import as_list, as_mapping, completion_from_payload
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from promptops.providers.batches.wire import Wire
    from promptops.providers.types import Completion, CompletionRequest

KEY = "promptops_job"
"""The name under which a job's key stands in its metadata."""

_STATES: dict[str, BatchState] = {
    "validating": "pending",
    "in_progress": "pending",
    "finalizing": "pending",
    "cancelling": "pending",
    "completed": "ended",
    "expired": "expired",
    "failed": "failed",
    "cancelled": "cancelled",
}
_OVER: dict[str, ResultKind] = {"batch_expired": "expired", "batch_cancelled": "cancelled"}
_MAX_ERRORS = 20


class OpenAIBatches:
    """``body_of`` makes the body of a direct call of a request, and ``path`` is where it would be sent."""

    def __init__(
        self,
        *,
        name: str,
        model: str,
        wire: Wire,
        limits: BatchLimits,
        body_of: Callable[[CompletionRequest], bytes],
        path: str = "/v1/chat/completions",
    ) -> None:
        self.name = name
        self.model = model
        self.limits = limits
        self._wire = wire
        self._body_of = body_of
        self._path = path

    def check(self) -> None:
        require_service(self._wire, "batches")

    def split(
        self, requests: Iterable[tuple[str, CompletionRequest]]
    ) -> Iterator[list[tuple[str, CompletionRequest]]]:
        return split_by_limits(requests, self.limits, lambda *each: len(self._line(*each)))

    def submit(
        self,
        requests: Sequence[tuple[str, CompletionRequest]],
        key: str,
        known: Collection[str] = (),
    ) -> SubmittedBatch:
        del known  # the key is enough
        check_batch(requests, self.limits, lambda *each: len(self._line(*each)))
        since = time.time()
        file = self._upload(requests, key)
        asked = {
            "input_file_id": file,
            "endpoint": self._path,
            "completion_window": "24h",
            "metadata": {KEY: key},
        }
        try:
            return _submitted(self._wire.post_once("batches", asked))
        except AcceptanceUnknown as error:
            return look_for_lost(lambda: self._find(key, since), self._wire.pause, error)
        except ModelError:
            self._delete(file)
            raise

    def find(
        self, key: str, *, since: str, custom_ids: Collection[str] = (), known: Collection[str] = ()
    ) -> SubmittedBatch | None:
        del custom_ids, known  # the key is enough
        return self._find(key, utc_seconds(since))

    def status(self, batch_id: str) -> BatchStatus:
        return _status(self._job(batch_id))

    def results(self, batch_id: str, expected: Collection[str]) -> Iterator[BatchResult]:
        job = self._job(batch_id)
        status = _status(job)
        if not status.is_over:
            raise ModelError("bad_request", f"{batch_id} is not over: {status.word}")
        if status.succeeded and not job.get("output_file_id"):  # else all of it would be paid once more
            answered = f"{status.succeeded:,} answers of {batch_id}"
            raise ModelError("server", f"{self._wire.place} has no file of {answered} yet")
        with contextlib.ExitStack() as stack:
            ids = filter(None, map(job.get, ("output_file_id", "error_file_id")))
            files = [stack.enter_context(self._file(each)) for each in ids]
            yield from read_results(files, expected, self._result)

    def cancel(self, batch_id: str) -> BatchStatus:
        return _status(self._wire.post(f"batches/{checked_id(batch_id, 'job')}/cancel"))

    def _job(self, batch_id: str) -> Mapping[str, Any]:
        return self._wire.get(f"batches/{checked_id(batch_id, 'job')}")

    def _file(self, file_id: Any) -> BinaryIO:
        return self._wire.download(f"files/{checked_id(file_id, 'file of results')}/content")

    def _line(self, custom_id: str, request: CompletionRequest) -> bytes:
        head = json.dumps({"custom_id": custom_id, "method": "POST", "url": self._path})
        whole = replace(request, stream=False) if request.stream else request
        return head[:-1].encode() + b', "body": ' + self._body_of(whole) + b"}\n"

    def _upload(self, requests: Sequence[tuple[str, CompletionRequest]], key: str) -> str:
        """The id of the file; one that was uploaded twice, as an answer was lost, costs nothing."""
        with tempfile.TemporaryDirectory(prefix="promptops-batch-") as folder:
            file = Path(folder) / f"{key}.jsonl"
            with file.open("wb") as lines:
                lines.writelines(self._line(*each) for each in requests)
            form = FileForm({"purpose": "batch"}, file, content_type="application/jsonl")
            return checked_id(self._wire.post("files", form).get("id"), "file")

    def _delete(self, file: str) -> None:
        """Remove the requests of a job that there is not; what cannot be removed expires."""
        with contextlib.suppress(ModelError):
            self._wire.delete(f"files/{file}")

    def _find(self, key: str, since: float) -> SubmittedBatch | None:
        jobs = jobs_since(self._wire, "batches", since, cursor="after")
        ours = (job for job in jobs if as_mapping(job.get("metadata")).get(KEY) == key)
        return next(map(_submitted, ours), None)

    def _result(self, custom_id: str, row: Mapping[str, Any]) -> BatchResult:
        """An answer, or why there is none."""
        response, error = as_mapping(row.get("response")), row.get("error")
        code = as_mapping(error).get("code")
        if isinstance(code, str) and code in _OVER:
            over = error_from_payload({"error": error})
            return BatchResult(kind=_OVER[code], custom_id=custom_id, error=over)
        return result_of_reply(custom_id, lambda: self._completion(response, error))

    def _completion(self, response: Mapping[str, Any], error: Any) -> Completion:
        body, status = response.get("body"), response.get("status_code", 200)
        if error and not response:
            raise error_from_payload({"error": error if isinstance(error, dict) else {"message": str(error)}})
        if not isinstance(body, dict):
            raise ModelError("malformed_reply", "the result holds no reply")
        if type(status) is not int or status != 200:
            status = status if type(status) is int and 300 <= status < 600 else 500
            raise error_from_reply(HttpReply(status, {}, json.dumps(body).encode()), where=self._wire.place)
        return completion_from_payload(body, self.model)


def _submitted(job: Mapping[str, Any]) -> SubmittedBatch:
    return SubmittedBatch(
        id=checked_id(job.get("id"), "job"),
        requests=count(as_mapping(job.get("request_counts")).get("total")) or None,
        created_at=moment(job.get("created_at")),
        expires_at=moment(job.get("expires_at")),
    )


def _status(job: Mapping[str, Any]) -> BatchStatus:
    word = job.get("status")
    state = _STATES.get(word) if isinstance(word, str) else None
    if state is None or not isinstance(word, str):
        raise unknown_state(word)
    counts = as_mapping(job.get("request_counts"))
    ended = next(filter(None, (moment(job.get(f"{each}_at")) for each in ("completed", state))), None)
    return BatchStatus(
        id=checked_id(job.get("id"), "job"),
        state=state,
        word=word,
        total=count(counts.get("total")) or None,
        succeeded=count(counts.get("completed")),
        failed=count(counts.get("failed")),
        created_at=moment(job.get("created_at")),
        expires_at=moment(job.get("expires_at")),
        ended_at=ended,
        errors=_errors(job.get("errors")),
    )


def _errors(errors: Any) -> tuple[str, ...]:
    """``{"data": [{"code", "message", "line"}]}``, as one line each."""
    found = []
    for error in as_list(as_mapping(errors).get("data"))[:_MAX_ERRORS]:
        each = as_mapping(error)
        line = f"line {each['line']}: " if count(each.get("line")) is not None else ""
        found.append(f"{line}{sanitize_line(str(each.get('message') or each.get('code') or 'no reason'))}")
    return tuple(found)
