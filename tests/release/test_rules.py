"""Every row of the state machine, and what must hold whatever the evidence."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.clock import format_timestamp
from promptops.errors import Invalid
from promptops.release.analysis.findings import Findings, GateFinding, MetricFinding
from promptops.release.ledger.serialize import decode_transition, encode_transition
from promptops.release.plan import ReleasePlan, decode_plan
from promptops.release.proof import missing_proof
from promptops.release.rules import (
    Move,
    RolloutDecision,
    Transition,
    apply_transition,
    approval_transition,
    decide_transition,
    gate_phases,
    is_already_undone,
    is_applicable,
    next_position,
    resume_transition,
    start_rollout,
)
from promptops.release.timestamps import format_duration, parse_timestamp
from promptops.stats.verdicts import Verdict
from promptops.versions.release_state import ChannelState, Phase, ReleasedVersion, Rollout, ShadowState

HOUR, DAY = 3600.0, 86_400.0
START = 1_800_000_000.0
STABLE = ReleasedVersion("v12", "a" * 64, "3f2c9e1", format_timestamp(START - DAY))
CANARY = ReleasedVersion("v13", "b" * 64)
OLD = ReleasedVersion("v11", "c" * 64)
DEFAULT = decode_plan("default", {})
STEPS: list[dict[str, Any]] = [
    {"weight": 5, "min_canary": 50, "min_duration": "1h"},
    {"weight": 25, "min_canary": 150, "min_duration": "4h"},
    {"weight": 50, "min_canary": 10, "min_duration": "24h"},
]


def plan(**content: Any) -> ReleasePlan:
    return decode_plan("p", {"eval": None, "steps": STEPS} | content)


def started(by: ReleasePlan = DEFAULT, **changes: Any) -> Rollout:
    return replace(start_rollout("r-1", CANARY, by, "salt", START), **changes)


def at(step: int, by: ReleasePlan, **changes: Any) -> Rollout:
    weight = next(one.weight_bp for one in reversed(by.steps[: step + 1]) if one.weight_bp)
    return started(by, **{"phase": "progressing", "step": step, "weight_bp": weight} | changes)


def serving(rollout: Rollout | None, **changes: Any) -> ChannelState:
    return replace(ChannelState(STABLE, OLD, rollout), **changes)


def found(by: ReleasePlan, *, shown: bool = False, **changes: Any) -> Findings:
    metrics = tuple(
        MetricFinding(
            metric=each,
            verdict=Verdict.NOT_WORSE if shown else Verdict.UNDECIDED,
            not_worse=shown,
            sentence=f"{each.name} of v13 is as it is",
            calls_needed=None if shown else 400.4,
        )
        for each in by.metrics
    )
    known: dict[str, Any] = {"calls": 1000, "canary_calls": 500, "step_canary_calls": 500, "metrics": metrics}
    return Findings(registry="reg", registry_path="registry.db", **known | changes)


def metric(findings: Findings, name: str, **changes: Any) -> Findings:
    metrics = [replace(one, **changes) if one.metric.name == name else one for one in findings.metrics]
    return replace(findings, metrics=tuple(metrics))


def move(decision: RolloutDecision) -> Move | None:
    return decision.transition and decision.transition.move


def tick(
    rollout: Rollout, by: ReleasePlan, findings: Findings, now: float = START + 2 * DAY, **gates: Any
) -> tuple[Move | None, ChannelState]:
    """What a tick does to a channel on which this rollout is active."""
    decision = decide_transition(rollout, by, findings, now, **gates)
    if decision.transition is None:
        assert decision.holds
        return None, serving(rollout)
    return decision.transition.move, apply_transition(serving(rollout), decision.transition, now)


def only(state: ChannelState) -> Rollout:
    assert state.rollout is not None
    return state.rollout


# ---- idle


@pytest.mark.parametrize(
    ("content", "phase", "weight"),
    [
        ({"eval": {}}, "eval", 0),
        ({"eval": {}, "shadow": {}}, "eval", 0),
        ({"shadow": {}}, "shadow", 0),
        ({}, "progressing", 500),
        ({"steps": [{"approval": "manual"}, *STEPS]}, "awaiting", 0),
    ],
)
def test_a_canary_starts_in_the_first_phase_of_its_plan(content: Any, phase: Phase, weight: int) -> None:
    by = plan(**content)
    rollout = start_rollout("r-1", CANARY, by, "salt", START)
    assert (rollout.phase, rollout.step, rollout.weight_bp) == (phase, 0, weight)
    assert (rollout.plan, rollout.unit, rollout.started) == (by.digest, "session", format_timestamp(START))
    assert rollout.deadline == format_timestamp(START + 14 * DAY)
    state = apply_transition(serving(None), Transition(move=Move.START, rollout=rollout), START)
    assert state == ChannelState(STABLE, OLD, rollout)


def test_a_plan_without_deadline_has_none() -> None:
    assert started(plan(deadline=None)).deadline is None


def test_a_second_rollout_does_not_start() -> None:
    other = started(id="r-2")
    with pytest.raises(
        Invalid, match=r"another rollout is active; on the channel: stable v12, canary v13 \(r-2"
    ):
        apply_transition(serving(other), Transition(move=Move.START, rollout=started()), START)


def test_a_canary_needs_a_stable_version() -> None:
    with pytest.raises(Invalid, match="nothing that a canary could be compared with"):
        apply_transition(ChannelState(), Transition(move=Move.START, rollout=started()), START)


def test_a_first_release_serves_at_once() -> None:
    first = apply_transition(ChannelState(), Transition(move=Move.RELEASE, stable=CANARY), START)
    assert first == ChannelState(replace(CANARY, since=format_timestamp(START)))
    second = apply_transition(first, Transition(move=Move.RELEASE, stable=STABLE), START + 1)
    assert second.previous == first.stable
    with pytest.raises(Invalid, match="a rollout is active"):
        apply_transition(serving(started()), Transition(move=Move.RELEASE, stable=STABLE), START)


# ---- eval and shadow


def gate(verdict: Verdict | None, **more: Any) -> GateFinding:
    return GateFinding(verdict=verdict, sentence="said so", command="promptops eval greet@v13", **more)


BOTH = plan(eval={}, shadow={})


@pytest.mark.parametrize(
    ("phase", "require", "verdict", "expected"),
    [
        ("eval", "undecided_ok", Verdict.UNDECIDED, "shadow"),
        ("eval", "undecided_ok", Verdict.NOT_WORSE, "shadow"),
        ("eval", "not_worse", Verdict.UNDECIDED, None),
        ("eval", "not_worse", Verdict.NOT_WORSE, "shadow"),
        ("eval", "not_worse", Verdict.BETTER, "shadow"),
        ("shadow", "not_worse", Verdict.UNDECIDED, None),
        ("shadow", "not_worse", Verdict.NOT_WORSE, "progressing"),
        ("shadow", "undecided_ok", Verdict.UNDECIDED, "progressing"),
    ],
)
def test_a_met_gate_leads_to_the_next_phase(
    phase: Phase, require: str, verdict: Verdict, expected: Phase | None
) -> None:
    by = plan(eval={"require": require}, shadow={"require": require})
    rollout = started(by, phase=phase)
    done, state = tick(rollout, by, found(by), START + HOUR, **{f"{phase}_gate": gate(verdict)})
    assert done is (None if expected is None else Move.PHASE)
    assert only(state).phase == (expected or phase)
    assert only(state).weight_bp == (500 if expected == "progressing" else 0)
    assert only(state).step_started == format_timestamp(START if expected is None else START + HOUR)


@pytest.mark.parametrize("phase", ["eval", "shadow"])
def test_a_gate_that_says_worse_rolls_back(phase: Phase) -> None:
    done, state = tick(
        started(BOTH, phase=phase), BOTH, found(BOTH), **{f"{phase}_gate": gate(Verdict.WORSE)}
    )
    assert (done, state) == (Move.ROLLBACK, serving(None))


@pytest.mark.parametrize("phase", ["eval", "shadow"])
def test_a_hard_metric_rolls_back_at_a_gate(phase: Phase) -> None:
    findings = found(BOTH, hard=("error_rate",))
    assert tick(started(BOTH, phase=phase), BOTH, findings)[0] is Move.ROLLBACK


def test_a_gate_without_result_names_the_command() -> None:
    decision = decide_transition(started(BOTH), BOTH, found(BOTH), START, eval_gate=gate(None))
    assert decision == RolloutDecision(holds=("said so", "run: promptops eval greet@v13"))
    assert decide_transition(started(BOTH), BOTH, found(BOTH), START).holds == (
        "no result of the phase eval was looked at",
    )


def test_a_prompt_without_cases_passes_and_it_is_recorded() -> None:
    decision = decide_transition(started(BOTH), BOTH, found(BOTH), START, eval_gate=gate(None, absent=True))
    assert decision.transition is not None
    assert (decision.transition.phase, decision.transition.reason) == ("shadow", "said so")


def test_a_plan_without_steps_promotes_when_its_gates_are_met() -> None:
    direct = decode_plan("direct", {})
    rollout = started(direct)
    done, state = tick(rollout, direct, found(direct), eval_gate=gate(Verdict.UNDECIDED))
    assert done is Move.PROMOTE
    assert (state.stable, state.previous) == (
        replace(CANARY, since=format_timestamp(START + 2 * DAY)),
        STABLE,
    )
    bare = plan(steps=[])
    assert tick(started(bare), bare, found(bare))[0] is Move.PROMOTE


# ---- harm, in every phase

PHASES: list[Phase] = ["eval", "shadow", "progressing", "awaiting", "paused", "invalid", "inconclusive"]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(
    "harm", [{"harm": ("error_rate",)}, {"hard": ("error_rate",)}, {"breaker": "five errors in a row"}]
)
def test_harm_rolls_back_in_every_phase_and_before_all_else(phase: Phase, harm: Any) -> None:
    worst = {"sample_ratio_alarm": True, "gaps": ("rows are missing",), "signals": ("cost",), "short_of": 9}
    done, state = tick(started(phase=phase), DEFAULT, found(DEFAULT, **worst, **harm), START + 90 * DAY)
    assert (done, state) == (Move.ROLLBACK, serving(None))


def test_a_rollback_says_why() -> None:
    decision = decide_transition(at(0, DEFAULT), DEFAULT, found(DEFAULT, harm=("latency", "unknown")), START)
    assert decision.transition is not None
    assert decision.transition.reason == "latency of v13 is as it is; unknown is worse"
    assert decision.transition.verdict == "worse"


@pytest.mark.parametrize("phase", PHASES)
def test_abort_and_a_persons_rollback_work_in_every_phase(phase: Phase) -> None:
    rollout = started(phase=phase)
    for one in (Move.ABORT, Move.ROLLBACK):
        assert apply_transition(serving(rollout), Transition(move=one, rollout=rollout), START) == serving(
            None
        )


@pytest.mark.parametrize("phase", PHASES)
def test_a_forced_promotion_works_in_every_phase(phase: Phase) -> None:
    transition = Transition(
        move=Move.PROMOTE, rollout=started(phase="eval"), forced=True, reason="it is urgent"
    )
    state = apply_transition(serving(started(phase=phase, step=2)), transition, START)
    assert state == ChannelState(replace(CANARY, since=format_timestamp(START)), STABLE)


# ---- progressing


def test_a_signal_that_says_worse_pauses_once() -> None:
    by = plan()
    findings = found(by, signals=("cost",))
    done, paused = tick(at(1, by), by, findings)
    assert done is Move.PAUSE
    assert (only(paused).phase, only(paused).weight_bp, only(paused).step) == ("paused", 2500, 1)
    assert only(paused).reason == "cost of v13 is as it is"
    assert tick(only(paused), by, findings)[0] is None
    resumed = apply_transition(paused, resume_transition(only(paused), by, actor="ada"), START + HOUR)
    assert (only(resumed).phase, only(resumed).reason) == ("progressing", None)
    assert only(resumed).step_started == format_timestamp(START)  # a pause does not make a step longer
    assert tick(only(resumed), by, findings)[0] is Move.ADVANCE


def test_a_person_pauses_and_resumes() -> None:
    by = plan()
    rollout = at(0, by)
    pause = Transition(move=Move.PAUSE, rollout=rollout, reason="let me look", phase="paused")
    paused = only(apply_transition(serving(rollout), pause, START))
    assert (paused.phase, paused.reason, paused.weight_bp) == ("paused", "let me look", 500)
    assert decide_transition(paused, by, found(by, shown=True), START + 2 * DAY).holds == (
        "paused: let me look",
    )
    with pytest.raises(Invalid, match="does not apply") as caught:
        apply_transition(serving(paused), replace(pause, rollout=paused), START)
    assert "progressing" in caught.value.hint


def test_minimum_calls_and_time_are_waited_for() -> None:
    by = plan()
    few = decide_transition(at(0, by), by, found(by, step_canary_calls=49), START + 1800)
    assert few.transition is None
    assert few.holds == (
        "1 more canary calls in this step (50 are due)",
        "30 min more in this step (1 h are due)",
    )
    done, state = tick(at(0, by), by, found(by), START + HOUR)
    assert done is Move.ADVANCE
    assert (only(state).step, only(state).weight_bp, only(state).phase) == (1, 2500, "progressing")
    assert only(state).step_started == format_timestamp(START + HOUR)


def test_a_clock_that_goes_backwards_only_waits() -> None:
    by = plan()
    for now in (START - 90 * DAY, START - 1, 0.0):
        assert tick(at(0, by), by, found(by), now)[0] is None


def test_what_says_worse_holds_though_it_does_not_roll_back() -> None:
    by = plan()
    findings = metric(found(by, shown=True), "latency", worse=True)
    decision = decide_transition(at(0, by), by, findings, START + DAY)
    assert decision.holds == ("latency says worse: latency of v13 is as it is",)


@pytest.mark.parametrize("phase", ["progressing", "awaiting"])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sample_ratio_alarm": True, "expected_canary": 250.0}, "got 500 of 1,000 calls where 250 were due"),
        ({"gaps": ("rows 3 to 9 are missing",)}, "rows 3 to 9 are missing"),
        ({"silent": ("checks",)}, "no data for the guard checks"),
    ],
)
def test_void_evidence_is_invalid_and_keeps_the_weight(phase: Phase, changes: Any, reason: str) -> None:
    by = plan(steps=[*STEPS[:2], {"approval": "manual"}])
    rollout = at(2, by, phase=phase) if phase == "awaiting" else at(1, by)
    done, state = tick(rollout, by, found(by, shown=True, **changes))
    assert done is Move.INVALIDATE
    assert (only(state).phase, only(state).weight_bp) == ("invalid", 2500)
    assert reason in str(only(state).reason)
    assert tick(only(state), by, found(by, shown=True))[0] is None  # never advances


def test_unequal_missing_values_are_invalid() -> None:
    by = plan()
    findings = metric(found(by), "checks", unequal_missing=True, canary_missing=40, stable_missing=2)
    done, state = tick(at(0, by), by, findings)
    assert done is Move.INVALIDATE
    assert "values of checks are missing more often on one arm (40 canary, 2 stable)" in str(
        only(state).reason
    )


def test_invalid_resumes_with_a_reason_and_new_evidence() -> None:
    by = plan()
    invalid = at(1, by, phase="invalid", reason="rows are missing", signals=("cost",))
    again = resume_transition(invalid, by, actor="ada", reason="the log is whole again", new_id="r-1.2")
    state = only(apply_transition(serving(invalid), again, START + HOUR))
    assert (state.id, state.phase, state.step, state.weight_bp) == ("r-1.2", "progressing", 1, 2500)
    assert (state.salt, state.signals, state.reason) == (invalid.salt, (), None)
    assert state.step_started == format_timestamp(START + HOUR)
    for lame in (replace(again, new_id=None), replace(again, reason="")):
        with pytest.raises(Invalid, match="needs a reason and starts new evidence"):
            apply_transition(serving(invalid), lame, START)


def test_too_small_a_registry_holds() -> None:
    by = plan()
    decision = decide_transition(at(0, by), by, found(by, shown=True, short_of=120), START + DAY)
    assert decision.transition is None
    assert "registry.db has 120 calls fewer than the evidence that is committed" in decision.holds[0]


# ---- the last step


def test_proof_on_every_guard_promotes() -> None:
    by = plan()
    done, state = tick(at(2, by), by, found(by, shown=True))
    assert done is Move.PROMOTE
    assert state == ChannelState(replace(CANARY, since=format_timestamp(START + 2 * DAY)), STABLE)


@pytest.mark.parametrize("name", ["error_rate", "checks", "latency"])
def test_one_guard_without_proof_holds(name: str) -> None:
    by = plan()
    findings = metric(found(by, shown=True), name, not_worse=False, calls_needed=399.6)
    decision = decide_transition(at(2, by), by, findings, START + 2 * DAY)
    assert decision.holds == (f"{name}: {name} of v13 is as it is; about 400 more calls",)
    without = replace(findings, metrics=tuple(each for each in findings.metrics if each.metric.name != name))
    assert decide_transition(at(2, by), by, without, START + 2 * DAY).holds == (
        f"{name}: nothing is known yet",
    )


def test_a_signal_without_proof_does_not_hold() -> None:
    by = plan()
    assert tick(at(2, by), by, metric(found(by, shown=True), "cost", not_worse=False))[0] is Move.PROMOTE


def test_goals_must_be_better() -> None:
    by = plan(promote={"goals": ["error_rate"]})
    findings = found(by, shown=True)
    assert (
        decide_transition(at(2, by), by, findings, START + 2 * DAY)
        .holds[0]
        .startswith("error_rate must be better")
    )
    better = metric(findings, "error_rate", better=True)
    decision = decide_transition(at(2, by), by, better, START + 2 * DAY)
    assert decision.transition is not None
    assert decision.transition.reason == "every guard is not worse; better: error_rate"
    assert missing_proof(by, better) == ()


def test_checks_that_the_shadow_has_shown_need_only_show_no_harm() -> None:
    """Every other guard is shown not worse all the same, and few calls find no harm."""
    by = plan(
        shadow={"require": "not_worse", "margin": 0.04},
        promote={"require": "shadow_and_no_harm", "min_calls": 800},
    )
    open_checks = metric(found(by, shown=True, step_calls=812), "checks", not_worse=False)
    decision = decide_transition(at(2, by), by, open_checks, START + 2 * DAY)
    assert decision.transition is not None
    assert decision.transition.move is Move.PROMOTE
    assert decision.transition.reason == (
        "checks: not worse by 4 points on logged inputs, and no harm in 812 live calls; every other guard is "
        "not worse"
    )
    few = replace(open_checks, step_calls=700)
    assert missing_proof(by, few) == ("100 more calls in the last step (800 are due)",)
    for name in ("error_rate", "latency"):
        assert missing_proof(by, metric(open_checks, name, not_worse=False))[0].startswith(f"{name}: ")
    assert missing_proof(by, metric(open_checks, "checks", worse=True))[0].startswith("checks: ")


def test_what_holds_after_the_deadline_is_of_now() -> None:
    by = plan()
    late = at(2, by, phase="inconclusive", reason="undecided at the deadline")
    open_ = metric(found(by, shown=True), "checks", not_worse=False)
    assert decide_transition(late, by, open_, START + 20 * DAY).holds == (
        "checks: checks of v13 is as it is",
    )
    assert decide_transition(late, by, found(by, shown=True), START + 20 * DAY).holds == (
        "what the plan wants is shown by now: promptops promote NAME --to CHANNEL releases the canary",
    )


def test_the_last_step_has_its_minimum_too() -> None:
    by = plan()
    assert tick(at(2, by), by, found(by, shown=True), START + 23 * HOUR)[0] is None
    assert tick(at(2, by), by, found(by, shown=True, step_canary_calls=9))[0] is None


# ---- a person's steps

PERSON = plan(steps=[STEPS[0], {"approval": "manual"}, {"reviewed": 30}, STEPS[1], {"approval": "manual"}])


def test_a_step_for_a_person_is_waited_at_with_its_weight() -> None:
    done, waiting = tick(at(0, PERSON), PERSON, found(PERSON))
    assert done is Move.AWAIT
    assert (only(waiting).phase, only(waiting).step, only(waiting).weight_bp) == ("awaiting", 1, 500)
    decision = decide_transition(only(waiting), PERSON, found(PERSON, shown=True), START + 3 * DAY)
    assert decision.holds == ("it waits for a person's approval: promptops release approve NAME:CHANNEL",)
    approved = apply_transition(waiting, approval_transition(only(waiting), PERSON, actor="ada"), START)
    assert (only(approved).phase, only(approved).step, only(approved).weight_bp) == ("awaiting", 2, 500)


def test_reviewed_outputs_lead_on() -> None:
    waiting = at(2, PERSON, phase="awaiting")
    assert (
        "29 of 30 outputs" in decide_transition(waiting, PERSON, found(PERSON, reviewed=29), START).holds[0]
    )
    assert (
        "fewer" in decide_transition(waiting, PERSON, found(PERSON, reviewed=30, short_of=1), START).holds[0]
    )
    done, state = tick(waiting, PERSON, found(PERSON, reviewed=30))
    assert done is Move.ADVANCE
    assert (only(state).phase, only(state).step, only(state).weight_bp) == ("progressing", 3, 2500)


def test_after_the_last_approval_only_proof_is_waited_for() -> None:
    waiting = at(4, PERSON, phase="awaiting")
    approved = only(
        apply_transition(
            serving(waiting), approval_transition(waiting, PERSON, actor="ada", reason="fine"), START
        )
    )
    assert (approved.phase, approved.step, approved.weight_bp) == ("progressing", 4, 2500)
    assert tick(approved, PERSON, found(PERSON))[0] is None
    assert tick(approved, PERSON, found(PERSON, shown=True))[0] is Move.PROMOTE


def test_resuming_at_a_persons_step_asks_again() -> None:
    invalid = at(1, PERSON, phase="invalid")
    again = resume_transition(invalid, PERSON, actor="ada", reason="repaired", new_id="r-1.2")
    assert only(apply_transition(serving(invalid), again, START)).phase == "awaiting"


def test_nothing_but_a_waiting_step_is_approved() -> None:
    with pytest.raises(Invalid, match="approve does not apply: the canary v13 is progressing"):
        apply_transition(
            serving(at(0, PERSON)), approval_transition(at(0, PERSON), PERSON, actor="ada"), START
        )


# ---- the deadline

LATE = START + 15 * DAY


@pytest.mark.parametrize("phase", PHASES[:-1])
@pytest.mark.parametrize(
    ("policy", "expected"), [("hold", Move.INCONCLUSIVE), ("rollback", Move.ROLLBACK), ("promote", None)]
)
def test_the_deadline_by_policy(phase: Phase, policy: str, expected: Move | None) -> None:
    by = plan(on_inconclusive=policy, eval={}, shadow={})
    rollout = at(1, by, phase=phase)
    done, state = tick(rollout, by, found(by), LATE)
    # only a canary that progresses is promoted unproven: not past a gate, a person or void evidence
    promoted = Move.PROMOTE if phase == "progressing" else Move.INCONCLUSIVE
    assert done is (expected or promoted)
    if done is Move.INCONCLUSIVE:
        assert (only(state).phase, only(state).weight_bp) == ("inconclusive", 2500)
        assert tick(only(state), by, found(by, shown=True), LATE + DAY)[0] is None


def test_the_deadline_says_what_it_was_before() -> None:
    by = plan()
    rollout = at(1, by, phase="paused", reason="let me look")
    decision = decide_transition(rollout, by, found(by), LATE)
    assert decision.transition is not None
    assert decision.transition.reason.endswith("; it was paused: let me look")


def test_proof_on_the_deadline_promotes() -> None:
    by = plan(on_inconclusive="rollback")
    assert tick(at(2, by), by, found(by, shown=True), LATE)[0] is Move.PROMOTE


def test_too_small_a_registry_never_promotes_by_policy() -> None:
    by = plan(on_inconclusive="promote")
    assert tick(at(1, by), by, found(by, short_of=1), LATE)[0] is Move.INCONCLUSIVE


# ---- moves that meet another state than they were decided on


def test_a_move_is_made_once() -> None:
    by = plan()
    decision = decide_transition(at(0, by), by, found(by), START + HOUR)
    assert decision.transition is not None
    after = apply_transition(serving(at(0, by)), decision.transition, START)
    assert not is_applicable(after, decision.transition)
    with pytest.raises(Invalid, match="the rollout has moved meanwhile"):
        apply_transition(after, decision.transition, START)
    with pytest.raises(Invalid, match="not about the rollout that is active"):
        apply_transition(serving(None), decision.transition, START)


def test_a_rollback_goes_for_the_canary_wherever_it_is_now() -> None:
    by = plan()
    rollback = Transition(move=Move.ROLLBACK, rollout=at(0, by))
    assert apply_transition(serving(at(2, by)), rollback, START) == serving(None)
    promoted = ChannelState(replace(CANARY, since=format_timestamp(START)), STABLE)
    back = apply_transition(promoted, rollback, START + HOUR)
    assert back == ChannelState(replace(STABLE, since=format_timestamp(START + HOUR)))
    assert is_already_undone(back, rollback)
    assert not is_already_undone(promoted, rollback)
    other = at(0, by, id="r-2", canary=OLD)
    with pytest.raises(
        Invalid, match=r"rollback of canary v13 \(r-1.*another rollout has started.*canary v11"
    ):
        apply_transition(serving(other), rollback, START)
    with pytest.raises(Invalid, match="that canary is not served any more"):
        apply_transition(serving(None), rollback, START)


def test_a_rollback_of_stable() -> None:
    state = apply_transition(serving(None), Transition(move=Move.ROLLBACK), START)
    assert state == ChannelState(
        replace(OLD, since=format_timestamp(START))
    )  # and what was bad is no way back
    with pytest.raises(Invalid, match="no version to go back to"):
        apply_transition(state, Transition(move=Move.ROLLBACK), START)
    chosen = apply_transition(state, Transition(move=Move.ROLLBACK, stable=STABLE), START)
    assert chosen.stable == replace(STABLE, since=format_timestamp(START))
    with pytest.raises(Invalid, match="another rollout has started"):
        apply_transition(serving(started()), Transition(move=Move.ROLLBACK, stable=OLD), START)


def test_a_rollback_of_stable_meets_what_has_become_of_it() -> None:
    rollback = Transition(move=Move.ROLLBACK, stable=OLD, replaces=STABLE.digest)
    back = apply_transition(serving(None), rollback, START)
    assert back.stable == replace(OLD, since=format_timestamp(START))
    assert is_already_undone(back, rollback)
    assert not is_already_undone(serving(None), rollback)
    with pytest.raises(Invalid, match="another version has become stable; on the channel: stable v13"):
        apply_transition(ChannelState(CANARY, STABLE), rollback, START)
    with pytest.raises(Invalid, match="no version to go back to"):
        apply_transition(ChannelState(replace(OLD, since="earlier")), replace(rollback, replaces=""), START)


def test_a_rollback_to_a_version_ends_the_canary_too() -> None:
    active = started()
    back = Transition(move=Move.ROLLBACK, rollout=active, stable=OLD, replaces=STABLE.digest)
    after = ChannelState(replace(OLD, since=format_timestamp(START)))
    assert apply_transition(serving(active), back, START) == after
    assert is_already_undone(after, back)
    # aborted or promoted meanwhile
    assert apply_transition(serving(None), back, START) == after
    assert apply_transition(ChannelState(CANARY, STABLE), back, START) == after
    with pytest.raises(Invalid, match="another rollout has started"):
        apply_transition(serving(replace(active, id="r-2")), back, START)
    with pytest.raises(Invalid, match="not served any more"):
        apply_transition(ChannelState(ReleasedVersion("v9", "99" * 32), STABLE), back, START)
    to_stable = replace(back, stable=STABLE)
    assert apply_transition(serving(active), to_stable, START) == serving(None)


def test_a_start_ends_only_what_it_supersedes() -> None:
    old, new = started(), replace(started(), id="r-2")
    start = Transition(move=Move.START, rollout=new, ends=old)
    assert apply_transition(serving(old), start, START).rollout == new
    assert apply_transition(serving(None), start, START).rollout == new
    with pytest.raises(Invalid, match="another rollout is active"):
        apply_transition(serving(replace(old, id="r-3")), start, START)
    assert start.evidence_rollout == old
    assert decode_transition(encode_transition(start), "support/triage") == start


def test_live_shadow_goes_on_and_off() -> None:
    shadow = ShadowState(released=CANARY, sample_bp=1000)
    on = apply_transition(serving(None), Transition(move=Move.SHADOW, shadow=shadow), START)
    assert on.shadow == shadow
    assert apply_transition(on, Transition(move=Move.SHADOW), START) == serving(None)


def test_a_step_that_the_plan_has_not() -> None:
    by = plan()
    with pytest.raises(Invalid, match="at step 8 of a plan with 3"):
        decide_transition(replace(at(2, by), step=7), by, found(by), START)


# ---- whatever the evidence

metrics = st.fixed_dictionaries(
    {name: st.booleans() for name in ("worse", "not_worse", "better", "unequal_missing")}
)
evidence = st.fixed_dictionaries(
    {
        "step_canary_calls": st.integers(0, 300),
        "harm": st.sampled_from([(), (), ("latency",)]),
        "hard": st.sampled_from([(), (), ("checks",)]),
        "signals": st.sampled_from([(), ("cost",)]),
        "sample_ratio_alarm": st.booleans(),
        "gaps": st.sampled_from([(), ("rows are missing",)]),
        "silent": st.sampled_from([(), ("checks",)]),
        "breaker": st.sampled_from([None, None, "five errors"]),
        "short_of": st.sampled_from([0, 0, 7]),
        "reviewed": st.integers(0, 40),
    }
)
plans = st.sampled_from(
    [
        plan(),
        plan(eval={}, shadow={"require": "undecided_ok"}),
        plan(steps=[STEPS[0], {"reviewed": 30}, STEPS[2], {"approval": "manual"}]),
        plan(promote={"goals": ["latency"]}),
        plan(on_inconclusive="rollback", deadline="2h"),
    ]
)
gates = st.none() | st.builds(gate, st.sampled_from([None, *Verdict]), absent=st.booleans())


@given(
    by=plans,
    seen=evidence,
    values=st.lists(metrics, min_size=4, max_size=4),
    step=st.integers(0, 2),
    phase=st.sampled_from(PHASES),
    elapsed=st.floats(-DAY, 20 * DAY),
    shown=gates,
)
def test_what_a_tick_never_does(
    by: ReleasePlan,
    seen: Any,
    values: list[Any],
    step: int,
    phase: Phase,
    elapsed: float,
    shown: GateFinding | None,
) -> None:
    step = min(step, len(by.steps) - 1)
    if by.steps[step].is_manual and phase == "progressing" and step + 1 < len(by.steps):
        phase = "awaiting"
    if phase == "awaiting" and not by.steps[step].is_manual:
        phase = "progressing"
    findings = found(by, **seen)
    pairs = zip(findings.metrics, values, strict=True)
    findings = replace(findings, metrics=tuple(replace(one, **changes) for one, changes in pairs))
    rollout, now = at(step, by, phase=phase), START + elapsed
    decision = decide_transition(rollout, by, findings, now, eval_gate=shown, shadow_gate=shown)
    transition = decision.transition
    assert bool(transition) != bool(decision.holds)
    if findings.harm or findings.hard or findings.breaker:
        assert move(decision) is Move.ROLLBACK
    if transition is None:
        return
    state = apply_transition(serving(rollout), transition, now)
    if state.rollout and state.rollout.phase == "progressing":
        assert state.rollout.weight_bp <= (by.steps[state.rollout.step].weight_bp or 5000)
    void = findings.sample_ratio_alarm or findings.gaps or findings.silent
    if move(decision) in (Move.ADVANCE, Move.AWAIT, Move.PROMOTE):
        assert not void
        assert not findings.short_of
        if phase == "progressing":
            assert findings.step_canary_calls >= by.steps[step].min_canary
            assert elapsed >= by.steps[step].min_duration - 1
    if move(decision) is Move.PROMOTE:
        assert step == len(by.steps) - 1
        guards = [each for each in findings.metrics if each.metric.role == "guard"]
        assert all(each.not_worse and not each.worse for each in guards)
        assert all(each.better for each in findings.metrics if each.metric.name in by.goals)
    elif move(decision) is Move.ROLLBACK:
        assert state.stable == STABLE
        assert state.rollout is None
    else:
        assert only(state).weight_bp >= (0 if phase in ("eval", "shadow") else rollout.weight_bp)


@given(st.lists(st.booleans(), max_size=12), plans)
def test_a_rollout_that_nothing_holds_comes_to_its_end(proof: list[bool], by: ReleasePlan) -> None:
    state, now, weights = serving(started(by)), START, [0]
    for shown in [*proof, *[True] * 12]:
        if state.rollout is None:
            break
        now += DAY / 2
        active = state.rollout
        waits = active.phase == "awaiting" and by.steps[active.step].approval
        seen = metric(found(by, shown=shown, reviewed=30), "latency", better=shown)
        ready = gate(Verdict.NOT_WORSE)
        transition = (
            approval_transition(active, by, actor="ada")
            if waits
            else decide_transition(active, by, seen, now, eval_gate=ready, shadow_gate=ready).transition
        )
        state = apply_transition(state, transition, now) if transition else state
        weights.append(state.rollout.weight_bp if state.rollout else 10_000)
    assert state.rollout is None or by.deadline == 2 * HOUR
    assert weights == sorted(weights)


# ---- places and times


def test_the_gates_of_a_plan() -> None:
    assert gate_phases(BOTH) == ("eval", "shadow")
    assert gate_phases(plan()) == ()
    assert next_position(at(0, plan()), plan()) == ("progressing", 1, 2500)
    assert next_position(at(2, plan()), plan()) == ("progressing", 2, 5000)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (20, "20 s"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (2 * DAY + 3 * HOUR + 5, "2 d 3 h"),
        (-3, "0 s"),
    ],
)
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_moments() -> None:
    assert format_timestamp(START) == "2027-01-15T08:00:00Z"
    assert parse_timestamp(format_timestamp(START + 0.9)) == START
    assert parse_timestamp("2027-01-15T09:00:00+01:00") == parse_timestamp("2027-01-15T08:00:00") == START
    with pytest.raises(Invalid, match="`soon` is not a date and time"):
        parse_timestamp("soon")
