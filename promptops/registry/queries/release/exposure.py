"""How many calls and units of a rollout have met the canary: all of them, also those that are no evidence.

Rows are counted once: a tick keeps what it has counted. Before the first tick whoever asks counts the rows
there are, unless they are so many that it would be waited for.
"""

# ruff: noqa: S608 - statements are put together from constants; values are bound

from collections.abc import Mapping, Sequence
from itertools import chain, compress
from typing import Any, NamedTuple

from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.release.analysis_states import load_analysis_states, save_analysis_state
from promptops.registry.queries.release.observations import NEW_UNIT, column, count_new_units
from promptops.registry.queries.row_parts import values_rows

EXPOSURE = "exposure"
_ALL_ROWS = 2**62
_MAX_ROWS = 2_000  # rows, of each of many rollouts
_AT_ONCE = 500  # rollouts that one statement asks for
_IS_COUNTED = "{0}.kind IN ('run', 'batch') AND {0}.excluded IS NULL"
_COUNT_UNCOUNTED = (  # an index is counted: rows that are put in groups take six times as long
    "SELECT known.column1, "
    "(SELECT count(*) FROM runs r WHERE r.rollout = known.column1 AND r.seq > known.column2) "
    "FROM ({known}) AS known"
)
_COUNT_NEW_ROWS = (  # CROSS: each rollout's rows by its index, not all rows
    "SELECT known.column1, count(*), count(*) FILTER (WHERE r.arm = 'canary'), "
    f"count(*) FILTER (WHERE {NEW_UNIT}), min(r.started_at), max(r.seq) FROM ({{known}}) AS known "
    "CROSS JOIN runs r ON r.rollout = known.column1 AND r.seq > known.column2 "
    f"AND r.seq <= ? AND {_IS_COUNTED.format('r')} GROUP BY known.column1"
)


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
    """See ``read_exposures``."""
    return read_exposures(registry, [rollout], as_ticked=as_ticked)[rollout]


def read_exposures(
    registry: RegistryDatabase, rollouts: Sequence[str], *, as_ticked: bool = False
) -> dict[str, Exposure]:
    """What a tick has counted, and what came since where that is quick.

    ``as_ticked``: only say how many calls came since, so that the counts are of the moment of the verdicts.
    """
    known = _stored_exposures(registry, rollouts)
    rows = _read_behind(registry, _COUNT_UNCOUNTED, known)
    seen = {rollout: each._replace(behind=rows[rollout][0]) for rollout, each in known.items()}
    if as_ticked:
        return seen
    quick = {rollout: known[rollout] for rollout, each in seen.items() if each.behind <= _MAX_ROWS}
    return seen | _add_new_rows(registry, quick, _ALL_ROWS)


def _read_behind(
    registry: RegistryDatabase, sql: str, known: Mapping[str, Exposure], *values: int
) -> dict[str, tuple[Any, ...]]:
    """By rollout what a statement says of the rows behind those that are counted; nothing where none are."""
    counted = [(rollout, each.through) for rollout, each in known.items()]
    found: dict[str, tuple[Any, ...]] = {}
    for first in range(0, len(counted), _AT_ONCE):
        some = counted[first : first + _AT_ONCE]
        asked = sql.format(known=values_rows(2, len(some)))
        found |= {row[0]: tuple(row)[1:] for row in registry.read(asked, (*chain(*some), *values))}
    return found


def _add_new_rows(
    registry: RegistryDatabase, known: Mapping[str, Exposure], last: int
) -> dict[str, Exposure]:
    if not known:
        return {}
    rows = _read_behind(registry, _COUNT_NEW_ROWS, known, min(last, registry.settled().seq))
    return {
        rollout: _plus(each, *rows[rollout]) if rollout in rows else each for rollout, each in known.items()
    }


def _plus(known: Exposure, calls: int, canary: int, units: int, first: str, through: int) -> Exposure:
    return Exposure(
        calls=known.calls + calls,
        canary_calls=known.canary_calls + canary,
        canary_units=known.canary_units + units,
        first=min(filter(None, (known.first, first))),
        through=through,
    )


def _stored_exposures(registry: RegistryDatabase, rollouts: Sequence[str]) -> dict[str, Exposure]:
    states, fields = load_analysis_states(registry, rollouts, EXPOSURE), set(Exposure._fields)
    return {
        rollout: Exposure(**states[rollout])
        if rollout in states and states[rollout].keys() == fields
        else Exposure()
        for rollout in rollouts
    }


def count_exposure(
    registry: RegistryDatabase, rollout: str, known: Exposure | None = None, *, through: int | None = None
) -> Exposure:
    """What was counted (by ``known``, else by a tick), and the rows since: those up to ``through``."""
    known = known or _stored_exposures(registry, [rollout])[rollout]
    return _add_new_rows(registry, {rollout: known}, _ALL_ROWS if through is None else through)[rollout]


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
