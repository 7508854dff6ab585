"""What the processes of one server share while it runs: amounts of limits, counts, repeated requests.

A small file of its own beside the registry. It is nothing to keep: a power cut may lose it.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from promptops.config.locks import LOCK_TIMEOUT_S, file_lock, is_process_alive, unlock, wait_for_lock
from promptops.config.registry_location import RegistryLocation, local_file
from promptops.config.text import whole_number
from promptops.dataclass import dataclass
from promptops.errors import Unavailable
from promptops.log import PackageLogger

_SCHEMA = """
CREATE TABLE IF NOT EXISTS amounts (
  name TEXT PRIMARY KEY, amount REAL NOT NULL, moment REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS under_way (
  name TEXT NOT NULL, member INTEGER NOT NULL, amount REAL NOT NULL, PRIMARY KEY (name, member)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (member INTEGER PRIMARY KEY, life TEXT NOT NULL, counts TEXT);
CREATE TABLE IF NOT EXISTS requests (
  name TEXT PRIMARY KEY, digest TEXT NOT NULL, life TEXT NOT NULL, outcome TEXT
);
"""
NOT_KEPT = {"kept": False}
"""What is kept of an answer that is redacted or erased: that there was one."""
_LOG = PackageLogger("promptops.registry")
_WAIT_S = 1.0  # no process holds the lock for more than milliseconds, unless it has been stopped
_STEP_S = 0.0001
_STOPPED = "another process of this server has stopped while it wrote what all of them share"

_OF_UNITS = "unit/"
_MAX_UNITS = 10_000
_MAX_REQUESTS = 2_000
_TRIM_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class SharedRequest:
    """The first request of a key; ``outcome`` is None until it has been answered."""

    digest: str
    outcome: str | None


class SharedState:
    """One process's view of it. Used by one thread. ``member``: which of the server's processes this is."""

    def __init__(self, path: Path, member: int) -> None:
        self._member = member
        self._life = secrets.token_hex(8)
        self._writes = 0
        self._owed: list[Callable[[], None]] = []
        self._wait_s = LOCK_TIMEOUT_S
        self._lock = os.open(f"{path}-lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._execute = self._connection.execute
        with self._alone():
            self._execute("PRAGMA journal_mode = WAL")
            self._execute("PRAGMA synchronous = OFF")
            self._connection.executescript(_SCHEMA)
        with self.locked():  # what the one before had under way has ended with it
            self._execute("DELETE FROM under_way WHERE member = ?", (member,))
            self._execute(
                "INSERT INTO members (member, life) VALUES (?, ?) "
                "ON CONFLICT (member) DO UPDATE SET life = excluded.life",
                (member, self._life),
            )
        self._wait_s = _WAIT_S

    def close(self) -> None:
        self._connection.close()
        os.close(self._lock)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process reads or writes amounts meanwhile. It takes microseconds, so nobody waits long.

        Raises Unavailable where another process does not let go of it: once after a second, then at once.
        """
        with self._alone():
            self._execute("BEGIN IMMEDIATE")
            try:
                while self._owed:
                    self._owed.pop(0)()
                yield
            finally:
                self._execute("COMMIT")

    def apply(self, work: Callable[[], None]) -> None:
        """Do it under the lock: now, or else before whatever is done there next."""
        self._owed.append(work)
        with suppress(Unavailable), self.locked():
            pass

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A file's lock ends with its process, and is handed on at once; SQLite's own waits in steps."""
        if not wait_for_lock(self._lock, self._wait_s, _STEP_S):
            if self._wait_s:
                _LOG.warning(f"{_STOPPED}: until it goes on or ends, calls with limits are refused")
            self._wait_s = 0.0  # the others are answered meanwhile
            raise Unavailable(_STOPPED, hint="let it go on (kill -CONT), or end it (kill -9)")
        try:
            yield
        finally:
            unlock(self._lock)
        self._wait_s = self._wait_s or _WAIT_S

    def read(self, name: str) -> tuple[float, float] | None:
        found: tuple[float, float] | None = self._execute(
            "SELECT amount, moment FROM amounts WHERE name = ?", (name,)
        ).fetchone()
        return found

    def write(self, name: str, amount: float, moment: float) -> None:
        self._execute("INSERT OR REPLACE INTO amounts VALUES (?, ?, ?)", (name, amount, moment))
        self._writes += 1
        if self._writes % _TRIM_EVERY == 0:
            self._execute(
                "DELETE FROM amounts WHERE name IN (SELECT name FROM amounts WHERE name GLOB ? "
                "ORDER BY moment DESC LIMIT -1 OFFSET ?)",
                (f"{_OF_UNITS}*", _MAX_UNITS),
            )

    def add(self, name: str, amount: float) -> None:
        self._execute(
            "INSERT INTO under_way VALUES (?, ?, ?) "
            "ON CONFLICT (name, member) DO UPDATE SET amount = amount + excluded.amount",
            (name, self._member, amount),
        )

    def total(self, name: str) -> float:
        sql = "SELECT total(amount) FROM under_way WHERE name = ?"
        return float(self._execute(sql, (name,)).fetchone()[0])

    def publish(self, counts: Any) -> None:
        """Let the others see what this process has counted."""
        sql = "UPDATE members SET counts = ? WHERE member = ?"
        with self.locked():
            self._execute(sql, (json.dumps(counts), self._member))

    def published(self, *, own: bool) -> list[Any]:
        """What the other processes have counted, or the one that this one took the place of."""
        sql = "SELECT counts FROM members WHERE (member = ?) = ? AND counts IS NOT NULL"
        with self.locked():
            return [json.loads(row[0]) for row in self._execute(sql, (self._member, own)).fetchall()]

    def claim(self, name: str, digest: str) -> SharedRequest | None:
        """What is known of the first request of this name; None where this is the first."""
        with self.locked():
            found = self._execute(
                "SELECT digest, outcome, life IN (SELECT life FROM members) FROM requests WHERE name = ?",
                (name,),
            ).fetchone()
            if found and (found[1] is not None or found[2]):
                return SharedRequest(found[0], found[1])
            self._execute(
                "INSERT OR REPLACE INTO requests VALUES (?, ?, ?, NULL)", (name, digest, self._life)
            )
            self._execute(
                "DELETE FROM requests "
                "WHERE rowid <= (SELECT max(rowid) FROM requests) - ? AND outcome IS NOT NULL",
                (_MAX_REQUESTS,),
            )
        return None

    def settle(self, name: str, outcome: str | None) -> None:
        """What came of a request of this process; None where no other can be answered with it."""

        def write() -> None:
            if outcome is None:
                self._execute("DELETE FROM requests WHERE name = ? AND life = ?", (name, self._life))
            else:
                sql = "UPDATE requests SET outcome = ? WHERE name = ? AND life = ?"
                self._execute(sql, (outcome, name, self._life))

        self.apply(write)


def shared_state_path(location: RegistryLocation) -> Path:
    """The file of the server that this process begins. What killed ones left behind is removed."""
    registry = local_file(location)
    _files_of_servers(registry)
    return registry.with_name(f"{registry.name}-serve-{os.getpid()}")


def erase_shared_answers(location: RegistryLocation, run_ids: Collection[str]) -> int:
    """Erase what servers of this machine keep of runs, so as to answer requests that are sent again.

    How many. Raises Unavailable where a process does not let go of the file.
    """
    return sum(_erase_answers(file, run_ids) for file in _files_of_servers(local_file(location)))


def _files_of_servers(registry: Path) -> list[Path]:
    """Those of servers that run; the others' are removed."""
    running = []
    for file in registry.parent.glob("*-serve-*") if registry.parent.is_dir() else ():
        name, _, rest = file.name.partition("-serve-")
        number, beside, _ = rest.partition("-")
        process = whole_number(number)
        if name != registry.name or process is None:
            continue
        if not is_process_alive(process):
            file.unlink(missing_ok=True)
        elif not beside:
            running.append(file)
    return running


def _erase_answers(file: Path, run_ids: Collection[str]) -> int:
    with file_lock(Path(f"{file}-lock")):
        if not file.exists():  # the server has just ended
            return 0
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            sql = "SELECT name, outcome FROM requests WHERE outcome IS NOT NULL"
            names = [name for name, outcome in connection.execute(sql) if _run_id(outcome) in run_ids]
            sql = "UPDATE requests SET outcome = ? WHERE name = ?"
            connection.executemany(sql, [(json.dumps(NOT_KEPT), name) for name in names])
            connection.execute("VACUUM")  # what was trimmed is still in free pages
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return len(names)


def _run_id(outcome: str) -> str | None:
    run = json.loads(outcome).get("run")
    return str(run["started"]["run_id"]) if run else None


def remove_shared_state(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-lock"):
        with suppress(OSError):
            Path(f"{path}{suffix}").unlink()
