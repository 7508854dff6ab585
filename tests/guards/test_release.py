"""Guards in releases: what they block counts for the version whose call it was, as a rate of its own."""

import time

import pytest

from promptops import Workspace
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.greet_releases import CHECKED, SALUTE, go_live, ok, told, two_versions
from support.greet_traffic import channel_state, logged
from support.logged_runs import an_end
from support.provider import Provider, text

PLAN = """\
plans:
  quick:
    unit: session
    metrics:
      - {name: guard_block_rate, kind: binary, source: run.blocked, worse: higher, role: guard, margin: 0.05}
"""
BLOCK = "guards: [{on: output, check: {not: {contains: zebra}}, do: block}]\n"


def canary(cli: Cli, repo: Repo) -> None:
    repo.write("promptops.yaml", PLAN)
    two_versions(repo)
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", "--plan", "quick", "--yes"))


def blocked_traffic(repo: Repo, *, arms: tuple[str, ...], kind: str, count: int = 100) -> None:
    """Calls of which those of these arms are blocked."""
    state, now, log = channel_state(), time.time(), []
    for number in range(count):
        run, end = logged(state, number, at=now + number / 1000)
        if run.arm in arms:
            end = an_end(output=None, error_type=kind, error_message="no", finish_reason="content_filter")
        log.append((run, end))
    with RegistryDatabase.open(repo.registry) as registry:
        registry.record(log)


def test_a_canary_that_is_blocked_more_often_is_rolled_back(cli: Cli, repo: Repo) -> None:
    canary(cli, repo)
    blocked_traffic(repo, arms=("canary",), kind="output_blocked")
    done = cli("tick", "greet:production")
    assert done.code == 1, done.out + done.err
    assert "v2 was blocked by guards in 50 of 50 calls, v1 in 0 of 50" in done.out


def test_inputs_that_both_arms_block_say_nothing_of_the_canary(cli: Cli, repo: Repo) -> None:
    canary(cli, repo)
    blocked_traffic(repo, arms=("canary", "stable"), kind="input_blocked")
    done = cli("tick", "greet:production")
    assert done.code == 0, done.out + done.err
    assert "blocked by guards" in cli("status", "greet:production").out


@pytest.mark.parametrize(("kind", "opens"), [("input_blocked", False), ("output_blocked", True)])
def test_blocked_inputs_open_no_breaker(kind: str, opens: bool, cli: Cli, repo: Repo) -> None:
    """Any caller could take a canary out of service with five of them."""
    from promptops.registry import is_canary_failing

    canary(cli, repo)
    blocked_traffic(repo, arms=("canary",), kind=kind, count=20)
    with RegistryDatabase.open(repo.registry) as registry:
        assert is_canary_failing(registry, channel_state().rollout.id) is opens


def test_a_shadow_candidate_that_is_blocked_has_failed_and_leaves_nothing(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo, more=CHECKED)
    for name in ("Ada", "Bo", "Cy"):
        ok(cli("run", "greet:production", "-i", f"name={name}"))
    repo.write("prompts/greet.yaml", SALUTE + CHECKED + BLOCK)
    repo.commit("Guarded")
    provider.script = text("a zebra")
    done = cli("shadow", "run", "greet@HEAD", "--against", "greet:production", "--json")
    assert done.code == 0, done.err
    runs = told(cli, "runs", "list", "greet", "--kind", "shadow")
    blocked = [run for run in runs if (run["error"] or {}).get("type") == "output_blocked"]
    assert len(blocked) == 3
    assert all(run["output"] is None for run in blocked)


def test_no_live_shadow_gets_what_the_serving_version_blocks(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    guard = "guards: [{on: input, check: {not: {contains: ORDER}}, do: block, message: No orders.}]\n"
    go_live(cli, repo, more=guard)
    repo.write("prompts/greet.yaml", SALUTE)
    repo.commit("Without a guard")
    ok(cli("shadow", "on", "greet:production", "--version", "HEAD", "--sample", "1", "--max-usd", "1"))
    assert cli("run", "greet:production", "-i", "name=ORDER-1").code == 1
    with Workspace.open(repo.path) as workspace:
        assert workspace.run("greet:production", {"name": "ORDER-2"}).blocked
        assert not workspace.run("greet:production", {"name": "Ada"}).blocked
    cli("shadow", "drain", "--wait")
    assert sorted(request.body["messages"][-1]["content"] for request in provider.requests) == [
        "Greet Ada.",
        "Salute Ada.",
    ]


def test_an_eval_counts_what_is_blocked_as_failed(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("a zebra")
    before = (greeting.path / "prompts/greet.yaml").read_text()
    greeting.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n')
    greeting.write("prompts/greet.yaml", before + "cases: greet.cases.jsonl\n" + BLOCK)
    done = cli("eval", "greet", "--json")
    assert done.code == 1, done.out + done.err
    assert "output_blocked" in done.out
