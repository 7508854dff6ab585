"""The registry's notes on itself: its id, its key, and how far searches, exports and deletions have got."""

from promptops.registry.database import RegistryDatabase

SAVE_META = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def read_meta(registry: RegistryDatabase, key: str) -> str | None:
    found: str | None = registry.read_one("SELECT value FROM meta WHERE key = ?", (key,))
    return found


def save_meta(registry: RegistryDatabase, key: str, value: str) -> None:
    """In the transaction that is open, else in one of its own."""
    with registry.write() as connection:
        connection.execute(SAVE_META, (key, value))


def read_registry_id(registry: RegistryDatabase) -> str:
    return read_meta(registry, "registry_id") or ""


def read_unit_key(registry: RegistryDatabase) -> str:
    """What units are hashed with where the environment gives no key."""
    return read_meta(registry, "unit_key") or ""


def count_runs(registry: RegistryDatabase) -> int:
    return int(registry.read_one("SELECT count(*) FROM runs"))
