"""How many calls and units of a rollout have met the canary: all of them, also those that are no evidence."""

from typing import NamedTuple

from promptops.registry.store import Registry


class Met(NamedTuple):
    """``canary_units`` counts units with a hash; ``first`` is UTC text, None before the first call."""

    calls: int
    canary_calls: int
    canary_units: int
    first: str | None


def met(registry: Registry, rollout: str) -> Met:
    sql = (
        "SELECT count(*), coalesce(sum(arm = 'canary'), 0), "
        "count(DISTINCT CASE WHEN arm = 'canary' THEN unit_hash END), min(started_at) "
        "FROM runs WHERE rollout = ? AND kind IN ('run', 'batch') AND excluded IS NULL"
    )
    calls, canary, units, first = registry.read(sql, (rollout,))[0]
    return Met(int(calls), int(canary), int(units), first)
