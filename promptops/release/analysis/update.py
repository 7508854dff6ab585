"""One rollout's tests brought up to date: settled calls are scored in assignment order, and kept."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import compress, repeat
from time import monotonic
from typing import Any

from promptops.config.clock import utc_now, utc_text
from promptops.errors import Invalid
from promptops.log import PackageLogger
from promptops.registry import (
    CALL_METRIC,
    LATE_PREFIX,
    LogRow,
    ObservationRow,
    RegistryDatabase,
    calls_after,
    calls_before,
    delete_observations,
    filter_ended_calls,
    last_outcome_id,
    load_analysis_state,
    observation_row,
    outcomes_after,
    pruned_calls,
    read_call_outcomes,
    read_observations,
    save_analysis_state,
    save_observations,
    tags_of,
    update_exposure,
)
from promptops.release.analysis.metric_tests import ALL_BP, ENGINE
from promptops.release.analysis.rollout_tests import (
    RolloutTests,
    WindowGroup,
    metric_signatures,
    new_tests,
    priors_from,
    stored_engine,
)
from promptops.release.analysis.scoring import (
    CallBatch,
    LoggedCall,
    MetricReader,
    MetricValue,
    NoValue,
    logged_call,
    metric_readers,
    range_error,
)
from promptops.release.analysis.start_times import StartTimes
from promptops.release.plan.types import ReleasePlan
from promptops.release.timestamps import parse_timestamp
from promptops.stats.two_arm import NO_HISTORY, Prior, prior_from_history
from promptops.versions.release_state import ReleasedVersion, Rollout

STATE = "state"
_CHUNK = 4_000  # calls scored in one transaction: nobody else waits longer than half a second for it
_SMALL_CHUNK = 64
_PROGRESS_S = 2.0  # between two messages of how far a long log has been scored
_LOG = PackageLogger("promptops.release")
_HISTORY_S = 30 * 86_400.0
_MAX_FAULTS = 5
StoredValues = Mapping[tuple[str, int], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRequest:
    """What is looked at: one rollout at one moment.

    ``now``: seconds since the epoch; ``engine``: of new evidence.
    """

    rollout: Rollout
    prompt: str
    channel: str
    plan: ReleasePlan
    now: float
    stable: ReleasedVersion | None = None
    engine: int = ENGINE


@dataclass(slots=True)
class ScoringPass:
    """One look at the log. ``known``: values that were scored before and stay."""

    registry: RegistryDatabase
    rollout: Rollout
    plan: ReleasePlan
    now: float
    tests: RolloutTests
    readers: Mapping[str, MetricReader]
    known: StoredValues = field(default_factory=dict)
    rows: list[ObservationRow] = field(default_factory=list)  # of this step, stored at its end
    recorded_at: str = field(default_factory=utc_now)

    def advance(self) -> bool:
        """Score the next settled calls of every lane; False when all that can be scored is."""
        self._record_late()
        more = [self._advance_group(lane) for lane in self.tests.window_groups]
        save_observations(self.registry, self.rows)
        self.rows.clear()
        self.tests.last_outcome = last_outcome_id(self.registry)
        return any(more)

    def _advance_group(self, lane: WindowGroup) -> bool:
        """Most looks at a lane that waits for outcomes find nothing settled: they read a few rows only."""
        limits = (_CHUNK,) if lane is self.tests.instant else (_SMALL_CHUNK, _CHUNK)
        return all(self._score(lane, limit) for limit in limits)

    def _score(self, lane: WindowGroup, limit: int) -> bool:
        """Score what has settled of the next rows; whether that was all of them, and there may be more."""
        by_unit = self.plan.unit != "call"
        rows = calls_after(self.registry, self.rollout.id, lane.watermark, by_unit=by_unit, limit=limit)
        counted = [at for at, row in enumerate(rows) if row["reason"] is None]
        calls, ended = self._ended_calls(lane, rows, counted)
        values = self._settled_values(lane, calls)
        count = min((len(each) for each in values.values()), default=len(calls.rows))
        settled = counted[count] if count < len(calls.rows) else ended
        if count:
            self._add(lane, calls, {name: each[:count] for name, each in values.items()}, count)
        if settled:
            lane.watermark = rows[settled - 1]["seq"]
        if lane is self.tests.instant:
            self.tests.waiting = sum(at >= settled for at in counted)
            for reason in (row["reason"] for row in rows[:settled] if len(counted) < len(rows)):
                if reason is not None:
                    self.tests.excluded[reason] = self.tests.excluded.get(reason, 0) + 1
        return settled == limit

    def _ended_calls(
        self, lane: WindowGroup, rows: Sequence[LogRow], counted: Sequence[int]
    ) -> tuple[CallBatch, int]:
        """Calls that count up to the first that is under way, and how many rows stand before that one."""
        timeout, begun = self.plan.observe.call_timeout, self._start_times()
        given_up, dead, ended = utc_text(self.now - timeout), [], len(rows)
        for at in counted:
            started = rows[at]["state"] == "started"
            if started and not begun.by(rows[at], given_up):
                ended = at
                break
            dead.append(started)
        mine = [rows[at] for at in counted[: len(dead)]]
        asked = any(self.readers[name].from_outcomes for name in lane.metrics)
        said = read_call_outcomes(self.registry, [row["seq"] for row in mine]) if asked else {}
        return CallBatch(mine, dead, said, timeout, self._tags(mine)), ended

    def _tags(self, rows: Sequence[LogRow]) -> Mapping[int, Sequence[str]]:
        if not any(each.tag for each in self.plan.metrics):
            return {}
        return tags_of(self.registry, [row["seq"] for row in rows])

    def _start_times(self) -> StartTimes:
        return StartTimes(self.registry, self.rollout.id, utc_text(self.now))

    def _settled_values(self, lane: WindowGroup, calls: CallBatch) -> dict[str, list[MetricValue]]:
        """Each metric's values up to the first that may yet change."""
        wait = self.plan.observe.call_timeout if lane.window is None else lane.window
        over = utc_text(self.now - wait)
        return {name: self._settle(self.readers[name], calls, over) for name in lane.metrics}

    def _settle(self, gauge: MetricReader, calls: CallBatch, over: str) -> list[MetricValue]:
        values, name, begun = gauge.values(calls), gauge.metric.name, self._start_times()
        self._find_range_errors(gauge, calls)
        if not self.known and NoValue.PENDING not in values and NoValue.MISSING not in values:
            return values
        for at, (row, value) in enumerate(zip(calls.rows, values, strict=True)):
            if (name, row["seq"]) in self.known:
                stored = self.known[name, row["seq"]]
                values[at] = NoValue.MISSING if stored is None else stored
            elif not isinstance(value, float):
                is_over = value is NoValue.PENDING and begun.by(row, over)
                values[at] = gauge.settle(value, over=is_over)
                if values[at] is NoValue.PENDING:
                    return values[:at]
        return values

    def _add(
        self, lane: WindowGroup, calls: CallBatch, values: Mapping[str, Sequence[MetricValue]], count: int
    ) -> None:
        rows = calls.rows[:count]
        seqs, arms, weights = (calls.column(name)[:count] for name in ("seq", "arm", "weight_bp"))
        assignments = [(arm == "canary", weight_bp) for arm, weight_bp in zip(arms, weights, strict=True)]
        lane.add_all(assignments, values)
        for name, each in values.items():
            losses = [value if isinstance(value, float) else None for value in each]
            due = [value is not NoValue.NOT_DUE for value in each]
            self.rows += compress(self._observations(name, seqs, arms, weights, losses), due)
        if lane is self.tests.instant:
            self.tests.open += compress(seqs, calls.dead)
            self.tests.ratio.update_all((canary, bp / ALL_BP) for canary, bp in assignments)
            if self.plan.unit != "call":
                self.tests.without_unit += sum(row["unit_hash"] is None for row in rows)
            self.rows += self._observations(CALL_METRIC, seqs, arms, weights, repeat(None))

    def _observations(
        self,
        metric: str,
        seqs: Iterable[int],
        arms: Iterable[str],
        weights: Iterable[int],
        losses: Iterable[float | None],
    ) -> Iterator[ObservationRow]:
        same = (repeat(self.rollout.id), repeat(metric)), (repeat(0), repeat(self.recorded_at))
        return zip(*same[0], seqs, arms, weights, losses, *same[1], strict=False)

    def _find_range_errors(self, gauge: MetricReader, calls: CallBatch) -> None:
        if gauge.metric.kind != "score" or not calls.said:
            return
        for at in range(len(calls.rows)):
            if (fault := range_error(gauge, calls.call(at))) and len(self.tests.faults) < _MAX_FAULTS:
                self.tests.faults = list(dict.fromkeys((*self.tests.faults, fault)))

    def _record_late(self) -> None:
        """Count and keep values of calls that are scored already: they change nothing."""
        by_source = {
            (each.outcome_source, each.source.name): each.metric.name
            for each in self.readers.values()
            if each.source.is_delayed
        }
        through = max(lane.watermark for lane in self.tests.window_groups)
        if by_source and through:  # else nothing can be late, and a long log of outcomes is not read through
            rows = outcomes_after(self.registry, self.rollout.id, self.tests.last_outcome, through=through)
            for row in rows:
                if name := by_source.get((row["source"], row["name"])):
                    self._store_late(name, row)
        if self.tests.open and (ended := filter_ended_calls(self.registry, self.tests.open)):
            self.tests.open = [seq for seq in self.tests.open if seq not in ended]
            for name, tests in self.tests.instant.metrics.items():
                tests.late += len(ended) * (self.readers[name].source.place == "run")

    def _store_late(self, name: str, row: LogRow) -> None:
        lane, tests = self.tests.of(name)
        if row["seq"] <= lane.watermark and row["weight_bp"]:
            tests.late += 1
            late = (LATE_PREFIX + name, row["seq"], row["arm"], row["weight_bp"], row["value"])
            self.rows.append(observation_row(self.rollout.id, *late, self.recorded_at))


def update_tests(registry: RegistryDatabase, look: AnalysisRequest) -> RolloutTests:
    """Score what can be scored, a transaction for each few thousand calls; the tests as they stand then."""
    said = monotonic()
    while True:
        with registry.transaction():
            current = _open_pass(registry, look)
            more = current.advance()
            tests = current.tests
            save_analysis_state(registry, look.rollout.id, STATE, tests.to_json(), tests.instant.watermark)
            if not more:  # of the moment of the verdicts
                update_exposure(registry, look.rollout.id)
        if not more:
            return tests
        if monotonic() - said > _PROGRESS_S:
            said = monotonic()
            _LOG.info(f"{look.prompt}:{look.channel}: {tests.instant.calls:,} calls scored so far")


def _open_pass(registry: RegistryDatabase, look: AnalysisRequest) -> ScoringPass:
    state, plan = load_analysis_state(registry, look.rollout.id, STATE), look.plan
    if state and state.get("plan") == plan.digest:
        # what is damaged is made again, from the observations that are stored
        with suppress(Invalid, KeyError, TypeError, ValueError, AttributeError):
            tests = RolloutTests.from_json(plan, state)
            return ScoringPass(registry, look.rollout, plan, look.now, tests, metric_readers(plan.metrics))
    return _rebuild_pass(registry, look, state or {})


def _rebuild_pass(
    registry: RegistryDatabase, look: AnalysisRequest, before: Mapping[str, Any]
) -> ScoringPass:
    """New tests; values that were stored under an earlier plan stay, where they mean the same."""
    rollout, plan = look.rollout, look.plan
    mine, meant, means = metric_readers(plan.metrics), before.get("signatures") or {}, metric_signatures(plan)
    for name in means:
        if name and name in meant and meant[name] != means[name]:
            delete_observations(registry, rollout.id, name)
    priors = _priors(registry, look, mine)
    with suppress(KeyError, TypeError, ValueError, Invalid, AttributeError):
        priors |= {n: p for n, p in priors_from(before["priors"]).items() if meant.get(n) == means.get(n)}
    known = _stored_values(registry, rollout.id, plan)
    engine = stored_engine(before) if "priors" in before else look.engine
    made = ScoringPass(registry, rollout, plan, look.now, new_tests(plan, priors, engine), mine, known)
    for seq, arm, weight_bp in pruned_calls(registry, rollout.id):
        _replay(made.tests, known, seq, arm == "canary", weight_bp)
    while known and made.advance():  # in this one transaction: what is stored is looked up only now
        pass
    return made


def _stored_values(
    registry: RegistryDatabase, rollout: str, plan: ReleasePlan
) -> dict[tuple[str, int], float | None]:
    return {
        (metric.name, seq): loss
        for metric in plan.metrics
        for seq, _, _, loss in read_observations(registry, rollout, metric.name)
    }


def _replay(tests: RolloutTests, known: StoredValues, seq: int, canary: bool, weight_bp: int) -> None:
    """Add a call that is known by its observations alone."""
    for lane in tests.window_groups:
        stored = {name: known[name, seq] for name in lane.metrics if (name, seq) in known}
        values: dict[str, MetricValue] = {
            name: NoValue.MISSING if each is None else each for name, each in stored.items()
        }
        if values or lane is tests.instant:
            lane.add_all([(canary, weight_bp)], {name: [value] for name, value in values.items()})
    tests.ratio.update(canary, weight_bp / ALL_BP)


def _priors(
    registry: RegistryDatabase, look: AnalysisRequest, mine: Mapping[str, MetricReader]
) -> dict[str, Prior]:
    """Stable's mean loss over the last 30 days before the rollout, metric by metric."""
    start, digest = parse_timestamp(look.rollout.started), look.stable.digest if look.stable else None
    since, until = utc_text(start - _HISTORY_S), utc_text(start)
    rows = calls_before(registry, look.prompt, look.channel, digest, since, until)
    words = any(gauge.from_outcomes for gauge in mine.values())
    said = read_call_outcomes(registry, [row["seq"] for row in rows]) if words else {}
    timeout = look.plan.observe.call_timeout
    calls = [logged_call(row, said.get(row["seq"], ()), dead=False, timeout=timeout) for row in rows]
    return {name: _prior(gauge, calls) for name, gauge in mine.items()}


def _prior(gauge: MetricReader, calls: Sequence[LoggedCall]) -> Prior:
    values = [v for call in calls if isinstance(v := gauge.value(call, over=True), float)]
    if not values:
        return NO_HISTORY
    return prior_from_history(0.5 if gauge.metric.kind == "ratio" else sum(values) / len(values))
