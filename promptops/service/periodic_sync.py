"""Fetches what others release, every so many seconds, on a thread of its own."""

import time
from collections.abc import Callable

from promptops.config.settings import Settings
from promptops.errors import PromptopsError
from promptops.log import PackageLogger, with_hint
from promptops.service.background_loop import Worker

_LOG = PackageLogger("promptops.service")


class PeriodicSync:
    """Does ``work`` in the background, ``every`` so many seconds."""

    def __init__(self, every: float, work: Callable[[], object]) -> None:
        self._every = every
        self._work = work
        self._worker = Worker("promptops-sync")
        self._next = time.monotonic()
        self._busy = False
        self._reports = FailureReports()

    def poll(self) -> None:
        """Start a round when it is time for one."""
        if not self._busy and time.monotonic() >= self._next:
            self._busy = True
            self._worker.submit(self._round)

    def close(self, timeout_s: float) -> None:
        self._worker.close(timeout_s)

    def _round(self) -> None:
        try:
            self._reports.watch(self._work)
        finally:
            self._next = time.monotonic() + self._every
            self._busy = False


class FailureReports:
    """Says each failure of work that is done again and again once, until the work succeeds."""

    def __init__(self) -> None:
        self._reported: set[str] = set()

    def watch(self, work: Callable[[], object]) -> None:
        """Do the work. Raises nothing: the next round tries again."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the program goes on
            self.report(error)
        else:
            self._reported.clear()

    def report(self, error: Exception) -> None:
        message = error.message if isinstance(error, PromptopsError) else f"{type(error).__name__}: {error}"
        if message not in self._reported:
            self._reported.add(message)
            hint = getattr(error, "hint", "")
            _LOG.warning(with_hint(message, hint))


def sync_releases(settings: Settings) -> None:
    """Fetch remote releases, and push those that are only here."""
    from promptops.release.ledger import Ledger

    with Ledger(settings) as ledger:
        ledger.sync(strict=True)
