"""The line below an answer on a terminal: which run it was, what it took and cost."""

from collections.abc import Iterable, Iterator

from promptops.console import note_dimly, stderr_is_terminal, terminal_width
from promptops.reports.numbers import format_integer, usd_cell
from promptops.runner import Run

_WIDTH = 80  # columns, also on a wider terminal


def note_summary(run: Run, *, logged: bool = True) -> None:
    """Say it on stderr, to a person alone."""
    if stderr_is_terminal():
        parts = _parts(run, logged=logged)
        note_dimly(fitting(parts, min(_WIDTH, terminal_width())))


def _parts(run: Run, *, logged: bool) -> Iterator[str]:
    """The most important first, as those at the end are left out where there is no room."""
    end = run.finished
    yield run.id if logged else "not logged"
    if end.latency_ms is not None:
        yield f"{format_integer(end.latency_ms)} ms"
    if end.spent_usd is not None:
        yield f"{usd_cell(end.spent_usd)} USD"
    if end.input_tokens is not None and end.output_tokens is not None:
        yield f"{end.input_tokens:,} + {end.output_tokens:,} tokens"
    if end.cached_tokens:
        yield f"{end.cached_tokens:,} cached"


def fitting(parts: Iterable[str], width: int) -> str:
    line = ""
    for part in parts:
        longer = f"{line}, {part}" if line else part
        if len(longer) >= width:  # the last column is left free, as some terminals break there
            break
        line = longer
    return line
