"""Batches: what identifies one, which of its lines are done, and which calls were under way when it died.

What has been finished is in ``runs``. Calls that were begun are noted in a small file beside the registry,
which costs a call next to nothing, survives the death of the process, and holds the lock of the batch.
"""

import json
import os
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from promptops.config.clock import utc_now
from promptops.config.locks import try_lock
from promptops.config.registry_location import RegistryLocation, local_file
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.queries import runs_by_seq
from promptops.registry.ulid import new_run_id


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIdentity:
    """The same file, version and options are the same batch."""

    file_hash: str
    prompt: str
    digest: str
    options: Mapping[str, Any]

    def values(self) -> tuple[str, ...]:
        return self.file_hash, self.prompt, self.digest, json.dumps(self.options, sort_keys=True)


_SAME_BATCH = "file_hash = ? AND prompt = ? AND digest = ? AND options = ?"


def unfinished_batch(registry: RegistryDatabase, identity: BatchIdentity) -> str | None:
    """The batch to resume, if one was begun and has lines left."""
    unfinished = f"FROM batches WHERE {_SAME_BATCH} AND finished_at IS NULL"
    sql = f"SELECT batch_id {unfinished} ORDER BY batch_id DESC LIMIT 1"
    found: str | None = registry.read_one(sql, identity.values())
    return found


def begin_batch(registry: RegistryDatabase, identity: BatchIdentity, *, reference: str, lines: int) -> str:
    """A new batch, or the one to resume, also where several processes begin it at once."""
    batch_id = new_run_id()
    with registry.write() as connection:
        if begun := unfinished_batch(registry, identity):
            return begun
        connection.execute(
            "INSERT INTO batches (batch_id, file_hash, prompt, digest, options, reference, line_count, "
            "started_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (batch_id, *identity.values(), reference, lines, utc_now()),
        )
    return batch_id


def end_batch(registry: RegistryDatabase, batch_id: str) -> None:
    """Nothing is left to do, or no more is to be done."""
    with registry.write() as connection:
        connection.execute("UPDATE batches SET finished_at = ? WHERE batch_id = ?", (utc_now(), batch_id))


def done_lines(registry: RegistryDatabase, batch_id: str, last: int) -> "array[int]":
    """By line number up to ``last``, the ``seq`` of the run that finished it; 0 where none has."""
    done = array("q", bytes(8 * (last + 1)))
    sql = (
        "SELECT batch_line, seq FROM runs WHERE batch_id = ? AND state = 'finished' AND batch_line > ? "
        "AND batch_line <= ? ORDER BY batch_line, seq LIMIT 5000"
    )
    line = 0
    while found := registry.read(sql, (batch_id, line, last)):
        for row in found:
            line = row["batch_line"]
            done[line] = row["seq"]
    return done


def redacted_lines(registry: RegistryDatabase, batch_id: str) -> list[int]:
    """Lines whose answer is not in the log as it was."""
    sql = (
        "SELECT DISTINCT batch_line FROM runs WHERE batch_id = ? AND batch_line IS NOT NULL "
        "AND (redacted_inputs IS NOT NULL OR redacted_outputs IS NOT NULL)"
    )
    return [row[0] for row in registry.read(sql, (batch_id,))]


def batch_spent_usd(registry: RegistryDatabase, batch_id: str, lines: Iterable[int] | None = None) -> float:
    """Dollars, of all lines or of some."""
    if lines is None:
        sql = "SELECT sum(spent_usd) FROM runs WHERE batch_id = ?"
        return float(registry.read_one(sql, (batch_id,)) or 0.0)
    sql = (
        "SELECT batch_line, sum(spent_usd) FROM runs WHERE batch_id = ? AND spent_usd > 0 GROUP BY batch_line"
    )
    spent = {int(row[0]): float(row[1]) for row in registry.read(sql, (batch_id,))}
    return sum(spent.get(line, 0.0) for line in lines)


def read_batch_run(registry: RegistryDatabase, seq: int) -> dict[str, Any]:
    """A finished run as it was printed when it was made."""
    run = runs_by_seq(registry, [seq])[0]
    return {key: value for key, value in run.items() if key not in {"seq", "outcomes"}}


class BatchCallLog:
    """The lines of one batch that a call has been begun for. Open means locked.

    A shard has a file of its own. It shares the lock of the whole with the other shards, so that no process
    runs the whole meanwhile.
    """

    def __init__(self, whole: Path, shard: str | None = None) -> None:
        self._whole = whole
        self._shard = shard
        self._file = whole if shard is None else whole.with_name(f"{whole.name}.{shard}")
        self._lock = _open_for_appending(whole)
        self._handle = self._lock if shard is None else _open_for_appending(self._file)

    @classmethod
    def open(
        cls, registry: RegistryLocation, batch_id: str, shard: str | None = None, *, may_restart: bool = True
    ) -> Self:
        """Raises Unavailable when another process is at this batch, or at this shard of it."""
        beside = local_file(registry)
        folder = beside.with_name(f"{beside.name}-batches")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            calls = cls(folder / batch_id, shard)
        except OSError as error:
            raise Invalid(f"cannot write {folder}: {error.strerror}", hint="make it writable") from None
        if not try_lock(calls._lock, shared=shard is not None) or not (
            shard is None or try_lock(calls._handle)
        ):
            calls.close()
            raise Unavailable(
                "another process is running this very batch"
                if shard is None
                else f"another process is running this very batch, or shard {shard} of it",
                hint="wait for it, or --restart a new one"
                if may_restart and shard is None
                else "wait for it",
            )
        return calls

    def begin(self, line: int) -> None:
        os.write(self._handle, line.to_bytes(8, "little"))

    def interrupted_lines(self, done: "array[int]") -> list[int]:
        """Lines whose call was under way when the process before this one died."""
        noted = array("q")
        for data in (_read_all(self._handle), *(file.read_bytes() for file in self._parts())):
            noted.frombytes(data[: len(data) // 8 * 8])
        return sorted({line for line in noted if 0 < line < len(done) and not done[line]})

    def forget(self) -> None:
        """Nothing is under way."""
        os.ftruncate(self._handle, 0)
        for file in self._parts():
            file.unlink(missing_ok=True)

    def remove(self) -> None:
        """The batch, or this shard of it, has come to its end."""
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        for handle in {self._handle, self._lock}:
            os.close(handle)

    def _parts(self) -> list[Path]:
        """What shards have left, where this is the whole."""
        return [] if self._shard else sorted(self._whole.parent.glob(f"{self._whole.name}.*"))


def _open_for_appending(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _read_all(handle: int) -> bytes:
    return os.pread(handle, os.fstat(handle).st_size, 0)


def format_line_ranges(lines: Iterable[int]) -> str:
    """``3, 7–9, 12``; a long list is cut."""
    spans: list[list[int]] = []
    for line in lines:
        if spans and spans[-1][1] == line - 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    shown = [str(a) if a == b else f"{a}–{b}" for a, b in spans[:12]]
    return ", ".join(shown) + (", …" if len(spans) > 12 else "")
