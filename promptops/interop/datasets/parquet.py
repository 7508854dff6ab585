"""A table of examples as a Parquet file, written by DuckDB."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from promptops.errors import Invalid, Unavailable

COLUMNS = {
    "run_id": "VARCHAR",
    "prompt": "VARCHAR",
    "version": "VARCHAR",
    "digest": "VARCHAR",
    "channel": "VARCHAR",
    "model": "VARCHAR",
    "started_at": "TIMESTAMPTZ",
    "edited": "BOOLEAN",
    "messages": "STRUCT(role VARCHAR, content VARCHAR, name VARCHAR, tool_call_id VARCHAR, tool_calls "
    'STRUCT(id VARCHAR, "type" VARCHAR, "function" STRUCT("name" VARCHAR, arguments VARCHAR))[])[]',
    "tools": "VARCHAR",
    "inputs": "VARCHAR",
    "checks_failed": "VARCHAR[]",
    "outcomes": "STRUCT(source VARCHAR, name VARCHAR, value DOUBLE)[]",
    "input_tokens": "BIGINT",
    "output_tokens": "BIGINT",
    "cost_usd": "DOUBLE",
    "latency_ms": "DOUBLE",
}
"""Columns and their types; ``tools`` and ``inputs`` are JSON in a text."""

_MIN_BUFFER = 1_000_000  # bytes that lines are read into
_ROW_GROUP = 10_000  # rows that are held in memory
_MEMORY = "512MB"
_NO_TABLE = "--format trl-sft writes the same examples as JSON"


def require_duckdb() -> None:
    if find_spec("duckdb") is None:
        raise Invalid(
            "parquet files are written by DuckDB, which is not installed",
            hint=f"pip install 'git-promptops[parquet]', or {_NO_TABLE}",
        )


@contextmanager
def lines_to_parquet() -> Iterator[tuple[BinaryIO, Path]]:
    """A file for the rows as JSON lines, and a place for ``write_parquet``. Both go with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="promptops-parquet-") as folder,
        (Path(folder) / "rows.jsonl").open("wb") as lines,
    ):
        yield lines, Path(folder) / "table.parquet"


@contextmanager
def _explained(kind: type[Exception]) -> Iterator[None]:
    try:
        yield
    except kind as error:
        reason = str(error).splitlines()[0]
        raise Unavailable(f"the table could not be written: {reason}", hint=_NO_TABLE) from None


def write_parquet(lines: Path, table: Path, *, longest: int) -> None:
    """The rows in their order, of which the longest has so many bytes. DuckDB fetches nothing."""
    import duckdb

    options: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "memory_limit": _MEMORY,
        "threads": 1,
        "temp_directory": str(lines.parent),
    }
    with _explained(duckdb.Error), duckdb.connect(config=options) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        rows = connection.read_json(
            str(lines),
            format="newline_delimited",
            columns=dict(COLUMNS),
            maximum_object_size=max(longest, _MIN_BUFFER),
        )
        rows.write_parquet(str(table), compression="zstd", row_group_size=_ROW_GROUP)
