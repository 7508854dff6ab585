"""How many calls and units of a rollout have met the canary: all of them, also those that are no evidence.

Rows are counted once: a tick keeps what it has counted. Before the first tick whoever asks counts the rows
there are, unless they are so many that it would be waited for.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.release.observations import (
    NEW_UNIT,
    column,
    count_new_units,
    load_analysis_state,
    save_analysis_state,
)

EXPOSURE = "exposure"
_ALL_ROWS = 2**62
_MAX_ROWS = 2_000  # rows, of each of many rollouts
_IS_COUNTED = "{0}.kind IN ('run', 'batch') AND {0}.excluded IS NULL"
_COUNT_NEW_ROWS = (
    f"SELECT count(*), count(*) FILTER (WHERE r.arm = 'canary'), count(*) FILTER (WHERE {NEW_UNIT}), "
    "min(r.started_at), max(r.seq) FROM runs r WHERE r.rollout = ? AND r.seq > ? "
    f"AND r.seq <= ? AND {_IS_COUNTED.format('r')}"
)

_COUNT_UNCOUNTED = "SELECT count(*) FROM runs WHERE rollout = ? AND seq > ?"


class Exposure(NamedTuple):
    """``canary_units`` counts units with a hash; ``first`` is UTC text, None before the first call.

    ``through``: the last row that was counted; ``behind``: how many come behind it.
    """

    calls: int = 0
    canary_calls: int = 0
    canary_units: int = 0
    first: str | None = None
    through: int = 0
    behind: int = 0


def read_exposure(registry: RegistryDatabase, rollout: str, *, as_ticked: bool = False) -> Exposure:
    """What a tick has counted, and what came since where that is quick.

    ``as_ticked``: only say how many calls came since, so that the counts are of the moment of the verdicts.
    """
    known = _stored_exposure(registry, rollout)
    behind = int(registry.read_one(_COUNT_UNCOUNTED, (rollout, known.through)))
    if as_ticked or behind > _MAX_ROWS:
        return known._replace(behind=behind)
    return _add_new_rows(registry, rollout, known, _ALL_ROWS)


def _add_new_rows(registry: RegistryDatabase, rollout: str, known: Exposure, last: int) -> Exposure:
    values = (rollout, known.through, min(last, registry.settled().seq))
    calls, canary, units, first, through = registry.read(_COUNT_NEW_ROWS, values)[0]
    moments = [moment for moment in (known.first, first) if moment]
    return Exposure(
        calls=known.calls + calls,
        canary_calls=known.canary_calls + canary,
        canary_units=known.canary_units + units,
        first=min(moments, default=None),
        through=through or known.through,
    )


def _stored_exposure(registry: RegistryDatabase, rollout: str) -> Exposure:
    state = load_analysis_state(registry, rollout, EXPOSURE)
    return Exposure(**state) if state and state.keys() == set(Exposure._fields) else Exposure()


def count_exposure(
    registry: RegistryDatabase, rollout: str, known: Exposure | None = None, *, through: int | None = None
) -> Exposure:
    """What was counted (by ``known``, else by a tick), and the rows since: those up to ``through``."""
    known = known or _stored_exposure(registry, rollout)
    return _add_new_rows(registry, rollout, known, _ALL_ROWS if through is None else through)


def add_exposed(known: Exposure, rows: Sequence[Any]) -> Exposure:
    """The same of rows that ``calls_after`` has read anyway."""
    if not rows:
        return known
    seqs, traffic, arms, started = (column(rows, name) for name in ("seq", "traffic", "arm", "started_at"))
    new = [bool(counts) and seq > known.through for seq, counts in zip(seqs, traffic, strict=True)]
    if not any(new):
        return known
    moments = [*compress(started, new), *filter(None, (known.first,))]
    return Exposure(
        calls=known.calls + sum(new),
        canary_calls=known.canary_calls + list(compress(arms, new)).count("canary"),
        canary_units=known.canary_units + count_new_units(list(compress(rows, new))),
        first=min(moments),
        through=max(compress(seqs, new)),
    )


def save_exposure(registry: RegistryDatabase, rollout: str, seen: Exposure) -> None:
    save_analysis_state(registry, rollout, EXPOSURE, seen._asdict(), seen.through)
