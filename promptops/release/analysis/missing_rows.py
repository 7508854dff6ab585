"""Rows that are missing from the log of a rollout, as sentences."""

from promptops.registry.log_gaps import gaps, placed_gaps
from promptops.registry.records import utc_text
from promptops.registry.release import observations as log
from promptops.registry.release.import_coverage import imported_gaps
from promptops.registry.store import Registry
from promptops.release.plan.types import Plan

GAPS = "gaps"
EVERY = ""  # in place of a rollout: what is known of the log serves them all
_AGAIN_S = 60.0  # a long log is read through no more often than that
_SHORT = 2_000  # rows


def missing_rows(
    registry: Registry, first: int, since: str | None, plan: Plan, now: float
) -> tuple[str, ...]:
    """What is missing behind a rollout's first row. A gap shows when the row after it has had its time."""
    if since is None:
        return ()
    own = _own(registry, first - 1, plan.observe.call_timeout, now)
    return (*own, *imported_gaps(registry, since))


def _own(registry: Registry, after: int, timeout: float, now: float) -> list[str]:
    until, name = utc_text(now - timeout), f"{GAPS}:{timeout:g}"
    if log.last_seq(registry) - after <= _SHORT:
        return [str(gap) for gap in gaps(registry, after=after, until=until)]
    last = log.load(registry, EVERY, name)
    if last is None or not 0 <= now - last["at"] < _AGAIN_S or last["after"] > after:
        found = [[row, str(gap)] for row, gap in placed_gaps(registry, after=after, until=until)]
        last = {"at": now, "after": after, "own": found}
        if registry.writable:
            with registry.write() as connection:
                log.save(connection, EVERY, name, last, 0)
    return [said for row, said in last["own"] if row > after]
