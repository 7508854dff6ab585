"""What tests of the workspace ask of a registry, and of time."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from promptops import Workspace
from promptops.errors import PromptopsError
from promptops.registry import RegistryDatabase
from support.front_door import Repo


def rows(path: Path, columns: str = "state") -> list[tuple[Any, ...]]:
    file = path / "registry.db"
    with RegistryDatabase.open(file if file.exists() else Repo(path).registry) as registry:
        return [tuple(row) for row in registry.read(f"SELECT {columns} FROM runs ORDER BY seq")]


def states(path: Path) -> Counter[str]:
    return Counter(state for (state,) in rows(path))


def until(true: Any, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def works(workspace: Workspace, reference: str = "greet") -> bool:
    try:
        return bool(workspace.run(reference, {"name": "Ada"}).answer)
    except PromptopsError:
        return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process that writes for a long time."""
    registry = Repo(path).registry
    if not isinstance(registry, Path):
        with RegistryDatabase.open(registry) as other, other.write():
            yield
        return
    connection = sqlite3.connect(path / "registry.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()
