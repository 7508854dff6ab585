"""Many runs of one event loop share a transaction, and so one wait for the disk.

A started row is on disk before its call is made, and a finished row before its answer is returned. While one
group is on its way to the disk, the next one gathers.
"""

import asyncio
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


class GroupedJournal:
    """``start`` and ``finish`` return at once, ``written`` waits. Used on the thread of ``loop``."""

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self._journal = BufferedJournal(settings)
        self._writer: GroupWriter[_Entry] = GroupWriter(self._write, loop)
        self._handed_over: dict[str, asyncio.Future[None]] = {}

    def start(self, run: StartedRun, prompt: Prompt) -> None:
        self._handed_over[run.run_id] = self._writer.put(RunStart(run, prompt))

    def finish(self, run_id: str, end: FinishedRun) -> None:
        self._handed_over[run_id] = self._writer.put(RunEnd(run_id, end))

    async def written(self, run_id: str) -> None:
        """Wait until what was last handed over of a run is on disk. Raises when it can't be."""
        if waiting := self._handed_over.pop(run_id, None):
            await waiting  # the row is written even if nobody waits

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
