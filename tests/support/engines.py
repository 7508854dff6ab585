"""Fixtures of tests that run on each engine: what the registry promises, it promises on every one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from promptops.config.registry_location import RegistryLocation, postgres_location
from promptops.registry import RegistryDatabase

NewLocation = Callable[[str], RegistryLocation]


@pytest.fixture(params=["sqlite", "postgres"])
def new_location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewLocation]:
    """Where an empty registry is, or may be made, by its name: a file, or a schema of a PostgreSQL server."""
    if request.param == "sqlite":
        yield lambda name: tmp_path / f"{name}.db"
        return
    from support.postgres import new_registry

    with ExitStack() as stack:
        made: dict[str, RegistryLocation] = {}

        def make(name: str) -> RegistryLocation:
            if name not in made:
                made[name] = postgres_location(stack.enter_context(new_registry()), tmp_path)
            return made[name]

        yield make


@pytest.fixture
def location(new_location: NewLocation) -> RegistryLocation:
    return new_location("registry")


@pytest.fixture
def registry(location: RegistryLocation) -> Iterator[RegistryDatabase]:
    """An empty registry, open, on each engine."""
    with RegistryDatabase.open(location) as opened:
        yield opened
