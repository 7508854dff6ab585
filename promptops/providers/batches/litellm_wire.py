"""Batch services in OpenAI's format that are reached through litellm, which reads ``os.environ``."""

from __future__ import annotations

import re
import tempfile
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs

from promptops.providers.batches.translation import require_litellm, translated_body
from promptops.providers.batches.wire import (
    FILE_TIMEOUT_S,
    MAX_RESULT_BYTES,
    REPLY_TIMEOUT_S,
    acceptance_error,
    checked_id,
    whole_file,
    with_results_hint,
    with_retries,
)
from promptops.providers.http.file_body import FileBody
from promptops.providers.litellm_client import import_litellm, to_model_error
from promptops.providers.openai.request import encode_body
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_JOB = re.compile(r"batches/([^/]+)(/cancel)?")
_FILE = re.compile(r"files/([^/]+)(/content)?")


def chat_body(provider: str, model: str, arguments: Mapping[str, Any]) -> bytes:
    """The body of a call in OpenAI's format that litellm would be called for with these arguments."""

    def finish(_: Any, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
        extra = optional.pop("extra_body", None) or {}
        return {"model": model, "messages": messages, **optional, **extra}

    return encode_body(translated_body(provider, model, arguments, finish))


class LitellmWire:
    """The paths of OpenAI's service as the functions of litellm that stand for them."""

    def __init__(self, provider: str, pause: Callable[[float], None]) -> None:
        """Raises ModelError where litellm is not installed."""
        require_litellm(provider)
        self.place = provider
        self.pause = pause

    def get(self, path: str, query: str = "") -> Mapping[str, Any]:
        if path == "batches":
            limit = int(parse_qs(query).get("limit", ["100"])[0])
            return with_retries(lambda: self._listed(limit), self.pause)
        id_ = _part(_JOB, path)
        return with_retries(lambda: self._call("retrieve_batch", batch_id=id_), self.pause)

    def post(self, path: str, body: Mapping[str, Any] | FileBody | None = None) -> Mapping[str, Any]:
        if isinstance(body, FileBody):
            file = body.file
            return with_retries(lambda: self._call("create_file", file=file, purpose="batch"), self.pause)
        id_ = _part(_JOB, path)
        return with_retries(lambda: self._call("cancel_batch", batch_id=id_), self.pause)

    def post_once(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        del path  # jobs alone are made so
        return with_retries(lambda: self._accept(body), self.pause)

    def delete(self, path: str) -> None:
        id_ = _part(_FILE, path)
        with_retries(lambda: self._call("file_delete", file_id=id_), self.pause)

    def download(self, path: str) -> BinaryIO:
        id_ = _part(_FILE, path)
        try:
            return with_retries(lambda: self._fetch(id_), self.pause)
        except ModelError as error:
            raise with_results_hint(error) from None

    def _listed(self, limit: int) -> Mapping[str, Any]:
        """One page: litellm asks this provider for no other."""
        return {**self._call("list_batches", limit=limit), "has_more": False}

    def _accept(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            job = self._call("create_batch", **body)
            checked_id(job.get("id"), "job")
        except ModelError as error:
            raise acceptance_error(error) from None
        return job

    def _fetch(self, file_id: str) -> BinaryIO:
        answer = self._call_raw("file_content", file_id=file_id)
        content = getattr(answer, "content", None)
        if not isinstance(content, bytes) or len(content) > MAX_RESULT_BYTES:
            raise ModelError("malformed_reply", f"{self.place} did not answer with a file of results")
        file = tempfile.TemporaryFile(prefix="promptops-results-")  # noqa: SIM115 - the caller closes it
        file.write(content)
        try:
            return whole_file(file, self.place)
        except ModelError:
            file.close()
            raise

    def _call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        answer = self._call_raw(name, **arguments)
        value = answer.model_dump(mode="json") if hasattr(answer, "model_dump") else None
        if not isinstance(value, dict):
            raise ModelError("malformed_reply", f"{self.place} did not answer with an object")
        return value

    def _call_raw(self, name: str, **arguments: Any) -> Any:
        litellm = import_litellm()
        long = name in {"create_file", "file_content"}
        seconds = FILE_TIMEOUT_S if long else REPLY_TIMEOUT_S
        try:
            return getattr(litellm, name)(
                custom_llm_provider=self.place, timeout=seconds, max_retries=0, **arguments
            )
        except Exception as error:  # noqa: BLE001 - litellm lets anything through; it leaves here typed
            failure = to_model_error(error, self.place)
        raise failure


def _part(pattern: re.Pattern[str], path: str) -> str:
    """The id in a path, which the caller has checked."""
    found = pattern.fullmatch(path)
    if found is None:
        raise ModelError("bad_request", f"no such place: {path}")
    return found[1]
