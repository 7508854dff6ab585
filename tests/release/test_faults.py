"""What may go wrong while a canary runs, through the front door: verbs go on, hold, or say what is wrong."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from promptops.registry import RegistryDatabase
from support.forked_commands import ForkedPopen, run_forked
from support.front_door import Cli, Repo
from support.greet_releases import (
    QUICK,
    SALUTE,
    channel,
    go_live,
    ok,
    runs,
    subjects,
    told,
    two_versions,
    versions,
)
from support.greet_traffic import DAY, channel_state, logged, tick_at, ticked, traffic
from support.provider import Provider, text

# ---- the tree


def test_a_prompt_that_was_renamed_goes_on_under_its_old_name(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    repo.git("mv", "prompts/greet.yaml", "prompts/salute.yaml")
    repo.commit("Call it what it does")
    for unit in range(8):
        ok(cli("run", "greet:production", "--unit", f"u{unit}", "-i", "name=Ada"))
    assert {run["version"] for run in runs(repo)} == {"v1", "v2"}
    assert ok(cli("status", "greet")).out
    assert ticked(cli)["canary"] == "v2"
    done = cli("run", "salute:production", "--unit", "u", "-i", "name=Ada")
    assert (done.code, "no version of salute is released" in done.err) == (4, True), done.err
    traffic(repo, 60, failing=True)
    assert ticked(cli)["move"] == "rollback"
    assert versions(cli) == ("v1", None)
    ok(cli("promote", "salute@HEAD", "--yes"))
    assert channel(cli, "salute")["stable"]["version"] == "v1"
    assert channel(cli)["stable"]["version"] == "v1"


def test_a_canary_that_cannot_be_rendered_is_rolled_back(cli: Cli, repo: Repo, provider: Provider) -> None:
    two_versions(repo)
    repo.write("prompts/greet.yaml", SALUTE.replace("{{ name }}", "{{ name.first.letter }}"))
    repo.commit("Ask for too much")
    ok(cli("promote", "greet@HEAD~2", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    for unit in range(24):
        done = cli("run", "greet:production", "--unit", f"u{unit}", "-i", "name=Ada")
        assert (done.code, "Greet Ada" in done.out) == (0, True), done.err
    said = ticked(cli)
    assert (said["move"], said["code"], said["stable"]) == ("rollback", 1, "v1")
    assert versions(cli) == ("v1", None)


def test_a_prompt_that_was_deleted_is_promoted_all_the_same(cli: Cli, repo: Repo, provider: Provider) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    repo.git("rm", "-q", "prompts/greet.yaml")
    repo.commit("Delete it")
    ok(cli("promote", "greet", "--force", "--reason", "it is served all the same"))
    assert versions(cli) == ("v2", None)
    done = ok(cli("run", "greet:production", "--unit", "u", "-i", "name=Ada"))
    assert done.out == "Salute Ada.\n"
    ok(cli("rollback", "greet"))
    assert ok(cli("run", "greet:production", "--unit", "u", "-i", "name=Ada")).out == "Greet Ada.\n"


# ---- clocks


def test_a_clock_that_goes_backwards_between_ticks(cli: Cli, repo: Repo) -> None:
    repo.write(
        "promptops.yaml",
        "plans: {slow: {eval: null, quality: optional, unit: call, "
        "steps: [{weight: 50, min_canary: 10, min_duration: 1h}, "
        "{weight: 50}], metrics: [{name: error_rate, kind: binary, source: run.error, worse: higher, "
        "role: guard, margin: 0.02}]}}\n",
    )
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "slow", "--yes"))
    now = time.time()
    traffic(repo, 40, at=now + 60)
    assert tick_at(now + 300).look.findings.calls == 40  # type: ignore[union-attr]
    before = subjects(repo)
    for moment in (now - 3600, now - 30 * DAY, now + 10):
        held = tick_at(moment)
        assert (held.move, held.code(), held.look.findings.calls) == (None, 0, 40)  # type: ignore[union-attr]
    assert subjects(repo) == before
    assert tick_at(now + 3700).move == "advance"
    assert tick_at(now - 3600).move is None
    traffic(repo, 40, at=now - 3000, failing=True)
    assert tick_at(now - 2000).move == "rollback"
    times = [each["at"] for each in told(cli, "release", "log", "greet")]
    assert times == sorted(times, reverse=True)


def test_a_call_that_began_in_the_future_and_was_killed_blocks_no_longer_than_others(
    cli: Cli, repo: Repo
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    now = time.time()
    run, _ = logged(channel_state(), 0, at=now + 400 * DAY)
    with RegistryDatabase.open(repo.registry) as registry:
        registry.start(run)
    traffic(repo, 20, at=now)
    assert tick_at(now + 60).look.findings.calls == 0  # type: ignore[union-attr]
    found = tick_at(now + 130).look.findings
    assert found
    assert (found.calls, found.waiting) == (21, 0)
    assert found.metrics[0].canary_mean == pytest.approx(1 / 11)


# ---- processes


def test_a_call_whose_process_was_killed_is_an_error_in_the_end_and_holds_nobody_up(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    provider.script = replace(text("Hello"), wait=30.0)
    command = [sys.executable, "-m", "promptops", "run", "greet:production", "-i", "name=Ada"]
    with ForkedPopen([*command, "--unit", "u1"], stdout=subprocess.DEVNULL) as child:
        deadline = time.monotonic() + 60
        while not provider.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert [run["state"] for run in runs(repo)] == ["started"]
    traffic(repo, 20)
    now = time.time()
    assert ticked(cli)["calls"] == 0
    found = tick_at(now + 130).look.findings
    assert found
    assert (found.calls, found.waiting) == (21, 0)
    failed = sum((each.canary_mean or 0) * each.canary_calls + (each.stable_mean or 0) * each.stable_calls
                 for each in found.metrics if each.metric.name == "error_rate")  # fmt: skip
    assert round(failed) == 1


IMPORT = """
import os, signal, sqlite3, sys
from pathlib import Path
import promptops.registry.sqlite.store
from promptops.registry.queries.release import import_
real = import_.{what}
def die(*args, **more):
    real(*args, **more)
    os.kill(os.getpid(), signal.SIGKILL)
import_.{what} = die
from promptops.cli.main import main
main(["runs", "import", *sys.argv[1:]])
"""


@pytest.mark.parametrize("what", ["_stage_file", "_import_staged", "save_import_coverage"])
def test_an_import_that_is_killed_has_brought_nothing_and_is_done_again(
    cli: Cli, repo: Repo, tmp_path: Path, what: str, process: Callable[..., CompletedProcess[str]]
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    away = tmp_path / "away.db"
    files = []
    for part in range(2):
        traffic(repo, 60, at=time.time() - 600 + 10 * part, registry=away)
        files.append(str(tmp_path / f"part{part}.jsonl"))
        export = ["runs", "export", "--for-release", "--since-last", "--out", files[-1]]
        assert process(["--registry", str(away), *export]).returncode == 0
    assert cli("runs", "list").code == 0
    command = [sys.executable, "-c", IMPORT.format(what=what), *files]
    assert run_forked(command, check=False, cwd=repo.path).returncode == -signal.SIGKILL
    assert runs(repo) == []
    ok(cli("runs", "import", *files))
    ok(cli("runs", "import", *reversed(files)))
    said = ticked(cli)
    assert (said["calls"], said["code"]) == (120, 0)
    with RegistryDatabase.open(repo.registry) as registry:
        assert registry.find_damage() == ""


TICK = """
import os, signal, sys
from promptops.release import analysis, reconcile
from promptops.release.ledger import Ledger
real = {what}
def die(*args, **more):
    if {after}:
        real(*args, **more)
    os.kill(os.getpid(), signal.SIGKILL)
{what} = die
from promptops.cli.main import main
main(["tick", "--all"])
"""


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("analysis.evaluate_metrics", False),
        ("reconcile.analyze_rollout", True),
        ("Ledger.commit_transition", False),
    ],
)
def test_a_tick_that_is_killed_is_made_good_by_the_next(cli: Cli, repo: Repo, what: str, after: bool) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 60, failing=True)
    command = [sys.executable, "-c", TICK.format(what=what, after=after)]
    assert run_forked(command, check=False, cwd=repo.path).returncode == -signal.SIGKILL
    assert versions(cli) == ("v1", "v2")
    said = ticked(cli)
    assert (said["move"], said["calls"], said["code"]) == ("rollback", 60, 1)
    assert ok(cli("release", "verify")).out.startswith("ok ")


# ---- evidence


def test_a_control_without_errors_gives_numbers_everywhere(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 60)
    ticked(cli)
    for form in (["--json"], ["--format", "markdown"], ["--format", "html"], []):
        said = ok(cli("status", "greet", *form)).out
        for odd in ("NaN", "nan ", "Infinity", " inf"):
            assert odd not in said, form
    errors = told(cli, "status", "greet")
    assert json.loads(json.dumps(errors, allow_nan=False)) == errors


def test_a_canary_that_nobody_meets_only_waits(cli: Cli, repo: Repo) -> None:
    """Low traffic, calls of stable alone, and none at all: missing data is never a failure."""
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "quick", "--yes"))
    now = time.time()
    for day in range(1, 13):
        held = tick_at(now + day * DAY)
        assert (held.move, held.code()) == (None, 0)
    state = channel_state()
    few = [logged(state, 2 * n + 1, at=now + 12 * DAY + n) for n in range(6)]
    with RegistryDatabase.open(repo.registry) as registry:
        registry.record(few)
    held = tick_at(now + 13 * DAY)
    assert (held.move, held.code()) == (None, 0)
    due = tick_at(now + 15 * DAY)
    assert (due.move, due.code(), due.after.rollout and due.after.rollout.phase) == (
        "inconclusive",
        0,
        "inconclusive",
    )
    assert tick_at(now + 30 * DAY).move is None
    assert versions(cli) == ("v1", "v2")


APPROVED = """\
plans:
  asked:
    eval: null
    quality: optional
    unit: call
    steps: [{weight: 20, min_canary: 10}, {approval: manual}, {weight: 50}]
    metrics: [{name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.2}]
"""


@pytest.mark.parametrize("phase", ["awaiting", "paused"])
def test_harm_is_seen_while_a_person_is_waited_for(cli: Cli, repo: Repo, phase: str) -> None:
    repo.write("promptops.yaml", APPROVED)
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "asked", "--yes"))
    if phase == "paused":
        ok(cli("release", "pause", "greet"))
    traffic(repo, 60)
    said = ticked(cli)
    assert (said["phase"], said["weight_bp"]) == (phase, 2000)
    traffic(repo, 60, failing=True)
    said = ticked(cli)
    assert (said["move"], said["code"], said["weight_bp"]) == ("rollback", 1, 0)


def test_another_registry_than_the_one_that_saw_the_calls_is_named(
    cli: Cli, repo: Repo, tmp_path: Path
) -> None:
    repo.write("promptops.yaml", APPROVED)
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "asked", "--yes"))
    traffic(repo, 60)
    assert ticked(cli)["phase"] == "awaiting"
    ok(cli("release", "approve", "greet"))
    other = tmp_path / "other.db"
    done = cli("--registry", str(other), "tick", "greet")
    assert done.code == 0
    assert f"the registry {other} has 60 calls fewer than the evidence" in done.out


def test_a_canary_is_looked_at_by_many_processes_at_once(cli: Cli, repo: Repo) -> None:
    """Calls arrive while several processes tick: every call is counted once, and the move made once."""
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    before = len(subjects(repo))
    command = [sys.executable, "-m", "promptops", "tick", "--all"]
    ticks = [ForkedPopen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    state = channel_state()
    with RegistryDatabase.open(repo.registry) as registry:
        for _ in range(6):
            registry.record([logged(state, n, at=time.time() + n, failing=True) for n in range(10)])
    said = [each.communicate()[0] for each in ticks]
    assert all(each.returncode in (0, 1) for each in ticks), said
    last = cli("tick", "--all")
    moved = [json.loads(line)["move"] for each in (*said, last.out) for line in each.splitlines()]
    assert moved.count("rollback") == 1
    assert len(subjects(repo)) == before + 1
    with RegistryDatabase.open(repo.registry) as registry:
        sql = "SELECT count(*), count(DISTINCT seq) FROM observations WHERE metric = 'error_rate'"
        counted = registry.read(sql)[0]
    assert counted[0] == counted[1]


def test_rendering_writes_no_row(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("render", "greet:production", "-i", "name=Ada"))
    ok(cli("status", "greet"))
    assert not (repo.path / "registry.db").exists() or runs(repo) == []
