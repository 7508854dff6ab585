"""The journal of a program that makes many calls over a long time.

No caller waits long for a registry that is locked or full: it is tried for a second, then left alone for a
few while runs are kept beside it, or in memory where that is impossible too. An outage is said once.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError, Unavailable
from promptops.log import PackageLogger, with_hint
from promptops.prompt import Prompt
from promptops.registry import (
    FinishedRun,
    LogPosition,
    RegistryDatabase,
    RegistryJournal,
    StartedRun,
    is_quick_to_redact,
    redact_finished_run,
)

_LOG = PackageLogger("promptops.service")

BUSY_TIMEOUT_S = 1.0
BACKOFF_S = 2.0
_FLUSH_BATCH = 50
_MAX_SMALL, _VALUE_SIZE = 50_000, 16  # characters; a value of any kind takes some, too
MAX_BUFFERED = 10_000  # runs in memory, where neither the registry nor its folder can be written


@dataclass(frozen=True, slots=True)
class RunStart:
    """A call that is about to be made."""

    run: StartedRun
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class RunEnd:
    """A call that has ended."""

    run_id: str
    end: FinishedRun


class BufferedJournal(RegistryJournal):
    """Used by one thread at a time. ``registry`` is for what is found out about runs after their end."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, busy_s=BUSY_TIMEOUT_S)
        self._fault: PromptopsError | None = None
        self._behind = True  # runs may wait from before
        self._rest_until = 0.0
        self._held: dict[str, tuple[StartedRun, FinishedRun | None, LogPosition | None]] = {}
        self._spooled: set[str] = set()  # runs under way whose start is in the folder
        self._warned: set[str] = set()

    def log(self, rows: Sequence[RunStart | RunEnd]) -> list[Exception | None]:
        """Log rows as one group; where that cannot be, each by itself. Gives the error of each, or None."""
        try:
            grouped = self._log_together(rows)
        except Unavailable as error:
            self._rest(error)
            grouped = False
        except Exception:  # noqa: BLE001 - one row's fault: it comes out below, at the row
            grouped = False
        return [None] * len(rows) if grouped else [self._log_alone(row) for row in rows]

    def log_at_once(self, row: RunStart | RunEnd) -> bool:
        """Whether a row is in the registry, after little more than its commit.

        Otherwise nothing was done, and ``log`` is to do it, be it only to say what is wrong.
        """
        if self._registry is None or self._fault or self._held or self._spooled or not self._is_quick(row):
            return False
        try:
            self.log_group(*_starts_and_ends([row]), waits=False)
        except Exception:  # noqa: BLE001 - it comes out again in ``log``
            return False
        return True

    def _is_quick(self, row: RunStart | RunEnd) -> bool:
        if isinstance(row, RunStart):
            plain = self._knows_version(row.run) and is_quick_to_redact(row.run, None, self._log)
            return plain and is_small(row.run.inputs)
        run = self._under_way.get(row.run_id)
        quick = run is not None and is_quick_to_redact(run, row.end, self._log)
        return quick and is_small([row.end.output, row.end.tool_calls, row.end.attempts])

    def _log_together(self, rows: Sequence[RunStart | RunEnd]) -> bool:
        """Whether the rows went into the registry as one; not where some are kept elsewhere."""
        starts, ends = _starts_and_ends(rows)
        if len(rows) == 1 or any(name in self._held or name in self._spooled for name, _ in ends):
            return False
        self.log_group(starts, ends)
        return True

    def _log_alone(self, row: RunStart | RunEnd) -> Exception | None:
        try:
            if isinstance(row, RunStart):
                self.start(row.run, row.prompt)
            else:
                self.finish(row.run_id, row.end)
        except Exception as error:  # noqa: BLE001 - raised where the row is waited for
            return error
        return None

    def start(self, run: StartedRun, prompt: Prompt) -> None:
        try:
            super().start(run, prompt)
        except PromptopsError as error:
            self._rest(error)
            raise

    def finish(self, run_id: str, end: FinishedRun) -> None:
        if run_id in self._held:
            run, _, place = self._held[run_id]
            self._held[run_id] = run, redact_finished_run(run, end, self._log), place
            del self._under_way[run_id]
            return
        self._spooled.discard(run_id)
        try:
            super().finish(run_id, end)
        except PromptopsError as error:
            self._rest(error)
            raise

    def flush_backlog(self) -> None:
        """Bring home some of what waits elsewhere, in a quiet moment. Raises nothing."""
        if self._behind:
            self._try(lambda: self._flush(_FLUSH_BATCH))

    def close(self) -> None:
        self._rest_until = 0.0
        if self._behind:
            self._try(lambda: self._flush(None))
        if self._held:
            _LOG.warning(f"{len(self._held)} runs have NOT been logged: {self._fault}")
        super().close()

    def registry(self) -> RegistryDatabase:
        """With all runs that were kept elsewhere. Raises what is wrong, at once where that is known."""
        if self._behind:
            self._flush(None)
        return self._open()

    def _open(self) -> RegistryDatabase:
        fault = self._fault
        if fault is not None and time.monotonic() < self._rest_until:
            raise type(fault)(fault.message, hint=fault.hint)
        if self._registry is None:
            self._registry = RegistryDatabase.open(self._path, busy_s=self._busy_s)
        return self._registry

    def _flush(self, most: int | None) -> None:
        """A slice at a time: calls that are under way want to be logged meanwhile."""
        registry = self._open()
        for run_id, (run, end, place) in list(self._held.items())[:most]:
            registry.replay(run, end, place)
            del self._held[run_id]
        self._behind = not self._spool.replay(registry, most) or bool(self._held)
        self._fault = None
        if self._warned and not self._behind:
            _LOG.warning(f"{registry.path} can be written, and has the runs that were kept meanwhile")
            self._warned.clear()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except PromptopsError as error:
            self._rest(error)

    def _keep(self, run: StartedRun, end: FinishedRun | None, error: PromptopsError) -> bool:
        self._rest(error)
        self._behind = True
        place = self._release_position(run.run_id, error)
        if self._spool.put(run, end, place):
            if end is None:
                self._spooled.add(run.run_id)
            self._say(error, f"runs are kept in {self._spool.folder} until it can be written")
            return True
        if len(self._held) == MAX_BUFFERED:
            return False
        self._held[run.run_id] = run, end, place
        self._say(error, f"nor can {self._spool.folder}: runs are kept in memory until one of them can")
        return True

    def _rest(self, error: PromptopsError) -> None:
        if time.monotonic() >= self._rest_until:
            self._fault, self._rest_until = error, time.monotonic() + BACKOFF_S

    def _say(self, error: PromptopsError, where: str) -> None:
        if error.message not in self._warned:
            self._warned.add(error.message)
            _LOG.warning(with_hint(error.message, where))


def is_small(value: Any, most: int = _MAX_SMALL) -> bool:
    """Whether a JSON value is written in a moment; looked at no further than it takes to say so."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            most -= len(each)
        elif isinstance(each, Mapping | list | tuple):
            members = each.values() if isinstance(each, Mapping) else each
            most -= _VALUE_SIZE * len(members)
            left.extend(members if most > 0 else ())
        if most < 0:
            return False
    return True


def _starts_and_ends(
    rows: Sequence[RunStart | RunEnd],
) -> tuple[list[tuple[StartedRun, Prompt]], list[tuple[str, FinishedRun]]]:
    starts = [(row.run, row.prompt) for row in rows if isinstance(row, RunStart)]
    return starts, [(row.run_id, row.end) for row in rows if isinstance(row, RunEnd)]
