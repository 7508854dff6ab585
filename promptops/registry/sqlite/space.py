"""What a registry takes on the disk, and giving it back."""

from collections.abc import Sequence
from typing import Any

_PAGES = 4_000  # pages given back in one transaction
_INCREMENTAL = 2


class SqliteSpace:
    """See ``RegistrySpace``."""

    def used_bytes(self, registry: Any) -> int:
        pages = registry.read_one("PRAGMA page_count") - registry.read_one("PRAGMA freelist_count")
        return int(pages * registry.read_one("PRAGMA page_size"))

    bytes_of_runs = used_bytes  # nearly all of it

    def shrink(self, registry: Any, *, at_once: bool) -> bool:
        """Give back what deletions have left; True when a reader keeps the file from shrinking now."""
        del at_once  # it always is
        if registry.read_one("PRAGMA auto_vacuum") != _INCREMENTAL:  # a recovered file
            registry.command("PRAGMA auto_vacuum = INCREMENTAL")
            registry.command("VACUUM")
        free = registry.read_one("PRAGMA freelist_count")
        while free:
            registry.command(f"PRAGMA incremental_vacuum({_PAGES})")
            before, free = free, registry.read_one("PRAGMA freelist_count")
            if free >= before:
                break
        return _empty_log(registry)

    def rewrite(self, registry: Any) -> bool:
        registry.command("VACUUM")
        return _empty_log(registry)

    def erase_overwrites(self, registry: Any) -> None:
        """From now on what is erased is overwritten where it stands."""
        registry.command("PRAGMA secure_delete = ON")

    def whole_months(self, registry: Any, where: str, values: Sequence[Any]) -> list[tuple[int, int]]:
        del registry, where, values
        return []

    def drop_texts(self, registry: Any, month: tuple[int, int]) -> None: ...

    def delete_runs(
        self, connection: Any, runs: str, values: Sequence[Any], numbers: tuple[int, int], *, texts: bool
    ) -> None:
        del numbers, texts
        connection.execute(f"DELETE FROM runs WHERE seq IN ({runs})", values)  # noqa: S608 - put together from constants


def _empty_log(registry: Any) -> bool:
    return bool(registry.command("PRAGMA wal_checkpoint(TRUNCATE)")[0][0])


SPACE = SqliteSpace()
