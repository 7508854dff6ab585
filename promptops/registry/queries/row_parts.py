"""Many rows in few statements: between two statements another thread may take the interpreter."""

from collections.abc import Iterator, Sequence
from typing import Any

SIZES = (64, 16, 4, 1)  # rows in one statement; few sizes, so that compiled ones are found again


def parts(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    start = 0
    for size in SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def values_rows(columns: int, size: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"VALUES {', '.join([row] * size)}"
