"""Files of results: JSON Lines from outside, so that every line is bounded, and any line may be anything."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from promptops.providers.batches.types import BatchResult
from promptops.providers.errors import excerpt
from promptops.providers.http.body import MAX_REPLY_BYTES
from promptops.providers.json_body import decode_json
from promptops.providers.pricing import BATCH_TIER
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from promptops.providers.types import Completion

MAX_LINE_BYTES = MAX_REPLY_BYTES  # one line holds one reply
_MAX_ID = 512


def result_of_reply(custom_id: str, read: Callable[[], Completion]) -> BatchResult:
    """An answer, or why there is none; ``read`` raises ModelError. Both are priced as a batch's."""
    try:
        completion = read()
    except ModelError as failure:
        if failure.completion is not None:
            failure.completion = replace(failure.completion, service_tier=BATCH_TIER)
        return BatchResult(kind="failed", custom_id=custom_id, error=failure)
    answer = replace(completion, service_tier=BATCH_TIER)
    return BatchResult(kind="answered", custom_id=custom_id, completion=answer)


def read_results(
    files: Iterable[BinaryIO],
    expected: Collection[str],
    result_of: Callable[[str, Mapping[str, Any]], BatchResult],
) -> Iterator[BatchResult]:
    """The results in files, in order; ``result_of`` reads a line whose ``custom_id`` is one of ``expected``.

    The first line of a request is its result, and each later one a duplicate, whatever stands in it.
    """
    expected, seen = frozenset(expected), set[str]()
    for file in files:
        for line in bounded_lines(file):
            result = _result(line, expected, seen, result_of)
            if result is not None:
                yield result


def _result(
    line: bytes | None,
    expected: frozenset[str],
    seen: set[str],
    result_of: Callable[[str, Mapping[str, Any]], BatchResult],
) -> BatchResult | None:
    if line is not None and not line.strip():
        return None
    row = _object(line)
    if isinstance(row, ModelError):
        return BatchResult(kind="unreadable", error=row)
    custom_id = row.get("custom_id")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= _MAX_ID:
        return BatchResult(kind="unreadable", error=_unreadable("names no request", line or b""))
    if custom_id not in expected:
        return BatchResult(kind="unknown", custom_id=custom_id)
    if custom_id in seen:
        return BatchResult(kind="duplicate", custom_id=custom_id)
    seen.add(custom_id)
    return result_of(custom_id, row)


def _object(line: bytes | None) -> Mapping[str, Any] | ModelError:
    if line is None:
        most = f"a line of the results is longer than {MAX_LINE_BYTES // 2**20} MiB"
        return ModelError("malformed_reply", most)
    try:
        row = decode_json(line)
    except ValueError:
        return _unreadable("is not JSON", line)
    return row if isinstance(row, dict) else _unreadable("is not an object", line)


def _unreadable(what: str, line: bytes) -> ModelError:
    return ModelError("malformed_reply", f"a line of the results {what}: {excerpt(line)}")


def bounded_lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Each line, without its end; None stands for one that is too long."""
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) <= MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line.rstrip(b"\r\n")
            continue
        while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        yield None
