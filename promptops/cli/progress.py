"""How far a long piece of work has come, drawn on a terminal and nowhere else."""

import sys
import time
from typing import Any, Self

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

    def show(self, done: int, total: int, *, failed: int = 0, usd: float = 0.0, rate: float = 0.0) -> None:
        if self._bar is None:
            return
        said = f"{rate:,.0f}/s  {failed:,} failed  ${usd:.4f}"
        self._bar.update(self._task, completed=done, total=total, said=said)
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
            TextColumn("{task.fields[said]}", markup=False),
            TimeRemainingColumn(),
        )
        self._bar = Bar(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
        self._task = self._bar.add_task(self._what, total=None, said="")
        self._bar.start()
