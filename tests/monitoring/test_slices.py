"""Runs with a tag that promptops.yaml names are watched for themselves, within the budget of their prompt."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from promptops.monitoring.check import LookRequest, check_target
from promptops.monitoring.look import ServedVersion
from promptops.monitoring.metrics import MAIN, MAX_SLICES, METRICS, find_metric, slice_metric
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.logged_rows import put_log
from support.logged_runs import DIGEST, check
from support.watched_logs import WatchedLog, today

TARGET = "support/triage:production"
SLICES = "slices: {support/triage: [pro]}\n"


def tagged(failing: float) -> Any:
    """Half of the runs have the tag, and so many of those fail."""

    def change(chance: Random) -> dict[str, Any]:
        if chance.random() < 0.5:
            return {}
        passed = chance.random() >= failing
        return {"metadata": {"tags": ["pro", "eu"]}, "checks": [check(passed=passed)]}

    return change


@pytest.fixture(scope="session")
def tagged_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 nights of 100 runs, up to five days ago, looked at once with the slice."""
    path = tmp_path_factory.mktemp("tagged") / "registry.db"
    with RegistryDatabase.open(path) as registry:
        WatchedLog(registry).add(range(30, 4, -1), 100, change=tagged(0.05), request_model="m")
        request = LookRequest(now=today() - 4 * 86_400, slices=("pro",))
        check_target(registry, "support/triage", "production", ServedVersion(DIGEST), request)
    return path


@pytest.fixture
def sliced(repo: Repo, tagged_log: Path) -> Iterator[WatchedLog]:
    repo.write("promptops.yaml", SLICES)
    put_log(tagged_log, repo)
    with RegistryDatabase.open(repo.registry) as registry:
        yield WatchedLog(registry)


def look(cli: Cli, *options: str) -> Any:
    done = cli("monitor", "check", TARGET, "--json", *options)
    assert done.code == 0, done.err
    return json.loads(done.out)[0]


def names(found: Any) -> set[str]:
    return {each["name"] for each in found["metrics"] if "[" in each["name"]}


def test_a_slice_that_gets_worse_is_named(sliced: WatchedLog, cli: Cli) -> None:
    sliced.add(range(4, 0, -1), 100, change=tagged(0.4), request_model="m")
    found = look(cli)
    alarm = {each["metric"]: each for each in found["alarms"]}["failed_checks[pro]"]
    assert (alarm["title"], alarm["family"]) == ("answers that fail a check (tag pro)", "quality")
    assert (alarm["before"] < 0.1, alarm["now"] > 0.3) == (True, True)
    (kind,) = alarm["kinds"]
    assert (kind["name"], kind["now"] / kind["now_runs"] > 0.3) == ("json", True)
    examples = sliced.registry.read(
        "SELECT r.run_id FROM runs r JOIN run_tags t USING (seq) WHERE t.tag = 'pro'"
    )
    assert {row[0] for row in examples} >= set(alarm["examples"])
    assert names(found) == {
        slice_metric(name, "pro")
        for name in ("errors", "failed_checks", "refusals", "latency_ms", "output_tokens", "cost_usd")
    }
    assert "failed_checks[pro]" in cli("monitor", "check", TARGET).out
    acknowledged = look(cli, "--acknowledge")
    assert "failed_checks[pro]" in {each["metric"] for each in acknowledged["ended"]}


def test_steady_slices_are_quiet(sliced: WatchedLog, cli: Cli) -> None:
    sliced.add(range(4, 0, -1), 100, change=tagged(0.05), request_model="m")
    found = look(cli)
    assert found["alarms"] == []
    quiet = {each["name"] for each in found["metrics"] if each["state"] == "quiet"}
    assert quiet >= {"failed_checks[pro]", "latency_ms[pro]"}


def test_a_slice_that_is_not_declared_any_more_is_not_watched(
    sliced: WatchedLog, repo: Repo, cli: Cli
) -> None:
    sliced.add(range(4, 0, -1), 100, change=tagged(0.4), request_model="m")
    assert "failed_checks[pro]" in {each["metric"] for each in look(cli)["alarms"]}
    repo.write("promptops.yaml", "slices: {support/triage:production: [eu]}\n")
    found = look(cli)
    assert "failed_checks[pro]" not in {each["metric"] for each in found["alarms"]}
    assert names(found) == set()  # what was read before is not read again
    sliced.add(range(1, 0, -1), 10, change=tagged(0.0), request_model="m")
    assert names(look(cli)) >= {"failed_checks[eu]"}


def test_six_slices_are_too_many(repo: Repo, cli: Cli) -> None:
    repo.write("promptops.yaml", "slices: {support/triage: [a, b, c, d, e, f]}\n")
    done = cli("monitor", "check", TARGET)
    assert (done.code, "`support/triage` must have 5 entries at most" in done.err) == (4, True)
    repo.write("promptops.yaml", "probes: {support/triage: {cases: 100000}}\n")
    assert "must be 200 or less" in cli("monitor", "check", TARGET).err


def test_parts_of_the_budget_sum_to_one() -> None:
    of_slice = [find_metric(slice_metric(name, "x")) for name in MAIN]
    parts = [metric.budget for metric in METRICS.values()]
    parts += [metric.budget for metric in of_slice if metric] * MAX_SLICES
    assert math.isclose(sum(parts), 1.0)
    assert find_metric("input_chars[x]") is None
    assert find_metric("errors[x") is None
    assert find_metric("unheard_of") is None
