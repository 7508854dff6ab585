"""A rollout whose plan has a shadow phase: its pairs, and what they decide before users meet the canary."""

import json
from typing import Any

import pytest

from support.channel_calls import log_calls
from support.front_door import GREET, Cli, Finished, Repo
from support.greet_releases import channel, ok, told, two_versions
from support.greet_traffic import ticked
from support.provider import Answer, Provider, Received, echo, status, text

PLAN = """\
plans:
  careful:
    shadow: {{sample: 60, min_pairs: {pairs}, require: {require}, max_usd: {usd}}}
    eval: null
    quality: optional
    unit: call
    steps: [{{weight: 50, min_canary: 5}}]
    metrics: [{{name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.1}}]
"""
GATES = """\
plans:
  evals: {quality: optional, shadow: null, unit: call, eval: {margin: 0.3}}
  pairs: {quality: optional, eval: null, unit: call, shadow: {min_pairs: 10, require: undecided_ok}}
"""
PAIRS_FIRST = """\
plans:
  pairs:
    eval: null
    unit: call
    steps: [{weight: 50}]
    shadow: {min_pairs: 10, margin: 0.5}
    promote: {require: shadow_and_no_harm, min_calls: 100}
    metrics:
      - {name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.3}
      - {name: checks, kind: binary, source: checks.pass, worse: lower, role: guard, margin: 0.01}
"""
OLD, NEW = "openai/gpt-4o-mini-2024-07-18", "openai/gpt-4.1-mini-2025-04-14"
CHECKED = GREET + "checks: [{contains: '{{ name }}'}]\n"


@pytest.fixture
def logged(repo: Repo, cli: Cli, provider: Provider) -> Repo:
    """v1 greets in production and has answered sixty different calls; HEAD salutes."""

    def build() -> None:
        repo.write(".gitignore", "registry.db*\n*.jsonl\n")
        repo.write("prompts/greet.yaml", CHECKED)
        plan(repo)
        repo.commit("Greet people")
        repo.write("prompts/greet.yaml", CHECKED.replace("Greet {{", "Salute {{"))
        repo.commit("Salute people")
        ok(cli("promote", "greet@HEAD~1", "--yes"))
        repo.write("in.jsonl", "".join(json.dumps({"inputs": {"name": f"p{n}"}}) + "\n" for n in range(60)))
        ok(cli("batch", "greet:production", "in.jsonl", "--out", "out.jsonl"))

    repo.start_as("sixty calls", build)
    provider.requests.clear()
    return repo


def plan(repo: Repo, *, pairs: int = 40, require: str = "undecided_ok", usd: float = 1.0) -> None:
    repo.write("promptops.yaml", PLAN.format(pairs=pairs, require=require, usd=usd))


def start(cli: Cli) -> Finished:
    return ok(cli("canary", "greet@HEAD", "--plan", "careful", "--yes"))


def pairs(cli: Cli, *more: str) -> Finished:
    return cli("release", "gate", "greet:production", "--yes", *more)


def phase(cli: Cli) -> str | None:
    rollout = channel(cli)["rollout"]
    return rollout and rollout["phase"]


def test_pairs_that_are_not_worse_let_the_canary_start(logged: Repo, cli: Cli, provider: Provider) -> None:
    started = start(cli)
    assert "promptops release gate greet:production" in started.err
    assert phase(cli) == "shadow"
    waits = told(cli, "tick", "greet")
    assert "promptops release gate greet:production" in json.dumps(waits)
    assert "promptops release gate greet:production" in ok(cli("status", "greet")).out
    for _ in range(5):  # nobody meets it yet
        assert ok(cli("run", "greet:production", "-i", "name=Ada")).out == "Greet Ada.\n"
    made = ok(pairs(cli))
    assert "next: promptops tick greet:production" in made.err
    ok(cli("tick", "greet"))
    assert phase(cli) == "progressing"
    assert channel(cli)["rollout"]["weight_bp"] == 5000


def test_worse_keeps_the_canary_from_ever_starting(logged: Repo, cli: Cli, provider: Provider) -> None:
    start(cli)
    provider.script = salute(text("Hail."))
    ok(pairs(cli))
    done = cli("tick", "greet")
    assert done.code == 1, done.err
    state = channel(cli)
    assert (state["rollout"], state["stable"]["version"]) == (None, "v1")
    assert "Hail." not in {cli("run", "greet:production", "-i", "name=Ada").out for _ in range(10)}
    log = told(cli, "release", "log", "greet")
    assert "worse" in json.dumps(log[0]) or "fails" in json.dumps(log[0])


def test_pairs_are_made_in_parts(logged: Repo, cli: Cli, provider: Provider) -> None:
    start(cli)
    ok(pairs(cli, "--last", "10", "--until", "all"))
    held = cli("tick", "greet", "--exit-code")
    assert (held.code, phase(cli)) == (3, "shadow")
    assert "10 of 40" in held.out + held.err
    ok(pairs(cli))
    ok(cli("tick", "greet"))
    assert phase(cli) == "progressing"


def test_undecided_is_not_enough_for_a_plan_that_wants_proof(
    logged: Repo, cli: Cli, provider: Provider
) -> None:
    plan(logged, pairs=20, require="not_worse")
    start(cli)
    ok(pairs(cli, "--last", "20", "--until", "all"))
    assert cli("tick", "greet", "--exit-code").code == 3
    assert phase(cli) == "shadow"


def test_it_spends_so_somebody_says_yes(logged: Repo, cli: Cli, provider: Provider) -> None:
    start(cli)
    done = cli("release", "gate", "greet")
    assert (done.code, "--yes" in done.err) == (2, True)
    assert not provider.requests
    assert cli("release", "gate", "greet", "greet@HEAD", "--yes").code == 2


def test_the_plans_money_is_not_exceeded(logged: Repo, cli: Cli, provider: Provider) -> None:
    cost = 5 * 0.15e-6 + 64 * 0.6e-6
    plan(logged, usd=round(cost * 20, 7))
    start(cli)
    usage = {"prompt_tokens": 5, "completion_tokens": 64, "total_tokens": 69}
    provider.script = lambda _: text("Ada p1", usage=usage)
    assert pairs(cli, "-j", "1").code == 6
    assert len(provider.requests) <= 20
    assert phase(cli) == "shadow"


def test_outside_that_phase(logged: Repo, cli: Cli, provider: Provider) -> None:
    done = pairs(cli)
    assert (done.code, "no active canary" in done.err) == (4, True)
    ok(cli("canary", "greet@HEAD", "--plan", "quick", "--yes"))
    done = pairs(cli)
    assert (done.code, "not in the phase shadow" in done.err) == (4, True)


def test_a_candidate_that_is_down_is_no_verdict(logged: Repo, cli: Cli, provider: Provider) -> None:
    start(cli)
    provider.script = salute(status(500))
    assert pairs(cli, "-o", "retries=0").code == 5
    assert cli("tick", "greet", "--exit-code").code == 3
    assert phase(cli) == "shadow"
    provider.script = echo
    ok(pairs(cli))
    ok(cli("tick", "greet"))
    assert phase(cli) == "progressing"


def salute(otherwise: Answer, marker: bytes = b"Salute") -> Any:
    """The canary gets this answer, and stable an echo."""

    def answer(request: Received) -> Answer:
        return otherwise if marker in request.raw else echo(request)

    return answer


@pytest.mark.parametrize(
    ("answer", "code", "said"), [("Hail.", 3, "passes nothing"), ("a b c d", 1, "check")]
)
def test_what_is_expected_beside_checks_that_do_not_look_at_it(
    repo: Repo, cli: Cli, provider: Provider, answer: str, code: int, said: str
) -> None:
    """It is compared by a check that nobody wrote, which is said; both sides failing it proves nothing."""
    two_versions(repo, "checks: [{max_words: 3}]\n")
    lines = [{"inputs": {"name": f"p{n}"}, "expected": "something else"} for n in range(14)]
    repo.write("cases.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    versions, gate = ("greet@HEAD", "--against", "greet@HEAD~1"), ("--no-worse-than", "0.03", "-j", "1")
    for marker, command in (
        (b"Salute", ("shadow", "run", *versions, "--inputs", "cases.jsonl")),
        (b"Salute", ("eval", *versions, "--cases", "cases.jsonl")),
        (b"4.1", ("shadow", "migrate", "--model", f"{OLD}={NEW}", "--inputs", "cases.jsonl")),
    ):
        provider.script = salute(text(answer), marker)
        done = cli(*command, *gate)
        assert done.code == code, done.out + done.err
        assert said in done.err
        assert "14 cases are compared with `expected` by `equals`" in " ".join((done.out + done.err).split())


@pytest.mark.parametrize("way", ["eval", "sequential", "shadow"])
@pytest.mark.parametrize(
    ("answer", "code", "said"), [("Hail.", 3, "passes none"), ("a b c d", 1, "worse on the check max_words")]
)
def test_a_tick_says_what_the_comparison_said(
    repo: Repo, cli: Cli, provider: Provider, way: str, answer: str, code: int, said: str
) -> None:
    repo.write("promptops.yaml", GATES)
    lines = [{"inputs": {"name": f"p{n}"}, "expected": "something else"} for n in range(24)]
    repo.write("prompts/greet.cases.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    two_versions(repo, "checks: [{max_words: 3}]\ncases: greet.cases.jsonl\n")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", "--plan", "evals" if way != "shadow" else "pairs", "--yes"))
    provider.script = salute(text(answer))
    if way == "shadow":
        ok(pairs(cli, "--inputs", "prompts/greet.cases.jsonl", "--until", "all", "-j", "1"))
    else:
        more = ["--sequential"] if way == "sequential" else []
        assert cli("eval", "--plan", "greet", "-j", "1", *more).code == code
    done = cli("tick", "greet", "--exit-code")
    assert (done.code, said in done.out + done.err) == (code, True), done.out + done.err
    assert phase(cli) == (None if code == 1 else "shadow" if way == "shadow" else "eval")


def test_cases_of_what_stable_cannot_do_yet_let_the_canary_start(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    """Five of five fixed prove nothing; they show that the checks fit, though stable passes none."""
    repo.write("promptops.yaml", GATES)
    repo.write(
        "prompts/greet.cases.jsonl",
        "".join(f'{{"inputs": {{"name": "p{n}"}}, "expected": "Hail."}}\n' for n in range(5)),
    )
    two_versions(repo, "checks: [{max_words: 30}]\ncases: greet.cases.jsonl\n")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", "--plan", "evals", "--yes"))
    provider.script = salute(text("Hail."))
    ok(cli("eval", "--plan", "greet", "-j", "1"))
    ok(cli("tick", "greet"))
    assert phase(cli) == "progressing"


def test_what_the_pairs_have_shown_verifies_with_the_promotion(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    """The checks need not be shown not worse by the canary again, where the plan says so."""
    repo.write("promptops.yaml", PAIRS_FIRST)
    two_versions(repo, "checks: [{max_words: 30}]\n")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", "--plan", "pairs", "--yes"))
    lines = [{"inputs": {"name": f"p{n}"}} for n in range(30)]
    repo.write("cases.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    ok(pairs(cli, "--inputs", "cases.jsonl", "--until", "all"))
    ok(cli("tick", "greet"))
    log_calls(repo, 150, lambda *_: {"passed": True})
    assert (ticked(cli)["move"], phase(cli)) == ("promote", None)
    (last, *_) = told(cli, "release", "verify")
    assert (last["subject"], last["mismatches"]) == ("release(greet): production v1 → v2", [])
