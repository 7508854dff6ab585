"""What counts as an observation, and that nothing else does."""

import json
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.config.registry_location import RegistryLocation
from promptops.registry import EvalRecord, RegistryDatabase, add_outcome, is_sampled, open_breaker, save_evals
from promptops.release.analysis import load_findings
from promptops.release.analysis.eval_gate import eval_gate
from promptops.release.analysis.forecast import (
    ChannelHistory,
    Forecast,
    forecast_rollout,
    read_channel_history,
)
from promptops.release.analysis.scoring import CallBatch
from promptops.release.plan.types import PlanEvalGate, PlanMetric, PlanShadowGate, PlanStep, ReleasePlan
from promptops.stats.verdicts import Verdict
from support.engines import NewLocation
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end, check
from support.rollouts import CANARY, CHECKS, DAY, ERRORS, LATENCY, ROLLOUT, START, THUMBS, Traffic, a_plan, of


@pytest.fixture
def traffic(location: RegistryLocation) -> Iterator[Traffic]:
    made = Traffic(location)
    with made.registry:
        yield made


def test_harm_is_found_attributed_and_said_with_both_versions(traffic: Traffic) -> None:
    traffic.calls(400, lambda canary: 0.5 if canary else 0.05)
    found = traffic.observe(a_plan(ERRORS, LATENCY), bounds=True)
    assert found.harm == ("error_rate",)
    errors = of(found, "error_rate")
    assert errors.verdict is Verdict.WORSE
    assert errors.sentence.startswith("v13 failed in 91 of 198 calls, v12 in 14 of 202: at least ")
    assert errors.sentence.endswith(" points more often (95 %); limit 5")
    assert errors.bounds
    assert errors.bounds.low > 0
    assert not of(found, "latency").worse


def test_a_good_canary_is_not_worse_and_its_bounds_agree(traffic: Traffic) -> None:
    traffic.calls(1500, lambda _: 0.01)
    found = traffic.observe(a_plan(ERRORS, LATENCY), bounds=True)
    assert all(each.not_worse for each in found.metrics)
    assert found.harm == ()
    for each in found.metrics:
        assert each.bounds
        assert each.bounds.high <= each.metric.margin
        assert each.trail[-1][0] == each.canary_calls + each.stable_calls
    assert load_findings(traffic.registry, ROLLOUT) == found
    assert load_findings(traffic.registry, replace(ROLLOUT, id="r-2")) is None


def test_calls_are_scored_in_the_order_of_assignment_behind_a_watermark(traffic: Traffic) -> None:
    traffic.call(an_end(), canary=False)
    slow = traffic.call(None, canary=True)
    traffic.call(a_failure(), canary=False)
    found = traffic.observe(a_plan(), traffic.clock + 60)
    assert (found.calls, found.waiting) == (1, 2)
    traffic.registry.finish(slow, an_end())
    found = traffic.observe(a_plan(), traffic.clock + 61)
    assert (found.calls, found.waiting) == (3, 0)
    assert of(found, "error_rate").canary_mean == 0


@pytest.mark.no_cover
def test_a_slower_canary_is_not_rolled_back_for_it() -> None:
    """Errors come at once, answers late: in the order of completion a canary would look broken."""
    harmed = 0
    for seed in range(40):
        rng = random.Random(seed)
        traffic = Traffic()
        waiting: list[tuple[float, str, Any]] = []
        plan = a_plan()
        for number in range(120):
            canary, bad = rng.random() < 0.5, rng.random() < 0.2
            took = 1.0 if bad else (40.0 if canary else 2.0)
            run = traffic.call(None, canary=canary, at=START + number)
            waiting.append((START + number + took, run, a_failure() if bad else an_end()))
            due = [each for each in waiting if each[0] <= START + number]
            traffic.registry.finish_all([(name, end) for _, name, end in due])
            waiting = [each for each in waiting if each[0] > START + number]
            if number % 10 == 9:
                harmed += bool(traffic.observe(plan, START + number).harm)
        traffic.registry.close()
    assert harmed <= 2


def test_a_call_of_a_killed_process_is_an_error_after_its_time_and_blocks_no_longer(traffic: Traffic) -> None:
    dead = traffic.call(None, canary=True)
    for _ in range(3):
        traffic.call(an_end(latency_ms=100.0), canary=False)
    plan = a_plan(ERRORS, LATENCY)
    assert traffic.observe(plan, START + 100).calls == 0
    found = traffic.observe(plan, START + 130)
    assert found.calls == 4
    assert of(found, "error_rate").canary_mean == 1
    assert of(found, "latency").canary_mean == 120_000
    traffic.registry.finish(dead, an_end())
    found = traffic.observe(plan, START + 140)
    assert of(found, "error_rate").canary_mean == 1
    assert of(found, "error_rate").late == 1


def test_only_the_first_call_of_a_unit_counts_unless_the_unit_is_a_call(traffic: Traffic) -> None:
    for _ in range(5):
        traffic.call(an_end(), canary=True, unit_hash="a")
        traffic.call(an_end(), canary=False, unit_hash="b")
    traffic.call(an_end(), canary=False)
    found = traffic.observe(a_plan())
    assert (found.calls, found.canary_calls, found.without_unit) == (3, 1, 1)
    assert found.excluded == {"repeated unit": 8}
    other = replace(ROLLOUT, id="r-1")
    assert traffic.observe(a_plan(unit="call", digest="2f" * 32), rollout=other).calls == 11


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"weight_bp": 0}, "weight"),
        ({"weight_bp": 10_000}, "weight"),
        ({"excluded": "forced"}, "forced"),
        ({"kind": "eval"}, "eval"),
        ({"arm": None}, "no arm"),
    ],
)
def test_what_was_not_assigned_by_chance_is_no_observation(
    traffic: Traffic, fields: dict[str, Any], reason: str
) -> None:
    traffic.call(an_end(), canary=True, **fields)
    traffic.call(an_end(), canary=True)
    found = traffic.observe(a_plan())
    assert (found.calls, dict(found.excluded)) == (1, {reason: 1})


def test_other_rollouts_are_no_observations(traffic: Traffic) -> None:
    traffic.call(an_end(), canary=True, rollout="r-9")
    assert traffic.observe(a_plan()).calls == 0


def test_a_canary_that_could_not_be_sent_is_an_error_though_stable_answered(traffic: Traffic) -> None:
    traffic.call(an_end(checks=[check()]), canary=True, fallback="cannot render")
    traffic.call(an_end(checks=[check()]), canary=False)
    traffic.call(a_failure(), canary=False)
    found = traffic.observe(a_plan(ERRORS, CHECKS))
    assert [(each.canary_mean, each.stable_mean) for each in found.metrics] == [(1, 0.5), (1, 0.5)]


def test_judges_see_a_sample_that_is_drawn_at_assignment(traffic: Traffic) -> None:
    judge = PlanMetric(
        name="tone",
        kind="score",
        source="judge.tone",
        worse="lower",
        role="guard",
        margin=0.1,
        window=DAY,
        sample=0.5,
        scale=(1.0, 5.0),
    )
    runs = [traffic.call(an_end(), canary=number % 2 == 0) for number in range(40)]
    for run in runs:
        at = utc_text(START + 50)
        add_outcome(traffic.registry, run, "tone", 4, source="judge", occurred_at=at)
    found = of(traffic.observe(a_plan(judge), START + 10), "tone")
    chosen = [is_sampled(run, "tone", 0.5) for run in runs]
    assert (found.canary_calls, found.stable_calls) == (sum(chosen[::2]), sum(chosen[1::2]))
    assert found.canary_mean == 0.25
    assert found.canary_missing == found.stable_missing == 0


def test_a_score_outside_its_range_is_said_and_never_clipped(traffic: Traffic) -> None:
    judge = PlanMetric(
        name="tone", kind="score", source="judge.tone", worse="lower", role="guard", margin=0.1,
        window=DAY, scale=(1.0, 5.0),
    )  # fmt: skip
    run = traffic.call(an_end(), canary=True)
    add_outcome(traffic.registry, run, "tone", 9, source="judge")
    found = traffic.observe(a_plan(judge), START + 10)
    assert found.gaps == (f"tone of run {run} is 9, outside 1 to 5",)
    assert of(found, "tone").canary_calls == 0


@pytest.mark.no_cover
def test_rates_that_drift_during_a_ramp_are_not_pooled() -> None:
    """Equal arms; stable has most of its calls while errors are rare, the canary while they are frequent."""
    for seed in range(5):
        traffic = Traffic(seed=seed)
        for rate, weight_bp in ((0.02, 500), (0.15, 2500), (0.4, 5000)):
            traffic.calls(500, lambda _, rate=rate: rate, weight_bp=weight_bp)  # type: ignore[misc]
        found = traffic.observe(a_plan())
        errors = of(found, "error_rate")
        assert found.harm == ()
        assert errors.canary_mean is not None
        assert errors.stable_mean is not None
        assert errors.difference is not None
        assert errors.canary_mean - errors.stable_mean > 0.08
        assert abs(errors.difference.value) < 0.07


def test_two_ticks_at_once_count_each_call_once(traffic: Traffic) -> None:
    traffic.calls(600, lambda _: 0.1)
    with ThreadPoolExecutor(4) as pool, RegistryDatabase.open(traffic.registry.path) as second:
        registries = [traffic.registry, second] * 4
        found = list(pool.map(lambda registry: traffic.observe(a_plan(), registry=registry), registries))
    assert {each.calls for each in found} == {600}
    assert len({of(each, "error_rate").log_e_worse for each in found}) == 1


def test_looking_often_finds_what_looking_once_does(new_location: NewLocation) -> None:
    often, once = Traffic(new_location("often")), Traffic(new_location("once"))
    plan = a_plan(ERRORS, LATENCY, THUMBS)
    with often.registry, once.registry:
        for traffic in (often, once):
            for _ in range(20):
                traffic.calls(10, lambda canary: 0.2 if canary else 0.1)
                if traffic is often:
                    traffic.observe(plan)
        ends = START + 3 * DAY
        one, other = often.observe(plan, ends), once.observe(plan, ends)
    assert [replace(each, late=0) for each in one.metrics] == [
        replace(each, late=0) for each in other.metrics
    ]
    assert (one.calls, one.expected_canary) == (other.calls, other.expected_canary) == (200, 100.0)


def test_an_outcome_waits_for_its_window_in_order_and_the_first_value_is_final(traffic: Traffic) -> None:
    first, second = (traffic.call(an_end(), canary=True) for _ in range(2))
    plan = a_plan(ERRORS, THUMBS)
    at = utc_text(START + 60)
    add_outcome(traffic.registry, second, "thumbs", "down", occurred_at=at)
    found = traffic.observe(plan, START + 100)
    assert found.calls == 2
    assert of(found, "thumbs").canary_calls == 0
    add_outcome(traffic.registry, first, "thumbs", "up", occurred_at=at)
    found = traffic.observe(plan, START + 101)
    assert (of(found, "thumbs").canary_calls, of(found, "thumbs").canary_mean) == (2, 0.5)
    add_outcome(traffic.registry, first, "thumbs", "down", occurred_at=at)
    found = traffic.observe(plan, START + 102)
    assert (of(found, "thumbs").canary_mean, of(found, "thumbs").late) == (0.5, 1)


def test_a_thumb_that_never_comes_is_a_good_one_and_one_after_its_window_is_late(traffic: Traffic) -> None:
    run = traffic.call(an_end(), canary=True)
    plan = a_plan(ERRORS, THUMBS)
    add_outcome(traffic.registry, run, "thumbs", "down", occurred_at=utc_text(START + 2 * DAY))
    assert of(traffic.observe(plan, START + 10), "thumbs").canary_calls == 0
    assert of(traffic.observe(plan, START + 1.1 * DAY), "thumbs").canary_mean == 0


def test_values_that_are_missing_more_often_on_one_arm_are_said(traffic: Traffic) -> None:
    correct = PlanMetric(
        name="correct", kind="binary", source="outcome.correct", worse="lower", role="guard", margin=0.1,
        window=3600.0,
    )  # fmt: skip
    for number in range(160):
        run = traffic.call(an_end(), canary=number % 2 == 0)
        if number % 2 or number % 8 == 0:
            add_outcome(traffic.registry, run, "correct", 1, occurred_at=utc_text(traffic.clock + 1))
    found = of(traffic.observe(a_plan(correct), START + DAY), "correct")
    assert (found.canary_missing, found.stable_missing) == (60, 0)
    assert found.unequal_missing


def test_a_canary_of_unknown_price_spoils_no_rollout(traffic: Traffic) -> None:
    cost = replace(LATENCY, name="cost", source="run.cost_list_usd", role="signal")
    for number in range(160):
        canary = number % 2 == 0
        traffic.call(an_end(cost_list_usd=None if canary else 0.001), canary=canary)
    found = of(traffic.observe(a_plan(ERRORS, cost)), "cost")
    assert (found.canary_missing, found.unequal_missing) == (80, False)


def test_a_clock_that_goes_backwards_takes_nothing_back(traffic: Traffic) -> None:
    traffic.calls(50, lambda _: 0.1)
    traffic.call(None, canary=True)
    plan = a_plan(ERRORS, THUMBS)
    later = traffic.observe(plan, START + 2 * DAY)
    back = traffic.observe(plan, START - 5 * DAY)
    assert back.metrics == later.metrics
    assert (back.calls, back.per_day) == (51, None)
    traffic.call(an_end(), canary=True, at=START - DAY)
    assert traffic.observe(plan, START - DAY).calls == 52


def test_a_split_that_is_not_the_logged_one_alarms(traffic: Traffic) -> None:
    traffic.calls(400, lambda _: 0.0)
    assert not traffic.observe(a_plan()).sample_ratio_alarm
    for _ in range(120):
        traffic.call(an_end(), canary=False)
    found = traffic.observe(a_plan())
    assert found.sample_ratio_alarm
    assert found.expected_canary == 260


def test_a_missing_row_shows_once_the_row_behind_it_has_had_its_time(traffic: Traffic) -> None:
    first, lost, last = (traffic.call(an_end(), canary=True) for _ in range(3))
    with traffic.registry.write() as connection:
        connection.execute("DELETE FROM runs WHERE run_id = ?", (lost,))
    assert traffic.observe(a_plan(), START + 60).gaps == ()
    [gap] = traffic.observe(a_plan(), START + 200).gaps
    assert "a run is missing" in gap
    assert first < last


@pytest.mark.no_cover
def test_in_a_long_log_every_rollout_sees_the_gaps_behind_its_own_beginning(traffic: Traffic) -> None:
    later = replace(ROLLOUT, id="r-2")
    traffic.calls(1_500, lambda _: 0.0)
    lost = traffic.call(an_end(), canary=True)
    traffic.calls(1_500, lambda _: 0.0)
    for _ in range(3):
        traffic.call(an_end(), canary=True, rollout=later.id)
    traffic.calls(2_500, lambda _: 0.0)
    assert traffic.observe(a_plan(), traffic.clock + 200).gaps == ()
    with traffic.registry.write() as connection:
        connection.execute("DELETE FROM runs WHERE run_id = ?", (lost,))
    assert traffic.observe(a_plan(), traffic.clock + 230).gaps == ()  # a long log is not read every second
    [gap] = traffic.observe(a_plan(), traffic.clock + 300).gaps
    assert "a run is missing" in gap
    assert traffic.observe(a_plan(), traffic.clock + 300, rollout=later).gaps == ()
    assert traffic.observe(a_plan(), traffic.clock + 310).gaps == (gap,)


def test_a_breaker_is_passed_on(traffic: Traffic) -> None:
    open_breaker(traffic.registry, ROLLOUT.id, "five errors in a row")
    assert traffic.observe(a_plan()).breaker == "five errors in a row"


def test_a_registry_that_lacks_what_is_committed_says_how_much(traffic: Traffic) -> None:
    traffic.calls(10, lambda _: 0.0)
    assert traffic.observe(a_plan(), committed={"calls": 25}).short_of == 15
    assert traffic.observe(a_plan(), committed={"calls": 5}).short_of == 0


def test_a_guard_without_a_single_value_is_silent_once_calls_enough_have_been_scored(
    traffic: Traffic,
) -> None:
    correct = PlanMetric(
        name="correct", kind="binary", source="outcome.correct", worse="lower", role="guard", margin=0.1,
        window=3600.0,
    )  # fmt: skip
    traffic.calls(60, lambda _: 0.0)
    assert traffic.observe(a_plan(correct), traffic.clock).silent == ()
    assert traffic.observe(a_plan(correct), traffic.clock + 4000).silent == ("correct",)


def test_a_hard_metric_needs_one_loss_and_a_signal_is_tested_by_itself(traffic: Traffic) -> None:
    traffic.call(a_failure(), canary=False)
    hard, signal = replace(ERRORS, role="hard"), replace(LATENCY, role="signal")
    assert traffic.observe(a_plan(hard, signal)).hard == ()
    traffic.call(a_failure(), canary=True)
    for number in range(300):
        canary = number % 2 == 0
        traffic.call(an_end(latency_ms=900.0 if canary else 300.0), canary=canary)
    found = traffic.observe(a_plan(hard, signal))
    assert (found.hard, found.signals, found.harm) == (("error_rate",), ("latency",), ())


def test_a_canary_whose_answers_are_cut_off_is_found(traffic: Traffic) -> None:
    cut = replace(ERRORS, name="cut", source="run.truncated")
    for number in range(300):
        canary = number % 2 == 0
        traffic.call(an_end(finish_reason="length" if canary else "stop"), canary=canary)
    traffic.call(an_end(finish_reason=None), canary=True)  # nothing is known of it
    found = traffic.observe(a_plan(cut), bounds=True)
    assert found.harm == ("cut",)
    assert "was cut off in 150 of 150 calls" in found.metrics[0].sentence
    assert (found.metrics[0].canary_calls, found.metrics[0].canary_missing) == (150, 1)


def test_steps_count_their_own_calls(traffic: Traffic) -> None:
    for _ in range(4):
        traffic.call(an_end(), canary=True)
    later = replace(ROLLOUT, step=1, step_started="2026-05-28T20:26:42Z")
    assert traffic.observe(a_plan()).step_canary_calls == 4
    plan = a_plan(steps=(PlanStep(weight_bp=500), PlanStep(weight_bp=5000)))
    assert traffic.observe(plan, rollout=later).step_canary_calls == 3


def test_base_rates_come_from_stable_and_are_frozen_at_the_first_look(traffic: Traffic) -> None:
    for number in range(20):
        end = a_failure() if number < 5 else an_end()
        traffic.registry.record([(a_run(started_at=utc_text(START - 100), digest=DIGEST), end)])
    traffic.observe(a_plan())
    state = json.loads(traffic.registry.read_one("SELECT state FROM eprocesses WHERE name = 'state'"))
    assert state["priors"] == {"error_rate": [0.25, 50.0]}


def test_another_plan_keeps_what_was_scored(traffic: Traffic) -> None:
    dead = traffic.call(None, canary=True)
    traffic.calls(50, lambda _: 0.1)
    before = of(traffic.observe(a_plan()), "error_rate")
    traffic.registry.finish(dead, an_end())
    wider = replace(ERRORS, margin=0.3)
    after = of(traffic.observe(a_plan(wider, LATENCY, digest="2f" * 32)), "error_rate")
    assert (after.canary_mean, after.log_e_worse) == (before.canary_mean, before.log_e_worse)
    assert after.log_e_not_worse > before.log_e_not_worse


def test_a_damaged_state_is_made_again_from_the_observations(traffic: Traffic) -> None:
    traffic.calls(100, lambda canary: 0.3 if canary else 0.1)
    before = traffic.observe(a_plan(ERRORS, LATENCY))
    for damage in ("{", "{}", '{"plan": "' + "1f" * 32 + '", "lanes": 3}'):
        with traffic.registry.write() as connection:
            connection.execute("UPDATE eprocesses SET state = ? WHERE name = 'state'", (damage,))
        assert traffic.observe(a_plan(ERRORS, LATENCY)).metrics == before.metrics


@pytest.mark.no_cover
@pytest.mark.no_cover
def test_a_tick_with_few_new_calls_is_quick_and_stored_findings_are_instant(traffic: Traffic) -> None:
    traffic.calls(6000, lambda _: 0.02)
    plan = a_plan(ERRORS, LATENCY)
    traffic.observe(plan, bounds=True)
    traffic.calls(5, lambda _: 0.02)
    began = time.thread_time()
    traffic.observe(plan, bounds=True)
    middle = time.thread_time()
    load_findings(traffic.registry, ROLLOUT)
    assert middle - began < 1  # most of it the bounds, sought in more calls with each look
    assert time.thread_time() - middle < 0.05


def _eval(digest: str, against: str | None, verdict: str, margin: float | None, **more: Any) -> EvalRecord:
    given: dict[str, Any] = {
        "eval_id": more.pop("eval_id", "e1"), "prompt": "support/triage", "digest": digest,
        "against": against,
        "cases_hash": "c", "trials": 1, "counts": {}, "started_at": "2026-05-01", "finished_at": "2026-05-02",
        "verdicts": {"verdict": verdict, "sentence": "so it is", "margin": margin,
                     "within_margin": margin is not None and verdict == "not worse"},
    }  # fmt: skip
    return EvalRecord(**{**given, **more})


def test_the_eval_gate_reads_the_latest_comparison_of_the_two(traffic: Traffic) -> None:
    plan = a_plan(eval=PlanEvalGate(margin=0.03))

    def gate(*, has_cases: bool = True) -> Any:
        return eval_gate(
            traffic.registry, "support/triage:production", CANARY.digest, DIGEST, plan, has_cases
        )

    assert gate(has_cases=False).absent
    assert gate().verdict is None
    assert gate().command == "promptops eval --plan support/triage:production"
    save_evals(
        traffic.registry,
        [
            _eval(OTHER_DIGEST, None, "worse", None),
        ],
    )
    assert gate().verdict is None
    save_evals(traffic.registry, [_eval(OTHER_DIGEST, DIGEST, "worse", 0.03, eval_id="e2")])
    assert gate().verdict is Verdict.WORSE
    for number, (margin, word) in enumerate(((0.1, Verdict.UNDECIDED), (0.03, Verdict.NOT_WORSE))):
        later = f"2026-06-0{number + 1}"
        save_evals(traffic.registry, [
            _eval(OTHER_DIGEST, DIGEST, "not worse", margin, eval_id=later, finished_at=later)
        ])  # fmt: skip
        assert gate().verdict is word


@pytest.mark.parametrize(
    ("own", "worst", "verdict", "word"),
    [
        (0.10, 0.02, "not worse", Verdict.NOT_WORSE),  # made with a wider margin than the plan's
        (0.01, 0.02, "undecided", Verdict.NOT_WORSE),  # with a narrower one
        (0.10, 0.05, "not worse", Verdict.UNDECIDED),
        (0.01, 0.02, "worse", Verdict.NOT_WORSE),  # shown to be a little worse, and within what is accepted
        (0.10, 0.05, "worse", Verdict.WORSE),
        (0.10, -0.01, "better", Verdict.BETTER),
    ],
)
def test_an_eval_is_judged_by_the_margin_of_the_plan(
    traffic: Traffic, own: float, worst: float, verdict: str, word: Verdict
) -> None:
    record = _eval(OTHER_DIGEST, DIGEST, verdict, own)
    whole = {"pairs": 400, "low": -worst, "high": 0.2}  # of pass rates: worse is negative
    save_evals(traffic.registry, [replace(record, verdicts={**record.verdicts, "whole": whole})])
    plan, where = a_plan(eval=PlanEvalGate(margin=0.03)), "support/triage:production"
    found = eval_gate(traffic.registry, where, OTHER_DIGEST, DIGEST, plan, has_cases=True, names=("v2", "v1"))
    assert found.verdict is word
    assert found.sentence.startswith("v2 fails checks at ")
    early = {**record.verdicts, "whole": whole, "e_values": {"worse": 0.1}}
    save_evals(traffic.registry, [replace(record, eval_id="z", verdicts=early)])
    stopped = eval_gate(traffic.registry, where, OTHER_DIGEST, DIGEST, plan, has_cases=True)
    assert stopped.sentence == "so it is"  # bounds of all cases are none of those looked at until a verdict


def foretold(traffic: Traffic, plan: ReleasePlan) -> Forecast:
    history = read_channel_history(traffic.registry, "support/triage", "production", plan, DIGEST, START)
    return forecast_rollout(plan, history)


def test_a_forecast_says_calls_and_days_and_when_the_deadline_comes_first(traffic: Traffic) -> None:
    plan = a_plan(replace(ERRORS, margin=0.02), deadline=14 * DAY, unit="call")
    nothing = foretold(traffic, plan)
    assert nothing.days is None
    assert "no traffic is logged" in nothing.sentence
    for number in range(100):
        end = a_failure() if number % 20 == 0 else an_end()
        run = a_run(started_at=utc_text(START - 6 * DAY + number), channel="production")
        traffic.registry.record([(run, end)])
    found = foretold(traffic, plan)
    assert found.known == ("error_rate",)
    assert found.days is not None
    assert found.days > 14
    assert found.sentence.endswith("deadline 14 d: probably undecided")
    said = r"≈ [1-9],\d00 calls ≈ \d+ days at your traffic \(two of three end by then\)"
    assert re.match(said, found.sentence)
    easy = foretold(traffic, a_plan(replace(ERRORS, margin=0.3)))
    assert easy.calls["error_rate"] is not None
    assert easy.calls["error_rate"] < (found.calls["error_rate"] or 0)


def test_a_fresh_canary_needs_as_many_calls_as_were_forecast(traffic: Traffic) -> None:
    plan = a_plan(
        replace(ERRORS, margin=0.02),
        LATENCY,
        unit="call",
        steps=(PlanStep(weight_bp=5000, min_canary=10),),
    )
    blank, before = traffic.observe(plan), foretold(traffic, plan)
    for name in ("error_rate", "latency"):
        assert of(blank, name).calls_needed == pytest.approx(before.calls[name], rel=0.02)
    # one failure on a few calls is not a rate to go by
    traffic.call(a_failure(), canary=True)
    for number in range(30):
        traffic.call(an_end(latency_ms=300.0 + number), canary=number % 10 == 0)
    few = of(traffic.observe(plan), "error_rate").calls_needed
    assert few is None or few < 20 * (before.calls["error_rate"] or 0)


def test_a_forecast_weighs_each_step_by_its_own_weight() -> None:
    """Calls at 5 % are worth about a tenth of those at 50 %, and durations take their time."""
    errors = replace(ERRORS, margin=0.02)

    def days(*steps: PlanStep, **more: Any) -> Forecast:
        plan = a_plan(errors, unit="call", steps=steps, **more)
        return forecast_rollout(plan, ChannelHistory(CallBatch((), (), {}, 120.0), 200.0, 200.0))

    half, slow = PlanStep(weight_bp=5000), PlanStep(weight_bp=500, min_duration=7 * DAY)
    alone, after = days(half), days(slow, half)
    assert (alone.calls["error_rate"] or 0) + 1_000 < (after.calls["error_rate"] or 0)
    assert 5 < (after.days or 0) - (alone.days or 0) < 7
    long = days(replace(half, min_duration=40 * DAY))
    assert (long.days, long.in_time) == (40, False)
    checks = replace(errors, name="checks", source="checks.pass", worse="lower", margin=0.04)
    shadow_first = a_plan(
        replace(errors, margin=0.05),
        checks,
        unit="call",
        steps=(half,),
        shadow=PlanShadowGate(sample=600),
        require="shadow_and_no_harm",
        min_calls=4_000,
    )
    found = forecast_rollout(shadow_first, ChannelHistory(CallBatch((), (), {}, 120.0), 200.0, 200.0))
    assert (found.calls["checks"], found.days) == (4_000, 20)
    assert found.power == 1.0
    assert "and 4,000 live calls find a drop of 10 points in 100 % of cases" in found.sentence


def test_calls_still_needed_go_by_stables_history(traffic: Traffic) -> None:
    plan = a_plan(replace(ERRORS, margin=0.05), unit="call")
    for number in range(200):
        end = a_failure() if number % 5 == 0 else an_end()
        run = a_run(started_at=utc_text(START - DAY + number), channel="production")
        traffic.registry.record([(run, end)])
    before = foretold(traffic, plan)
    found = of(traffic.observe(plan), "error_rate")
    assert found.calls_needed == pytest.approx(before.calls["error_rate"], rel=0.05)
