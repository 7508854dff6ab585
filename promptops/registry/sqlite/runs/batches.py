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
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.registry.sqlite.runs.queries import runs_by_seq
from promptops.registry.sqlite.store import RegistryDatabase
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
    batch_id = new_run_id()
    with registry.write() as connection:
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
    """By line number, the ``seq`` of the run that finished it; 0 where none has."""
    done = array("q", bytes(8 * (last + 1)))
    sql = (
        "SELECT batch_line, seq FROM runs WHERE batch_id = ? AND state = 'finished' AND batch_line > ? "
        "ORDER BY batch_line, seq LIMIT 5000"
    )
    line = 0
    while found := registry.read(sql, (batch_id, line)):
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


def batch_spent_usd(registry: RegistryDatabase, batch_id: str) -> float:
    return float(registry.read_one("SELECT sum(spent_usd) FROM runs WHERE batch_id = ?", (batch_id,)) or 0.0)


def read_batch_run(registry: RegistryDatabase, seq: int) -> dict[str, Any]:
    """A finished run as it was printed when it was made."""
    run = runs_by_seq(registry, [seq])[0]
    return {key: value for key, value in run.items() if key not in {"seq", "outcomes"}}


class BatchCallLog:
    """The lines of one batch that a call has been begun for. Open means locked."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    @classmethod
    def open(cls, registry: Path, batch_id: str) -> Self:
        """Raises Unavailable when another process is at this batch."""
        folder = registry.with_name(f"{registry.name}-batches")
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            calls = cls(folder / batch_id)
        except OSError as error:
            raise Invalid(f"cannot write {folder}: {error.strerror}", hint="make it writable") from None
        if not try_lock(calls._handle):
            os.close(calls._handle)
            raise Unavailable(
                "another process is running this very batch", hint="wait for it, or --restart a new one"
            )
        return calls

    def begin(self, line: int) -> None:
        os.write(self._handle, line.to_bytes(8, "little"))

    def interrupted_lines(self, done: "array[int]") -> list[int]:
        """Lines whose call was under way when the process before this one died."""
        noted = array("q")
        data = os.pread(self._handle, os.fstat(self._handle).st_size, 0)
        noted.frombytes(data[: len(data) // 8 * 8])
        return sorted({line for line in noted if 0 < line < len(done) and not done[line]})

    def forget(self) -> None:
        """Nothing is under way."""
        os.ftruncate(self._handle, 0)

    def remove(self) -> None:
        """The batch has come to its end."""
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._handle)


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
