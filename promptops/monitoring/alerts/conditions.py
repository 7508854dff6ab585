"""What people are to be told of now, found again each time: so that one who looks twice tells once."""

import calendar
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from promptops.config.settings import Settings
from promptops.errors import PromptopsError
from promptops.log import PackageLogger
from promptops.monitoring.alarm import Alarm
from promptops.monitoring.alerts.destinations import find_address
from promptops.monitoring.alerts.notice import AlertKind, Notice
from promptops.monitoring.targets import Releases, find_targets, released_states, retirement_alarm
from promptops.providers.http.exchange import exchange
from promptops.providers.types import ModelError
from promptops.redaction import redact
from promptops.registry import RegistryDatabase, list_alarms, spent_since
from promptops.release.ledger import Ledger
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.timestamps import parse_timestamp
from promptops.release.transitions import Move
from promptops.versions.release_state import ChannelState, Rollout

_LOG = PackageLogger("promptops.monitoring")
_DEADLINE_HOURS = 24.0
_REPORTED_DAYS = 7  # a rollback before that is no news
_FORECAST_DAYS = 3  # of a month, before which nothing is said of its end
_READY_S = 10.0
_HAPPENED = {
    Move.ROLLBACK: "rolled back",
    Move.ABORT: "canary aborted",
    Move.INVALIDATE: "evidence invalid",
    Move.INCONCLUSIVE: "inconclusive",
}


def find_notices(
    registry: RegistryDatabase, settings: Settings, env: Mapping[str, str], now: datetime
) -> dict[AlertKind, list[Notice]]:
    """By kind; one that could not be looked at is not in it, so that nothing of it counts as over."""
    rules = settings.file.alerts
    releases = cache(lambda: released_states(settings))  # read where it is needed, once
    sources: dict[AlertKind, Callable[[], Iterator[Notice]]] = {
        "drift": lambda: _drift(registry),
        "retirement": lambda: _retirements(registry, settings, releases(), now),
        "release": lambda: _releases(settings, releases(), rules, now),
        "budget": lambda: _budgets(registry, rules, now),
        "gateway": lambda: _gateway(rules, env),
    }
    found = {}
    for kind, source in sources.items():
        try:
            found[kind] = list(source())
        except PromptopsError as error:
            _LOG.warning(f"alerts of {kind} could not be checked: {error.message}")
    return found


def _drift(registry: RegistryDatabase) -> Iterator[Notice]:
    for stored in list_alarms(registry):
        yield _of_alarm(Alarm.from_json(stored.content), "drift")


def _retirements(
    registry: RegistryDatabase, settings: Settings, releases: Releases, now: datetime
) -> Iterator[Notice]:
    for target in find_targets(registry, settings, releases, ()):
        if alarm := retirement_alarm(registry, settings, target, now.date().isoformat()):
            yield _of_alarm(alarm, "retirement")


def _of_alarm(alarm: Alarm, kind: AlertKind) -> Notice:
    return Notice.of(
        alarm.key,
        kind,
        f"{alarm.target}: {alarm.title} {alarm.size}",
        f"since {alarm.since}{f' ({alarm.kinds_text})' if alarm.kinds else ''}; {alarm.advice}",
        prompt=alarm.prompt,
        channel=alarm.channel,
        details=alarm.to_json(),
    )


def _releases(
    settings: Settings, releases: Releases, rules: Mapping[str, Any], now: datetime
) -> Iterator[Notice]:
    since = (now - timedelta(days=_REPORTED_DAYS)).timestamp()
    with Ledger(settings) as ledger:
        for record in ledger.log():
            if record.seconds < since:
                break
            if record.transition.move in _HAPPENED:
                yield _transition_notice(record)
    for prompt, state in releases.items():
        for channel, serving in state.channels.items():
            yield from _rollout_notices(prompt, channel, serving, rules, now)


def _transition_notice(record: TransitionRecord) -> Notice:
    done, target = record.transition, f"{record.prompt}:{record.channel}"
    return Notice.of(
        f"{target}/{done.move}/{record.generation}",
        "release",
        f"{target}: {_HAPPENED[done.move]}",
        f"{record.subject}. {done.reason}".strip(),
        prompt=record.prompt,
        channel=record.channel,
        happened=True,
        details={"at": record.at, "move": done.move, "reason": done.reason},
    )


def _rollout_notices(
    prompt: str, channel: str, serving: ChannelState, rules: Mapping[str, Any], now: datetime
) -> Iterator[Notice]:
    rollout, target = serving.rollout, f"{prompt}:{channel}"
    if rollout is None:
        return
    what = f"the canary {rollout.canary.version}"
    if rollout.phase == "awaiting":
        yield Notice.of(
            f"{target}/approval/{rollout.id}/{rollout.step}",
            "release",
            f"{target}: {what} awaits approval",
            f"{rollout.reason or 'a step waits for a person'}; promptops release approve {target}",
            prompt=prompt,
            channel=channel,
            details={"rollout": rollout.id, "step": rollout.step},
        )
    if _is_near(rollout, float(rules.get("deadline_hours", _DEADLINE_HOURS)), now):
        yield Notice.of(
            f"{target}/deadline/{rollout.id}",
            "release",
            f"{target}: the deadline of {what} is near",
            f"undecided, it ends at {rollout.deadline}; promptops status {target}",
            prompt=prompt,
            channel=channel,
            details={"rollout": rollout.id, "deadline": rollout.deadline},
        )


def _is_near(rollout: Rollout, hours: float, now: datetime) -> bool:
    return (
        rollout.deadline is not None and parse_timestamp(rollout.deadline) - now.timestamp() <= hours * 3600
    )


def _budgets(registry: RegistryDatabase, rules: Mapping[str, Any], now: datetime) -> Iterator[Notice]:
    for budget in rules.get("budgets", ()):
        whose = {name: budget[name] for name in ("prompt", "tenant") if name in budget}
        if "usd_per_day" in budget:
            day = now.date().isoformat()
            yield from _over(budget["usd_per_day"], _spent(registry, whose, day), None, f"{day} (UTC)", whose)
        if "usd_per_month" in budget:
            spent = _spent(registry, whose, now.date().replace(day=1).isoformat())
            yield from _over(budget["usd_per_month"], spent, _forecast(spent, now), f"{now:%Y-%m}", whose)


def _spent(registry: RegistryDatabase, whose: Mapping[str, str], since: str) -> float:
    return spent_since(registry, since, whose.get("prompt"), whose.get("tenant"))


def _forecast(spent: float, now: datetime) -> float | None:
    """Of the whole month, if it goes on as so far; None in its first days."""
    began = datetime(now.year, now.month, 1, tzinfo=UTC)
    days = (now - began) / timedelta(days=1)
    return spent / days * calendar.monthrange(now.year, now.month)[1] if days >= _FORECAST_DAYS else None


def _over(
    limit: float, spent: float, forecast: float | None, span: str, whose: Mapping[str, str]
) -> Iterator[Notice]:
    name = " ".join(f"{key} {value}" for key, value in whose.items()) or "all calls"
    details = {**whose, "spent_usd": spent, "limit_usd": limit, "span": span}
    advice = "promptops runs report shows on what"
    if spent >= limit:
        title = f"budget of {name}: ${spent:.2f} of ${limit:g} spent"
        yield Notice.of(
            f"budget/{name}/{span}/{limit:g}", "budget", title, f"{span}; {advice}", details=details
        )
    elif forecast is not None and forecast > limit:
        title = f"budget of {name}: heading for ${forecast:.2f} of ${limit:g}"
        text = f"${spent:.2f} so far in {span}; {advice}"
        more = {**details, "forecast_usd": forecast}
        yield Notice.of(f"budget/{name}/{span}/{limit:g}/forecast", "budget", title, text, details=more)


def _gateway(rules: Mapping[str, Any], env: Mapping[str, str]) -> Iterator[Notice]:
    if "gateway" not in rules:
        return
    base = find_address(rules["gateway"], env).rstrip("/").removesuffix("/v1")
    try:
        reply = exchange("GET", f"{base}/readyz", timeout_s=_READY_S)
        problem = "" if reply.status == 200 else f"it answers {reply.status}"
    except ModelError as error:
        problem = redact(error.message)  # it names the address
    if problem:
        text = f"{problem}; promptops doctor --gateway URL says more"
        yield Notice.of("gateway", "gateway", "the gateway is not ready", text, details={"problem": problem})
