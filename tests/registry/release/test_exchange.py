"""What registries tell each other of runs, so that a release is judged by all of them."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.config.settings import current_settings
from promptops.errors import Unavailable
from promptops.registry import (
    ExportCheckpoint,
    RegistryDatabase,
    RegistryJournal,
    Spool,
    StartedRun,
    add_outcome,
    describe_import_gaps,
    export_release,
    find_log_gaps,
    import_files,
    is_sampled,
    prune_runs,
    read_export_checkpoint,
    save_export_checkpoint,
)
from promptops.release.analysis import analyze_rollout
from promptops.release.analysis.findings import Findings
from promptops.release.plan import decode_plan
from promptops.versions.release_state import ReleasedVersion, Rollout
from support.engines import NewLocation
from support.front_door import Cli, Finished, Repo
from support.logged_runs import DIGEST, a_failure, a_run, an_end, check
from support.prompt_files import greet_prompt

EVER = utc_text(time.time() + 86_400)


def served(number: int = 0, **fields: Any) -> StartedRun:
    given = {
        "reference": "support/triage:production",
        "channel": "production",
        "rollout": "r-1",
        "arm": "canary" if number % 4 == 0 else "stable",
        "weight_bp": 2500,
        "unit_hash": f"{number:064x}",
        "unit_key_id": "k" * 12,
        "version": "v12",
        "metadata": {"user": "ada"},
    }
    return a_run(**{**given, **fields})


@pytest.fixture
def host(new_location: NewLocation) -> Iterator[Callable[[str], RegistryDatabase]]:
    """Registries of several hosts, by name."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(RegistryDatabase.open(new_location(name)))


def exported(registry: RegistryDatabase, file: Path, *, since_last: bool = False) -> Path:
    since = read_export_checkpoint(registry) if since_last else ExportCheckpoint()
    with file.open("w") as stream:
        mark = export_release(registry, stream, since=since, now=time.time()).mark
    if since_last:
        save_export_checkpoint(registry, mark)
    return file


def runs_in(registry: RegistryDatabase) -> list[tuple[Any, ...]]:
    rows = registry.read("SELECT run_id, state, arm, weight_bp, latency_ms FROM runs ORDER BY seq")
    return [tuple(row) for row in rows]


def old(seconds: float = 3_600) -> str:
    return utc_text(time.time() - seconds)


def test_a_file_holds_figures_and_outcomes_and_no_texts(host: Any, tmp_path: Path) -> None:
    registry = host("a")
    run = served(fallback="input `age`: 'secret words' is not a number")
    end = an_end(output="secret answer", error_message="secret error", checks=[check(message="secret words")])
    registry.record([(run, end), (a_run(), an_end())])
    add_outcome(registry, run.run_id, "thumbs", "down", text="secret comment")
    text = exported(registry, tmp_path / "a.jsonl").read_text()
    header, line, last = map(json.loads, text.splitlines())
    assert (header["format"], header["since_seq"], header["through_seq"]) == ("promptops-release/1", 0, 2)
    assert [each[:4] for each in line["outcomes"]] == [
        ["check", "json", 1, None],
        ["person", "thumbs", None, -1],
    ]
    assert (line["arm"], line["weight_bp"], line["digest"]) == ("canary", 2500, DIGEST)
    assert last == {"end": 1}
    for word in ("secret", "parcel", '"ada"', "messages_hash", "reference"):
        assert word not in text


def test_two_registries_are_judged_as_one_and_twice_changes_nothing(host: Any, tmp_path: Path) -> None:
    one, other, hub = host("one"), host("other"), host("hub")
    one.record([(served(n), an_end(checks=[check(passed=n != 1)])) for n in range(6)])
    other.record([(served(n), a_failure() if n == 2 else an_end()) for n in range(10, 14)])
    files = [exported(one, tmp_path / "one.jsonl"), exported(other, tmp_path / "other.jsonl")]
    first = import_files(hub, files)
    assert sorted(each.new for each in first) == [4, 6]
    before = runs_in(hub)
    assert sorted(before) == sorted(runs_in(one) + runs_in(other))
    assert hub.read_one("SELECT count(*) FROM outcomes") == 6
    again = import_files(hub, files[::-1])
    assert [(each.new, each.ended, each.outcomes) for each in again] == [(0, 0, 0)] * 2
    assert sorted(each.known for each in again) == [4, 6]
    assert runs_in(hub) == before
    assert describe_import_gaps(hub, "") == []
    assert find_log_gaps(hub, after=0, until=EVER) == []


def test_the_log_of_a_hub_stays_where_it_is(host: Any, tmp_path: Path) -> None:
    """Its own runs keep their numbers, and imported ones come behind them in the order of the file."""
    one, hub = host("one"), host("hub")
    hub.record([(served(1), an_end())])
    one.record([(served(n), an_end()) for n in range(3)])
    mine = runs_in(hub)
    import_files(hub, [exported(one, tmp_path / "one.jsonl")])
    hub.record([(served(9), an_end())])
    assert runs_in(hub)[:4] == mine + runs_in(one)
    text = exported(hub, tmp_path / "hub.jsonl").read_text()
    assert json.loads(text.splitlines()[-1]) == {"end": 2}  # what others have made is theirs to tell


def test_what_has_happened_since_is_told_in_the_next_file(host: Any, tmp_path: Path) -> None:
    one, hub = host("one"), host("hub")
    dead, quick = served(0, started_at=old()), served(1, started_at=old())
    one.start(dead)
    one.record([(quick, an_end())])
    import_files(hub, [exported(one, tmp_path / "1.jsonl", since_last=True)])
    assert [row[1] for row in runs_in(hub)] == ["started", "finished"]
    places = hub.read("SELECT seq, run_id FROM runs ORDER BY seq")
    one.finish(dead.run_id, an_end(latency_ms=77.0, checks=[check()]))
    add_outcome(one, quick.run_id, "thumbs", "down")
    one.record([(served(2), an_end())])
    (done,) = import_files(hub, [exported(one, tmp_path / "2.jsonl", since_last=True)])
    assert (done.new, done.ended, done.known, done.outcomes) == (1, 1, 1, 2)
    assert runs_in(hub) == runs_in(one)
    assert hub.read("SELECT seq, run_id FROM runs ORDER BY seq")[:2] == places
    assert hub.read_one("SELECT checks_failed FROM runs WHERE run_id = ?", (dead.run_id,)) == 0
    (done,) = import_files(hub, [exported(one, tmp_path / "3.jsonl", since_last=True)])
    assert (done.new, done.ended) == (0, 0)
    assert describe_import_gaps(hub, "") == []


def test_a_call_under_way_is_told_when_it_has_ended(host: Any, tmp_path: Path) -> None:
    """One that is told as begun would count as dead before its end arrives."""
    one, hub = host("one"), host("hub")
    under_way = served(1)
    one.record([(served(0), an_end())])
    one.start(under_way)
    one.record([(served(2), an_end())])
    import_files(hub, [exported(one, tmp_path / "1.jsonl", since_last=True)])
    assert len(runs_in(hub)) == 1
    one.finish(under_way.run_id, an_end())
    import_files(hub, [exported(one, tmp_path / "2.jsonl", since_last=True)])
    assert runs_in(hub) == runs_in(one)


def test_a_killed_call_from_before_a_clock_was_set_back_holds_up_no_export(host: Any, tmp_path: Path) -> None:
    one, hub = host("one"), host("hub")
    one.start(served(0, started_at=old(-400 * 86_400)))
    one.record([(served(1, started_at=old(600)), an_end())])
    import_files(hub, [exported(one, tmp_path / "1.jsonl", since_last=True)])
    assert runs_in(hub) == []
    one.record([(served(2, started_at=old(1_000)), an_end())])
    import_files(hub, [exported(one, tmp_path / "2.jsonl", since_last=True)])
    assert len(runs_in(hub)) == 3


def test_a_lost_file_shows_until_it_is_found(host: Any, tmp_path: Path) -> None:
    one, hub = host("one"), host("hub")
    files = []
    for part in range(4):
        one.record([(served(10 * part + n), an_end()) for n in range(5)])
        files.append(exported(one, tmp_path / f"{part}.jsonl", since_last=True))
    import_files(hub, [files[3], files[0]])
    name = one.read_one("SELECT value FROM meta WHERE key = 'registry_id'")
    assert describe_import_gaps(hub, "") == [
        f"the runs 6 to 15 of the registry {name} have not been imported: a file is missing"
    ]
    assert describe_import_gaps(hub, EVER) == []  # it says nothing of a rollout that begins later
    fresh = host("fresh")  # such as a job makes of all files that there are, each time
    time.sleep(0.002)
    now = utc_text(time.time())
    import_files(fresh, [files[3], files[0]])
    assert len(describe_import_gaps(fresh, "")) == 1
    assert describe_import_gaps(fresh, now) == []
    import_files(hub, [files[2]])
    assert "the runs 6 to 10" in describe_import_gaps(hub, "")[0]
    import_files(hub, [files[1]])
    assert describe_import_gaps(hub, "") == []
    assert sorted(runs_in(hub)) == sorted(runs_in(one))


def test_a_whole_export_stands_in_for_a_lost_file(host: Any, tmp_path: Path) -> None:
    one, hub = host("one"), host("hub")
    for part in range(3):
        one.record([(served(10 * part + n), an_end()) for n in range(5)])
        file = exported(one, tmp_path / f"{part}.jsonl", since_last=True)
    import_files(hub, [file])
    assert describe_import_gaps(hub, "")
    import_files(hub, [exported(one, tmp_path / "whole.jsonl")])
    assert describe_import_gaps(hub, "") == []


@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_files_ends_in_the_same_runs_and_outcomes(seed: int, host: Any, tmp_path: Path) -> None:
    chance = random.Random(seed)
    hosts, hub, files = [host("one"), host("other")], host("hub"), []
    made: dict[int, list[str]] = {0: [], 1: []}
    for part in range(5):
        for number, registry in enumerate(hosts):
            ended = [(served(100 * number + 10 * part + n), an_end(checks=[check()])) for n in range(3)]
            registry.record(ended)
            made[number] += [run.run_id for run, _ in ended]
            for run_id in chance.sample(made[number], 2):
                add_outcome(
                    registry, run_id, "thumbs", chance.choice(["up", "down"]), occurred_at=utc_text(part)
                )
            files.append(exported(registry, tmp_path / f"{number}-{part}.jsonl", since_last=True))
    for file in chance.sample(files * 2, len(files) * 2):
        import_files(hub, [file])
    assert describe_import_gaps(hub, "") == []
    assert sorted(runs_in(hub)) == sorted(runs_in(hosts[0]) + runs_in(hosts[1]))
    heard = "SELECT r.run_id, o.* FROM runs r JOIN outcomes o ON o.run_seq = r.seq"
    names = ("run_id", "source", "name", "passed", "value", "occurred_at")
    theirs = [str([row[name] for name in names]) for registry in hosts for row in registry.read(heard)]
    assert sorted(theirs) == sorted(str([row[name] for name in names]) for row in hub.read(heard))


def test_units_hashed_with_different_keys_are_kept_apart(
    host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, hub = host("one"), host("other"), host("hub")
    one.record([(served(1, unit_key_id="one"), an_end())])
    other.record([(served(1, unit_key_id="other"), an_end()), (served(1, unit_key_id="other"), an_end())])
    files = [exported(one, tmp_path / "one.jsonl"), exported(other, tmp_path / "other.jsonl")]
    with pytest.raises(Exception, match="hashed with the key"):
        import_files(hub, files)
    assert runs_in(hub) == []
    import_files(hub, files[:1])
    with pytest.raises(Exception, match="hashed with the key other, and here with one"):
        import_files(hub, files[1:])
    monkeypatch.setenv("PROMPTOPS_UNIT_KEY", "of all hosts")
    with pytest.raises(Exception, match="hashed with the key one"):
        import_files(host("third"), files[:1])


def test_a_gap_in_a_log_is_told_to_whoever_imports_it(host: Any, tmp_path: Path) -> None:
    one, hub = host("one"), host("hub")
    runs = [served(n, started_at=old()) for n in range(6)]
    one.record([(run, an_end()) for run in runs])
    with one.write() as connection:
        connection.execute("DELETE FROM runs WHERE run_id = ?", (runs[3].run_id,))
    (gap,) = find_log_gaps(one, after=0, until=EVER)
    assert (gap.writer_id, gap.after, gap.before) == (one.writer_id, 3, 5)
    import_files(hub, [exported(one, tmp_path / "one.jsonl", since_last=True)])
    (sentence,) = describe_import_gaps(hub, "")
    assert "a run is missing" in sentence
    assert describe_import_gaps(hub, utc_text(time.time())) == []
    one.replay(runs[3], an_end(), (one.writer_id, 4))  # it had only been late
    import_files(hub, [exported(one, tmp_path / "two.jsonl", since_last=True)])
    assert describe_import_gaps(hub, "") == []


def test_what_was_pruned_is_no_gap(host: Any) -> None:
    one = host("one")
    days = [(f"2026-01-0{day}", None if day % 2 else "r-1") for day in range(1, 8)]
    one.record([(served(0, started_at=f"{day}T00:00:00.000Z", rollout=name), an_end()) for day, name in days])
    prune_runs(one, before="2026-01-06", active_rollouts=["r-1"])
    assert [row[0] for row in one.read("SELECT seq FROM runs ORDER BY seq")] == [2, 4, 6, 7]
    assert find_log_gaps(one, after=0, until=EVER) == []
    assert one.read_one("SELECT value FROM meta WHERE key = 'pruned_through'") == "5"


def test_a_run_that_waited_beside_the_registry_leaves_no_gap(repo: Repo, tmp_path: Path) -> None:
    """The registry is locked for two of five runs; they come late, and where they were to stand."""
    settings = current_settings()
    journal = RegistryJournal(settings, busy_s=0.01)
    runs = [served(n, started_at=old()) for n in range(5)]
    locker = RegistryDatabase.open(settings.registry)
    for number, run in enumerate(runs):
        if number in (1, 3):
            with locker.write():
                journal.start(run, greet_prompt())
                journal.finish(run.run_id, an_end())
        else:
            journal.start(run, greet_prompt())
            journal.finish(run.run_id, an_end())
    assert [gap.after for gap in find_log_gaps(locker, after=0, until=EVER)] == [1, 3]
    Spool(settings.registry).replay(locker)
    assert find_log_gaps(locker, after=0, until=EVER) == []
    assert locker.read_one("SELECT count(*) FROM runs WHERE state = 'finished'") == 5
    assert locker.read_one("SELECT count(DISTINCT writer_id) FROM runs") == 1


def test_a_run_that_cannot_be_taken_in_yet_uses_no_number_up(tmp_path: Path) -> None:
    registry = RegistryDatabase.open(tmp_path / "a.db", busy_s=0.01)
    late, (first, second) = served(0), [served(n) for n in (1, 2)]
    registry.record([(first, an_end())])
    with RegistryDatabase.open(tmp_path / "a.db").write(), pytest.raises(Unavailable):
        registry.replay(late, an_end())
    registry.record([(second, an_end())])
    assert find_log_gaps(registry, after=0, until=EVER) == []


def swap(old_text: str, new: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [line.replace(old_text, new) for line in lines]


BROKEN = {
    "cut off": lambda lines: lines[:-1],
    "cut in a line": lambda lines: [*lines[:-2], lines[-2][:40]],
    "a line lost": lambda lines: [lines[0], *lines[2:]],
    "a line too many": lambda lines: [*lines, lines[1]],
    "no header": lambda lines: lines[1:],
    "another format": lambda lines: [lines[0].replace("release/1", "release/9"), *lines[1:]],
    "a header without its stretch": lambda lines: [lines[0].replace("since_seq", "since"), *lines[1:]],
    "an impossible stretch": swap('"through_seq":3', '"through_seq":-3'),
    "an unknown state": swap('"finished"', '"done"'),
    "an unknown column": swap('"trial"', '"trials"'),
    "a missing column": swap('"trial":0,', ""),
    "a weight of 200 %": swap('"weight_bp":2500', '"weight_bp":20000'),
    "a text for a number": swap('"weight_bp":2500', '"weight_bp":"x"'),
    "a short digest": swap(DIGEST, "4c1d"),
    "a short id": swap('"run_id":"0', '"run_id":"'),
    "a strange time": swap('"started_at":"2', '"started_at":"x'),
    "strange outcomes": swap('["check"', '["checks"'),
    "a list": lambda lines: [lines[0], "[]", *lines[1:]],
    "nothing": lambda _: [],
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_brings_nothing_nor_do_those_beside_it(how: str, host: Any, tmp_path: Path) -> None:
    one, other, hub = host("one"), host("other"), host("hub")
    one.record([(served(n), an_end(checks=[check()])) for n in range(3)])
    other.record([(served(n), an_end()) for n in range(3)])
    good, bad = exported(one, tmp_path / "good.jsonl"), exported(other, tmp_path / "bad.jsonl")
    if how == "strange outcomes":
        good, bad = bad, good
    lines = bad.read_text().splitlines()
    broken = BROKEN[how](lines)
    assert broken != lines
    bad.write_text("".join(f"{line}\n" for line in broken))
    with pytest.raises(Exception, match=str(bad)) as caught:
        import_files(hub, [good, bad])
    assert caught.value.exit_code == 4  # type: ignore[attr-defined]
    assert "export" in caught.value.hint  # type: ignore[attr-defined]
    assert runs_in(hub) == []
    assert hub.read("SELECT * FROM imports") == []


def test_a_changed_run_is_refused(host: Any, tmp_path: Path) -> None:
    one, hub = host("one"), host("hub")
    one.record([(served(1), an_end())])
    file = exported(one, tmp_path / "one.jsonl")
    import_files(hub, [file])
    file.write_text(file.read_text().replace('"arm":"stable"', '"arm":"canary"'))
    with pytest.raises(Exception, match="is another one here"):
        import_files(hub, [file])


def test_from_one_project_to_another_by_the_verbs(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    def there(*arguments: str) -> Finished:
        return cli("--registry", str(tmp_path / "hub.db"), *arguments)

    with RegistryDatabase.open(current_settings().registry) as registry:
        registry.record([(served(n), an_end()) for n in range(3)])
        registry.start(served(4, started_at=old()))
    file = str(tmp_path / "evidence.jsonl")
    done = cli("runs", "export", "--for-release", "--since-last", "--out", file)
    assert (done.code, done.out) == (0, "")
    assert "4 runs written" in done.err
    done = cli("runs", "export", "--for-release")
    assert done.out.splitlines()[1:] == Path(file).read_text().splitlines()[1:]
    assert there("runs", "import", file).out == f"{file}: 4 new runs\n"
    told = json.loads(there("runs", "import", file, "--json").out)
    assert (told["files"][0]["known"], told["gaps"]) == (4, [])
    runs = json.loads(there("runs", "list", "--json").out)
    assert sorted(run["state"] for run in runs) == [*["finished"] * 3, "started"]
    shown = there("runs", "show", next(run["run_id"] for run in runs if run["state"] == "finished"))
    assert shown.code == 0
    assert "the log has no inputs of it" in shown.out
    assert there("runs", "stats").code == 0
    assert there("runs", "search", "parcel").code == 0


@pytest.mark.parametrize(
    "arguments",
    [["--since-last"], ["--for-release", "greet"], ["--for-release", "--format", "csv"],
     ["--for-release", "--since", "7d"]],
)  # fmt: skip
def test_a_stretch_of_the_log_is_told_whole(arguments: list[str], cli: Cli, repo: Repo) -> None:
    done = cli("runs", "export", *arguments)
    assert done.code == 4
    assert "promptops runs export --for-release --since-last --out FILE" in done.err


def test_a_file_that_could_not_be_written_is_told_again(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    with RegistryDatabase.open(current_settings().registry) as registry:
        registry.record([(served(1), an_end())])
    assert cli("runs", "export", "--for-release", "--since-last", "--out", "no/where").code == 4
    done = cli("runs", "export", "--for-release", "--since-last")
    assert json.loads(done.out.splitlines()[-1]) == {"end": 1}
    done = cli("runs", "export", "--for-release", "--since-last")
    assert json.loads(done.out.splitlines()[-1]) == {"end": 0}


def test_a_sample_depends_on_the_run_and_the_judge_alone() -> None:
    ids = [a_run().run_id for _ in range(4_000)]
    quarter = {run for run in ids if is_sampled(run, "quality", 0.25)}
    assert quarter <= {run for run in ids if is_sampled(run, "quality", 0.5)}
    assert 850 < len(quarter) < 1_150
    assert 180 < len({run for run in quarter if is_sampled(run, "tone", 0.25)}) < 320
    assert all(is_sampled(run, "quality", 1.0) and not is_sampled(run, "quality", 0.0) for run in ids)
    assert is_sampled("01JD8Z3K00000000000000000A", "quality", 0.5) is is_sampled(
        "01JD8Z3K00000000000000000A", "quality", 0.5
    )


def test_a_release_is_judged_by_the_runs_of_all_hosts_and_by_none_while_a_file_is_lost(
    host: Any, tmp_path: Path
) -> None:
    plan = decode_plan("quick", {})
    rollout = Rollout(
        id="r-1",
        canary=ReleasedVersion("v13", DIGEST),
        plan=plan.digest,
        phase="progressing",
        weight_bp=2500,
        started=old(),
        step_started=old(),
    )
    files = []
    for name in ("one", "other"):
        registry = host(name)
        for part in range(3):
            runs = [served(40 * part + n, started_at=old(600)) for n in range(40)]
            registry.record([(run, an_end(checks=[check()])) for run in runs])
            files.append(exported(registry, tmp_path / f"{name}{part}.jsonl", since_last=True))
    hub, lost = host("hub"), files.pop(1)

    def look() -> Findings:
        return analyze_rollout(hub, rollout, "support/triage", "production", plan, time.time())

    import_files(hub, files)
    assert len(look().gaps) == 1
    import_files(hub, [lost])
    import_files(hub, files)
    found = look()
    assert (found.calls, found.canary_calls, found.gaps) == (240, 60, ())
