"""Every committed verdict follows from the observations, whatever has become of the runs."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptops.config.clock import utc_text
from promptops.errors import Invalid
from promptops.registry import ExportCheckpoint, add_outcome, export_release, import_files, prune_runs
from promptops.release.analysis import build_evidence
from promptops.release.analysis.verify import verify_evidence
from promptops.release.plan.types import ReleasePlan
from support.fuzzing import damaged_data, fuzz_settings, settle
from support.logged_runs import a_failure, an_end
from support.rollouts import DAY, ERRORS, LATENCY, ROLLOUT, START, THUMBS, Traffic, a_plan, of

PLAN = a_plan(ERRORS, LATENCY, THUMBS)


def _evidence(traffic: Traffic, plan: ReleasePlan = PLAN, now: float | None = None) -> dict[str, Any]:
    found = traffic.observe(plan, now)
    return build_evidence(ROLLOUT, found)


def _busy(traffic: Traffic) -> None:
    traffic.calls(300, lambda canary: 0.4 if canary else 0.1)
    for number in range(20):
        run = traffic.call(an_end(), canary=number % 2 == 0)
        if number % 4 == 0:
            add_outcome(traffic.registry, run, "thumbs", "down", occurred_at=utc_text(traffic.clock + 5))


def test_committed_evidence_is_borne_out_also_after_more_calls_have_come() -> None:
    traffic = Traffic()
    _busy(traffic)
    early = _evidence(traffic)
    _busy(traffic)
    late = _evidence(traffic, now=START + 3 * DAY)
    assert early["calls"] < late["calls"]
    assert late["harm"] == ["error_rate", "thumbs"]  # all that were down are the canary's
    assert late["metrics"]["thumbs"]["canary"]["calls"] > 0
    assert verify_evidence(traffic.registry, early, PLAN) == []
    assert verify_evidence(traffic.registry, late, PLAN) == []


def test_evidence_holds_counts_by_step_and_nothing_of_users() -> None:
    traffic = Traffic()
    traffic.call(an_end(), canary=True, unit_hash="secret-unit")
    evidence = _evidence(traffic)
    assert evidence["steps"]["error_rate"]["5000"]["canary"] == [1, 0.0, 0.0]
    assert set(evidence["watermarks"]) == {"error_rate", "latency", "thumbs"}
    assert "secret-unit" not in str(evidence)
    assert "parcel" not in str(evidence)


def test_pruned_runs_leave_their_observations_and_the_next_tick_goes_on(tmp_path: Path) -> None:
    traffic = Traffic(tmp_path / "registry.db")
    _busy(traffic)
    before = _evidence(traffic, now=START + 3 * DAY)
    prune_runs(traffic.registry, before=utc_text(START + 2 * DAY))
    assert traffic.registry.read_one("SELECT count(*) FROM runs") == 0
    assert verify_evidence(traffic.registry, before, PLAN) == []
    traffic.call(a_failure(), canary=True)
    after = _evidence(traffic, now=START + 6 * DAY)
    assert after["calls"] == before["calls"] + 1
    assert after["gaps"] == []
    with traffic.registry.write() as connection:
        connection.execute("DELETE FROM eprocesses WHERE name = 'state'")
    again = _evidence(traffic, now=START + 6 * DAY)
    assert again["metrics"]["error_rate"]["log_e"] == after["metrics"]["error_rate"]["log_e"]


def test_what_was_changed_by_hand_is_named() -> None:
    traffic = Traffic()
    _busy(traffic)
    evidence = _evidence(traffic)
    evidence["metrics"]["error_rate"]["not_worse"] = True
    evidence["calls"] += 1
    evidence["hard"] = ["error_rate"]
    evidence["metrics"]["error_rate"]["canary"]["bad"] = 0
    evidence["metrics"]["latency"]["stable"]["mean"] = None
    assert {(each.metric, each.what) for each in verify_evidence(traffic.registry, evidence, PLAN)} == {
        ("", "calls"),
        ("", "hard"),
        ("error_rate", "not_worse"),
        ("error_rate", "canary bad"),
        ("latency", "stable mean"),
    }
    assert "calls is committed as 321, the observations give 320" in str(
        verify_evidence(traffic.registry, evidence, PLAN)[0]
    )
    evidence = _evidence(traffic)
    for each in evidence["metrics"].values():
        del each["canary"]["bad"], each["stable"]["bad"]  # of an earlier release
    assert verify_evidence(traffic.registry, evidence, PLAN) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rollout", []),
        ("rollout", 10**400),
        ("watermark", "9"),
        ("watermark", 10**400),
        ("watermarks", {"error_rate": [], "latency": 0, "thumbs": 0}),
        ("priors", {"error_rate": [10**400, 1]}),
        ("calls", 10**400),
    ],
)
def test_evidence_of_another_type_is_named(key: str, value: Any) -> None:
    traffic = Traffic()
    traffic.call(an_end(), canary=True)
    with pytest.raises(Invalid, match="the committed evidence cannot be read"):
        verify_evidence(traffic.registry, {**_evidence(traffic), key: value}, PLAN)


@given(data=st.data())
@fuzz_settings(30)
def test_damaged_evidence_is_verified_or_invalid(data: st.DataObject) -> None:
    traffic = Traffic()
    traffic.call(an_end(), canary=True)
    evidence = data.draw(damaged_data([_evidence(traffic)]))
    if isinstance(evidence, dict):
        settle(lambda: verify_evidence(traffic.registry, evidence, PLAN))


def test_observations_that_were_lost_are_named() -> None:
    traffic = Traffic()
    _busy(traffic)
    evidence = _evidence(traffic)
    with traffic.registry.write() as connection:
        connection.execute("DELETE FROM observations WHERE metric = 'error_rate' AND seq < 10")
    assert {each.metric for each in verify_evidence(traffic.registry, evidence, PLAN)} == {"error_rate"}


def test_another_registry_another_plan_and_unreadable_evidence_are_said() -> None:
    traffic, other = Traffic(), Traffic()
    _busy(traffic)
    evidence = _evidence(traffic)
    assert [each.what for each in verify_evidence(other.registry, evidence, PLAN)] == ["the registry"]
    wider = replace(PLAN, digest="2f" * 32)
    assert [each.what for each in verify_evidence(traffic.registry, evidence, wider)] == ["the plan"]
    del evidence["priors"]
    with pytest.raises(Invalid, match="cannot be read"):
        verify_evidence(traffic.registry, evidence, PLAN)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    calls=st.lists(st.tuples(st.booleans(), st.sampled_from(["ok", "bad", "open", "down"])), max_size=25),
    looks=st.sets(st.integers(0, 25)),
)
def test_whenever_it_is_looked_at_evidence_is_the_same_and_verifies(
    calls: list[tuple[bool, str]], looks: set[int]
) -> None:
    often, once = Traffic(), Traffic()
    for number, (canary, how) in enumerate(calls):
        for traffic in (often, once):
            end = {"bad": a_failure(), "open": None}.get(how, an_end())
            run = traffic.call(end, canary=canary)
            if how == "down":
                add_outcome(traffic.registry, run, "thumbs", "down", occurred_at=utc_text(traffic.clock))
        if number in looks:
            evidence = _evidence(often, now=often.clock + 10)
            assert verify_evidence(often.registry, evidence, PLAN) == []
    one, other = (_evidence(traffic, now=START + 2 * DAY) for traffic in (often, once))
    assert one | {"registry": ""} == other | {"registry": ""}
    assert verify_evidence(often.registry, one, PLAN) == []


def test_registries_that_were_imported_are_scored_behind_what_was_there(tmp_path: Path) -> None:
    here, there = Traffic(tmp_path / "here.db"), Traffic(tmp_path / "there.db", seed=2)
    with here.registry.write() as connection:
        key = there.registry.read_one("SELECT value FROM meta WHERE key = 'unit_key'")
        connection.execute("UPDATE meta SET value = ? WHERE key = 'unit_key'", (key,))
    here.calls(40, lambda _: 0.1)
    there.calls(60, lambda _: 0.1)
    first = _evidence(here)
    files = []
    mark = ExportCheckpoint()
    for number in range(2):
        out = StringIO()
        mark = export_release(there.registry, out, since=mark, now=START + 3600).mark
        files.append(tmp_path / f"{number}.jsonl")
        files[-1].write_text(out.getvalue())
        there.calls(10, lambda _: 0.1)
    for file in (files[1], files[0], files[0]):
        import_files(here.registry, [file])
    found = here.observe(PLAN, START + 7200)
    assert found.calls == 110
    assert found.gaps == ()
    assert of(found, "error_rate").canary_calls + of(found, "error_rate").stable_calls == 110
    assert verify_evidence(here.registry, first, PLAN) == []
    assert verify_evidence(here.registry, build_evidence(ROLLOUT, found), PLAN) == []
