"""Slices of a canary: calls with one tag that fail more often are named, and pause it."""

import random
import time
from collections.abc import Mapping
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.greet_releases import CHECKED, QUICK, channel, go_live, ok, told
from support.greet_traffic import channel_state, ticked
from support.logged_runs import a_run, an_end, check

Shares = Mapping[str, tuple[float, float]]  # of failing calls by tag, of stable and of the canary
ALIKE: Shares = {"billing": (0.1, 0.1), "refund": (0.1, 0.1), "other": (0.1, 0.1)}


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo, more=CHECKED)
    return repo


def calls(repo: Repo, count: int, shares: Shares, *, seed: int = 1) -> None:
    """Calls of the channel, each with one of the tags, or none."""
    draw, state, now = random.Random(seed), channel_state(), time.time()
    log = []
    for number in range(count):
        rollout, tag = state.rollout, draw.choice([*shares])
        canary = rollout is not None and draw.random() < 0.5
        more: dict[str, Any] = {}
        if rollout:
            more = {"rollout": rollout.id, "arm": "canary" if canary else "stable", "weight_bp": 5000}
        at = utc_text(now + (number if rollout else number - count) / 1000)
        run = a_run(
            started_at=at,
            prompt="greet",
            channel="production",
            digest=(rollout.canary if canary else state.stable).digest,
            metadata={"tags": [tag]},
            **more,
        )
        passed = draw.random() >= shares[tag][canary]
        log.append((run, an_end(finished_at=at, checks=(check("max_words", passed=passed),))))
    with RegistryDatabase.open(repo.path / "registry.db") as registry:
        registry.record(log)


def metric(cli: Cli, name: str) -> Any:
    (found,) = [
        each for each in told(cli, "status")[0]["findings"]["metrics"] if each["metric"]["name"] == name
    ]
    return found


def test_a_slice_that_fails_more_often_pauses_the_canary_and_is_named(cli: Cli, live: Repo) -> None:
    calls(live, 120, ALIKE)
    ok(cli("canary", "greet@HEAD", *QUICK))
    calls(live, 1_000, {**ALIKE, "billing": (0.1, 0.4), "refund": (0.2, 0.02), "other": (0.2, 0.05)})
    done = ticked(cli)
    assert done["move"] == "pause"
    assert metric(cli, "checks.billing")["worse"]
    assert not any(metric(cli, name)["worse"] for name in ("checks", "checks.refund", "checks.other"))
    (entry,) = [each for each in told(cli, "release", "log") if each["move"] == "pause"]
    assert entry["reason"].startswith("v2 failed checks on billing in ")
    assert [each["mismatches"] for each in told(cli, "release", "verify")] == [[]]
    ok(cli("registry", "prune", "--older-than", "2999-01-01", "--force"))
    assert [each["mismatches"] for each in told(cli, "release", "verify")] == [[]]
    ok(cli("release", "resume", "greet"))
    assert ticked(cli)["move"] is None  # a signal pauses once
    assert channel(cli)["rollout"]["phase"] == "progressing"


def test_a_slice_with_too_few_failures_is_left_out_and_says_what_can_tell(cli: Cli, live: Repo) -> None:
    calls(live, 120, ALIKE)
    ok(cli("canary", "greet@HEAD", *QUICK))
    calls(live, 60, {"billing": (0.0, 0.25), "refund": (0.0, 0.0), "other": (0.0, 0.0)})
    ok(cli("tick"))
    found = metric(cli, "checks.billing")
    assert (found["bounds"], found["worse"], found["losses_needed"]) == (None, False, 8)
    said = " ".join(ok(cli("status")).out.split())
    assert "; too few to tell (needs 8 that fail): promptops shadow run greet@sha256:" in said
    assert "--against greet:production --select tag=billing --sample " in said
    assert "checks.refund" not in said


@pytest.mark.parametrize(
    ("slices", "watched"), [("[]", []), ("[refund, 'ä b', refund]", ["refund", "ä b"]), ("null", None)]
)
def test_a_plan_says_which_slices_are_watched(
    cli: Cli, live: Repo, slices: str, watched: list[str] | None
) -> None:
    live.write("promptops.yaml", f"plans: {{quick: {{unit: session, slices: {slices}}}}}\n")
    live.commit()
    calls(live, 120, ALIKE)
    ok(cli("canary", "greet@HEAD", *QUICK))
    metrics = told(cli, "status")[0]["plan"]["metrics"]
    assert sorted(filter(None, (each["tag"] for each in metrics))) == (
        sorted(ALIKE) if watched is None else watched
    )
