"""What alarms keep in the registry: references, how far they have got, and alarms."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase

AlarmEnd = Literal["resolved", "acknowledged", "replaced"]
_COMPACT = (",", ":")


@dataclass(frozen=True, slots=True)
class StoredMonitor:
    """``through``: the last run that was looked at. ``epoch``: since when, and which version."""

    epoch: str
    reference: Mapping[str, Any]
    progress: Mapping[str, Any]
    through: int
    updated_at: str


@dataclass(frozen=True, slots=True)
class StoredAlarm:
    key: str
    target: str
    family: str
    content: Mapping[str, Any]
    ended_at: str | None


_SAVE_MONITOR = (
    "INSERT INTO monitors (target, epoch, reference, progress, through, updated_at) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (target) DO UPDATE SET epoch = excluded.epoch, "
    "reference = excluded.reference, progress = excluded.progress, through = excluded.through, "
    "updated_at = excluded.updated_at"
)


def load_monitor(registry: RegistryDatabase, target: str) -> StoredMonitor | None:
    rows = registry.read("SELECT * FROM monitors WHERE target = ?", (target,))
    if not rows:
        return None
    row = rows[0]
    reference, progress = json.loads(row["reference"]), json.loads(row["progress"])
    return StoredMonitor(row["epoch"], reference, progress, row["through"], row["updated_at"])


def save_monitor(
    registry: RegistryDatabase, target: str, new: StoredMonitor, before: StoredMonitor | None
) -> bool:
    """Whether it was saved: not where another process has looked meanwhile."""
    with registry.write() as connection:
        found = connection.execute(
            "SELECT updated_at, through FROM monitors WHERE target = ?", (target,)
        ).fetchone()
        known = None if before is None else (before.updated_at, before.through)
        if (None if found is None else tuple(found)) != known:
            return False
        texts = [json.dumps(each, separators=_COMPACT) for each in (new.reference, new.progress)]
        connection.execute(
            _SAVE_MONITOR,
            (target, new.epoch, *texts, new.through, new.updated_at),
        )
    return True


def raise_alarm(
    registry: RegistryDatabase, target: str, family: str, key: str, content: Mapping[str, Any]
) -> None:
    """Add an alarm, or say again what is known of one that is there."""
    text = json.dumps(content, ensure_ascii=False)
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO alarms (target, family, key, content, raised_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET content = excluded.content, ended_at = NULL, ended_by = NULL",
            (target, family, key, text, utc_now()),
        )


def end_alarm(registry: RegistryDatabase, key: str, by: AlarmEnd) -> None:
    with registry.write() as connection:
        connection.execute(
            "UPDATE alarms SET ended_at = ?, ended_by = ? WHERE key = ? AND ended_at IS NULL",
            (utc_now(), by, key),
        )


def list_alarms(
    registry: RegistryDatabase, target: str | None = None, *, since: str | None = None
) -> Sequence[StoredAlarm]:
    """Those that are open, and those that have ended since then (UTC text), oldest first."""
    sql = (
        "SELECT * FROM alarms WHERE (target = ?1 OR ?1 IS NULL) AND (ended_at IS NULL OR ended_at >= ?2) "
        "ORDER BY alarm"
    )
    return [
        StoredAlarm(
            row["key"],
            row["target"],
            row["family"],
            json.loads(row["content"]),
            row["ended_at"],
        )
        for row in registry.read(sql, (target, since or "9999"))
    ]
