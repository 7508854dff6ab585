"""Which runs a queue may take its items from: what was served, with an answer that can be looked at."""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from typing import Literal

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase

ReviewReason = Literal["failed", "unsure", "disagree", "held"]

_SERVED = (
    "r.prompt = :prompt AND r.kind IN ('run', 'batch') AND r.state = 'finished' AND r.error_type IS NULL "
    "AND r.started_at >= :since AND (r.channel = :channel OR :channel IS NULL)"
)
_ARM = "r.rollout = :rollout AND r.arm = :arm AND r.excluded IS NULL"
_UNLABELLED = "NOT EXISTS (SELECT 1 FROM review_items i WHERE i.run_seq = r.seq AND i.label IS NOT NULL)"
_JUDGED_BY = "o.source = 'judge' AND o.name = :judge"
_REASONS: dict[ReviewReason, str] = {
    "failed": "r.checks_failed > 0",
    "held": "EXISTS (SELECT 1 FROM held_runs h WHERE h.run_seq = r.seq AND h.decision IS NULL)",
    # a judge that was asked several times and did not say the same each time
    "unsure": "(SELECT max(o.value) > min(o.value) FROM outcomes o "
    "WHERE o.run_seq = r.seq AND o.source = 'judge' GROUP BY o.name ORDER BY 1 DESC LIMIT 1)",
    # of the judge's scores the lower half with thumbs up or all checks passed, or the other way round
    "disagree": "(SELECT avg(o.value) FROM outcomes o "
    f"WHERE o.run_seq = r.seq AND {_JUDGED_BY}) IS NOT NULL AND "
    f"((SELECT avg(o.value) FROM outcomes o WHERE o.run_seq = r.seq AND {_JUDGED_BY}) > :middle) <> "
    "coalesce((SELECT o.value > 0 FROM outcomes o WHERE o.run_seq = r.seq AND o.source = 'person' "
    "AND o.name = 'thumbs' ORDER BY o.id DESC LIMIT 1), coalesce(r.checks_failed, 0) = 0)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What a channel served since a time (UTC text), or one arm of a rollout on it."""

    prompt: str
    channel: str | None
    since: str
    rollout: str | None = None
    arm: str | None = None

    @property
    def _where(self) -> str:
        return f"{_SERVED} AND {_ARM}" if self.rollout else _SERVED

    @property
    def _source(self) -> str:
        """SQLite would else take the index of prompts, and look every run of them up in the table."""
        return "runs r INDEXED BY runs_by_rollout" if self.rollout else "runs r"

    @property
    def _values(self) -> dict[str, object]:
        return {
            "prompt": self.prompt,
            "channel": self.channel,
            "since": self.since,
            "rollout": self.rollout,
            "arm": self.arm,
        }

    def count(self, registry: RegistryDatabase) -> int:
        sql = f"SELECT count(*) FROM {self._source} WHERE {self._where}"
        return int(registry.read(sql, self._values)[0][0])

    def draw(self, registry: RegistryDatabase, count: int) -> list[int]:
        """So many at random, each as likely as any other."""
        sql = f"SELECT r.seq FROM {self._source} WHERE {self._where} ORDER BY random() LIMIT :count"
        return [row[0] for row in registry.read(sql, {**self._values, "count": count})]

    def choose(
        self, registry: RegistryDatabase, reason: ReviewReason, judge: str | None, count: int
    ) -> list[int]:
        """At random among those that there is a reason to look at, and nobody has labelled."""
        values = {**self._values, "count": count, "judge": judge, "middle": self._middle(registry, judge)}
        sql = (
            f"SELECT r.seq FROM {self._source} WHERE {self._where} AND {_REASONS[reason]} "
            f"AND {_UNLABELLED} ORDER BY random() LIMIT :count"
        )
        return [row[0] for row in registry.read(sql, values)]

    def _middle(self, registry: RegistryDatabase, judge: str | None) -> float:
        """Half way between the lowest and the highest score that the judge gave to this prompt."""
        sql = (
            "SELECT (min(o.value) + max(o.value)) / 2 FROM outcomes o JOIN runs r ON r.seq = o.run_seq "
            "WHERE r.prompt = ? AND o.source = 'judge' AND o.name = ?"
        )
        return float(registry.read_one(sql, (self.prompt, judge)) or 0.0) if judge else 0.0
