"""Slices of a canary: calls with one tag that fail more often are named, and pause it."""

import random
from collections.abc import Mapping
from typing import Any

import pytest

from support.channel_calls import log_calls
from support.front_door import Cli, Repo
from support.greet_releases import CHECKED, QUICK, go_live, ok, told
from support.greet_traffic import ticked

Shares = Mapping[str, tuple[float, float]]  # of failing calls by tag, of stable and of the canary
ALIKE: Shares = {"billing": (0.1, 0.1), "refund": (0.1, 0.1), "other": (0.1, 0.1)}


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo, more=CHECKED)
    return repo


def calls(repo: Repo, count: int, shares: Shares) -> None:
    """Calls of the channel, each with one of the tags."""

    def answer(draw: random.Random, canary: bool) -> dict[str, Any]:
        tag = draw.choice([*shares])
        return {"tag": tag, "passed": draw.random() >= shares[tag][canary]}

    log_calls(repo, count, answer)


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
    assert ticked(cli)["move"] != "pause"  # a signal pauses once


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
    ("slices", "watched"),
    [
        ("[]", []),
        ("[refund, 'ä b', refund]", ["refund", "ä b"]),
        ("[a/b, a b, a-b, checks]", ["a b", "a-b", "a/b", "checks"]),
        ("null", None),
    ],
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
