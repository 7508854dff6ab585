"""Where the results of a batch go: a file that can be carried on after any interruption, or the caller."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from promptops.config.safe_writes import WriteTarget
from promptops.errors import Invalid, Unavailable
from promptops.escapes import escape_json

OnResult = Callable[[Mapping[str, Any]], None]


class ResultWriter(Protocol):
    """``kept`` is the number of the last line whose result is there already."""

    kept: int

    def put(self, result: Mapping[str, Any]) -> None: ...
    def flush(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None: ...


class CallbackResultWriter:
    """Hands each result to the caller, who prints it."""

    kept = 0

    def __init__(self, on_result: OnResult) -> None:
        self._on_result = on_result

    def put(self, result: Mapping[str, Any]) -> None:
        self._on_result(result)

    def flush(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class FileResultWriter:
    """A file of result lines. What an earlier part of the same batch wrote whole and in order stays."""

    def __init__(self, path: Path, batch_id: str, done: Iterable[int]) -> None:
        """``done`` are the numbers of the lines that stand first, up to the first that is not done."""
        self.path = path
        try:
            self.kept, size = _last_complete(path, batch_id, done)
            self._stream = os.fdopen(_open_for_appending(path), "ab")
            if path.is_file():
                self._stream.truncate(size)
        except OSError as error:
            raise Invalid(f"--out: cannot write {path}: {error.strerror}") from None

    def put(self, result: Mapping[str, Any]) -> None:
        text = json.dumps(result, ensure_ascii=False)
        if not text.isascii():
            text = escape_json(text)
        self._do(lambda: self._stream.write(text.encode() + b"\n"))

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, work: Any) -> None:
        try:
            work()
        except OSError as error:
            raise Unavailable(
                f"--out: cannot write {self.path}: {error.strerror}",
                hint="the runs made are in the registry; the same command goes on from here",
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, /, *_: object) -> None:
        try:
            self._do(self._stream.close)
        except Unavailable:
            if kind is None:
                raise


def _open_for_appending(path: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    target = WriteTarget.output(path)
    return target.open(flags) if target.top else os.open(path, flags, 0o666)


def check_output_file(path: Path, source: str) -> None:
    """Results replace results, and nothing else."""
    if os.path.exists(source) and path.exists() and path.samefile(source):  # noqa: PTH110 - source may be -
        raise Invalid(f"--out {path} is the file to be run", hint="name another file")
    if not path.is_file():
        return
    with path.open("rb") as stream:
        first = stream.readline()
    if first.endswith(b"\n") and b'"batch_line"' not in first:
        raise Invalid(f"--out {path} holds something other than results of a batch", hint="name another file")


def _last_complete(path: Path, batch_id: str, done: Iterable[int]) -> tuple[int, int]:
    """The last line whose result is whole, and where it ends."""
    last = end = 0
    if not path.is_file():
        return last, end
    with path.open("rb") as stream:
        for number, raw in zip(done, stream, strict=False):
            if not raw.endswith(b"\n") or not _is_result(raw, batch_id, number):
                break
            last, end = number, end + len(raw)
    return last, end


def _is_result(raw: bytes, batch_id: str, number: int) -> bool:
    try:
        result = json.loads(raw)
    except ValueError:
        return False
    return (
        isinstance(result, dict)
        and result.get("batch_id") == batch_id
        and result.get("batch_line") == number
        and result.get("state") == "finished"
    )
