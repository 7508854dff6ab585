"""Rows that are missing from a log: each writer numbers its runs, so a number that is not there shows."""

from dataclasses import dataclass

from promptops.registry.store import Registry

PRUNED_THROUGH = "pruned_through"  # in ``meta``: the last ``seq`` that was deleted
_GAPS = """
SELECT writer_id, before, writer_counter, started_at FROM (
  SELECT writer_id, writer_counter, started_at,
    lag(writer_counter) OVER (PARTITION BY writer_id ORDER BY writer_counter) AS before
  FROM runs WHERE seq > ? AND imported_at IS NULL
) WHERE writer_counter > before + 1 AND started_at < ? ORDER BY started_at
"""


@dataclass(frozen=True, slots=True)
class Gap:
    writer_id: str
    after: int
    before: int
    at: str  # when the run behind the gap was started

    def __str__(self) -> str:
        count = self.before - self.after - 1
        runs = "a run is" if count == 1 else f"{count:,} runs are"
        return f"{runs} missing before {self.at} (writer {self.writer_id}, behind its run {self.after})"


def gaps(registry: Registry, *, after: int, until: str) -> list[Gap]:
    """What is missing of the runs made here behind the row ``after``.

    Only gaps before a run that was started before ``until`` (UTC text): a younger one may yet be filled. Rows
    that were deleted on purpose, and those of other registries, which count their own, are no gaps.
    """
    return [Gap(*row) for row in registry.read(_GAPS, (max(after, pruned_through(registry)), until))]


def pruned_through(registry: Registry) -> int:
    return int(registry.read_one("SELECT value FROM meta WHERE key = ?", (PRUNED_THROUGH,)) or 0)
