"""How far a long piece of work has come, drawn on a terminal and nowhere else."""

import sys
import time
from typing import TYPE_CHECKING, Any, Self

from promptops.console import show_status_line, stderr_is_terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promptops.git.remote import OnTransfer, TransferProgress
    from promptops.registry import StoredJob
    from promptops.runner.batch import RunTally

_REDRAW_INTERVAL_S = 0.2  # between two drawings
_SPEED_PERIOD_S = (
    1_800.0  # that the time left is estimated from: jobs of a provider are asked for each minute
)


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

    def show_jobs(self, jobs: "Sequence[StoredJob]") -> None:
        """Jobs of a provider that are waited for; none when they are over."""
        if self._bar is None:
            return
        if not jobs:
            self._bar.reset(self._task, description=self._what, total=None, figures="")
            return
        answered, failed = sum(job.answered or 0 for job in jobs), sum(job.failed or 0 for job in jobs)
        self._bar.update(
            self._task,
            description=f"{self._what} at {jobs[0].provider}",
            completed=answered + failed,
            total=sum(job.calls for job in jobs),
            figures=f"{failed:,} failed  until {_minute(jobs)}",
        )
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
        self._bar = Bar(
            *columns,
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
            speed_estimate_period=_SPEED_PERIOD_S,
        )
        self._task = self._bar.add_task(self._what, total=None, figures="")
        self._bar.start()


def _minute(jobs: "Sequence[StoredJob]") -> str:
    """By when the provider gives up on what it has not answered."""
    known = [job.expires_at for job in jobs if job.expires_at]
    return f"{max(known)[:16]}Z" if known else "it is over"


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
