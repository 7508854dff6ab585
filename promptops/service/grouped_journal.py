"""Many runs of one event loop share a transaction, and so one wait for the disk.

A started row is on disk before its call is made, and a finished row before its answer is returned. While one
group is on its way to the disk, the next one gathers.

The writer is a thread of its own, but a run that is alone is logged on the loop's: that holds nobody up, and
to change threads takes longer than all else about it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

from promptops.config.settings import Settings
from promptops.prompt import Prompt
from promptops.registry import FinishedRun, GroupWriter, RegistryDatabase, StartedRun
from promptops.service.buffered_journal import BufferedJournal, RunEnd, RunStart

T = TypeVar("T")
_Task = Callable[[], object]  # something else to be done on the writer's thread
_Entry = RunStart | RunEnd | _Task

_QUICK_S = 0.02  # a disk that took longer is left to the writer for some time
_SLOW_S = 0.25


class GroupedJournal:
    """``start`` and ``finish`` return at once, ``written`` waits. Used on the thread of ``loop``."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = BufferedJournal(settings)
        self._writer: GroupWriter[_Entry] = GroupWriter(self._write, loop)
        self._handed_over: dict[str, asyncio.Future[None]] = {}
        self._under_way: set[str] = set()
        self._slow_until = 0.0  # on the monotonic clock

    def start(self, run: StartedRun, prompt: Prompt) -> None:
        self._log(run.run_id, RunStart(run, prompt))
        self._under_way.add(run.run_id)

    def finish(self, run_id: str, end: FinishedRun) -> None:
        self._under_way.discard(run_id)
        self._log(run_id, RunEnd(run_id, end))

    def _log(self, run_id: str, row: RunStart | RunEnd) -> None:
        if self._under_way or not self._writer.idle or not self._log_alone(row):
            self._handed_over[run_id] = self._writer.put(row)

    def _log_alone(self, row: RunStart | RunEnd) -> bool:
        clock = time.monotonic()
        if clock < self._slow_until:
            return False
        logged = self._journal.log_at_once(row)
        if (ended := time.monotonic()) - clock > _QUICK_S:
            self._slow_until = ended + _SLOW_S
        return logged

    async def written(self, run_id: str) -> None:
        """Wait until what was last handed over of a run is on disk. Raises when it can't be."""
        if waiting := self._handed_over.pop(run_id, None):
            try:
                await waiting  # the row is written even if nobody waits
            except Exception:
                self._under_way.discard(run_id)  # if it was a start, there will be no end
                raise

    async def with_registry(self, work: Callable[[RegistryDatabase], T]) -> T:
        """Do something with the registry, after all that was handed over before."""
        results: list[T] = []
        await self._writer.put(lambda: results.append(work(self._journal.registry())))
        return results[0]

    def flush_backlog(self) -> None:
        self._writer.put(self._journal.flush_backlog)

    def close(self) -> None:
        """Return when everything handed over is written."""
        self._writer.put(self._journal.close)
        self._writer.close()

    def _write(self, entries: Sequence[_Entry]) -> list[Exception | None]:
        errors: list[Exception | None] = []
        for is_task, some in groupby(entries, callable):
            if is_task:
                errors += [_do(task) for task in some if callable(task)]
            else:
                errors += self._journal.log([row for row in some if isinstance(row, RunStart | RunEnd)])
        return errors


def _do(task: _Task) -> Exception | None:
    try:
        task()
    except Exception as error:  # noqa: BLE001 - raised where the task is waited for
        return error
    return None
