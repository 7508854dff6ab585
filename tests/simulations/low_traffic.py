"""Rollouts at 200 calls a day by the built-in plans: the product's tests and rules, without a registry.

Errors 1 %, checks pass 95 % unless said, 5 % of calls are in the tail of latency. Like ``worlds``, a seed
gives the same rollout on every machine.
"""

import random
from dataclasses import replace

from promptops.config.clock import format_timestamp
from promptops.release.analysis.findings import Findings
from promptops.release.analysis.rollout_tests import RolloutTests, new_tests
from promptops.release.analysis.verdicts import evaluate_metrics
from promptops.release.plan import ReleasePlan, decode_plan
from promptops.release.plan.defaults import BUILT_IN
from promptops.release.plan.tail_guards import with_tail_guards
from promptops.release.rules import Move, apply_transition, decide_transition, start_rollout
from promptops.release.steps import position_at
from promptops.stats.sequential_pairs import SequentialPairedTest
from promptops.stats.two_arm import prior_from_history
from promptops.versions.release_state import ChannelState, ReleasedVersion, Rollout

START = 1_780_000_000.0  # seconds since the epoch
STABLE, CANARY = ReleasedVersion("v12", "4c1d" * 16), ReleasedVersion("v13", "90be" * 16)
PER_DAY = 200
_DAY_S = 86_400.0
_TICK = 50  # calls
_ERRORS, _FAILED_CHECKS, _SLOW = 0.01, 0.05, 0.05
_TAIL = {"latency": 2_000.0}  # milliseconds
_DISCORDANT = 0.06  # pairs of equal versions of which one side fails


def first_end(seed: int, name: str, passes: float) -> int | None:
    """Calls until the canary is promoted, negative until it is rolled back; None: neither within 14 days.

    ``passes``: the share of the canary's calls that pass their checks. The shadow phase is taken as passed.
    """
    plan = _plan(name)
    draw = random.Random(seed).random
    phase, step, weight = position_at(plan, 0, 0)
    rollout = start_rollout("r-1", CANARY, plan, "salt", START)
    rollout = replace(rollout, phase=phase, step=step, weight_bp=weight)
    state = ChannelState(stable=STABLE, rollout=rollout)
    rates = {"error_rate": _ERRORS, "checks": _FAILED_CHECKS, "latency_tail": _SLOW}
    tests = new_tests(plan, {each: prior_from_history(rate) for each, rate in rates.items()})
    step_calls = step_canary_calls = 0
    calls: list[tuple[bool, int]] = []
    values: dict[str, list[float]] = {each: [] for each in rates}
    for number in range(1, 14 * PER_DAY + 1):
        weight_bp = rollout.weight_bp
        canary = draw() * 10_000 < weight_bp
        failed = draw() < _ERRORS
        failed_checks = (
            failed or draw() * (1 - _ERRORS) < (1 - passes if canary else _FAILED_CHECKS) - _ERRORS
        )
        calls.append((canary, weight_bp))
        values["error_rate"].append(float(failed))
        values["checks"].append(float(failed_checks))
        values["latency_tail"].append(float(draw() < _SLOW))
        tests.ratio.update(canary, weight_bp / 10_000)
        step_calls, step_canary_calls = step_calls + 1, step_canary_calls + canary
        if number % _TICK:
            continue
        tests.instant.add_all(calls, values)
        calls, values = [], {each: [] for each in rates}
        now = START + number / PER_DAY * _DAY_S
        due = decide_transition(
            rollout, plan, _findings(tests, rollout, step_calls, step_canary_calls), now
        ).transition
        if due is None:
            continue
        state = apply_transition(state, due, now)
        if state.rollout is None:
            return number if due.move is Move.PROMOTE else -number
        rollout, step_calls, step_canary_calls = state.rollout, 0, 0
    return None


def _plan(name: str) -> ReleasePlan:
    """A built-in plan with its binary guards, from its first step on."""
    metrics = [each for each in BUILT_IN[name]["metrics"] if each["name"] != "cost"]
    plan = with_tail_guards(decode_plan(name, {"eval": None, "metrics": metrics, "deadline": "15d"}), _TAIL)
    binary = tuple(each for each in plan.metrics if each.kind == "binary")
    assert [each.name for each in binary] == ["error_rate", "checks", "latency_tail"]
    return replace(plan, metrics=binary)


def _findings(tests: RolloutTests, rollout: Rollout, calls: int, canary_calls: int) -> Findings:
    return Findings(
        registry="",
        registry_path="",
        calls=tests.ratio.calls,
        canary_calls=tests.ratio.canary_calls,
        step_calls=calls,
        step_canary_calls=canary_calls,
        step_started=format_timestamp(START),
        sample_ratio_alarm=tests.ratio.alarmed(0.001),
        **evaluate_metrics(tests, rollout, "v13", "v12", {}),
    )


def shadow_phase(seed: int) -> int | None:
    """Pairs until equal versions are not worse by the margin of ``shadow-first``, within its sample."""
    gate = decode_plan("shadow-first", {}).shadow
    assert gate is not None
    draw = random.Random(seed).random
    test = SequentialPairedTest(gate.effective_margin)
    for pair in range(1, gate.sample + 1):
        at = draw()
        test.add(1.0 if at < _DISCORDANT / 2 else -1.0 if at < _DISCORDANT else 0.0)
        if pair >= gate.min_pairs and test.within_margin:
            return pair
    return None
