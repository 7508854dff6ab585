"""Rows that are missing from a log: each writer numbers its runs, so a number that is not there shows."""

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import read_meta

PRUNED_THROUGH = "pruned_through"  # in ``meta``: the last ``seq`` that was deleted
_HAS_GAP = """
SELECT 1 FROM runs WHERE seq > ? AND seq <= ? AND imported_at IS NULL GROUP BY writer_id
HAVING count(*) <> max(writer_counter) - min(writer_counter) + 1
  OR 2 * sum(writer_counter) <> (max(writer_counter) + min(writer_counter)) * count(*)
LIMIT 1
"""
_GAPS = """
SELECT CASE WHEN seq_before < seq THEN seq_before ELSE seq END, writer_id, before, writer_counter, started_at
FROM (
  SELECT seq, writer_id, writer_counter, started_at,
    lag(writer_counter) OVER one AS before, lag(seq) OVER one AS seq_before
  FROM runs WHERE seq > ? AND seq <= ? AND imported_at IS NULL
  WINDOW one AS (PARTITION BY writer_id ORDER BY writer_counter)
) AS numbered WHERE writer_counter > before + 1 AND started_at < ? ORDER BY started_at
"""


@dataclass(frozen=True, slots=True)
class LogGap:
    writer_id: str
    after: int
    before: int
    at: str  # when the run behind the gap was started

    def __str__(self) -> str:
        count = self.before - self.after - 1
        runs = "a run is" if count == 1 else f"{count:,} runs are"
        return f"{runs} missing before {self.at} (writer {self.writer_id}, behind its run {self.after})"


def find_log_gaps(registry: RegistryDatabase, *, after: int, until: str) -> list[LogGap]:
    """What is missing of the runs made here behind the row ``after``.

    Only gaps before a run that was started before ``until`` (UTC text): a younger one may yet be filled. Rows
    that were deleted on purpose, and those of other registries, which count their own, are no gaps.
    """
    return [gap for _, gap in find_log_gaps_with_seq(registry, after=after, until=until)]


def find_log_gaps_with_seq(registry: RegistryDatabase, *, after: int, until: str) -> list[tuple[int, LogGap]]:
    """The same, each with the first row beside it: who looks from behind that row on does not see the gap."""
    start = max(after, pruned_through(registry))
    through = registry.settled().seq  # what is missing behind it may be on its way
    if not registry.read(_HAS_GAP, (start, through)):  # a quarter of the time that it takes to find where
        return []
    return [(row[0], LogGap(*row[1:])) for row in registry.read(_GAPS, (start, through, until))]


def pruned_through(registry: RegistryDatabase) -> int:
    return int(read_meta(registry, PRUNED_THROUGH) or 0)
