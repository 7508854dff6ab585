"""How far a long piece of work has come, drawn on a terminal and nowhere else."""

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from promptops.console import show_status_line, stderr_is_terminal

if TYPE_CHECKING:
    from promptops.git.remote import OnTransfer, TransferProgress
    from promptops.runner.batch import RunTally

_REDRAW_INTERVAL_S = 0.2  # between two drawings


class Progress:
    """A bar on stderr with rate, errors, cost and the time left. Use as a context."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._drawn_at = 0.0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.stop()

    def show_tally(self, tally: "RunTally", total: int) -> None:
        if self._bar is None:
            return
        rate = tally.done / max(time.monotonic() - tally.since, 0.001)
        figures = f"{rate:,.0f}/s  {tally.failed:,} failed  ${tally.spent_usd:.4f}"
        self._bar.update(self._task, completed=tally.done, total=total, figures=figures)
        if time.monotonic() - self._drawn_at > _REDRAW_INTERVAL_S:
            self._drawn_at = time.monotonic()
            self._bar.refresh()

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
        self._task = self._bar.add_task(self._what, total=None, figures="")
        self._bar.start()


def transfer_line() -> "OnTransfer | None":
    """What shows on a terminal how far a fetch or push has come; None elsewhere."""
    return _show_transfer if stderr_is_terminal() else None


def _show_transfer(progress: "TransferProgress | None") -> None:
    if progress is None:
        show_status_line("")
        return
    counted = f" {progress.done:,}" if progress.done else ""
    whole = f"/{progress.total:,}" if progress.total else ""
    show_status_line(f"{progress.remote}: {progress.stage}{counted}{whole}")
