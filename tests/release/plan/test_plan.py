import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.plan_schema import PLAN_SCHEMA
from promptops.config.settings import SettingsFile, decode_settings
from promptops.config.yaml import parse_yaml
from promptops.errors import Invalid, NotFound
from promptops.prompt import Prompt, load_prompt
from promptops.release.plan import (
    BUILT_IN,
    MetricSource,
    ObserveSettings,
    PlanMetric,
    PlanShadowGate,
    PlanStep,
    ReleasePlan,
    decode_plan,
    dump_plan,
    fit_plan,
    load_pinned_plan,
    matches_pattern,
    parse_source,
    plan_for,
)
from promptops.release.plan.quality import require_quality
from support.front_door import Cli, Repo

HOUR, DAY = 3600, 86_400


def settings(text: str) -> SettingsFile:
    return decode_settings(text.encode(), "promptops.yaml")


def written(text: str) -> ReleasePlan:
    """The plan ``p`` with these keys."""
    file = settings(f"plans:\n  p:\n{''.join(f'    {line}' + chr(10) for line in text.splitlines())}")
    return plan_for(file, "greet", "production", "p")


def names(plan: ReleasePlan) -> list[str]:
    return [each.name for each in plan.metrics]


def test_the_built_in_plans_are_those_of_the_manual() -> None:
    default, direct, lean, shadow_first, quick = (decode_plan(name, {}) for name in BUILT_IN)
    assert list(BUILT_IN) == ["default", "direct", "lean", "shadow-first", "quick"]
    assert default.steps == (
        PlanStep(weight_bp=500, min_canary=50, min_duration=HOUR),
        PlanStep(weight_bp=2500, min_canary=150, min_duration=4 * HOUR),
        PlanStep(weight_bp=5000, min_duration=24 * HOUR),
    )
    assert (default.unit, default.deadline, default.on_inconclusive) == ("session", 14 * DAY, "hold")
    assert default.observe == ObserveSettings(call_timeout=120, feedback_window=DAY)
    assert [(each.name, each.role, each.margin) for each in default.metrics] == [
        ("error_rate", "guard", 0.02),
        ("checks", "guard", 0.03),
        ("latency", "guard", 1.2),
        ("cost", "signal", 1.25),
    ]
    assert direct.eval == default.eval
    assert (direct.steps, direct.shadow) == ((), None)
    half = PlanStep(weight_bp=5000)
    assert lean.steps == (PlanStep(weight_bp=1000, min_canary=20, min_duration=DAY), half)
    assert [each.margin for each in lean.metrics] == [0.02, 0.04, 1.2, 1.25]
    assert (lean.shadow, lean.require, lean.min_calls) == (None, "all_guards", 0)
    assert (shadow_first.steps, shadow_first.metrics) == (lean.steps, lean.metrics)
    assert shadow_first.shadow == PlanShadowGate(sample=600, margin=0.04)
    assert (shadow_first.require, shadow_first.min_calls) == ("shadow_and_no_harm", 800)
    assert shadow_first.proven_by_shadow == ("checks",)
    assert [each.quality for each in (default, lean, shadow_first, quick)] == [None, None, None, "optional"]
    assert (quick.unit, quick.eval, quick.steps) == ("call", None, (PlanStep(weight_bp=5000, min_canary=50),))
    assert [(each.name, each.margin) for each in quick.metrics] == [("error_rate", 0.1), ("checks", 0.15)]


def test_what_a_plan_leaves_out_is_the_defaults() -> None:
    plan = written("unit: user\neval: {margin: 0.01}\npromote: {goals: [latency]}\nalpha: {srm: 0.01}")
    assert plan.unit == "user"
    assert plan.eval is not None
    assert (plan.eval.margin, plan.eval.require) == (0.01, "undecided_ok")
    assert plan.goals == plan.all_goals == ("latency",)
    assert (plan.alpha.rollback, plan.alpha.srm) == (0.05, 0.01)
    assert plan.steps == decode_plan("default", {}).steps


def test_every_key_is_read() -> None:
    plan = written("""\
eval: null
shadow: {sample: 300, max_usd: 5.00}
unit: tenant
steps:
  - {weight: 0.5, min_canary: 5, min_duration: 90s}
  - {reviewed: 30}
  - {weight: 10, min_duration: 30m}
  - {approval: manual}
promote: {require: all_guards, goals: [right]}
on_inconclusive: rollback
deadline: null
alpha: {rollback: 0.01, promote: 0.02, srm: 0.003}
observe: {call_timeout: 60, feedback_window: 2h}
metrics:
  - {name: slow, kind: binary, source: run.latency_ms > 8000, worse: higher, role: hard, margin: 0.1}
  - {name: right, kind: binary, source: outcome.correct, worse: lower, margin: 0, window: 7d, missing: bad}
  - {name: thumbs, kind: binary, source: outcome.thumbs, worse: lower, margin: 0.05, role: goal}
  - {name: tone, kind: score, source: judge.tone, worse: lower, margin: 0.1, range: [1, 5], sample: 0.2}
""")
    assert plan.eval is None
    assert plan.shadow == PlanShadowGate(sample=300, max_usd=5.0)
    assert plan.steps == (
        PlanStep(weight_bp=50, min_canary=5, min_duration=90),
        PlanStep(reviewed=30),
        PlanStep(weight_bp=1000, min_duration=1800),
        PlanStep(approval=True),
    )
    assert [step.is_manual for step in plan.steps] == [False, True, False, True]
    assert (plan.on_inconclusive, plan.deadline, plan.unit) == ("rollback", None, "tenant")
    assert plan.observe == ObserveSettings(call_timeout=60, feedback_window=2 * HOUR)
    assert plan.all_goals == ("right", "thumbs")
    slow, right, thumbs, tone = plan.metrics
    assert slow == PlanMetric(
        name="slow",
        kind="binary",
        source="run.latency_ms > 8000",
        worse="higher",
        role="hard",
        margin=0.1,
    )
    assert (right.role, right.window, right.missing) == ("guard", 7 * DAY, "bad")
    assert (thumbs.window, thumbs.missing) == (2 * HOUR, "good")
    assert (tone.scale, tone.sample, tone.window, tone.missing) == ((1.0, 5.0), 0.2, 2 * HOUR, "exclude")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stpes: []", r"promptops.yaml:3:5: unknown key `stpes` \(did you mean `steps`\?\)"),
        ("unit: 3", r":3:5: `unit` must be a string"),
        ("deadline: soon", r":3:5: plan p: `deadline` is not a duration: `soon`"),
        ("deadline: 1h30", "is not a duration"),
        ("deadline: 1.0e+300", "`deadline` is longer than ten years"),
        (f"observe: {{feedback_window: {'9' * 400}d}}", "`observe.feedback_window` is longer than ten years"),
        ("deadline: 0", "must be longer than nothing"),
        ("deadline: -5", "deadline"),
        ("observe: {call_timeout: 0s}", "`observe.call_timeout` must be longer than nothing"),
        ("steps: [{weight: 60}]", r"`steps\[0\].weight`"),
        ("steps: [{weight: 0}]", r"`steps\[0\].weight`"),
        ("steps: [{weight: 0.001}]", "whole hundredths of a percent"),
        ("steps: [{weight: 25}, {weight: 5}]", r"`steps\[1\].weight` is below the step before"),
        ("steps: [{min_canary: 5}]", r"`steps\[0\]` says neither"),
        ("steps: [{weight: 5, approval: manual}]", "says weight and approval"),
        ("steps: [{weight: 5}, {approval: manual, min_canary: 3}]", "approval stands alone"),
        ("steps: [{reviewed: 3}, {weight: 5}]", "outputs reviewed before there are any"),
        ("steps: [{approval: manual}]", "never gives the canary a weight"),
        ("steps: [{approval: yes}]", "must be one of `manual`|manual"),
        ("on_inconclusive: wait", "must be one of `hold`, `rollback`, `promote`"),
        ("promote: {goals: [lat]}", r"`promote.goals\[0\]` is not a metric: lat"),
        ("promote: {require: some}", "all_guards"),
        ("promote: {require: shadow_and_no_harm, min_calls: 9}", "no shadow phase has to show not worse"),
        ("shadow: {}\npromote: {require: shadow_and_no_harm}", "few calls find no harm"),
        ("steps: []\nshadow: {}\npromote: {require: shadow_and_no_harm, min_calls: 9}", "has no steps"),
        ("shadow: {margin: 1}", "shadow.margin"),
        ("quality: some", "must be one of `required`, `optional`"),
        ("metrics: []", "has no guard"),
        ("alpha: {rollback: 0}", "alpha.rollback"),
        ("eval: {require: maybe}", "must be one of `undecided_ok`, `not_worse`"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        written(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name: 'a b'", "name"),
        ("kind: binry", "must be one of `binary`, `ratio`, `score`"),
        ("source: latency", "is not a source"),
        ("source: run.latency", r"unknown column `run.latency` \(did you mean `run.latency_ms`\?\)"),
        ("source: run.latncy_ms > 3", "did you mean `run.latency_ms`"),
        ("source: outcome.thumb", "no outcome is called `thumb`"),
        ("{source: outcome.dwell_s, worse: lower}", "is binary, and outcome.dwell_s is a number"),
        ("{source: outcome.correct, kind: ratio}", "is ratio, and outcome.correct is yes or no"),
        ("source: outcome.thumbs", "of m is higher: of outcome.thumbs, lower is worse"),
        ("source: check.polite", "of check.polite, lower is worse"),
        ("worse: lower", "of run.error, higher is worse"),
        ("source: run.latency_ms", "is binary, and run.latency_ms is a number"),
        ("kind: ratio", "is ratio, and run.error is yes or no"),
        ("source: run.truncated, kind: ratio", "is ratio, and run.truncated is yes or no"),
        ("{kind: ratio, source: run.cost_usd, worse: lower}", "a ratio is of amounts where more is worse"),
        ("{kind: ratio, source: run.cost_usd, margin: 0.2}", "a ratio from 1 to 64"),
        ("margin: 1.2", "a difference from 0 to 0.9"),
        ("margin: -0.1", "a difference from 0 to 0.9"),
        ("window: 1h", "only outcome and judge metrics have one"),
        ("sample: 0.5", "only judge metrics have one"),
        ("range: [1, 5]", "a score has a range"),
        ("{kind: score, source: outcome.x}", "a score has a range"),
        ("{kind: score, source: outcome.x, range: [5, 1]}", "5 is not below 1"),
    ],
)
def test_mistakes_in_a_metric_are_named(change: str, message: str) -> None:
    metric = {"name": "m", "kind": "binary", "source": "run.error", "worse": "higher", "margin": 0.1}
    metric |= parse_yaml((change if "{" in change else f"{{{change}}}").encode(), "m").data
    with pytest.raises(Invalid, match=message):
        decode_plan("p", {"metrics": [metric]})


def test_a_metric_stands_there_once_and_whole() -> None:
    metric = {"name": "m", "kind": "binary", "source": "run.error", "worse": "higher", "margin": 0.1}
    with pytest.raises(Invalid, match="stands there twice: m"):
        decode_plan("p", {"metrics": [metric, metric]})
    del metric["margin"]
    with pytest.raises(Invalid, match="the key `margin` is missing in `metrics"):
        decode_plan("p", {"metrics": [metric]})


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("run.error", MetricSource("run", "error")),
        ("run.truncated", MetricSource("run", "truncated")),
        (" checks.pass ", MetricSource("checks", "pass")),
        ("check.polite", MetricSource("check", "polite")),
        ("outcome.thumbs", MetricSource("outcome", "thumbs")),
        ("judge.judges/tone", MetricSource("judge", "judges/tone")),
        ("run.latency_ms > 8000", MetricSource("run", "latency_ms", ">", 8000.0)),
        ("run.cost_usd<=1e-3", MetricSource("run", "cost_usd", "<=", 0.001)),
    ],
)
def test_sources(text: str, source: MetricSource) -> None:
    assert parse_source(text) == source
    assert source.is_delayed == (source.place in ("outcome", "judge"))


CHOICE = """\
channels: {production: {plan: strict}, beta: {plan: quick}, gamma: {}}
releases:
  - {prompts: "medical/**", plan: medical}
  - {prompts: "medical/*", plan: never}
plans: {strict: {unit: user}, medical: {unit: patient}, quick: {unit: call}}
"""


@pytest.mark.parametrize(
    ("prompt", "channel", "chosen", "name"),
    [
        ("greet", "production", None, "strict"),
        ("greet", "production", "quick", "quick"),
        ("medical/triage", "production", None, "medical"),
        ("medical/triage", "staging", None, "medical"),
        ("medical/triage", "staging", "direct", "direct"),
        ("greet", "staging", None, "direct"),
        ("greet", "beta", None, "quick"),
        ("greet", "gamma", None, "default"),
    ],
)
def test_which_plan_holds(prompt: str, channel: str, chosen: str | None, name: str) -> None:
    assert plan_for(settings(CHOICE), prompt, channel, chosen).name == name
    assert plan_for(SettingsFile(), prompt, "production").name == "default"


def test_a_plan_of_a_built_in_name_changes_that_one() -> None:
    quick = plan_for(settings("plans: {quick: {steps: [{weight: 10}]}}"), "greet", "production", "quick")
    assert (quick.unit, quick.eval) == ("call", None)
    assert quick.steps == (PlanStep(weight_bp=1000),)


def test_an_unknown_plan_names_the_nearest() -> None:
    with pytest.raises(NotFound, match="no plan `strct`") as caught:
        plan_for(settings(CHOICE), "greet", "production", "strct")
    assert caught.value.hint == "did you mean strict?"


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("greet", "greet", True),
        ("greet", "greeting", False),
        ("*", "greet", True),
        ("*", "a/greet", False),
        ("**", "a/b/greet", True),
        ("medical/**", "medical/a/b", True),
        ("medical/**", "medically", False),
        ("**/triage", "a/b/triage", True),
        ("s?/x.y", "s1/x.y", True),
        ("s?/x.y", "s1/xzy", False),
        ("a?", "a", False),
        ("a?", "a/", False),
        ("**a" * 500, "a" * 400, False),
        ("*a" * 30 + "b", "a" * 400, False),
    ],
)
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches_pattern(pattern, name) is expected


PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
messages: [{role: user, content: Hi}]
"""


def greet(text: str) -> Prompt:
    def read(path: str) -> bytes:
        if path != "greet.yaml":
            raise NotFound(path)
        return text.encode()

    return load_prompt("greet", read)


def test_a_plan_fits_a_prompt() -> None:
    bare, checked = greet(PROMPT), greet(PROMPT + "checks: [{max_words: 3}]\n")
    default = decode_plan("default", {})
    assert names(fit_plan(default, checked)) == names(default)
    assert names(fit_plan(default, bare)) == ["error_rate", "latency", "cost"]
    assert fit_plan(default, bare).digest != default.digest == fit_plan(default, checked).digest
    assert names(fit_plan(written("unit: user"), bare)) == ["error_rate", "latency", "cost"]
    with pytest.raises(Invalid, match="the metric checks has no source: greet has no checks"):
        fit_plan(written("promote: {goals: [checks]}"), bare)
    named = "metrics: [{name: m, kind: binary, source: check.max_word, worse: lower, margin: 0}]"
    with pytest.raises(Invalid, match="did you mean max_words"):
        fit_plan(written(named), checked)
    with pytest.raises(Invalid, match="greet has no check max_word"):
        fit_plan(written(named), bare)
    with pytest.raises(Invalid, match="the metric e has no source: greet has no checks"):
        fit_plan(written(ERRORS.replace("run.error", '"run.checks_failed > 1"')), bare)


def test_keys_that_came_later_do_not_move_the_digests_of_before() -> None:
    """Rollouts under way name their plan by its digest."""
    digests = {name: decode_plan(name, {}).digest[:12] for name in ("default", "direct", "quick")}
    assert digests == {"default": "05b9d34424a0", "direct": "f18dfa78f62f", "quick": "5f84e4bec030"}
    assert decode_plan("p", {"shadow": {"sample": 3}}).digest.startswith("d04df2683441")


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_plan_is_pinned_with_all_it_says(name: str) -> None:
    plan = decode_plan(name, {})
    assert load_pinned_plan(dump_plan(plan), plan.digest) == plan
    assert load_pinned_plan(dump_plan(plan).encode(), plan.digest).digest == plan.digest
    with pytest.raises(Invalid, match="is not the plan that was pinned"):
        load_pinned_plan(dump_plan(plan).replace("120", "121"), plan.digest)
    with pytest.raises(Invalid, match="is not the plan that was pinned"):
        load_pinned_plan("[]", plan.digest)


@given(
    st.floats(0.01, 50).map(lambda weight: round(weight, 2)),
    st.integers(0, 10_000),
    st.floats(0, 1e7) | st.integers(0, 90).map(lambda hours: f"{hours}h"),
    st.sampled_from(["hold", "rollback", "promote"]),
    st.none() | st.integers(1, 90).map(lambda days: f"{days}d"),
)
def test_whatever_is_pinned_reads_back(
    weight: float, calls: int, least: float | str, policy: str, deadline: str | None
) -> None:
    content = {
        "steps": [{"weight": weight, "min_canary": calls, "min_duration": least}, {"approval": "manual"}],
        "on_inconclusive": policy,
        "deadline": deadline,
    }
    plan = decode_plan("p", content)
    assert load_pinned_plan(dump_plan(plan), plan.digest) == plan


def test_editors_see_the_whole_schema(cli: Cli, repo: Repo) -> None:
    shown = json.loads(cli("schema", "settings").out)
    assert shown["properties"]["plans"]["additionalProperties"] == PLAN_SCHEMA


def test_a_wrong_plan_keeps_no_other_verb_from_its_work(cli: Cli, greeting: Repo) -> None:
    greeting.write("promptops.yaml", "plans: {p: {unit: 3}}\n")
    assert cli("list").code == 0
    greeting.write("promptops.yaml", "plans: {p: {stpes: []}}\n")
    assert "unknown key `stpes` (did you mean `steps`?)" in cli("list").err
    greeting.write("promptops.yaml", "plans: {p: 3}\n")
    assert "`p` must be a mapping" in cli("list").err


def test_doctor_looks_at_all_plans(cli: Cli, greeting: Repo) -> None:
    assert "plans:" not in cli("doctor").out
    greeting.write("promptops.yaml", CHOICE.replace("never", "medical"))
    assert "plans: strict, medical, quick\n" in cli("doctor").out
    wrong = "plans: {p: {unit: 3}}\nchannels: {beta: {plan: quik}}\nreleases: [{prompts: x, plan: gone}]\n"
    greeting.write("promptops.yaml", wrong)
    said = cli("doctor")
    assert said.code == 1
    assert "plans: promptops.yaml:1:13: `unit` must be a string" in said.out
    assert "plans: no plan `quik` in promptops.yaml\n        did you mean quick?" in said.out
    assert "plans: no plan `gone` in promptops.yaml" in said.out


ERRORS = "metrics: [{name: e, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.1}]"


def test_a_channel_is_one_of_production_by_a_word_of_its_name() -> None:
    plan = written(ERRORS)
    for channel in ("prod1", "prod_eu", "eu.prod", "prodEU", "EUProd", "PRODUCTION-2", "prd", "live"):
        with pytest.raises(Invalid, match="guards no quality"):
            require_quality(plan, "greet", channel)
    for channel in ("preprod", "delivery", "product", "beta"):
        require_quality(plan, "greet", channel)
