"""What people are told of a canary, one short story each, as somebody at the command line meets it.

Error rates are measured in tests/simulations, on request.
"""

import json
import random
import time
from typing import Any

import pytest

from support.channel_calls import Answer, log_calls
from support.front_door import Cli, Repo
from support.greet_releases import CHECKED, QUICK, channel, go_live, ok, told
from support.greet_traffic import DAY, tick_at, ticked

PER_DAY = 200


def passing(stable: float, canary: float) -> Any:
    """Answers that pass their checks with a chance by arm."""

    def answer(draw: random.Random, is_canary: bool) -> dict[str, Any]:
        share = canary if is_canary else stable
        return {"passed": draw.random() < share, "latency_ms": draw.gauss(900, 90)}

    return answer


def test_where_nothing_fails_nothing_is_rolled_back_and_counts_come_first(cli: Cli, repo: Repo) -> None:
    """A canary was once rolled back with 0 of 18 against 0 of 182, for where the calls fell."""
    plan = "plans: {few: {eval: null, unit: call, steps: [{weight: 10}, {weight: 50}]}}\n"
    repo.write("promptops.yaml", plan)
    go_live(cli, repo, more=CHECKED)
    ok(cli("canary", "greet@HEAD", "--plan", "few", "--yes"))
    log_calls(repo, 182, lambda *_: {"passed": True}, seed=5)
    assert ticked(cli)["move"] in (None, "advance")
    (found,) = told(cli, "status")
    checks = next(each for each in found["findings"]["metrics"] if each["metric"]["name"] == "checks")
    counts = f"v2 failed checks in 0 of {checks['canary_calls']} calls, v1 in 0 of {checks['stable_calls']}"
    assert (checks["canary_bad"], checks["stable_bad"], checks["log_e_worse"]) == (0, 0, 0)
    for form in ("text", "markdown", "html"):
        assert counts in " ".join(ok(cli("status", "--format", form)).out.split()), form
    assert checks["sentence"].startswith(counts)


@pytest.mark.parametrize(("canary", "move"), [(0.95, "promote"), (0.85, "rollback")])
def test_two_hundred_calls_a_day_are_enough_for_lean(cli: Cli, repo: Repo, canary: float, move: str) -> None:
    """The forecast names the plan, and the plan ends within a fortnight. One seed each; see simulations."""
    go_live(cli, repo, more=CHECKED)
    log_calls(repo, 3 * PER_DAY, passing(0.95, 0.95), apart=DAY / PER_DAY)
    advice = ok(cli("release", "forecast", "greet@HEAD")).out
    assert "the plan lean takes " in advice
    ok(cli("canary", "greet@HEAD", "--plan", "lean", "--yes"))
    assert ticked(cli)["move"] == "phase"  # it has no cases: the eval's phase is over
    start = time.time()
    for day in range(14):
        at = start + day * DAY
        log_calls(repo, PER_DAY, passing(0.95, canary), seed=day, start=at, apart=DAY / PER_DAY)
        done = tick_at(at + DAY).move
        if done is not None and str(done) != "advance":
            break
    assert str(done) == move
    (found,) = told(cli, "status")
    assert (found["stable"]["version"], found["rollout"]) == ("v2" if move == "promote" else "v1", None)
    assert not any(each["mismatches"] for each in told(cli, "release", "verify"))


def test_a_version_that_only_answers_worse_does_not_pass_unseen(cli: Cli, repo: Repo) -> None:
    """Without checks production refuses, with three ways out; by `quality: optional` it is said each time."""
    bare = "plans: {bare: {eval: null, unit: call, steps: [{weight: 50}]}}\n"
    repo.write("promptops.yaml", bare)
    go_live(cli, repo)
    refused = cli("canary", "greet@HEAD", "--plan", "bare", "--yes")
    assert refused.code == 4
    for way_out in ("add a check", "judge.PROMPT", "quality: optional"):
        assert way_out in refused.err
    repo.write("promptops.yaml", bare.replace("unit", "quality: optional, unit"))
    said = ok(cli("canary", "greet@HEAD", "--plan", "bare", "--yes")).err
    assert "guards no quality" in said
    assert "guards no quality" in " ".join(ok(cli("status")).out.split())


def test_new_evidence_is_of_other_users_and_keeps_the_log_of_the_first(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo, more=CHECKED)
    ok(cli("canary", "greet@HEAD", *QUICK))
    first = channel(cli)["rollout"]
    log_calls(repo, 200, passing(0.95, 0.3))
    assert ticked(cli)["move"] == "rollback"
    again = ("canary", "greet@HEAD", *QUICK, "--new-evidence", "--reason", "the judge was down")
    ok(cli(*again))
    second = channel(cli)["rollout"]
    assert second["id"] != first["id"]
    assert second["salt"] != first["salt"]
    assert ticked(cli)["move"] is None  # nothing of the first counts
    entries = told(cli, "release", "log")
    assert {each["move"]: each["reason"] for each in entries[:2]}["start"] == "the judge was down"
    assert json.loads(cli("release", "verify", "--json").out)


THUMBS = (
    "{name: thumbs, kind: binary, source: outcome.thumbs, worse: lower, role: guard, margin: 0.05, window: 1h"
)


@pytest.mark.parametrize(
    ("guard", "answer", "said"),
    [
        ("", lambda *_: {"passed": True, "error": True}, "nothing can be worse"),  # the provider is down
        ("", lambda *_: {"passed": False}, "nothing can be worse"),  # the check fits no answer
        (
            "",
            lambda draw, canary: {"passed": not canary and draw.random() < 0.05},  # fits next to none
            "the limit lies beyond",
        ),
        (THUMBS + ", missing: good}", lambda *_: {"passed": True}, "no outcome.thumbs has come"),
        (THUMBS + ", missing: bad}", lambda *_: {"passed": True}, "nothing can be worse"),
    ],
)
def test_what_measures_nothing_promotes_nothing(
    cli: Cli, repo: Repo, guard: str, answer: Answer, said: str
) -> None:
    """Versions that both fail nearly always, or by opinions that nobody gave, is no proof of anything."""
    metrics = f", metrics: [{guard}]" if guard else ""
    plan = f"plans: {{quick: {{unit: call, steps: [{{weight: 50, min_canary: 50}}]{metrics}}}}}\n"
    repo.write("promptops.yaml", plan)
    go_live(cli, repo, more=CHECKED)
    ok(cli("canary", "greet@HEAD", *QUICK))
    start = time.time()
    log_calls(repo, 600, answer, seed=3, start=start)
    assert tick_at(start + DAY).move is None
    (found,) = told(cli, "status")
    assert said in json.dumps(found)
    refused = cli("promote", "greet")
    assert (refused.code, said in refused.out + refused.err) == (3, True), refused.err
