"""Which registry a database held when this host last saw it: a note beside the spool.

A server that has failed over to an empty replica, or was restored from an old backup into a new registry,
answers as well as the right one. What is logged there would be missing from the evidence, so it is refused.
"""

from contextlib import suppress
from pathlib import Path

from promptops.config.registry_location import PostgresLocation
from promptops.registry.errors import StaleRegistry
from promptops.registry.postgres.connections import PostgresConnection
from promptops.registry.postgres.migrations import applied_steps

_ID_LENGTH = 16
_ID = "SELECT value FROM meta WHERE key = 'registry_id'"


def expect_any(connection: PostgresConnection, location: PostgresLocation) -> None:
    """Raise StaleRegistry where a registry was seen and there is none now, before a new one is made."""
    if (known := _noted(location)) and applied_steps(connection.raw) == 0:
        raise _another(location, known, "none")


def expect_same(connection: PostgresConnection, location: PostgresLocation, known: str = "") -> str:
    """The id of the registry. Raises StaleRegistry where it is not the one that was seen before."""
    row = connection.execute(_ID).fetchone() if applied_steps(connection.raw) else None
    here = str(row[0]) if row else "none"
    known = known or _noted(location)
    if known and known != here:
        raise _another(location, known, here)
    if not known:
        _note(location, here)
    return here


def forget_id(location: PostgresLocation) -> None:
    """The next who opens it notes the id that it has then."""
    _file(location).unlink(missing_ok=True)


def _another(location: PostgresLocation, known: str, here: str) -> StaleRegistry:
    return StaleRegistry(
        f"the registry {location} is not the one used before: its id was {known} and is now {here}",
        hint=f"restore the right database; or delete {_file(location)} to continue with this one",
    )


def _file(location: PostgresLocation) -> Path:
    return location.local.with_name(f"{location.local.name}-id")


def _noted(location: PostgresLocation) -> str:
    with suppress(OSError, UnicodeError), _file(location).open(encoding="ascii") as file:
        return file.read(_ID_LENGTH + 1).strip()
    return ""


def _note(location: PostgresLocation, registry_id: str) -> None:
    with suppress(OSError), _file(location).open("x", encoding="ascii") as file:
        file.write(f"{registry_id}\n")
