"""What a registry takes on the disk, as its engine keeps it."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from promptops.registry.connection import Connection, EngineName
from promptops.registry.database import RegistryDatabase

Month = tuple[int, int]
"""The first and the last number of runs of a stretch: of a month, where an engine keeps months apart."""


class RegistrySpace(Protocol):
    """What each engine has."""

    def used_bytes(self, registry: RegistryDatabase) -> int:
        """What the registry takes without what deletions have left."""

    def bytes_of_runs(self, registry: RegistryDatabase) -> int:
        """What of that the runs take, with all that belongs to them."""

    def shrink(self, registry: RegistryDatabase, *, at_once: bool) -> bool:
        """Give back what deletions have left; True when a reader is in the way."""

    def rewrite(self, registry: RegistryDatabase) -> bool:
        """Write all again, so that nothing of what was erased is left; True when a reader is in the way."""

    def erase_overwrites(self, registry: RegistryDatabase) -> None:
        """From now on what is erased is overwritten where it stands, where the engine can."""

    def whole_months(self, registry: RegistryDatabase, where: str, values: Sequence[Any]) -> list[Month]:
        """The months whose texts can be dropped once the runs (``r``) of a condition are deleted."""

    def drop_texts(self, registry: RegistryDatabase, month: Month) -> None: ...

    def delete_runs(
        self, connection: Connection, runs: str, values: Sequence[Any], numbers: Month, *, texts: bool
    ) -> None:
        """Delete runs with all that belongs to them, but for their texts where those will be dropped.

        ``runs``: a query of their numbers; ``numbers``: the first and the last that it may give.
        """


def engine_space(engine: EngineName) -> RegistrySpace:
    space: RegistrySpace = import_module(f"promptops.registry.{engine}.space").SPACE
    return space
