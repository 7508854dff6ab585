"""Results of a batch as bytes of a file, and which of a file's rows are results of this batch.

A row is found whole or not at all: what a killed process left of its last one is not taken for a result.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, BinaryIO, Protocol

from promptops.dataclass import dataclass
from promptops.escapes import escape_formula, escape_json
from promptops.prompt.csv_rows import MAX_CELL
from promptops.prompt.tool_calls import answer_text

Result = Mapping[str, Any]
RESULT_COLUMNS = ("output", "error", "failed_checks", "run_id", "ms", "usd")
"""What a row of CSV has behind the inputs."""


@dataclass(frozen=True, slots=True)
class ExpectedResult:
    """The result that comes next in a file of a batch. ``run_id``: of the run that finished the line."""

    batch_id: str
    line: int
    run_id: Callable[[], str]


class ResultFormat(Protocol):
    """``head`` is what a file begins with."""

    head: bytes

    def encode(self, result: Result) -> bytes: ...
    def rows(self, stream: BinaryIO) -> Iterator[bytes]: ...
    def is_result(self, row: bytes, expected: ExpectedResult) -> bool: ...
    def is_first_line(self, line: bytes) -> bool: ...


class JsonResults:
    head = b""

    def encode(self, result: Result) -> bytes:
        text = json.dumps(result, ensure_ascii=False)
        return (text if text.isascii() else escape_json(text)).encode() + b"\n"

    def rows(self, stream: BinaryIO) -> Iterator[bytes]:
        return iter(stream)

    def is_result(self, row: bytes, expected: ExpectedResult) -> bool:
        try:
            result = json.loads(row)
        except (ValueError, RecursionError):
            return False
        return (
            isinstance(result, dict)
            and result.get("batch_id") == expected.batch_id
            and result.get("batch_line") == expected.line
            and result.get("state") == "finished"
        )

    def is_first_line(self, line: bytes) -> bool:
        return b'"batch_line"' in line


class CsvResults:
    """A column for each input of the prompt, then ``RESULT_COLUMNS``; safe to open in a spreadsheet."""

    def __init__(self, inputs: Iterable[str]) -> None:
        self._inputs = tuple(inputs)
        names = [f"inputs.{name}" if name in RESULT_COLUMNS else name for name in self._inputs]
        self.head = _csv_row([*names, *RESULT_COLUMNS])

    def encode(self, result: Result) -> bytes:
        given = result["inputs"] or {}
        return _csv_row([*(_input_cell(given.get(name)) for name in self._inputs), *_result_cells(result)])

    def rows(self, stream: BinaryIO) -> Iterator[bytes]:
        """Lines put together where a quoted cell goes on: until then the number of quotes is odd."""
        row = b""
        for line in stream:
            row += line
            if row.count(b'"') % 2 == 0:
                yield row
                row = b""

    def is_result(self, row: bytes, expected: ExpectedResult) -> bool:
        csv.field_size_limit(MAX_CELL)
        try:
            (cells,) = csv.reader([row.decode()])
        except (ValueError, csv.Error):
            return False
        width = len(self._inputs) + len(RESULT_COLUMNS)
        return len(cells) == width and cells[RESULT_COLUMNS.index("run_id") - len(RESULT_COLUMNS)] == (
            expected.run_id()
        )

    def is_first_line(self, line: bytes) -> bool:
        return line.rstrip(b"\r\n").endswith(",".join(RESULT_COLUMNS).encode())


def _csv_row(cells: Iterable[Any]) -> bytes:
    row = io.StringIO()
    escaped = (escape_formula(cell) if isinstance(cell, str) else cell for cell in cells)
    csv.writer(row, lineterminator="\n").writerow(escaped)
    return row.getvalue().encode("utf-8", "backslashreplace")


def _input_cell(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _result_cells(result: Result) -> list[Any]:
    error = result["error"]
    problem = f"{error['type']}: {error['message']}" if error else _held(result["held"])
    failed = ", ".join(check["name"] for check in result["checks"] if not check["pass"])
    answer = answer_text(result["output"], result["tool_calls"])
    return [answer, problem, failed, result["run_id"], result["latency_ms"], result["cost_usd"]]


def _held(held: str | None) -> str:
    return "" if held in (None, "released") else f"held: {held}"
