"""What people are told of, and what is still to be told: nothing is lost while a place is away.

An alert is open from when its condition is first met until it no longer is. Each change of it is a delivery
to each place, in order; a delivery that fails waits and is tried again.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from promptops.dataclass import dataclass
from promptops.registry.database import RegistryDatabase

AlertEvent = Literal["opened", "changed", "resolved"]

_CHANGED = (  # where it has been opened, and nothing is waiting that will say how it is by then
    "INSERT INTO alert_deliveries (alert, place, event) SELECT ?1, ?2, 'changed' "
    "WHERE EXISTS (SELECT 1 FROM alert_deliveries WHERE alert = ?1 AND place = ?2 AND event = 'opened') "
    "AND NOT EXISTS (SELECT 1 FROM alert_deliveries WHERE alert = ?1 AND place = ?2 AND sent_at IS NULL)"
)
_NEXT = (
    "SELECT d.delivery, d.event, d.attempts, d.next_at, d.leased_until, a.* FROM alert_deliveries d "
    "JOIN alerts a ON a.alert = d.alert WHERE d.place = ? AND d.sent_at IS NULL ORDER BY d.delivery LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class StoredAlert:
    alert: int
    key: str
    kind: str
    content: Mapping[str, Any]
    opened_at: str
    met_at: str  # when its condition was last found to be met
    resolved_at: str | None


@dataclass(frozen=True, slots=True)
class AlertDelivery:
    """``reply``: what the place said of the alert when it was opened there, such as an issue's number.

    ``attempts``: those before, also of processes that ended in the middle of one.
    """

    delivery: int
    event: AlertEvent
    attempts: int
    alert: StoredAlert
    reply: str | None


def open_alerts(registry: RegistryDatabase) -> list[StoredAlert]:
    return [
        _alert(row) for row in registry.read("SELECT * FROM alerts WHERE resolved_at IS NULL ORDER BY alert")
    ]


def was_alerted(registry: RegistryDatabase, key: str) -> bool:
    return bool(registry.read_one("SELECT 1 FROM alerts WHERE key = ? LIMIT 1", (key,)))


def times_opened(registry: RegistryDatabase, key: str, since: str) -> int:
    return int(
        registry.read_one("SELECT count(*) FROM alerts WHERE key = ? AND opened_at >= ?", (key, since))
    )


def open_alert(
    registry: RegistryDatabase,
    key: str,
    kind: str,
    content: Mapping[str, Any],
    at: str,
    places: Iterable[str],
    edited: Iterable[str] = (),
) -> bool:
    """Whether it is new, and so will be told. One that is open is told again only to ``edited`` places."""
    text = json.dumps(content, ensure_ascii=False)
    with registry.write() as connection:
        known = connection.execute(
            "SELECT alert, content FROM alerts WHERE key = ? AND resolved_at IS NULL", (key,)
        ).fetchone()
        if known:
            connection.execute("UPDATE alerts SET met_at = ? WHERE alert = ?", (at, known["alert"]))
            if known["content"] != text:
                connection.execute("UPDATE alerts SET content = ? WHERE alert = ?", (text, known["alert"]))
                connection.executemany(_CHANGED, [(known["alert"], place) for place in edited])
            return False
        alert = connection.execute(
            "INSERT INTO alerts (key, kind, content, opened_at, met_at) VALUES (?, ?, ?, ?, ?) "
            "RETURNING alert",
            (key, kind, text, at, at),
        ).fetchall()[0][0]
        connection.executemany(
            "INSERT INTO alert_deliveries (alert, place, event) VALUES (?, ?, 'opened')",
            [(alert, place) for place in places],
        )
    return True


def resolve_alert(registry: RegistryDatabase, alert: StoredAlert, at: str) -> None:
    """To be told wherever it was, or still is to be, told that it is open."""
    with registry.write() as connection:
        done = connection.execute(
            "UPDATE alerts SET resolved_at = ? WHERE alert = ? AND resolved_at IS NULL", (at, alert.alert)
        ).rowcount
        if done:
            connection.execute(
                "INSERT INTO alert_deliveries (alert, place, event) SELECT alert, place, 'resolved' "
                "FROM alert_deliveries WHERE alert = ? AND event = 'opened' ORDER BY delivery",
                (alert.alert,),
            )


def waiting_places(registry: RegistryDatabase) -> Mapping[str, int]:
    """How many deliveries wait for each place."""
    sql = "SELECT place, count(*) FROM alert_deliveries WHERE sent_at IS NULL GROUP BY place ORDER BY place"
    return {row[0]: row[1] for row in registry.read(sql)}


def lease_delivery(
    registry: RegistryDatabase, place: str, now: float, lease_s: float, longest_wait_s: float
) -> AlertDelivery | None:
    """The next of a place, whose order is kept; None where none waits, or the first one is not due.

    One that would wait longer than ``longest_wait_s``, or twice ``lease_s``, was left by a clock that has
    been set back since.
    """
    with registry.write() as connection:
        row = connection.execute(_NEXT, (place,)).fetchone()
        if (
            row is None
            or now < row["leased_until"] <= now + 2.0 * lease_s
            or now < row["next_at"] <= now + longest_wait_s
        ):
            return None
        connection.execute(
            "UPDATE alert_deliveries SET attempts = attempts + 1, leased_until = ? WHERE delivery = ?",
            (now + lease_s, row["delivery"]),
        )
        opened = connection.execute(
            "SELECT reply FROM alert_deliveries WHERE alert = ? AND place = ? AND event = 'opened'",
            (row["alert"], place),
        ).fetchone()
    return AlertDelivery(row["delivery"], row["event"], row["attempts"], _alert(row), opened["reply"])


def delivery_sent(registry: RegistryDatabase, delivery: int, at: str, reply: str | None) -> None:
    with registry.write() as connection:
        connection.execute(
            "UPDATE alert_deliveries SET sent_at = ?, reply = ? WHERE delivery = ?", (at, reply, delivery)
        )


def delivery_failed(registry: RegistryDatabase, delivery: int, next_at: float) -> None:
    with registry.write() as connection:
        connection.execute(
            "UPDATE alert_deliveries SET next_at = ?, leased_until = 0 WHERE delivery = ?",
            (next_at, delivery),
        )


def _alert(row: Any) -> StoredAlert:
    return StoredAlert(
        row["alert"],
        row["key"],
        row["kind"],
        json.loads(row["content"]),
        row["opened_at"],
        row["met_at"],
        row["resolved_at"],
    )
