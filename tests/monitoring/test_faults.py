"""What goes wrong around a look: clocks, gaps, floods, releases, deletions, others who look at once."""

import json
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.monitoring.check import LookRequest, TargetCheck, check_target
from promptops.monitoring.look import ServedVersion
from promptops.registry import RegistryDatabase, add_outcome, load_monitor, prune_runs, save_monitor
from support.front_door import Cli, Repo
from support.logged_runs import DIGEST, OTHER_DIGEST, a_run
from support.watched_logs import DAY, WatchedLog, day, today

TARGET = "support/triage:production"
LAST = range(4, 0, -1)


def look(registry: RegistryDatabase, served: ServedVersion | None = None, **options: Any) -> TargetCheck:
    request = LookRequest(**{"now": today() + 3600, **options})
    return check_target(registry, "support/triage", "production", served or ServedVersion(DIGEST), request)


def names(found: TargetCheck) -> set[str]:
    return {alarm.metric for alarm in found.alarms}


def nights_of(found: TargetCheck, registry: RegistryDatabase, metric: str) -> int:
    stored = load_monitor(registry, TARGET)
    assert stored is not None
    return int(stored.progress["watches"][metric]["detector"]["nights"])


def test_a_clock_that_is_set_back_opens_no_night(watched: WatchedLog) -> None:
    watched.add(range(2, 0, -1), 40)
    before = nights_of(look(watched.registry), watched.registry, "failed_checks")
    watched.add(range(9, 4, -1), 40, failing=0.1)  # five days that were
    found = look(watched.registry)
    assert nights_of(found, watched.registry, "failed_checks") == before
    assert names(found) == set()


def test_runs_of_a_clock_that_was_ahead_are_left_out(watched: WatchedLog) -> None:
    watched.add(range(-30, -33, -1), 40, failing=1.0)  # next month
    watched.add(range(2, 0, -1), 40)
    found = look(watched.registry)
    assert names(found) == set()
    stored = load_monitor(watched.registry, TARGET)
    assert stored is not None
    assert stored.progress["draw"]["night"] == day(1)


def test_a_look_under_a_clock_that_was_ahead_does_not_stop_those_after_it(watched: WatchedLog) -> None:
    watched.add(range(-30, -32, -1), 40)
    look(watched.registry, now=today() + 40 * DAY)
    watched.add(range(3, 0, -1), 120, failing=0.5)
    assert "failed_checks" in names(look(watched.registry))


def test_days_without_calls_are_no_nights(watched: WatchedLog) -> None:
    look(watched.registry)
    before = nights_of(look(watched.registry), watched.registry, "failed_checks")
    watched.add(range(1, 0, -1), 40)  # after four days
    found = look(watched.registry)
    assert nights_of(found, watched.registry, "failed_checks") == before + 1
    assert names(found) == set()


def test_a_channel_without_calls_says_so(watched: WatchedLog, cli: Cli) -> None:
    found = look(watched.registry)
    assert any("no call since" in text for text in found.notes)
    done = cli("monitor", "check", "support/triage:staging", "--exit-code", "--json")
    assert done.code == 3
    assert json.loads(done.out)[0]["state"] == "no calls"


def test_one_user_who_floods_is_one_run_a_night(watched: WatchedLog) -> None:
    for ago in LAST:
        watched.add(range(ago, ago - 1, -1), 60)
        watched.add(range(ago, ago - 1, -1), 400, failing=1.0, slower=5.0, unit_hash="ab" * 8)
    found = look(watched.registry)
    assert names(found) == set()
    stored = load_monitor(watched.registry, TARGET)
    assert stored is not None
    assert "ab" * 6 in stored.progress["draw"]["units"]


def test_a_release_in_mid_window_begins_a_reference_and_ends_alarms_of_the_old_version(
    watched: WatchedLog,
) -> None:
    watched.add(range(4, 2, -1), 150, failing=0.6)
    assert names(look(watched.registry)) == {"failed_checks"}
    watched.add(range(2, 1, -1), 50, failing=0.6)
    watched.add(range(2, 0, -1), 50, digest=OTHER_DIGEST, failing=0.9, version="v2")
    new = ServedVersion(OTHER_DIGEST, f"{day(2)}T00:00:00.000Z", "v2")
    found = look(watched.registry, new)
    assert found.alarms == ()
    assert [alarm.metric for alarm in found.ended] == ["failed_checks"]
    states = {each.name: (each.state, each.runs) for each in found.metrics}
    assert states["failed_checks"][0] == "gathering"
    assert 0 < states["failed_checks"][1] <= 100  # runs of the old version are none of it
    assert states["input_chars"][0] == "quiet"  # what users send outlives a release


def test_runs_under_way_are_waited_for_an_hour(watched: WatchedLog) -> None:
    watched.add(range(1, 0, -1), 20)
    slow = a_run(channel="production", started_at=utc_text(today() + 3000))
    watched.registry.start(slow)
    watched.add(range(0, -1, -1), 20)
    seqs = dict(watched.registry.read("SELECT run_id, seq FROM runs WHERE seq > 0"))  # type: ignore[arg-type]
    assert look(watched.registry).looked_through == seqs[slow.run_id] - 1
    assert look(watched.registry, now=today() + 7200).looked_through == max(seqs.values())


def test_a_registry_that_was_pruned_beneath_is_looked_at_all_the_same(watched: WatchedLog) -> None:
    watched.add(LAST, 80, failing=0.4)
    alarm = next(each for each in look(watched.registry).alarms if each.metric == "failed_checks")
    assert len(alarm.examples) == 10
    prune_runs(watched.registry, before=f"{day(1)}T02:00:00.000Z")
    left = {row[0] for row in watched.registry.read("SELECT run_id FROM runs")}
    assert left == set()
    again = look(watched.registry)
    assert names(again) == {"failed_checks"}
    assert again.alarms[0].examples == ()
    assert again.last_call_at is None
    watched.add(range(0, -1, -1), 20)
    assert look(watched.registry).looked_through > again.looked_through


def test_what_is_stored_and_damaged_says_how_to_go_on(watched: WatchedLog, cli: Cli) -> None:
    with watched.registry.write() as connection:
        connection.execute("UPDATE monitors SET progress = '{}'")
    done = cli("monitor", "check", TARGET)
    assert (done.code, "--restart begins again" in done.err) == (4, True)
    assert cli("monitor", "check", TARGET, "--restart").code == 0


def test_somebody_who_looked_meanwhile_is_not_overwritten(watched: WatchedLog) -> None:
    stored = load_monitor(watched.registry, TARGET)
    assert stored is not None
    watched.add(LAST, 40)
    look(watched.registry)
    newer = load_monitor(watched.registry, TARGET)
    assert not save_monitor(watched.registry, TARGET, stored, stored)
    assert load_monitor(watched.registry, TARGET) == newer
    assert not save_monitor(watched.registry, TARGET, stored, None)


def test_thumbs_and_scores_count_when_they_come(watched: WatchedLog) -> None:
    ids = watched.add(range(2, 0, -1), 30)
    for number, run_id in enumerate(ids):
        add_outcome(watched.registry, run_id, "thumbs", 1 if number % 2 else -1)
        add_outcome(watched.registry, run_id, "quality", 4, source="judge")
        add_outcome(watched.registry, run_id, "other", 1, source="judge")
    states = {each.name: each for each in look(watched.registry).metrics}
    assert (states["thumbs_up"].state, states["thumbs_up"].runs) == ("gathering", 30)
    assert states["judge"].runs == 30  # of the judge that scored first
    with watched.registry.write() as connection:
        connection.execute("DELETE FROM outcomes")
    look(watched.registry)
    add_outcome(watched.registry, ids[0], "thumbs", 1)
    states = {each.name: each for each in look(watched.registry).metrics}
    assert states["thumbs_up"].runs == 30  # its unit has been counted today


@pytest.mark.parametrize("inputs_hash", [None, "ab" * 32])
def test_inputs_that_are_not_kept_are_not_looked_at(repo: Repo, inputs_hash: str | None) -> None:
    with RegistryDatabase.open(repo.registry) as registry:
        WatchedLog(registry).add(range(3, 0, -1), 5, inputs=None, inputs_hash=inputs_hash)
        found = look(registry)
    metrics = {each.name for each in found.metrics}
    assert "failed_checks" in metrics
    assert "input_chars" not in metrics
    assert any("inputs are not monitored" in text for text in found.notes)
