"""Where the results of a batch go: a file that can be carried on after any interruption, or the caller."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from promptops.config.safe_writes import WriteTarget
from promptops.errors import Invalid, Unavailable
from promptops.runner.batch.result_formats import ExpectedResult, ResultFormat

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
    """A file of results. What an earlier part of the same batch wrote whole and in order stays."""

    def __init__(self, path: Path, form: ResultFormat, expected: Iterable[ExpectedResult]) -> None:
        """``expected`` are the results that stand first, up to the first line that is not done."""
        self.path = path
        self._form = form
        try:
            self.kept, size = _last_complete(path, form, expected)
            self._stream = os.fdopen(_open_for_appending(path), "ab")
            if path.is_file():
                self._stream.truncate(size)
            if size < len(form.head):
                self._stream.write(form.head)
        except OSError as error:
            raise Invalid(f"--out: cannot write {path}: {error.strerror}") from None

    def put(self, result: Mapping[str, Any]) -> None:
        data = self._form.encode(result)
        self._do(lambda: self._stream.write(data))

    def flush(self) -> None:
        self._do(self._stream.flush)

    def _do(self, work: Any) -> None:
        try:
            work()
        except OSError as error:
            raise Unavailable(
                f"--out: cannot write {self.path}: {error.strerror}",
                hint="the runs so far are in the registry; the same command continues from here",
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


def check_output_file(path: Path, source: str, form: ResultFormat) -> None:
    """Results replace results, and nothing else."""
    if os.path.exists(source) and path.exists() and path.samefile(source):  # noqa: PTH110 - source may be -
        raise Invalid(f"--out {path} is the input file", hint="name another file")
    if not path.is_file():
        return
    with path.open("rb") as stream:
        first = stream.readline()
    if first.endswith(b"\n") and not form.is_first_line(first):
        raise Invalid(f"--out {path} holds something other than results of a batch", hint="name another file")


def _last_complete(path: Path, form: ResultFormat, expected: Iterable[ExpectedResult]) -> tuple[int, int]:
    """The last line whose result is whole, and where it ends."""
    if not path.is_file():
        return 0, 0
    with path.open("rb") as stream:
        if stream.read(len(form.head)) != form.head:
            return 0, 0
        last, end = 0, len(form.head)
        for each, row in zip(expected, form.rows(stream), strict=False):
            if not row.endswith(b"\n") or not form.is_result(row, each):
                break
            last, end = each.line, end + len(row)
    return last, end
