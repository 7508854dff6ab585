"""What the jobs of some work have answered: on disk, found by run and request."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import IO, Any, Literal

from promptops.config.closing import Closing
from promptops.providers.batches.types import BatchResult
from promptops.providers.types import Completion, ModelError

Answer = Completion | ModelError
PlacedCalls = Mapping[str, tuple[list[int], int]]
"""The calls of one job by run: the places of all answers to that request, and which of them is the job's."""

_PENDING, _MISSING = -1, -2


class JobAnswers(Closing):
    """Memory grows by some hundred bytes a call. Use as a context."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="promptops-answers-")  # noqa: SIM115 - closed with it
        self._end = 0
        self._places: dict[
            str, dict[str, list[int]]
        ] = {}  # by run, and in it by request: a place for each job

    def close(self) -> None:
        self._file.close()

    def add_pending(self, calls: Mapping[str, str]) -> PlacedCalls:
        """The calls of a job (hash of the request by run) that is not over, which ``end`` then is given."""
        placed = {}
        for run_id, request_hash in calls.items():
            places = self._places.setdefault(run_id, {}).setdefault(request_hash, [])
            placed[run_id] = (places, len(places))
            places.append(_PENDING)
        return placed

    def drop(self, calls: PlacedCalls) -> None:
        """The job is over, and has answered none of them."""
        for places, number in calls.values():
            places[number] = _MISSING

    def end(self, model: str, calls: PlacedCalls, results: Iterable[BatchResult]) -> Iterator[BatchResult]:
        """Keep the results of a job that is over, and hand them on. What has none is missing."""
        self.drop(calls)
        for result in results:
            answer = result.completion or result.error
            if result.kind in ("answered", "failed") and answer is not None and result.custom_id is not None:
                places, number = calls[result.custom_id]
                places[number] = self._write(model, answer)
            yield result

    def knows(self, run_id: str) -> bool:
        """Whether a job has, or had, a call of this run."""
        return run_id in self._places

    def find(
        self, run_id: str, request_hash: str, after: int
    ) -> tuple[Answer | Literal["pending"] | None, int]:
        """The first answer behind so many places, and behind which it is; None where there is no other.

        Places of jobs that had no answer are passed over.
        """
        places = self._places.get(run_id, {}).get(request_hash, ())
        for number in range(after, len(places)):
            if places[number] == _PENDING:
                return "pending", number
            if places[number] != _MISSING:
                return self._read(places[number])[1], number + 1
        return None, len(places)

    def of_run(self, run_id: str) -> list[tuple[str, Answer]]:
        """All answers to a run, each of which may be billed, with the model that it is of."""
        return [
            self._read(place)
            for places in self._places.get(run_id, {}).values()
            for place in places
            if place >= 0
        ]

    def _write(self, model: str, answer: Answer) -> int:
        completion = answer if isinstance(answer, Completion) else answer.completion
        row: dict[str, Any] = {"model": model, "completion": asdict(completion) if completion else None}
        if isinstance(answer, ModelError):
            row["error"] = [answer.type, answer.message, answer.status, answer.partial, answer.hint]
        place = self._end
        self._file.seek(place)
        self._end += self._file.write(json.dumps(row).encode() + b"\n")
        return place

    def _read(self, place: int) -> tuple[str, Answer]:
        self._file.seek(place)
        row = json.loads(self._file.readline())
        kept = row["completion"]
        completion = Completion(**{**kept, "tool_calls": tuple(kept["tool_calls"])}) if kept else None
        if "error" not in row:
            assert completion is not None  # noqa: S101 - what is no error is an answer
            return row["model"], completion
        kind, message, status, partial, hint = row["error"]
        error = ModelError(kind, message, status=status, retry_after=0.0, partial=partial, hint=hint)
        error.completion = completion
        return row["model"], error
