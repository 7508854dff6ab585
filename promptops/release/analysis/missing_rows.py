"""Rows that are missing from the log of a rollout, as sentences."""

from promptops.config.clock import utc_text
from promptops.registry import (
    RegistryDatabase,
    describe_import_gaps,
    find_log_gaps,
    find_log_gaps_with_seq,
    last_seq,
    load_analysis_state,
    save_analysis_state,
)
from promptops.release.plan.types import ReleasePlan

GAPS = "gaps"
ALL_ROLLOUTS = ""  # in place of a rollout: what is known of the log serves them all
_RESCAN_INTERVAL_S = 60.0  # a long log is read through no more often than that
_SMALL_LOG_ROWS = 2_000  # rows
_FURTHER_BACK = 10  # a tenth of the log more is read through: it serves canaries that began a little earlier


def missing_rows(
    registry: RegistryDatabase, first: int, since: str | None, plan: ReleasePlan, now: float
) -> tuple[str, ...]:
    """What is missing behind a rollout's first row. A gap shows when the row after it has had its time."""
    if since is None:
        return ()
    own = _registry_gaps(registry, first - 1, plan.observe.call_timeout, now)
    return (*own, *describe_import_gaps(registry, since))


def _registry_gaps(registry: RegistryDatabase, after: int, timeout: float, now: float) -> list[str]:
    until, name = utc_text(now - timeout), f"{GAPS}:{timeout:g}"
    rows = last_seq(registry) - after
    if rows <= _SMALL_LOG_ROWS:
        return [str(gap) for gap in find_log_gaps(registry, after=after, until=until)]
    last = load_analysis_state(registry, ALL_ROLLOUTS, name)
    if last is None or not 0 <= now - last["at"] < _RESCAN_INTERVAL_S or last["after"] > after:
        start = max(0, after - rows // _FURTHER_BACK)
        found = [[row, str(gap)] for row, gap in find_log_gaps_with_seq(registry, after=start, until=until)]
        last = {"at": now, "after": start, "own": found}
        if registry.writable:
            save_analysis_state(registry, ALL_ROLLOUTS, name, last, 0)
    return [sentence for row, sentence in last["own"] if row > after]
