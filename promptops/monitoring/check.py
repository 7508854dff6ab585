"""Targets looked at: what is known of each metric, and the alarms."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from promptops.config.clock import utc_now, utc_text
from promptops.dataclass import dataclass
from promptops.monitoring.alarm import Alarm, size_of_change
from promptops.monitoring.failure_kinds import risen_kinds
from promptops.monitoring.look import ServedVersion, read_on
from promptops.monitoring.metrics import METRICS, OF_VERSION, Family, find_metric
from promptops.monitoring.names import NameChange
from promptops.monitoring.semantic_look import SemanticLook
from promptops.monitoring.state import TargetState
from promptops.monitoring.watch import Change, MetricWatch
from promptops.registry import (
    RegistryDatabase,
    StoredAlarm,
    end_alarm,
    last_traffic_at,
    list_alarms,
    load_monitor,
    raise_alarm,
    run_ids_of,
    save_monitor,
)

MetricState = Literal["alarm", "quiet", "gathering"]
TargetOutcome = Literal["alarm", "quiet", "gathering", "no calls"]
_SILENT_DAYS = 2
_NAME_ADVICE = "eval the golden set with what answers now: `promptops eval NAME`; then --acknowledge"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricStatus:
    """``nights`` and ``runs``: of the reference, or of what is gathered for it.

    ``evidence``: of an alarm's 1, on the scale of logarithms. ``nights_needed``: until a change of ten
    points, or by 1.3, is likely to be found; None before there is a reference, or where it is not.
    """

    name: str
    family: Family
    title: str
    state: MetricState
    nights: int
    runs: int
    level: float | None
    night_sd: float | None
    evidence: float
    nights_needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCheck:
    """``ended``: alarms that are over since the last look. ``notes``: what was not looked at, and why."""

    prompt: str
    channel: str
    served: ServedVersion | None
    state: TargetOutcome
    looked_through: int
    last_call_at: str | None
    metrics: tuple[MetricStatus, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    ended: tuple[Alarm, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        return f"{self.prompt}:{self.channel}"

    def with_alarm(self, alarm: Alarm) -> "TargetCheck":
        return replace(self, state="alarm", alarms=(*self.alarms, alarm))

    def with_notes(self, notes: Sequence[str]) -> "TargetCheck":
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True, slots=True, kw_only=True)
class LookRequest:
    """``since``: alarms that have ended since then are told of (UTC text); None: since the last look.

    ``acknowledge``: what alarms now is normal from now on. ``restart``: forget all that is known.
    ``semantic``: who asks for vectors of inputs; None: nothing is read of what they mean.
    ``slices``: tags of runs whose quality is watched for itself.
    """

    now: float
    since: str | None = None
    acknowledge: bool = False
    restart: bool = False
    semantic: SemanticLook | None = None
    slices: tuple[str, ...] = ()


def check_target(
    registry: RegistryDatabase, prompt: str, channel: str, served: ServedVersion | None, request: LookRequest
) -> TargetCheck:
    """Look at one channel. What was read before is not read again, and what it says stays said."""
    last_call = last_traffic_at(registry, prompt, channel)
    if served is None:
        return TargetCheck(
            prompt=prompt,
            channel=channel,
            served=None,
            state="no calls",
            looked_through=0,
            last_call_at=last_call,
            notes=("no call of this channel is logged",),
        )
    target = f"{prompt}:{channel}"
    before = load_monitor(registry, target)
    state = TargetState() if before is None or request.restart else TargetState.from_stored(before)
    replaced = bool(state.epoch) and state.epoch != served.epoch
    if state.epoch != served.epoch:
        state.begin_version(served.epoch)
    known = list_alarms(registry, target)
    if request.acknowledge:
        state.forget(alarm.content["metric"] for alarm in known)
    state.keep_slices(request.slices)
    names = read_on(registry, prompt, channel, state, served, request.now, request.slices)
    if request.semantic is not None:
        request.semantic.read_on(registry, prompt, channel, state, request.now)
    began = utc_now()
    with registry.transaction():
        if not save_monitor(registry, target, state.stored(began), before):
            return check_target(registry, prompt, channel, served, request)  # somebody has looked meanwhile
        for open_alarm in known:
            if request.acknowledge or request.restart:
                end_alarm(registry, open_alarm.key, "acknowledged")
            elif (replaced and open_alarm.family in OF_VERSION) or _is_undeclared(open_alarm, request):
                end_alarm(registry, open_alarm.key, "replaced")
        _settle(registry, (prompt, channel), served, state, names)
    since = request.since or (before.updated_at if before else began)
    alarms = list_alarms(registry, target, since=since)
    return TargetCheck(
        prompt=prompt,
        channel=channel,
        served=served,
        state=_outcome(state, alarms, last_call),
        looked_through=state.through,
        last_call_at=last_call,
        metrics=tuple(_status(watch) for watch in _in_order(state)),
        alarms=tuple(Alarm.from_json(alarm.content) for alarm in alarms if alarm.ended_at is None),
        ended=tuple(Alarm.from_json(alarm.content) for alarm in alarms if alarm.ended_at is not None),
        notes=tuple(_notes(state, last_call, request.now)),
    )


def _is_undeclared(alarm: StoredAlarm, request: LookRequest) -> bool:
    metric = find_metric(alarm.content["metric"])
    return bool(metric and metric.slice and metric.slice not in request.slices)


def _in_order(state: TargetState) -> list[MetricWatch]:
    slices = sorted(name for name, watch in state.watches.items() if watch.metric.slice)
    return [state.watches[name] for name in (*METRICS, *slices) if name in state.watches]


def _settle(
    registry: RegistryDatabase,
    place: tuple[str, str],
    served: ServedVersion,
    state: TargetState,
    names: Sequence[NameChange],
) -> None:
    """Alarms as they are now: raised, told again, resolved."""
    prompt, channel = place
    target = f"{prompt}:{channel}"
    for watch in _in_order(state):
        metric = watch.metric
        for change in watch.changes:
            _tell(registry, place, served, watch, change)
        if watch.raised:
            _tell(registry, place, served, watch, watch.change())
        else:
            for known in list_alarms(registry, target):
                if known.content["metric"] == metric.name:
                    end_alarm(registry, known.key, "resolved")
    for name in names:
        alarm = _name_alarm(registry, prompt, channel, name)
        raise_alarm(registry, target, alarm.family, alarm.key, alarm.to_json())


def _tell(
    registry: RegistryDatabase,
    place: tuple[str, str],
    served: ServedVersion,
    watch: MetricWatch,
    change: Change,
) -> None:
    prompt, channel = place
    metric, target = watch.metric, f"{prompt}:{channel}"
    since, version = change.since or change.raised, (served.digest, served.version)
    rose = change.direction == "rise"
    alarm = Alarm(
        key=f"{target}/{metric.name}/{change.raised}",
        prompt=prompt,
        channel=channel,
        metric=metric.name,
        family=metric.family,
        title=metric.title,
        direction=change.direction,
        since=since,
        size=size_of_change(change.before, change.now, number=metric.number),
        before=change.before,
        now=change.now,
        runs=change.runs,
        examples=tuple(run_ids_of(registry, change.examples)),
        advice=metric.advice.replace("NAME", prompt),
        kinds=risen_kinds(registry, place, version, metric, since) if rose else (),
    )
    raise_alarm(registry, target, metric.family, alarm.key, alarm.to_json())
    if change.ended:
        end_alarm(registry, alarm.key, "resolved")


def _name_alarm(registry: RegistryDatabase, prompt: str, channel: str, change: NameChange) -> Alarm:
    what = "fingerprint" if change.metric == "fingerprint" else "model that answers"
    return Alarm(
        key=f"{prompt}:{channel}/{change.metric}/{change.name[:100]}",
        prompt=prompt,
        channel=channel,
        metric=change.metric,
        family="provider",
        title=f"{what} of {change.asked}",
        direction="rise",
        since=change.night,
        size=f"{change.before} -> {change.name}",
        before=None,
        now=None,
        runs=1,
        examples=tuple(run_ids_of(registry, [change.seq])),
        advice=_NAME_ADVICE.replace("NAME", prompt),
    )


def _status(watch: MetricWatch) -> MetricStatus:
    reference, detector = watch.reference, watch.detector
    evidence = max(0.0, detector.log_evidence / detector.threshold) if detector else 0.0
    return MetricStatus(
        name=watch.metric.name,
        family=watch.metric.family,
        title=watch.metric.title,
        state="alarm" if watch.raised else "quiet" if reference else "gathering",
        nights=reference.nights if reference else len(watch.gathered),
        runs=reference.runs if reference else watch.runs_gathered,
        level=watch.level(),
        night_sd=reference.night_sd if reference else None,
        evidence=round(evidence, 4),
        nights_needed=watch.nights_needed(),
    )


def _outcome(state: TargetState, alarms: Sequence[StoredAlarm], last_call: str | None) -> TargetOutcome:
    if any(alarm.ended_at is None for alarm in alarms):
        return "alarm"
    if last_call is None and not state.watches:
        return "no calls"
    referenced = any(watch.reference for watch in state.watches.values())
    return "quiet" if referenced else "gathering"


def _notes(state: TargetState, last_call: str | None, now: float) -> list[str]:
    found = []
    if last_call is None:
        found.append("no call of this channel is logged")
    elif last_call < utc_text(now - _SILENT_DAYS * 86_400):
        found.append(f"no call since {last_call[:10]}: nothing new to look at")
    if "errors" in state.watches and "input_chars" not in state.watches:
        found.append("inputs are not monitored: the log does not keep them (`log: {inputs: full}`)")
    if not state.watches.keys() & {"probe_errors"}:
        found.append("no probes are logged: a change of the provider shows only in quality")
    return found
