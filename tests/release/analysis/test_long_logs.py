"""Long logs: however they are cut into slices, and whoever scores them, the same numbers are kept."""

import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptops.config.registry_location import RegistryLocation, exact_text
from promptops.registry import Exposure, RegistryDatabase, count_exposure, read_exposure
from promptops.release.analysis import scoring_pass
from promptops.release.analysis.scoring_workers import score_together
from promptops.release.analysis.update import AnalysisRequest, update_tests
from promptops.release.plan.types import PlanMetric, ReleasePlan
from support.engines import NewLocation
from support.logged_runs import a_failure, an_end, check
from support.rollouts import CHECKS, ERRORS, LATENCY, ROLLOUT, STABLE, THUMBS, Traffic, a_plan

COST = PlanMetric(
    name="cost", kind="ratio", source="run.cost_list_usd", worse="higher", role="signal", margin=1.25
)
PLAN = a_plan(ERRORS, LATENCY, COST, CHECKS, THUMBS)
BY_UNIT = a_plan(ERRORS, LATENCY, unit="session")
CALLS = st.lists(
    st.tuples(
        st.booleans(),  # the canary's?
        st.sampled_from([500, 5000, 9900, 10_000]),
        st.sampled_from(["ends", "fails", "fails a check", "is of unknown cost", "is excluded"]),
        st.sampled_from([100.0, 100.0, 130.5, 900.0, 0.1]),
        st.sampled_from([None, "a", "a", "b", "c"]),  # whose it is
        st.booleans(),  # is the log looked at behind it?
    ),
    min_size=1,
    max_size=150,
)


def kept(registry: RegistryDatabase) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    scored = registry.read(
        "SELECT rollout, metric, seq, arm, weight_bp, loss FROM observations ORDER BY 1, 2, 3"
    )
    states = registry.read("SELECT rollout, name, state FROM eprocesses ORDER BY 1, 2")
    return [tuple(row) for row in scored], [tuple(row) for row in states]


def log(
    traffic: Traffic, canary: bool, weight_bp: int, ending: str, latency_ms: float, unit: str | None
) -> None:
    ends: dict[str, Callable[..., Any]] = {"fails": a_failure}
    fields = {"checks": [check(passed=ending != "fails a check")], "latency_ms": latency_ms}
    if ending != "is of unknown cost":
        fields["cost_list_usd"] = latency_ms / 1e6
    excluded = "forced" if ending == "is excluded" else None
    end = ends.get(ending, an_end)(**fields)
    traffic.call(end, canary=canary, weight_bp=weight_bp, excluded=excluded, unit_hash=unit)


def request(rollout: str, now: float, plan: ReleasePlan = PLAN) -> AnalysisRequest:
    return AnalysisRequest(
        rollout=replace(ROLLOUT, id=rollout, plan=plan.digest),
        prompt="support/triage",
        channel="production",
        plan=plan,
        now=now,
        stable=STABLE,
    )


@settings(max_examples=25, deadline=None)
@given(CALLS, st.sampled_from([PLAN, BY_UNIT]))
def test_calls_scored_together_leave_what_calls_scored_one_by_one_leave(
    calls: Sequence[tuple[bool, int, str, float, str | None, bool]], plan: ReleasePlan
) -> None:
    """The last look is at one time, as what is late or waits depends on that."""
    often, once = Traffic(), Traffic()
    for *call, looked_at in calls:
        log(often, *call)
        log(once, *call)
        if looked_at:
            update_tests(often.registry, request(ROLLOUT.id, often.clock + 1000, plan))
    for each in (often, once):
        update_tests(each.registry, request(ROLLOUT.id, often.clock + 100_000, plan))
    assert kept(often.registry) == kept(once.registry)
    counted = read_exposure(once.registry, ROLLOUT.id)
    assert counted == count_exposure(once.registry, ROLLOUT.id, Exposure())  # from the log alone


def multiply(location: RegistryLocation, copies: int, rollouts: tuple[str, str]) -> float:
    """A log of many calls, of two rollouts in turn; gives a time behind its end."""
    traffic = Traffic(location)
    with traffic.registry as registry:
        traffic.calls(400, lambda canary: 0.06 if canary else 0.05)
        names = [name for name in registry.read("SELECT * FROM runs LIMIT 1")[0].keys() if name != "seq"]  # noqa: SIM118 - of a row
        changed = {
            "run_id": "run_id || '-' || n",
            "writer_counter": "writer_counter + 400 * n",
            "rollout": "CASE WHEN n % 2 = 0 THEN ? ELSE ? END",
            "latency_ms": "latency_ms + n",
        }
        with registry.write() as connection:
            connection.execute(
                f"INSERT INTO runs ({', '.join(names)}) SELECT {', '.join(changed.get(n, n) for n in names)} "
                "FROM (WITH RECURSIVE copies(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copies WHERE n < ?) "
                "SELECT n FROM copies) AS copies, runs r ORDER BY n, seq",
                (*rollouts, copies),
            )
            connection.execute("DELETE FROM runs WHERE seq <= 400")
    return traffic.clock + 1000


SCORE = """\
import pickle, sys
from pathlib import Path
from promptops.config.registry_location import registry_location
from promptops.registry import RegistryDatabase
from promptops.release.analysis.scoring_workers import score_together
looks = pickle.loads(Path(sys.argv[2]).read_bytes())
folder = Path(sys.argv[2]).parent
with RegistryDatabase.open(registry_location(sys.argv[1], folder, folder)) as registry:
    list(score_together(registry, looks))
"""


def test_a_long_log_is_scored_by_processes_that_may_be_killed(
    new_location: NewLocation, tmp_path: Path
) -> None:
    location, alone, rollouts = new_location("registry"), new_location("alone"), ("r-1", "r-2")
    now = multiply(location, 120, rollouts)
    assert multiply(alone, 120, rollouts) == now
    looks = [request(rollout, now) for rollout in rollouts]
    (tmp_path / "looks").write_bytes(pickle.dumps(looks))
    with RegistryDatabase.open(location) as registry:
        command = [sys.executable, "-c", SCORE, exact_text(location), str(tmp_path / "looks")]
        with subprocess.Popen(command) as child:
            while not registry.read_one("SELECT count(*) FROM observations"):
                assert child.poll() is None
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
        before = registry.read_one("SELECT count(*) FROM observations WHERE metric = ''")
        assert 0 < before < 18_000
        assert list(score_together(registry, looks)) == list(rollouts)
        together = kept(registry)
    with RegistryDatabase.open(alone) as registry:
        for look in looks:
            update_tests(registry, look)
        assert kept(registry) == together


def test_what_somebody_else_scores_meanwhile_is_not_scored_twice(
    location: RegistryLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged, alone = Traffic(location), Traffic()
    for traffic in (logged, alone):
        traffic.calls(600, lambda canary: 0.2 if canary else 0.1)
    look = request(ROLLOUT.id, alone.clock + 1000)
    update_tests(alone.registry, look)
    monkeypatch.setattr(scoring_pass, "_CHUNK", 20)

    def score(_: int) -> None:
        with RegistryDatabase.open(location) as registry:
            update_tests(registry, look)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(score, range(3)))
    with logged.registry as registry:
        assert kept(registry) == kept(alone.registry)
