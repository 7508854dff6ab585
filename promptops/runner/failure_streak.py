"""When call after call fails, the rest would only fail as well: when to stop."""

from promptops.dataclass import dataclass

FATAL = frozenset({"authentication", "not_found"})
MAX_FATAL, MAX_TRANSIENT = 3, 20  # in a row


@dataclass(slots=True)
class FailureStreak:
    """Counts failures in a row. As many as calls are in flight may be one and the same outage."""

    concurrency: int
    length: int = 0

    def add(self, error: str | None) -> bool:
        """Count a call by its error type, None for an answer. Says whether going on is of no use."""
        if error is None:
            self.length = 0
            return False
        self.length += 1
        return self.length >= (MAX_FATAL if error in FATAL else max(MAX_TRANSIENT, self.concurrency))
