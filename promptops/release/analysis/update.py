"""One rollout's tests brought up to date: settled calls are scored in assignment order, and kept."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from time import monotonic

from promptops.config.clock import utc_text
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.log import PackageLogger
from promptops.registry import (
    Exposure,
    RegistryDatabase,
    calls_before,
    column,
    count_calls_since,
    count_exposure,
    decode_analysis_state,
    delete_observations,
    load_analysis_state,
    load_analysis_text,
    pruned_calls,
    read_call_outcomes,
    read_observations,
    save_analysis_state,
    save_exposure,
)
from promptops.release.analysis.metric_tests import ALL_BP, ENGINE
from promptops.release.analysis.rollout_tests import (
    RolloutTests,
    StepCalls,
    metric_signatures,
    new_tests,
    priors_from,
    stored_engine,
)
from promptops.release.analysis.scoring import (
    CallBatch,
    MetricReader,
    MetricValue,
    NoValue,
    metric_readers,
)
from promptops.release.analysis.scoring_pass import ScoringPass, StoredValues
from promptops.release.plan.types import ReleasePlan
from promptops.release.timestamps import parse_timestamp
from promptops.stats.two_arm import NO_HISTORY, Prior, prior_from_history
from promptops.versions.release_state import ReleasedVersion, Rollout

STATE = "state"
PROGRESS_S = 2.0  # between two messages of how far a long log has been scored
_LOG = PackageLogger("promptops.release")
_HISTORY_S = 30 * 86_400.0


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


@dataclass(frozen=True, slots=True)
class ScoredSlice:
    """The tests behind one slice of the log; ``more``: there may be more to score."""

    tests: RolloutTests
    exposure: Exposure
    more: bool


Turn = AbstractContextManager[object]


def update_tests(registry: RegistryDatabase, look: AnalysisRequest) -> RolloutTests:
    """Score what can be scored, slice by slice; the tests as they stand then."""
    reported = monotonic()
    while True:
        scored = score_slice(registry, look)
        if not scored.more:
            return scored.tests
        if monotonic() - reported > PROGRESS_S:
            reported = monotonic()
            _LOG.info(f"{look.prompt}:{look.channel}: {scored.tests.instant.calls:,} calls scored so far")


def score_slice(
    registry: RegistryDatabase, look: AnalysisRequest, turn: Callable[[], Turn] = nullcontext
) -> ScoredSlice:
    """Score the next few thousand calls, and keep that: whoever goes on goes on from there.

    ``turn``: what is waited for before anything is written.

    Reading and computing keep nobody from writing. What somebody else has scored meanwhile is not scored
    twice: the slice is dropped, and the next one begins behind theirs.
    """
    while True:
        with registry.snapshot():
            before = load_analysis_text(registry, look.rollout.id, STATE)
            current = _open_pass(registry, look, before)
            if current:
                scored = _advance(registry, look, current)
        if current is None:
            with turn(), registry.transaction():
                current = _rebuild_pass(registry, look)
                return _keep(registry, look, current, _advance(registry, look, current))
        with turn(), registry.transaction():
            if load_analysis_text(registry, look.rollout.id, STATE) == before:
                return _keep(registry, look, current, scored)


def _advance(registry: RegistryDatabase, look: AnalysisRequest, current: ScoringPass) -> ScoredSlice:
    rollout = look.rollout.id
    current.exposure = count_exposure(registry, rollout, through=current.tests.instant.watermark)
    more = current.advance()
    exposure = current.exposure if more else count_exposure(registry, rollout, current.exposure)
    return ScoredSlice(current.tests, exposure, more)  # at the end of the moment of the verdicts


def _keep(
    registry: RegistryDatabase, look: AnalysisRequest, current: ScoringPass, scored: ScoredSlice
) -> ScoredSlice:
    current.store()
    state, rollout = scored.tests.to_json(), look.rollout.id
    save_analysis_state(registry, rollout, STATE, state, scored.tests.instant.watermark)
    save_exposure(registry, rollout, scored.exposure)
    return scored


def _open_pass(registry: RegistryDatabase, look: AnalysisRequest, stored: str | None) -> ScoringPass | None:
    """What goes on from the stored state. None: it has to be made again, from stored observations."""
    state, plan = decode_analysis_state(stored), look.plan
    if state and state.get("plan") == plan.digest:
        # what is damaged is made again, from the observations that are stored
        with suppress(Invalid, KeyError, TypeError, ValueError, AttributeError):
            tests = RolloutTests.from_json(plan, state)
            _count_step(registry, look, tests)
            return ScoringPass(registry, look.rollout, plan, look.now, tests, metric_readers(plan.metrics))
    if stored is None and not _stored_values(registry, look.rollout.id, plan):
        return _rebuild_pass(registry, look)  # which then reads alone
    return None


def _count_step(registry: RegistryDatabase, look: AnalysisRequest, tests: RolloutTests) -> None:
    """Count the calls of a step that has begun since the last look."""
    started = utc_text(parse_timestamp(look.rollout.step_started))
    if tests.step.started != started:
        counts = count_calls_since(registry, look.rollout.id, started, tests.instant.watermark)
        tests.step = StepCalls(started, *counts)


def _rebuild_pass(registry: RegistryDatabase, look: AnalysisRequest) -> ScoringPass:
    """New tests; values that were stored under an earlier plan stay, where they mean the same."""
    rollout, plan = look.rollout, look.plan
    before = load_analysis_state(registry, rollout.id, STATE) or {}
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
    made.tests.step = StepCalls(utc_text(parse_timestamp(rollout.step_started)))
    for seq, arm, weight_bp in pruned_calls(registry, rollout.id):
        _replay(made.tests, known, seq, arm == "canary", weight_bp)
    while known and made.advance():  # in this one transaction: what is stored is looked up only now
        made.store()
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
    for window_group in tests.window_groups:
        stored = {name: known[name, seq] for name in window_group.metrics if (name, seq) in known}
        values: dict[str, MetricValue] = {
            name: NoValue.MISSING if each is None else each for name, each in stored.items()
        }
        if values or window_group is tests.instant:
            window_group.add_all([(canary, weight_bp)], {name: [value] for name, value in values.items()})
    tests.ratio.update(canary, weight_bp / ALL_BP)


def _priors(
    registry: RegistryDatabase, look: AnalysisRequest, mine: Mapping[str, MetricReader]
) -> dict[str, Prior]:
    """Stable's mean loss over the last 30 days before the rollout, metric by metric."""
    start, digest = parse_timestamp(look.rollout.started), look.stable.digest if look.stable else None
    since, until = utc_text(start - _HISTORY_S), utc_text(start)
    rows = calls_before(registry, look.prompt, look.channel, digest, since, until)
    words = any(gauge.from_outcomes for gauge in mine.values())
    outcomes = read_call_outcomes(registry, column(rows, "seq")) if words else {}
    calls = CallBatch(rows, [False] * len(rows), outcomes, look.plan.observe.call_timeout)
    return {name: _prior(gauge, calls) for name, gauge in mine.items()}


def _prior(gauge: MetricReader, calls: CallBatch) -> Prior:
    values = gauge.known_before(calls)
    if not values:
        return NO_HISTORY
    return prior_from_history(0.5 if gauge.metric.kind == "ratio" else sum(values) / len(values))
