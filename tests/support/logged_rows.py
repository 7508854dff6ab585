"""The tables of a project's registry as they are, on the engine that the tests run with."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from promptops.cli.main import main
from promptops.config.registry_location import exact_text, is_postgres_url, postgres_location
from promptops.registry import RegistryDatabase
from support.front_door import Repo


@contextmanager
def open_log(folder: Path) -> Iterator[Any]:
    """A connection that takes SQL, in one transaction."""
    url = os.environ.get("PROMPTOPS_REGISTRY", "")
    if is_postgres_url(url):
        with (
            RegistryDatabase.open(postgres_location(url, folder)) as registry,
            registry.write() as connection,
        ):
            yield connection
        return
    with closing(sqlite3.connect(folder / "registry.db")) as connection, connection:
        yield connection


def put_log(file: Path, repo: Repo) -> None:
    """Make a registry's file the log of a project."""
    if isinstance(repo.registry, Path):
        shutil.copy(file, repo.registry)
    else:
        assert main(["registry", "copy", str(file), exact_text(repo.registry)]) == 0


def registry_bytes(repo: Repo) -> bytes:
    """What the registry has on the disk, its log included."""
    registry = repo.registry
    if isinstance(registry, Path):
        return b"".join(file.read_bytes() for file in repo.path.glob("registry.db*") if file.is_file())
    from support.postgres import stored_bytes

    return stored_bytes(registry.url)
