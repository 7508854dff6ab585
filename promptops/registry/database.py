"""The log of runs, whichever engine keeps it: what all engines do alike, and what each does its own way.

``RegistryDatabase.open`` loads the engine that a location asks for: a path SQLite, a URL PostgreSQL.
"""

import os
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple

from promptops.config.closing import Closing
from promptops.config.registry_location import RegistryLocation
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.registry.connection import Connection, EngineName, Row, Values
from promptops.registry.errors import CommitInDoubt
from promptops.registry.queries.run_groups import (
    PlacedRun,
    find_run_seqs,
    find_run_state,
    finish_started_run,
    finish_started_runs,
    insert_ended_runs,
    insert_run,
    insert_started_runs,
)
from promptops.registry.records import FinishedRun, StartedRun

BUSY_TIMEOUT_S = 30.0
LogPosition = tuple[str, int]  # a writer, and the how many-th of its runs this is
_SQLITE, _POSTGRES = "promptops.registry.sqlite.store", "promptops.registry.postgres.store"
_LARGEST = 2**63 - 1
_SURE = nullcontext(False)


@dataclass(frozen=True, slots=True)
class _OpenRun:
    """A run of this writer that has not ended; ``seq`` is None before its row is there."""

    counter: int
    run: StartedRun
    seq: int | None = None


class SettledNumbers(NamedTuple):
    """Up to which numbers every row is there that ever will be: of runs, and of outcomes."""

    seq: int
    outcome: int


def _opener(location: RegistryLocation, of_file: str, of_database: str) -> Callable[..., Any]:
    """A function of the engine that a location asks for."""
    if isinstance(location, Path):
        opener: Callable[..., Any] = getattr(import_module(_SQLITE), of_file)
        return opener
    try:
        opener = getattr(import_module(_POSTGRES), of_database)
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        hint = "pip install 'git-promptops[postgres]'"
        raise Invalid(f"the registry {location} needs psycopg, which is not installed", hint=hint) from None
    return opener


class RegistryDatabase(Closing):
    """One connection; may be shared by threads. Use it as a context manager, or call ``close``."""

    engine: EngineName
    makes_temp_tables = True

    def __init__(self, path: RegistryLocation, busy_s: float, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self.writer_id = os.urandom(8).hex()
        self._busy_s = busy_s
        self._counter = 0
        self._lock = RLock()
        self._open_runs: dict[str, _OpenRun] = {}
        self._doubtful: set[str] | None = None  # runs that may be there though writing failed, if ever

    @staticmethod
    def open(
        path: RegistryLocation, *, busy_s: float = BUSY_TIMEOUT_S, bulk: bool = False
    ) -> "RegistryDatabase":
        """Open for writing, making the registry when there is none; for reading where it cannot be written.

        ``bulk``: for a process that reads much and may die.
        """
        opened: RegistryDatabase = _opener(path, "open_registry", "open_database")(
            path, busy_s=busy_s, bulk=bulk
        )
        return opened

    @staticmethod
    def open_existing(path: RegistryLocation, *, busy_s: float = BUSY_TIMEOUT_S) -> "RegistryDatabase":
        """For reading verbs: no registry is made, and where there is none nothing is logged yet."""
        opened: RegistryDatabase | None = _opener(path, "open_existing_registry", "open_existing_database")(
            path, busy_s=busy_s
        )
        return opened or RegistryDatabase.in_memory(path)

    @staticmethod
    def in_memory(path: RegistryLocation = Path(":memory:")) -> "RegistryDatabase":
        """An empty registry of this process; ``path`` is what messages call it."""
        opened: RegistryDatabase = import_module(_SQLITE).open_in_memory(path)
        return opened

    @abstractmethod
    def read(self, sql: str, values: Values = ()) -> list[Row]: ...

    def read_one(self, sql: str, values: Values = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.read(sql, values)
        return found[0][0] if found else None

    @abstractmethod
    def write(self, *, waits: bool = True) -> AbstractContextManager[Connection]:
        """One transaction: committed when the block ends, undone when it raises. In one, a part of it.

        Nobody else writes meanwhile. Without ``waits`` it raises at once where somebody else is writing.
        """

    @abstractmethod
    def _write_log(self, *, waits: bool = True) -> AbstractContextManager[Connection]:
        """As ``write``, for adding runs: where the engine can, others may add theirs meanwhile."""

    def write_locked_rows(self) -> AbstractContextManager[Connection]:
        """As ``write``, for a block that locks each row before it is changed: others add runs meanwhile."""
        return self._write_log()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is read and written in the block is one whole: nobody else writes meanwhile."""
        with self.write():
            yield

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Connection]:
        """What is read in the block is of one moment, and what is written in it is forgotten at its end.

        In a transaction or another snapshot it is a part of that.
        """

    def settled(self) -> SettledNumbers:
        """How far evidence may be read in order: what comes later has a higher number.

        An engine on which transactions may end in another order than they took their numbers says less
        than what can be seen.
        """
        return SettledNumbers(_LARGEST, _LARGEST)

    @abstractmethod
    def temp_connection(self) -> AbstractContextManager[Connection]:
        """The connection for temporary tables, which keep nobody else from writing."""

    @abstractmethod
    def waiting_at_most(self, seconds: float) -> AbstractContextManager[None]:
        """In the block others' writes are waited for so long only."""

    @abstractmethod
    def schema_number(self) -> int:
        """How many migrations the registry has seen; asked again, it tells of one by another process."""

    def is_there(self) -> bool:
        """Whether this is what others find at its path; where the path is a server's, it is."""
        return True

    @abstractmethod
    def size_bytes(self) -> int:
        """What the registry takes on disk, its log included."""

    @abstractmethod
    def command(self, sql: str) -> list[Row]:
        """A statement that cannot stand in a transaction, such as a checkpoint."""

    def add_aggregate(self, name: str, aggregate: type[Any]) -> None:
        """Make a Python class usable as an aggregate function, where the engine runs in this process."""

    @abstractmethod
    def find_damage(self) -> str:
        """What a check of the whole registry finds; empty where nothing is wrong."""

    @abstractmethod
    def engine_version(self) -> str:
        """What keeps the registry, such as "SQLite 3.45.1"."""

    def start(self, run: StartedRun) -> int:
        """Log that a call is about to be made. On disk when this returns; the number is its order."""
        return self.start_all([run])[0]

    def start_all(self, runs: Sequence[StartedRun]) -> list[int]:
        """Log that calls are about to be made, in this order."""
        return self.log_group(runs, ())

    def finish(self, run_id: str, end: FinishedRun) -> None:
        """Log how a started run ended, with its checks. A started row that has gone is made again."""
        self.finish_all([(run_id, end)])

    def finish_all(self, ended: Sequence[tuple[str, FinishedRun]]) -> None:
        self.log_group((), ended)

    def log_group(
        self,
        started: Sequence[StartedRun],
        ended: Sequence[tuple[str, FinishedRun]],
        *,
        waits: bool = True,
    ) -> list[int]:
        """``start_all`` and ``finish_all`` in one transaction: all of it or nothing."""
        placed = [(self.writer_id, self._count(run), run) for run in started]
        run_ids = [*(run.run_id for run in started), *(run_id for run_id, _ in ended)]
        with self._doubting(run_ids) as again, self._write_log(waits=waits) as connection:
            if again:
                seqs = self._log_again(connection, placed, ended)
            else:
                seqs = insert_started_runs(connection, placed)
                if ended and not self._finish_together(connection, ended):
                    self._finish_each(connection, ended)
        for seq, (_, counter, run) in zip(seqs, placed, strict=True):
            self._open_runs[run.run_id] = _OpenRun(counter, run, seq)
        for run_id, _ in ended:
            self._open_runs.pop(run_id, None)
        return seqs

    def _doubting(self, run_ids: Sequence[str]) -> AbstractContextManager[bool]:
        """Whether one of these may be there already; notes it where that cannot be said afterwards."""
        return _SURE if self._doubtful is None else self._noting_doubts(run_ids, self._doubtful)

    @contextmanager
    def _noting_doubts(self, run_ids: Sequence[str], doubtful: set[str]) -> Iterator[bool]:
        again = not doubtful.isdisjoint(run_ids)
        try:
            yield again
        except CommitInDoubt:
            doubtful.update(run_ids)
            raise
        if again:
            doubtful.difference_update(run_ids)

    def _log_again(
        self, connection: Connection, placed: Sequence[PlacedRun], ended: Sequence[tuple[str, FinishedRun]]
    ) -> list[int]:
        """As ``log_group``, where some of it may be there already."""
        doubtful = self._doubtful or ()
        for writer, counter, run in placed:
            self._replay(connection, run, None, (writer, counter))
        for run_id, end in ended:
            state = find_run_state(connection, run_id) if run_id in doubtful else None
            if state in (None, "started") and not finish_started_run(connection, run_id, end):
                self._finish_missing_row(connection, run_id, end)
        return find_run_seqs(connection, [run.run_id for _, _, run in placed])

    def _finish_together(self, connection: Connection, ended: Sequence[tuple[str, FinishedRun]]) -> bool:
        """Whether all of these are this writer's runs, and were finished as one."""
        known: dict[str, tuple[int, str, FinishedRun]] = {}
        for run_id, end in ended:
            run = self._open_runs.get(run_id)
            if run is not None and run.seq is not None:
                known[run_id] = run.seq, run_id, end
        return len(known) == len(ended) and finish_started_runs(connection, list(known.values()))

    def _finish_each(self, connection: Connection, ended: Sequence[tuple[str, FinishedRun]]) -> None:
        for run_id, end in ended:
            if not finish_started_run(connection, run_id, end):
                self._finish_missing_row(connection, run_id, end)

    def release_position(self, run_id: str) -> LogPosition | None:
        """The place that was meant for a run which is kept elsewhere now; ``take_in`` gives it back."""
        found = self._open_runs.pop(run_id, None)
        return (self.writer_id, found.counter) if found else None

    def replay(self, run: StartedRun, end: FinishedRun | None, place: LogPosition | None = None) -> None:
        """Log a run that was kept elsewhere meanwhile. Doing so again changes nothing.

        One without a place gets the next here, unless it cannot be written now either: it waits on, and a
        place that stays empty would tell of a lost run.
        """
        place = place or self.release_position(run.run_id)
        with self._lock:
            counter = self._counter
            try:
                with self._write_log() as connection:
                    self._replay(connection, run, end, place or (self.writer_id, counter + 1))
            except BaseException:
                self._counter = counter
                if place and place[0] == self.writer_id:
                    self._open_runs[run.run_id] = _OpenRun(place[1], run)
                raise

    def _replay(
        self, connection: Connection, run: StartedRun, end: FinishedRun | None, place: LogPosition
    ) -> None:
        state = find_run_state(connection, run.run_id)
        if state is None:
            if place == (self.writer_id, self._counter + 1):
                self._counter += 1
            insert_run(connection, place, run, end)
        elif state == "started" and end is not None:
            finish_started_run(connection, run.run_id, end)

    def _finish_missing_row(self, connection: Connection, run_id: str, end: FinishedRun) -> None:
        if find_run_state(connection, run_id):
            raise Invalid(f"run {run_id} has ended already", hint=f"promptops runs show {run_id}")
        if run_id not in self._open_runs:
            raise NotFound(f"no run {run_id} in the registry {self.path}", hint="promptops runs list")
        known = self._open_runs[run_id]
        insert_run(connection, (self.writer_id, known.counter), known.run, end)

    def record(self, ended: Sequence[tuple[StartedRun, FinishedRun]]) -> list[int]:
        """Log whole runs in one transaction."""
        placed = [((self.writer_id, self._count(run), run), end) for run, end in ended]
        run_ids = [run.run_id for run, _ in ended]
        with self._doubting(run_ids) as again, self._write_log() as connection:
            if again:
                for (writer, counter, run), end in placed:
                    self._replay(connection, run, end, (writer, counter))
                seqs = find_run_seqs(connection, run_ids)
            else:
                seqs = insert_ended_runs(connection, placed)
        for run, _ in ended:
            self._open_runs.pop(run.run_id, None)
        return seqs

    def _count(self, run: StartedRun) -> int:
        """The place of a run, taken before the attempt: a row that could not be written leaves a hole."""
        with self._lock:
            if run.run_id in self._open_runs:  # tried before
                return self._open_runs[run.run_id].counter
            self._counter += 1
            self._open_runs[run.run_id] = _OpenRun(self._counter, run)
            return self._counter
