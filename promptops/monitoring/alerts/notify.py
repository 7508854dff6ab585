"""Alerts are opened and resolved by what is found, and told wherever the settings say."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from promptops._version import __version__
from promptops.config.clock import utc_text
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Unavailable
from promptops.monitoring.alerts.conditions import find_notices
from promptops.monitoring.alerts.destinations import AlertDestination, Payload, find_destinations
from promptops.redaction import add_environment_secrets, redact_texts
from promptops.registry import (
    AlertDelivery,
    RegistryDatabase,
    StoredAlert,
    delivery_failed,
    delivery_sent,
    lease_delivery,
    open_alert,
    open_alerts,
    resolve_alert,
    times_opened,
    waiting_places,
    was_alerted,
)

_LEASE_S = 120.0  # longer than a place may take
_FIRST_RETRY_S, _LAST_RETRY_S = 60.0, 3540.0  # so that each look of an hourly job tries again
_MOST = 1_000  # deliveries to one place at a time
_MOST_S = 60.0  # of time for one place, after which the rest waits for the next look
_FLAPS = 3  # times that an alert opens within ``_FLAPS_S``; from then on it stays open until it rests as long
_FLAPS_S = 3600.0


@dataclass(frozen=True, slots=True)
class NotifyReport:
    """What has become of it. ``failed``: why a place could not be sent, by its name."""

    opened: int
    resolved: int
    sent: int
    waiting: Mapping[str, int]
    failed: Mapping[str, str]


def notify(
    registry: RegistryDatabase,
    settings: Settings,
    env: Mapping[str, str],
    now: float,
    *,
    retry_now: bool = False,
) -> NotifyReport:
    """Look for what people are to be told of, and tell them. ``retry_now``: also what has just failed."""
    places = find_destinations(settings, env)
    began = time.monotonic()
    add_environment_secrets(env)
    opened, resolved = _settle(registry, settings, env, places, now)
    sent, failed = 0, {}
    for place, _ in places:
        count, problem = _deliver(
            registry, place, lambda: now + time.monotonic() - began, retry_now=retry_now
        )
        sent += count
        if problem:
            failed[place.name] = problem
    return NotifyReport(opened, resolved, sent, waiting_places(registry), failed)


def _settle(
    registry: RegistryDatabase,
    settings: Settings,
    env: Mapping[str, str],
    places: Sequence[tuple[AlertDestination, frozenset[str]]],
    now: float,
) -> tuple[int, int]:
    at = utc_text(now)
    found = find_notices(registry, settings, env, datetime.fromtimestamp(now, UTC))
    opened = resolved = 0
    edited = [place.name for place, _ in places if place.edits]
    with registry.transaction():
        for notice in (one for some in found.values() for one in some):
            if notice.happened and was_alerted(registry, notice.key):
                continue
            told = [place.name for place, kinds in places if not kinds or notice.kind in kinds]
            opened += open_alert(registry, notice.key, notice.kind, notice.to_json(), at, told, edited)
        met = {notice.key for some in found.values() for notice in some}
        for alert in open_alerts(registry):
            if alert.kind not in found or alert.key in met or alert.content["happened"]:
                continue
            if not _flaps(registry, alert, now):
                resolve_alert(registry, alert, at)
                resolved += 1
    return opened, resolved


def _flaps(registry: RegistryDatabase, alert: StoredAlert, now: float) -> bool:
    """Whether it is over once more than people want to hear."""
    opened = datetime.fromisoformat(alert.opened_at).timestamp()
    before = times_opened(registry, alert.key, utc_text(opened - _FLAPS_S))
    return alert.met_at > utc_text(now - _FLAPS_S) and before >= _FLAPS


def _deliver(
    registry: RegistryDatabase, place: AlertDestination, clock: Callable[[], float], *, retry_now: bool
) -> tuple[int, str]:
    """How many were sent, and why the rest was not: a place gets alerts in order, so a failure ends it."""
    longest = 0.0 if retry_now else 2.0 * _LAST_RETRY_S
    began = clock()
    for sent in range(_MOST):
        now = clock()
        delivery = (
            lease_delivery(registry, place.name, now, _LEASE_S, longest) if now - began < _MOST_S else None
        )
        if delivery is None:
            return sent, ""
        try:
            reply = place.send(payload_of(delivery, utc_text(now)), delivery.reply)
        except Unavailable as error:
            pause = min(_LAST_RETRY_S, _FIRST_RETRY_S * 2.0 ** min(delivery.attempts, 10))
            delivery_failed(registry, delivery.delivery, began + pause)
            return sent, error.message
        delivery_sent(registry, delivery.delivery, utc_text(clock()), reply)
    return _MOST, ""


def payload_of(delivery: AlertDelivery, sent_at: str) -> Payload:
    """What a webhook and a command are given; without the keys that are known here."""
    alert = delivery.alert
    return {
        "promptops": __version__,
        "delivery": delivery.delivery,
        "event": delivery.event,
        "sent_at": sent_at,
        "opened_at": alert.opened_at,
        "resolved_at": alert.resolved_at,
        **redact_texts(alert.content),
    }
