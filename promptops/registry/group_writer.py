"""One writer for many runs: whole rows, a group in a transaction, acknowledged when they are on disk."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from promptops.config.clock import utc_now
from promptops.config.settings import LogSettings, Settings
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.prompt import Prompt
from promptops.registry.database import RegistryDatabase
from promptops.registry.journal import Spool, record_prompt_version
from promptops.registry.log_redaction import redact_finished_run, redact_started_run
from promptops.registry.queries.provider_jobs import run_states
from promptops.registry.records import FinishedRun, StartedRun

MAX_GROUP_ROWS = 256  # rows in one transaction
_LINGER_S, _POLL_INTERVAL_S = 0.003, 0.001  # a group of many rows costs far less than as many groups


Row = TypeVar("Row")
GroupErrors = Sequence[Exception | None]  # of the rows of a group, in their order


class GroupWriter(Generic[Row]):
    """A thread that commits together what has come meanwhile. Belongs to one event loop.

    ``write`` puts a group on disk. ``more`` says whether further rows are on their way, so that waiting for
    them a moment is worth it.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Row]], GroupErrors],
        loop: asyncio.AbstractEventLoop,
        more: Callable[[], bool] = lambda: False,
    ) -> None:
        self._write = write
        self._loop = loop
        self._more = more
        self._unwritten = 0
        self._rows: queue.SimpleQueue[tuple[Row, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="promptops-writer", daemon=True)
        self._thread.start()

    def put(self, row: Row) -> asyncio.Future[None]:
        """Hand a row over; the future is done when it is on disk, or holds why it isn't."""
        written: asyncio.Future[None] = self._loop.create_future()
        self._unwritten += 1
        self._rows.put((row, written))
        return written

    @property
    def idle(self) -> bool:
        """Whether all rows that were handed over are written, so that its thread only waits for others."""
        return not self._unwritten

    def close(self) -> None:
        """Return when everything handed over has been dealt with."""
        self._rows.put(None)
        self._thread.join()

    def _work(self) -> None:
        open_ = True
        while open_:
            group, open_ = self._take()
            if group:
                errors = self._errors([row for row, _ in group])
                written = [future for _, future in group]
                self._loop.call_soon_threadsafe(self._end, written, errors)

    def _end(self, written: Sequence[asyncio.Future[None]], errors: GroupErrors) -> None:
        self._unwritten -= len(written)
        _resolve_futures(written, errors)

    def _errors(self, rows: Sequence[Row]) -> GroupErrors:
        try:
            return self._write(rows)
        except Exception as error:  # noqa: BLE001 - raised where the rows are waited for
            return [error] * len(rows)

    def _take(self) -> tuple[list[tuple[Row, asyncio.Future[None]]], bool]:
        """What is waiting, at least one row; False at the end."""
        group: list[tuple[Row, asyncio.Future[None]]] = []
        row = self._rows.get()
        if row is not None:
            self._linger()
        while row is not None:
            group.append(row)
            if len(group) == MAX_GROUP_ROWS or self._rows.empty():
                return group, True
            row = self._rows.get()
        return group, False

    def _linger(self) -> None:
        until = time.monotonic() + _LINGER_S
        while self._more() and time.monotonic() < until:
            time.sleep(_POLL_INTERVAL_S)


def _resolve_futures(written: Sequence[asyncio.Future[None]], errors: GroupErrors) -> None:
    for future, error in zip(written, errors, strict=True):
        if future.done():  # nobody waits any more
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # seen: one that nobody waits for is no news


@dataclass(frozen=True, slots=True)
class PendingRow:
    """``end`` is None for a call that is about to be made; ``begun``: it has a row already."""

    run: StartedRun
    end: FinishedRun | None
    begun: bool = False


class RowGroups:
    """Writes groups of rows to the registry; where that fails, all of the group has failed."""

    def __init__(self, registry: RegistryDatabase, spool: Spool | None = None) -> None:
        self._registry = registry
        self._spool = spool

    def write(self, group: Sequence[PendingRow]) -> GroupErrors:
        ended = [(row, row.end) for row in group if row.end is not None]
        try:
            started = [row.run for row in group if row.end is None]
            begun = [(row.run.run_id, end) for row, end in ended if row.begun]
            if started or begun:
                self._registry.log_group(started, begun)
            if whole := [(row.run, end) for row, end in ended if not row.begun]:
                self._registry.record(whole)
        except PromptopsError as error:
            return [self._spool_group([row for row, _ in ended], error)] * len(group)
        return [None] * len(group)

    def _spool_group(self, group: Sequence[PendingRow], error: PromptopsError) -> PromptopsError:
        """What could not be written waits beside the registry; the batch stops all the same."""
        lost = sum(not self._keep(row) for row in group)
        if lost:
            error.hint += f" ({lost} answers could not be kept, and will be asked for again)"
        return error

    def _keep(self, row: PendingRow) -> bool:
        if self._spool is None:
            return False
        return self._spool.put(row.run, row.end, self._registry.release_position(row.run.run_id))


class GroupJournal:
    """Logs runs when they have ended, or from ``begin`` on. ``written`` says when that is durable."""

    def __init__(self, settings: Settings, *, again: bool = False) -> None:
        """``again``: runs may have rows already, and those that have ended stay as they are."""
        self._log: LogSettings = settings.log
        self._again = again
        spool = Spool(settings.registry)
        self._registry = RegistryDatabase.open(settings.registry)
        spool.replay(self._registry)
        self._under_way: dict[str, StartedRun] = {}
        kept = spool if self._log.on_error == "spool" else None
        self._groups = RowGroups(self._registry, kept)
        self._writer = GroupWriter(
            self._write,
            asyncio.get_running_loop(),
            more=lambda: bool(self._under_way),
        )
        self._handed_over: dict[str, asyncio.Future[None]] = {}
        self._noted: set[str] = set()
        self._begun: set[str] = set()

    def start(self, run: StartedRun, prompt: Prompt) -> None:
        if run.digest not in self._noted:
            record_prompt_version(self._registry, run, prompt, self._log)
            self._noted.add(run.digest)
        self._under_way[run.run_id] = run

    async def begin(self, run_id: str) -> None:
        """See a call on disk before it is made. Raises when that can't be."""
        run = self._under_way[run_id]
        await self._writer.put(PendingRow(replace(run, started_at=utc_now()), None))
        self._begun.add(run_id)

    def forget(self, run_id: str) -> None:
        """A run that is not made now after all."""
        self._under_way.pop(run_id, None)

    def finish(self, run_id: str, end: FinishedRun) -> None:
        begun = run_id in self._begun
        self._begun.discard(run_id)
        row = PendingRow(self._under_way.pop(run_id), end, begun)
        self._handed_over[run_id] = self._writer.put(row)

    def written(self, run_id: str) -> asyncio.Future[None]:
        """Done when a finished run is on disk, or holds why it can't be."""
        return self._handed_over.pop(run_id)

    def _write(self, group: Sequence[PendingRow]) -> GroupErrors:
        """In the writer's thread, one row after another: in between other work it takes a third longer."""
        if not self._again:
            return self._groups.write([self._redacted(row) for row in group])
        states = run_states(self._registry, [row.run.run_id for row in group])
        new = [
            replace(row, begun=row.run.run_id in states)
            for row in group
            if states.get(row.run.run_id, "started") == "started"
        ]
        errors = self._groups.write([self._redacted(row) for row in new])
        return [errors[0] if errors else None] * len(group)  # a group is written as a whole, or not

    def _redacted(self, row: PendingRow) -> PendingRow:
        run = redact_started_run(row.run, self._log)
        end = row.end and redact_finished_run(run, row.end, self._log)
        return PendingRow(run, end, row.begun)

    async def close(self) -> None:
        await asyncio.to_thread(self._writer.close)
        self._registry.close()
