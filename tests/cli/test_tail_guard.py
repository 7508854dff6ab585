"""A ratio compares what is typical; beside it stands a guard of the tail, whose number is stable's own."""

import random
from typing import Any

import pytest

from support.channel_calls import log_calls
from support.front_door import Cli, Repo
from support.greet_releases import go_live, ok, told
from support.greet_traffic import ticked

PLAN = """\
plans:
  slow:
    eval: null
    unit: call
    quality: optional
    steps: [{{weight: 50, min_canary: 50}}]
    metrics:
      - {{name: latency, kind: ratio, source: run.latency_ms, worse: higher, margin: 1.2{more}}}
"""


@pytest.fixture
def live(cli: Cli, repo: Repo, request: pytest.FixtureRequest) -> Repo:
    repo.write("promptops.yaml", PLAN.format(more=getattr(request, "param", "")))
    go_live(cli, repo)
    return repo


def calls(repo: Repo, count: int, *, slow: float = 0.0, seed: int = 1) -> None:
    """Calls of the channel. ``slow``: the share of the canary's that take six times as long."""

    def answer(draw: random.Random, canary: bool) -> dict[str, Any]:
        times = 6.0 if canary and draw.random() < slow else 1.0
        return {"latency_ms": times * draw.lognormvariate(7.0, 0.3)}

    log_calls(repo, count, answer, seed=seed)


def start(cli: Cli) -> str:
    return ok(cli("canary", "greet@HEAD", "--plan", "slow", "--yes")).err


def tail_source(cli: Cli) -> str:
    (tail,) = [each for each in told(cli, "status")[0]["plan"]["metrics"] if each["name"] == "latency_tail"]
    return str(tail["source"])


def test_a_tenth_of_calls_at_six_times_the_time_is_not_promoted(cli: Cli, live: Repo) -> None:
    calls(live, 200)
    start(cli)
    calls(live, 300, slow=0.1)
    assert ticked(cli)["move"] == "rollback"
    (tail,) = [
        each for each in told(cli, "release", "log")[0]["reason"].split("; ") if "took longer than" in each
    ]
    assert tail.startswith("v2 took longer than ")


def test_an_equal_canary_is_promoted_past_the_guard_of_its_tail(cli: Cli, live: Repo) -> None:
    calls(live, 200)
    start(cli)
    calls(live, 1_500)
    assert ticked(cli)["move"] == "promote"


@pytest.mark.parametrize("live", [", tail: null"], indirect=True)
def test_without_it_the_same_canary_is_promoted(cli: Cli, live: Repo) -> None:
    calls(live, 200)
    assert "no guard" not in start(cli)
    calls(live, 700, slow=0.1)
    assert ticked(cli)["move"] == "promote"


def test_the_number_is_that_of_the_start_also_when_the_canary_starts_again(cli: Cli, live: Repo) -> None:
    calls(live, 200)
    start(cli)
    first = tail_source(cli)
    assert 1_500 < float(first.partition(" > ")[2]) < 2_200  # e^7 * e^(1.645 * 0.3) = 1,796
    calls(live, 300, slow=1.0)
    ok(cli("release", "abort", "greet"))
    calls(live, 200, seed=2)
    start(cli)
    assert tail_source(cli) == first
    ok(cli("release", "abort", "greet"))
    ok(cli("canary", "greet@HEAD", "--plan", "slow", "--yes", "--new-evidence", "--reason", "a new provider"))
    assert tail_source(cli) != first


def test_few_logged_calls_know_no_tail_and_that_is_said(cli: Cli, live: Repo) -> None:
    calls(live, 99)
    said = " ".join(start(cli).split())
    assert "the tail of latency has no guard: 100 logged calls of stable are needed" in said
    calls(live, 40)
    ok(cli("tick"))
    assert [each["name"] for each in told(cli, "status")[0]["plan"]["metrics"]] == ["latency"]  # as it began


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("{name: e, kind: binary, source: run.error, worse: higher, margin: 0.1, tail: 0.1}", "only a ratio"),
        ("{name: e, kind: ratio, source: run.latency_ms, worse: higher, margin: 1.2, tail: 2}", "tail"),
    ],
)
def test_a_tail_that_cannot_be_is_refused(cli: Cli, repo: Repo, metric: str, said: str) -> None:
    repo.write("promptops.yaml", f"plans: {{slow: {{metrics: [{metric}]}}}}\n")
    go_live(cli, repo)
    done = cli("canary", "greet@HEAD", "--plan", "slow", "--yes")
    assert (done.code, said in done.err) == (4, True)
