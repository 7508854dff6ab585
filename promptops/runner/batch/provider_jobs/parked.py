"""Calls of a pass that have no answer yet: on disk, as there may be many."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import IO

from promptops.config.closing import Closing
from promptops.dataclass import dataclass
from promptops.providers.types import CompletionRequest
from promptops.registry import StartedRun


class CallParked(BaseException):
    """A call is not answered in this pass.

    ``request`` is to be submitted; None where it was, or is not to be.
    """

    def __init__(self, request: CompletionRequest | None = None, request_hash: str = "") -> None:
        super().__init__("the call waits for a provider's batch service")
        self.request = request
        self.request_hash = request_hash


@dataclass(frozen=True, slots=True)
class ParkedCall:
    run: StartedRun
    request: CompletionRequest
    request_hash: str
    ceiling: float | None  # dollars


class ParkedCalls(Closing):
    """Those of one model, in the order in which they were parked."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="promptops-calls-")  # noqa: SIM115 - closed with it
        self.count = 0

    def close(self) -> None:
        self._file.close()

    def add(self, call: ParkedCall) -> None:
        row = [asdict(call.run), _as_json(call.request), call.request_hash, call.ceiling]
        self._file.write(json.dumps(row).encode() + b"\n")
        self.count += 1

    def groups(self, most: int) -> Iterator[list[ParkedCall]]:
        """All of them, so many at a time."""
        self._file.seek(0)
        lines = iter(self._file)
        while group := [_read(line) for line in islice(lines, most)]:
            yield group


def _as_json(request: CompletionRequest) -> dict[str, object]:
    return {
        "model": request.model,
        "messages": request.messages,
        "parameters": request.parameters,
        "tools": request.tools,
        "output_schema": request.output_schema,
    }


def _read(line: bytes) -> ParkedCall:
    run, request, request_hash, ceiling = json.loads(line)
    for name in ("messages", "tools"):
        request[name] = tuple(request[name])
    return ParkedCall(StartedRun(**run), CompletionRequest(**request), request_hash, ceiling)
