"""Rows that are missing from the log of a rollout, as sentences."""

from promptops.registry import observations as log
from promptops.registry.gaps import gaps
from promptops.registry.records import utc_text
from promptops.registry.store import Registry
from promptops.registry.stretches import imported_gaps
from promptops.release.plan_types import Plan

GAPS = "gaps"
_AGAIN_S = 60.0  # a long log is read through no more often than that
_SHORT = 2_000  # rows


def missing_rows(
    registry: Registry, rollout: str, first: int, since: str | None, plan: Plan, now: float
) -> tuple[str, ...]:
    """What is missing behind the rollout's first row. A gap shows when the row after it has had its time."""
    if since is None:
        return ()
    last = log.load(registry, rollout, GAPS)
    long = log.last_seq(registry) - first > _SHORT
    if long and last and 0 <= now - last["at"] < _AGAIN_S:
        return (*last["own"], *imported_gaps(registry, since))
    until = utc_text(now - plan.observe.call_timeout)
    own = [str(gap) for gap in gaps(registry, after=first - 1, until=until)]
    if long and registry.writable:
        with registry.write() as connection:
            log.save(connection, rollout, GAPS, {"at": now, "own": own}, 0)
    return (*own, *imported_gaps(registry, since))
