"""One pass over the next calls of a rollout: what has settled of them is scored in assignment order."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import compress

from promptops.config.clock import utc_now, utc_text
from promptops.dataclass import dataclass
from promptops.registry import (
    CALL_METRIC,
    LATE_PREFIX,
    Exposure,
    LogRow,
    ObservationBlock,
    RegistryDatabase,
    add_exposed,
    calls_after,
    column,
    exclusion_reasons,
    filter_ended_calls,
    last_outcome_id,
    outcomes_after,
    read_call_outcomes,
    save_observations,
    tags_of,
)
from promptops.release.analysis.metric_tests import ALL_BP
from promptops.release.analysis.rollout_tests import RolloutTests, WindowGroup
from promptops.release.analysis.scoring import (
    CallBatch,
    MetricReader,
    MetricValue,
    NoValue,
    are_all_known,
    range_error,
)
from promptops.release.analysis.start_times import StartTimes
from promptops.release.plan.types import ReleasePlan
from promptops.versions.release_state import Rollout

_CHUNK = 10_000  # calls scored in one pass
_SMALL_CHUNK = 64
_MAX_FAULTS = 5
StoredValues = Mapping[tuple[str, int], float | None]


@dataclass(slots=True)
class ScoringPass:
    """Reads the log and adds to ``tests``; what is to be stored is left in ``scored``.

    ``known``: values that were scored before and stay.
    """

    registry: RegistryDatabase
    rollout: Rollout
    plan: ReleasePlan
    now: float
    tests: RolloutTests
    readers: Mapping[str, MetricReader]
    known: StoredValues = field(default_factory=dict)
    scored: list[ObservationBlock] = field(default_factory=list)
    exposure: Exposure = field(default_factory=Exposure)

    def advance(self) -> bool:
        """Score the next settled calls of every group; False when all that can be scored is."""
        self._record_late()
        more = [self._advance_group(window_group) for window_group in self.tests.window_groups]
        self.tests.last_outcome = last_outcome_id(self.registry)
        return any(more)

    def store(self) -> None:
        """Keep what has been scored."""
        save_observations(self.registry, self.rollout.id, self.scored, utc_now())
        self.scored.clear()

    def _advance_group(self, window_group: WindowGroup) -> bool:
        """Most looks at a group that waits for outcomes find nothing settled: they read a few rows only."""
        limits = (_CHUNK,) if window_group is self.tests.instant else (_SMALL_CHUNK, _CHUNK)
        return all(self._score(window_group, limit) for limit in limits)

    def _score(self, window_group: WindowGroup, limit: int) -> bool:
        """Score what has settled of the next rows; whether that was all of them, and there may be more."""
        rows = calls_after(
            self.registry,
            self.rollout.id,
            window_group.watermark,
            limit=limit,
            measured={self.readers[name].column for name in window_group.metrics},
        )
        reasons = exclusion_reasons(rows, by_unit=self.plan.unit != "call")
        counted = [at for at, reason in enumerate(reasons) if reason is None]
        calls, ended = self._ended_calls(window_group, rows, counted)
        values = self._settled_values(window_group, calls)
        count = min((len(each) for each in values.values()), default=len(calls.rows))
        settled = counted[count] if count < len(calls.rows) else ended
        if count:
            self._add(window_group, calls, {name: each[:count] for name, each in values.items()}, count)
        if settled:
            window_group.watermark = rows[settled - 1]["seq"]
        if window_group is self.tests.instant:
            self.exposure = add_exposed(self.exposure, rows[:settled])
            self.tests.waiting = sum(at >= settled for at in counted)
            for reason in reasons[:settled] if len(counted) < len(rows) else ():
                if reason is not None:
                    self.tests.excluded[reason] = self.tests.excluded.get(reason, 0) + 1
        return settled == limit

    def _ended_calls(
        self, window_group: WindowGroup, rows: Sequence[LogRow], counted: Sequence[int]
    ) -> tuple[CallBatch, int]:
        """Calls that count up to the first that is under way, and how many rows stand before that one."""
        timeout, begun = self.plan.observe.call_timeout, self._start_times()
        given_up, dead, ended = utc_text(self.now - timeout), [], len(rows)
        states = column(rows, "state")
        for at in counted:
            started = states[at] == "started"
            if started and not begun.by(rows[at], given_up):
                ended = at
                break
            dead.append(started)
        mine = [rows[at] for at in counted[: len(dead)]]
        asked = any(self.readers[name].from_outcomes for name in window_group.metrics)
        outcomes = read_call_outcomes(self.registry, column(mine, "seq")) if asked else {}
        return CallBatch(mine, dead, outcomes, timeout, self._tags(mine)), ended

    def _tags(self, rows: Sequence[LogRow]) -> Mapping[int, Sequence[str]]:
        if not any(each.tag for each in self.plan.metrics):
            return {}
        return tags_of(self.registry, column(rows, "seq"))

    def _start_times(self) -> StartTimes:
        return StartTimes(self.registry, self.rollout.id, utc_text(self.now))

    def _settled_values(
        self, window_group: WindowGroup, calls: CallBatch
    ) -> dict[str, Sequence[MetricValue]]:
        """Each metric's values up to the first that may yet change."""
        wait = self.plan.observe.call_timeout if window_group.window is None else window_group.window
        over = utc_text(self.now - wait)
        return {name: self._settle(self.readers[name], calls, over) for name in window_group.metrics}

    def _settle(self, gauge: MetricReader, calls: CallBatch, over: str) -> Sequence[MetricValue]:
        values, name, begun = gauge.values(calls), gauge.metric.name, self._start_times()
        self._find_range_errors(gauge, calls)
        if not self.known and are_all_known(values):
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
        self,
        window_group: WindowGroup,
        calls: CallBatch,
        values: Mapping[str, Sequence[MetricValue]],
        count: int,
    ) -> None:
        seqs, arms, weights_bp = (calls.column(name)[:count] for name in ("seq", "arm", "weight_bp"))
        assigned = list(zip([arm == "canary" for arm in arms], weights_bp, strict=True))
        window_group.add_all(assigned, values)
        for name, each in values.items():
            if are_all_known(each):
                self.scored.append(ObservationBlock(name, seqs, arms, weights_bp, each))
                continue
            due = [value is not NoValue.NOT_DUE for value in each]
            columns = (list(compress(values, due)) for values in (seqs, arms, weights_bp, map(_loss, each)))
            self.scored.append(ObservationBlock(name, *columns))
        if window_group is self.tests.instant:
            self.tests.open += compress(seqs, calls.dead)
            self.tests.ratio.update_all((canary, bp / ALL_BP) for canary, bp in assigned)
            if self.plan.unit != "call":
                self.tests.without_unit += sum(calls.column("without_unit")[:count])
            self.tests.step.add(assigned, calls.column("started_at"))
            self.scored.append(ObservationBlock(CALL_METRIC, seqs, arms, weights_bp))

    def _find_range_errors(self, gauge: MetricReader, calls: CallBatch) -> None:
        if gauge.metric.kind != "score" or not calls.outcomes:
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
        through = max(window_group.watermark for window_group in self.tests.window_groups)
        if by_source and through:  # else nothing can be late, and a long log of outcomes is not read through
            rows = outcomes_after(self.registry, self.rollout.id, self.tests.last_outcome, through=through)
            for row in rows:
                if name := by_source.get((row["source"], row["name"])):
                    self._record_late_value(name, row)
        if self.tests.open and (ended := filter_ended_calls(self.registry, self.tests.open)):
            self.tests.open = [seq for seq in self.tests.open if seq not in ended]
            for name, tests in self.tests.instant.metrics.items():
                tests.late += len(ended) * (self.readers[name].source.place == "run")

    def _record_late_value(self, name: str, row: LogRow) -> None:
        window_group, tests = self.tests.of(name)
        if row["seq"] <= window_group.watermark and row["weight_bp"]:
            tests.late += 1
            late = ([row[key]] for key in ("seq", "arm", "weight_bp", "value"))
            self.scored.append(ObservationBlock(LATE_PREFIX + name, *late))


def _loss(value: MetricValue) -> float | None:
    return value if isinstance(value, float) else None
