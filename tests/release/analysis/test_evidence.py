"""No choice of calls after they were assigned, and no word that the calls do not bear out."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from promptops.config.clock import utc_text
from promptops.config.registry_location import RegistryLocation
from promptops.errors import Invalid
from promptops.registry import add_outcome
from promptops.release.analysis import build_evidence
from promptops.release.analysis.verify import verify_evidence
from promptops.release.plan.types import Alpha, PlanMetric, PlanStep
from promptops.release.rules import Move, decide_transition
from promptops.stats.verdicts import Verdict
from support.logged_runs import a_failure, an_end, check
from support.rollouts import CHECKS, DAY, ERRORS, LATENCY, ROLLOUT, START, Traffic, a_plan, of


@pytest.fixture
def traffic(location: RegistryLocation) -> Iterator[Traffic]:
    made = Traffic(location)
    with made.registry:
        yield made


def test_an_answer_from_the_cache_counts_with_its_checks_and_without_its_time(traffic: Traffic) -> None:
    spent = replace(LATENCY, name="spent", source="run.spent_usd")
    slow = replace(ERRORS, name="slow", source="run.latency_ms > 1")
    cost = replace(LATENCY, name="cost", source="run.cost_list_usd")
    fields = {"cost_list_usd": 0.01, "spent_usd": 0.0, "latency_ms": 5.0}
    for canary in (True, False):
        traffic.call(an_end(cache_source="01X", checks=[check(passed=canary)], **fields), canary=canary)
        traffic.call(an_end(checks=[check()], **fields), canary=canary)
    found = traffic.observe(a_plan(ERRORS, CHECKS, LATENCY, slow, spent, cost))
    assert (found.calls, found.canary_calls, dict(found.excluded)) == (4, 2, {})
    counted = {each.metric.name: (each.canary_calls, each.stable_calls) for each in found.metrics}
    assert counted == {
        "error_rate": (2, 2), "checks": (2, 2), "cost": (2, 2),
        "latency": (1, 1), "slow": (1, 1), "spent": (1, 1),
    }  # fmt: skip
    assert (of(found, "checks").canary_mean, of(found, "checks").stable_mean) == (0, 0.5)


@pytest.mark.parametrize("source", ["outcome.correct", "judge.tone", "run.output_tokens < 1"])
def test_a_call_that_failed_is_bad_and_is_not_left_out(traffic: Traffic, source: str) -> None:
    metric = replace(ERRORS, name="m", source=source, worse="lower" if "." in source[:8] else "higher")
    metric = replace(metric, worse="higher" if source.startswith("run") else "lower", window=DAY)
    for canary in (True, False):
        run = traffic.call(a_failure(output_tokens=None), canary=canary)
        if source == "outcome.correct" and canary:  # what stable answered in its place was right
            add_outcome(traffic.registry, run, "correct", 1, occurred_at=utc_text(traffic.clock))
    found = of(traffic.observe(a_plan(metric), START + 3 * DAY), "m")
    assert (found.canary_mean, found.stable_mean, found.canary_missing) == (1.0, 1.0, 0)


def test_the_size_of_a_call_that_failed_is_missing(traffic: Traffic) -> None:
    tokens = replace(LATENCY, name="tokens", source="run.output_tokens")
    for number in range(400):
        canary, failed = number % 2 == 0, number % 4 == 0
        traffic.call(a_failure(output_tokens=None) if failed else an_end(output_tokens=9), canary=canary)
    found = of(traffic.observe(a_plan(tokens)), "tokens")
    assert (found.canary_missing, found.stable_missing, found.unequal_missing) == (100, 0, True)


@pytest.mark.parametrize(("source", "heard"), [("check.max_words", True), ("check.polite", False)])
def test_where_missing_is_good_somebody_has_to_have_said_something(
    traffic: Traffic, source: str, heard: bool
) -> None:
    metric = replace(ERRORS, name="m", source=source, worse="lower", missing="good")
    for canary in (True, False):
        traffic.call(an_end(checks=[check("max_words")]), canary=canary)
    assert traffic.observe(a_plan(metric)).unheard == (() if heard else ("m",))


# What a verdict rests on


def test_calls_without_a_loss_are_no_evidence_on_whichever_arm_they_fall(traffic: Traffic) -> None:
    """0 of 18 was once rolled back against 0 of 182."""
    for number in range(400):
        traffic.call(an_end(), canary=number > 340, weight_bp=1000)
    errors = of(traffic.observe(a_plan()), "error_rate")
    assert (errors.log_e_worse, errors.worse, errors.verdict) == (0.0, False, Verdict.UNDECIDED)
    assert errors.sentence.startswith("v13 failed in 0 of 59 calls, v12 in 0 of 341: ")


def test_harm_that_the_counts_do_not_show_any_more_rolls_nothing_back(traffic: Traffic) -> None:
    traffic.calls(60, lambda canary: 0.6 if canary else 0.0)
    found = traffic.observe(a_plan())
    assert found.harm == ("error_rate",)
    traffic.calls(300, lambda canary: 0.0 if canary else 0.6)
    found = traffic.observe(a_plan())
    errors = of(found, "error_rate")
    assert errors.difference
    assert errors.difference.value < 0
    assert (found.harm, errors.worse) == ((), False)


@pytest.mark.parametrize("metric", [ERRORS, LATENCY], ids=["losses", "ratio"])
def test_not_worse_has_to_hold_when_it_promotes(traffic: Traffic, metric: PlanMetric) -> None:
    plan = a_plan(metric, alpha=Alpha(rollback=1e-9))

    def calls(count: int, factor: float) -> None:
        for number in range(count):
            canary = number % 2 == 0
            bad = metric is ERRORS and number % 20 == 0 and factor > 1
            latency = (100 + number % 7) * (factor if canary else 1)
            traffic.call(a_failure() if bad else an_end(latency_ms=latency), canary=canary)

    calls(500, 1)
    assert all(each.not_worse for each in traffic.observe(plan).metrics)
    calls(800, 1.5)
    assert not any(each.not_worse for each in traffic.observe(plan).metrics)


def test_a_group_says_that_one_of_its_guards_is_worse_and_which_is_likeliest(traffic: Traffic) -> None:
    slow = replace(ERRORS, name="slow", source="run.latency_ms > 100")
    plan, found = a_plan(slow, CHECKS, replace(CHECKS, name="tone")), None
    for number in range(400):
        canary = number % 2 == 0
        passed, latency = not (canary and number % 12 == 0), 50.0 if canary or number % 3 else 500.0
        traffic.call(an_end(checks=[check(passed=passed)], latency_ms=latency), canary=canary)
        found = traffic.observe(plan, bounds=True) if number % 12 == 0 else found
        if found and found.harm:
            break
    assert found
    assert found.harm == ("checks",)
    checks_found = of(found, "checks")
    assert (checks_found.worse, checks_found.verdict) == (False, Verdict.UNDECIDED)
    assert checks_found.sentence.startswith(
        "one of slow, checks, tone is worse (95 %), most likely checks: v13 failed checks in "
    )
    due = decide_transition(ROLLOUT, plan, found, START).transition
    assert due
    assert (due.move, due.reason) == (Move.ROLLBACK, checks_found.sentence)
    evidence = build_evidence(ROLLOUT, found)
    assert verify_evidence(traffic.registry, evidence, plan) == []


def test_the_calls_that_are_needed_count_each_step_by_its_own_weight(traffic: Traffic) -> None:
    """At 5 % a call brings a tenth of what it brings at 50 %; two hundred canary calls are due there."""
    steps = (PlanStep(weight_bp=500, min_canary=200), PlanStep(weight_bp=5000))
    at_five = replace(ROLLOUT, weight_bp=500)
    traffic.calls(1_000, lambda _: 0.05, weight_bp=500)
    first = of(traffic.observe(a_plan(ERRORS, steps=steps), rollout=at_five), "error_rate").calls_needed
    then = replace(ROLLOUT, step=1)
    second = of(traffic.observe(a_plan(ERRORS, steps=steps), rollout=then), "error_rate").calls_needed
    assert first is not None
    assert second is not None
    assert first > second + 2_500  # about 3,000 more calls until the canary has its two hundred


def test_a_rollout_keeps_the_engine_that_it_began_with(traffic: Traffic) -> None:
    traffic.calls(100, lambda _: 0.1)
    old = traffic.observe(a_plan(), committed={"calls": 10})  # evidence that names no engine
    assert old.proof["engine"] == 1
    traffic.calls(100, lambda _: 0.1)
    again = traffic.observe(a_plan())
    assert again.proof["engine"] == 1
    assert of(again, "error_rate").log_e_worse != 0.0
    for found in (old, again):
        assert verify_evidence(traffic.registry, build_evidence(ROLLOUT, found), a_plan()) == []
    assert verify_evidence(traffic.registry, {**build_evidence(ROLLOUT, again), "engine": 2}, a_plan())
    for engine in (3, True, 1.0):
        with pytest.raises(Invalid, match=f"made by engine {engine}"):
            verify_evidence(traffic.registry, {**build_evidence(ROLLOUT, again), "engine": engine}, a_plan())
