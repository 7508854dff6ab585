"""Requests to a batch service: retried where that is safe, answered with JSON objects or with files."""

from __future__ import annotations

import contextlib
import json
import random
import re
import tempfile
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

from promptops.config.clock import utc_seconds, utc_text
from promptops.dataclass import dataclass
from promptops.providers.batches.types import AcceptanceUnknown, SubmittedBatch
from promptops.providers.endpoints import api_url
from promptops.providers.errors import error_from_reply, excerpt, sanitize_line
from promptops.providers.http.body import MAX_REPLY_BYTES
from promptops.providers.http.exchange import exchange_request
from promptops.providers.http.file_body import FileBody
from promptops.providers.http.transport import HttpReply, HttpRequest
from promptops.providers.json_body import decode_json
from promptops.providers.openai.response import as_list, as_mapping
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_T = TypeVar("_T")

REPLY_TIMEOUT_S = 120.0
FILE_TIMEOUT_S = 1800.0  # 200 MB at one megabit a second take as long
MAX_RESULT_BYTES = 4 * 1024**3  # of one file of results, on the disk
_PAGE, _MAX_PAGES = 100, 100  # of a list of jobs
LOOKS_S = (1.0, 4.0, 10.0)  # waits before each look for a job whose answer was lost
_CLOCK_SLACK_S = 300.0  # by which the provider's clock may differ from this one
_RETRIES = 4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_MAX_RETRY_AFTER_S = 120.0  # a longer one is an answer, not a pause
_NOT_ACCEPTED = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 429})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,255}", re.ASCII)
_MILLISECONDS = 10**11  # seconds since 1970 are less for some thousand years
_MAX_SECONDS = 253_402_300_799  # the end of the year 9999


@dataclass(frozen=True, slots=True)
class BatchWire:
    """One endpoint. ``key_name`` is the environment variable that messages name."""

    base_url: str
    headers: Mapping[str, str]
    key_name: str
    env: Mapping[str, str]
    pause: Callable[[float], None] = time.sleep  # between attempts, and before a look for a lost job

    def __repr__(self) -> str:
        return f"BatchWire({self.place!r})"  # the headers hold a key

    @property
    def place(self) -> str:
        return self.base_url.partition("?")[0]

    def get(self, path: str, query: str = "") -> Mapping[str, Any]:
        """An object, after retries."""
        return self._object(with_retries(lambda: self._send("GET", path, query=query), self.pause))

    def post(self, path: str, body: Mapping[str, Any] | FileBody | None = None) -> Mapping[str, Any]:
        """As ``get``, for what does no harm when it is done twice."""
        return self._object(with_retries(lambda: self._send("POST", path, body), self.pause))

    def post_once(
        self,
        path: str,
        body: Mapping[str, Any] | FileBody,
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, Any]:
        """For what costs money: an object with a usable id.

        Retried only where the provider has said that it did not take it. Raises AcceptanceUnknown where it
        may have.
        """
        return with_retries(lambda: self._accept(path, body, headers or {}), self.pause)

    def delete(self, path: str) -> None:
        with_retries(lambda: self._send("DELETE", path), self.pause)

    def download(self, path: str) -> BinaryIO:
        """A file of results at its beginning; it is gone when it is closed."""
        try:
            return with_retries(lambda: self._fetch(path), self.pause)
        except ModelError as error:
            raise with_results_hint(error) from None

    def _fetch(self, path: str) -> BinaryIO:
        file = tempfile.TemporaryFile(prefix="promptops-results-")  # noqa: SIM115 - the caller closes it
        try:
            self._send("GET", path, into=file)
            return whole_file(file, self.place)
        except BaseException:
            file.close()
            raise

    def _accept(
        self, path: str, body: Mapping[str, Any] | FileBody, headers: Mapping[str, str]
    ) -> Mapping[str, Any]:
        try:
            job = self._object(self._send("POST", path, body, more=headers))
            checked_id(job.get("id"), "job")
        except ModelError as error:
            raise acceptance_error(error) from None
        return job

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | FileBody | None = None,
        into: BinaryIO | None = None,
        query: str = "",
        more: Mapping[str, str] | None = None,
    ) -> HttpReply:
        """Raises ModelError for every status but 200 and 201."""
        headers = {"User-Agent": "promptops", "Accept-Encoding": "identity", **self.headers, **(more or {})}
        form = body if isinstance(body, FileBody) else None
        if form is not None:
            headers |= form.headers
        elif body is not None:
            headers["Content-Type"] = "application/json"
        request = HttpRequest(
            url=self._url(path, query),
            headers=headers,
            body=b"" if form is not None or body is None else json.dumps(body).encode(),
            method=method,
            pieces=form,
            into=into,
            most=MAX_RESULT_BYTES,
        )
        seconds = FILE_TIMEOUT_S if form is not None or into is not None else REPLY_TIMEOUT_S
        reply = exchange_request(request, self.env, timeout_s=seconds)
        if reply.status not in {200, 201}:
            raise error_from_reply(reply, where=self.place, key_name=self.key_name)
        return reply

    def _url(self, path: str, query: str) -> str:
        """The base URL may have a query of its own."""
        url = api_url(self.base_url, path)
        return f"{url}{'&' if '?' in url else '?'}{query}" if query else url

    def _object(self, reply: HttpReply) -> Mapping[str, Any]:
        try:
            value = decode_json(reply.body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            shown = excerpt(reply.body) or "nothing"
            raise ModelError("malformed_reply", f"{self.place} did not answer with a JSON object: {shown}")
        return value


class Wire(Protocol):
    """What a service in OpenAI's format is reached by."""

    @property
    def place(self) -> str: ...
    @property
    def pause(self) -> Callable[[float], None]: ...
    def get(self, path: str, query: str = "") -> Mapping[str, Any]: ...
    def post(self, path: str, body: Mapping[str, Any] | FileBody | None = None) -> Mapping[str, Any]: ...
    def post_once(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]: ...
    def delete(self, path: str) -> None: ...
    def download(self, path: str) -> BinaryIO: ...


def acceptance_error(error: ModelError) -> ModelError:
    """The error itself where it says that a job was not accepted; else that nobody knows."""
    refused = error.status in _NOT_ACCEPTED or (error.status is not None and error.status < 400)
    if refused or (error.status is None and error.type in {"authentication", "bad_request"}):
        return error
    hint = "it may have been accepted and billed anyway"
    return AcceptanceUnknown(error.type, error.message, status=error.status, hint=hint)


def whole_file(file: BinaryIO, place: str) -> BinaryIO:
    """The file at its beginning. Raises ModelError where it ends in the middle of a line.

    A reply whose length is not announced may be cut off unnoticed. What it lacks is paid for: taken for
    missing, it would be submitted and paid once more.
    """
    length = file.seek(0, 2)
    start = file.seek(max(0, length - MAX_REPLY_BYTES))
    tail = file.read().rpartition(b"\n")[2]
    if tail and len(tail) <= length - start and not _is_json(tail):
        raise ModelError("cut_off", f"{place} sent results that end in the middle of a line")
    file.seek(0)
    return file


def _is_json(line: bytes) -> bool:
    try:
        decode_json(line)
    except ValueError:
        return not line.strip()
    return True


def with_results_hint(error: ModelError) -> ModelError:
    if error.type == "not_found":
        error.hint = "providers delete results some weeks after a job; submit its requests again"
    if error.type == "cut_off":
        error.hint = "try again later; promptops jobs cancel gives up the answers"
    return error


def with_retries(call: Callable[[], _T], pause: Callable[[float], None]) -> _T:
    """What the call gives, at once or after failures that pass. Raises ModelError."""
    for retry in range(_RETRIES):
        try:
            return call()
        except AcceptanceUnknown:
            raise
        except ModelError as error:
            seconds = _pause(retry, error.retry_after)
            if not error.retryable or seconds > _MAX_RETRY_AFTER_S:
                raise
        pause(seconds)
    return call()


def _pause(retry: int, retry_after: float | None) -> float:
    if retry_after is not None:
        return retry_after
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**retry) * random.uniform(0.5, 1)  # noqa: S311 - jitter


def look_for_lost(
    find: Callable[[], SubmittedBatch | None], pause: Callable[[float], None], lost: AcceptanceUnknown
) -> SubmittedBatch:
    """The job whose answer was lost, looked for a few times. Raises ``lost`` where it does not show up."""
    for seconds in LOOKS_S:
        pause(seconds)
        with contextlib.suppress(ModelError):
            if found := find():
                return found
    raise lost


def jobs_since(wire: Wire, path: str, since: float, *, cursor: str) -> Iterator[Mapping[str, Any]]:
    """Newest first, as the list has them, back to this time. ``cursor`` names the last job of a page."""
    after = ""
    for _ in range(_MAX_PAGES):
        page = wire.get(path, f"limit={_PAGE}{after}")
        jobs = [as_mapping(job) for job in as_list(page.get("data"))]
        for job in jobs:
            created = moment(job.get("created_at"))
            if created is not None and utc_seconds(created) < since - _CLOCK_SLACK_S:
                return
            yield job
        if not jobs or not page.get("has_more"):
            return
        after = f"&{cursor}={checked_id(jobs[-1].get('id'), 'job')}"


def unknown_state(word: Any) -> ModelError:
    shown = sanitize_line(str(word))
    return ModelError("malformed_reply", f"the provider reports an unknown state of the job: {shown}")


def require_service(wire: Wire, path: str) -> None:
    """Ask for the list of jobs: an endpoint without a batch service has none. Raises ModelError."""
    try:
        wire.get(path, "limit=1")
    except ModelError as error:
        if error.status in {404, 405, 501} or error.type == "malformed_reply":
            raise ModelError(
                "bad_request",
                f"{wire.place} has no batch service: {error.message}",
                status=error.status,
                hint="leave out --provider-batch to call it directly",
            ) from None
        raise


def checked_id(value: Any, what: str) -> str:
    """An id that the provider has given, as it may stand in a URL. Raises ModelError."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ModelError("malformed_reply", f"the provider gave no usable id of the {what}")


def moment(value: Any) -> str | None:
    """Seconds (or milliseconds) since 1970, or an ISO time, as UTC text; None for what is neither."""
    if isinstance(value, str) and len(value) < 64:
        try:
            value = utc_seconds(value)
        except (ValueError, OverflowError):
            return None
    if type(value) not in {int, float}:
        return None
    seconds = value / 1000 if value > _MILLISECONDS else value  # NaN is out of any range
    return utc_text(seconds) if 0 <= seconds <= _MAX_SECONDS else None


def count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None
