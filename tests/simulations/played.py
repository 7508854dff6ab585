"""Whole rollouts through the product: calls are logged in a registry, looked at as ``tick`` does, and moved.

A call a second. Like ``worlds``, each function plays one rollout from a seed, the same on every machine.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from promptops.config.clock import utc_text
from promptops.registry import FinishedRun, RegistryDatabase, RunOutcome, StartedRun, import_outcomes
from promptops.release.analysis import analyze_rollout
from promptops.release.plan.types import PlanMetric, PlanStep, ReleasePlan
from promptops.release.rules import Move, apply_transition, decide_transition, start_rollout
from promptops.stats.eprocess import Hypothesis, log_threshold
from promptops.stats.two_arm import TwoArmTest
from promptops.versions.release_state import ChannelState, ReleasedVersion
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end
from support.rollouts import ERRORS, THUMBS

START = 1_780_000_000.0  # seconds since the epoch
STABLE, CANARY = ReleasedVersion("v12", DIGEST), ReleasedVersion("v13", OTHER_DIGEST)
PROMPT, CHANNEL = "support/triage", "production"
_HISTORY = 300  # calls of stable before the rollout
_TICK = 50  # calls
_WINDOW_S = 120.0
SLOW = 110.0  # seconds that the good answers of a slow canary take


def errors(margin: float) -> PlanMetric:
    return replace(ERRORS, margin=margin)


SHORT_THUMBS = replace(THUMBS, window=_WINDOW_S)
RAMP = (
    PlanStep(weight_bp=500, min_canary=25),
    PlanStep(weight_bp=2500, min_canary=100),
    PlanStep(weight_bp=5000),
)
THIRDS = (
    PlanStep(weight_bp=500, min_canary=50),
    PlanStep(weight_bp=2500, min_canary=250),
    PlanStep(weight_bp=5000),
)


def a_plan(*metrics: PlanMetric, steps: tuple[PlanStep, ...] = RAMP) -> ReleasePlan:
    return ReleasePlan(name="p", digest="1f" * 32, unit="call", steps=steps, metrics=metrics, deadline=None)


@dataclass(slots=True)
class World:
    """``rate``: the chance that call number n fails, by arm."""

    seed: int
    plan: ReleasePlan
    rate: Callable[[int, bool], float]
    draw: Callable[[], float] = field(init=False)
    registry: RegistryDatabase = field(init=False)
    state: ChannelState = field(init=False)

    def __post_init__(self) -> None:
        self.draw = random.Random(self.seed).random
        self.registry = RegistryDatabase.in_memory()
        self.state = ChannelState(
            stable=STABLE, rollout=start_rollout("r-1", CANARY, self.plan, "salt", START)
        )
        before = [self.call(number - _HISTORY, served=False) for number in range(_HISTORY)]
        self.registry.record(before)

    def call(self, number: int, *, served: bool = True) -> tuple[StartedRun, FinishedRun]:
        """The next call of the rollout, or one of stable before it."""
        rollout, at = self.state.rollout, utc_text(START + number)
        canary = served and rollout is not None and self.draw() * 10_000 < rollout.weight_bp
        run = a_run(
            started_at=at,
            channel=CHANNEL,
            digest=OTHER_DIGEST if canary else DIGEST,
            run_id=f"{self.seed}.{number}",
        )
        if served and rollout:
            arm = "canary" if canary else "stable"
            run = replace(run, rollout=rollout.id, arm=arm, weight_bp=rollout.weight_bp)
        failed = self.draw() < self.rate(max(0, number), canary)
        return run, (a_failure if failed else an_end)(finished_at=at)

    def tick(self, now: float) -> Move | None:
        """What ``tick`` does, without git."""
        rollout = self.state.rollout
        if rollout is None or self.state.stable is None:
            return None
        found = analyze_rollout(
            self.registry, rollout, PROMPT, CHANNEL, self.plan, now, bounds=False, stable=self.state.stable
        )
        due = decide_transition(rollout, self.plan, found, now).transition
        if due:
            self.state = apply_transition(self.state, due, now)
        return due.move if due else None

    def until(self, horizon: int, *ends: Move) -> int | None:
        """Calls until one of these moves is made; None where another one ends the rollout, or none does."""
        for first in range(0, horizon, _TICK):
            self.registry.record([self.call(number) for number in range(first, first + _TICK)])
            move = self.tick(START + first + _TICK)
            if move in ends:
                return first + _TICK
            if self.state.rollout is None:
                return None
        return None


def false_promotion(seed: int, stable: float, canary: float, margin: float, horizon: int) -> int | None:
    """Calls until a canary that is worse by just the margin has come through its whole plan."""
    world = World(seed, a_plan(errors(margin)), lambda _, arm: canary if arm else stable)
    return world.until(horizon, Move.PROMOTE)


def drifting_ramp(seed: int, horizon: int) -> int | None:
    """Calls until equal arms are rolled back or void, while the base rate drifts from 2 to 20 % in a ramp."""
    world = World(seed, a_plan(errors(0.02), steps=THIRDS), lambda n, _: 0.02 + 0.18 * n / horizon)
    return world.until(horizon, Move.ROLLBACK, Move.INVALIDATE)


def slower_canary(seed: int, horizon: int) -> int | None:
    """Calls until a canary that fails as often and answers later is rolled back; failures come at once."""
    world = World(seed, a_plan(errors(0.02), steps=(PlanStep(weight_bp=5000),)), lambda *_: 0.1)
    under_way: list[tuple[float, str, FinishedRun]] = []
    for number in range(horizon):
        run, end = world.call(number)
        world.registry.start(run)
        under_way.append((number + _took(run, end), run.run_id, end))
        if number % 10 == 9:
            under_way = _ended(world.registry, under_way, number)
            if world.tick(START + number) is Move.ROLLBACK:
                return number
    return None


def _took(run: StartedRun, end: FinishedRun) -> float:
    """Seconds."""
    if end.error_type:
        return 1.0
    return SLOW if run.arm == "canary" else 2.0


def _ended(
    registry: RegistryDatabase, under_way: list[tuple[float, str, FinishedRun]], number: int
) -> list[tuple[float, str, FinishedRun]]:
    registry.finish_all([(run, end) for at, run, end in under_way if at <= number])
    return [each for each in under_way if each[0] > number]


def slower_canary_as_it_ends(seed: int, horizon: int) -> int | None:
    """The same calls scored in the order in which they end, by the same engine."""
    draw = random.Random(seed).random
    test, ended = TwoArmTest(Hypothesis.WORSE, 0.0), []
    for number in range(horizon):
        canary, failed = draw() < 0.5, draw() < 0.1
        ended.append((number + (1.0 if failed else SLOW if canary else 2.0), canary, float(failed)))
    for at, canary, loss in sorted(ended):
        if at > horizon:
            break
        test.update(canary, 0.5, loss)
        if test.wealth.highest >= log_threshold(0.05):
            return math.ceil(at)
    return None


def instant_and_delayed(seed: int, horizon: int) -> int | None:
    """Calls until equal arms are rolled back: errors are known at once, most thumbs only much later."""
    world = World(seed, a_plan(errors(0.02), SHORT_THUMBS), lambda *_: 0.05)
    waiting: list[tuple[float, RunOutcome]] = []
    for first in range(0, horizon, _TICK):
        calls = [world.call(number) for number in range(first, first + _TICK)]
        world.registry.record(calls)
        waiting += [each for run, end in calls for each in _thumbs(world, run, end)]
        now = START + first + _TICK
        due = [each for at, each in waiting if at <= now]
        waiting = [each for each in waiting if each[0] > now]
        import_outcomes(world.registry, "thumbs", list(enumerate(due)))
        if world.tick(now) in (Move.ROLLBACK, Move.INVALIDATE):
            return first
        if world.state.rollout is None:
            return None
    return None


def _thumbs(world: World, run: StartedRun, end: FinishedRun) -> list[tuple[float, RunOutcome]]:
    """Who got an error is annoyed at once; of the others a few say so within four minutes, some too late."""
    if not end.error_type and world.draw() > 0.1:
        return []
    number = float(run.run_id.partition(".")[2])
    at = START + number + (1.0 if end.error_type else 240.0 * world.draw())
    return [(at, RunOutcome(run_id=run.run_id, name="thumbs", value=-1.0, occurred_at=utc_text(at)))]
