"""How many calls and units of a rollout have met the canary: all of them, also those that are no evidence.

Rows are counted once: a tick keeps what it has counted, and whoever asks adds the rows behind that, unless
they are so many that it would be waited for.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

import sqlite3
from typing import NamedTuple

from promptops.registry.release.observations import load, save
from promptops.registry.store import Registry

EXPOSURE = "exposure"
_MOST = 2_000  # rows, of each of many rollouts
_COUNTS = "{0}.kind IN ('run', 'batch') AND {0}.excluded IS NULL"
_NEW_UNIT = (
    "r.arm = 'canary' AND r.unit_hash IS NOT NULL AND NOT EXISTS (SELECT 1 FROM runs e "
    "WHERE e.rollout = r.rollout AND e.unit_hash = r.unit_hash AND e.seq < r.seq AND e.arm = 'canary' "
    f"AND {_COUNTS.format('e')})"
)
_MORE = (
    f"SELECT count(*), coalesce(sum(r.arm = 'canary'), 0), coalesce(sum({_NEW_UNIT}), 0), "
    "min(r.started_at), max(r.seq) FROM runs r WHERE r.rollout = ? AND r.seq > ? "
    f"AND {_COUNTS.format('r')}"
)

_BEHIND = "SELECT count(*) FROM runs WHERE rollout = ? AND seq > ?"


class Met(NamedTuple):
    """``canary_units`` counts units with a hash; ``first`` is UTC text, None before the first call.

    ``through``: the last row that was counted; ``behind``: how many come behind it.
    """

    calls: int = 0
    canary_calls: int = 0
    canary_units: int = 0
    first: str | None = None
    through: int = 0
    behind: int = 0


def met(registry: Registry, rollout: str) -> Met:
    """What a tick has counted, and what came since where that is quick."""
    known = _known(registry, rollout)
    behind = int(registry.read_one(_BEHIND, (rollout, known.through)))
    if behind > _MOST:
        return known._replace(behind=behind)
    return _with(known, registry.read(_MORE, (rollout, known.through))[0])


def _with(known: Met, more: sqlite3.Row) -> Met:
    calls, canary, units, first, through = more
    moments = [moment for moment in (known.first, first) if moment]
    return Met(
        calls=known.calls + calls,
        canary_calls=known.canary_calls + canary,
        canary_units=known.canary_units + units,
        first=min(moments, default=None),
        through=through or known.through,
    )


def _known(source: Registry | sqlite3.Connection, rollout: str) -> Met:
    state = load(source, rollout, EXPOSURE)
    return Met(**state) if state and state.keys() == set(Met._fields) else Met()


def note_met(connection: sqlite3.Connection, rollout: str) -> None:
    """Keep what is counted so far, within the transaction of a tick."""
    known = _known(connection, rollout)
    seen = _with(known, connection.execute(_MORE, (rollout, known.through)).fetchone())
    save(connection, rollout, EXPOSURE, seen._asdict(), seen.through)
