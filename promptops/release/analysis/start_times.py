"""When logged calls began, also those that a clock which was set back later has dated into the future."""

from promptops.dataclass import dataclass
from promptops.registry import LogRow, RegistryDatabase, earliest_start_from


@dataclass(slots=True)
class StartTimes:
    """Asked about one rollout's calls in assignment order. ``now`` and all moments are UTC text.

    A call from the future began before those that were logged behind it. ``_behind``: the earliest of them,
    and its number; it is looked for again only when it has been passed.
    """

    registry: RegistryDatabase
    rollout: str
    now: str
    _behind: tuple[str, int] | None = None

    def by(self, row: LogRow, moment: str) -> bool:
        """Whether a call had begun by a moment that is not after now."""
        if row["started_at"] <= self.now:
            return bool(row["started_at"] <= moment)
        if self._behind is None or (self._behind[0] <= moment and self._behind[1] < row["seq"]):
            self._behind = earliest_start_from(self.registry, self.rollout, row["seq"])
        return self._behind[0] <= moment
