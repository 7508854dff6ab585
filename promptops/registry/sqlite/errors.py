"""What SQLite says when something is wrong, as errors with a next step."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptops.config.locks import lock_timeout_error
from promptops.errors import Invalid, PromptopsError, Unavailable, disk_full_error
from promptops.registry.errors import StaleRegistry

_SHARED_BYTES = 65536


@contextmanager
def translate_sqlite_errors(path: Path, busy_s: float) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise translate_sqlite_error(error, path, busy_s) from error


def translate_sqlite_error(error: sqlite3.DatabaseError, path: Path, busy_s: float) -> Exception:  # noqa: PLR0911 - a table
    """The error to raise in place of SQLite's; a programming error stays as it is."""
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_CORRUPT:
            return damaged_registry_error(path)
        case sqlite3.SQLITE_NOTADB:
            return Invalid(
                f"{path} is not a promptops registry: no SQLite database, or its first page is damaged",
                hint=_recovery_hint(path),
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return lock_timeout_error(f"the registry {path}", path, busy_s)
        case sqlite3.SQLITE_FULL:
            return disk_full_error(f"for the registry {path}")
        case sqlite3.SQLITE_IOERR:
            if _has_no_room(path):
                return disk_full_error(f"for the registry {path}")
            return Unavailable(
                f"the registry {path} cannot be read or written: {error}", hint="check its disk"
            )
        case sqlite3.SQLITE_READONLY:
            return read_only_error(path)
        case sqlite3.SQLITE_CANTOPEN:
            return cannot_open_error(path, str(error))
    return error


def stale_registry_error(path: Path) -> StaleRegistry:
    return StaleRegistry(
        f"the registry {path} was moved, replaced or deleted while it was open",
        hint="try again: what is at its path now is opened then",
    )


def _has_no_room(path: Path) -> bool:
    """Whether the file of shared memory, which every reader needs, cannot be made."""
    try:
        facts = os.statvfs(path.parent)
    except OSError:
        return False
    return facts.f_bavail * facts.f_frsize < _SHARED_BYTES


def damaged_registry_error(path: Path) -> PromptopsError:
    return Invalid(f"the registry {path} is damaged", hint=_recovery_hint(path))


def _recovery_hint(path: Path) -> str:
    command = f"promptops --registry '{path}' registry recover --swap"
    return f"`{command}` saves what can be read and sets the damaged files aside"


def read_only_error(path: Path) -> PromptopsError:
    return Invalid(
        f"the registry {path} cannot be written here",
        hint="make the file and its folder writable, name another with --registry, or run with --no-log",
    )


def cannot_open_error(path: Path, reason: str) -> PromptopsError:
    return Invalid(
        f"the registry {path} cannot be opened: {reason}",
        hint="name another file with --registry, PROMPTOPS_REGISTRY or `registry:` in promptops.yaml",
    )
