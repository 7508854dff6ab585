"""Canaries in several clones, through the front door: CI, remotes that go away, moves that meet."""

import json
import shutil
import time
from pathlib import Path

import pytest

from support.front_door import GREET, Cli, Repo
from support.greet_releases import (
    QUICK,
    SALUTE,
    a_remote,
    ok,
    told,
    two_versions,
    versions,
)
from support.greet_traffic import traffic


def test_a_shallow_clone_in_ci_imports_and_ticks(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_versions(repo)
    origin = a_remote(repo, tmp_path / "origin.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 80, failing=True, at=time.time() - 600)
    evidence = str(tmp_path / "host.jsonl")
    ok(cli("runs", "export", "--for-release", "--out", evidence))
    runner = tmp_path / "runner"
    repo.git("clone", "-q", "--depth", "1", "--single-branch", f"file://{origin}", str(runner))
    monkeypatch.chdir(runner)
    assert "v2" in ok(cli("status", "greet")).out
    ok(cli("runs", "import", evidence))
    done = cli("tick", "--all")
    assert done.code == 1, done.err
    assert json.loads(done.out)["move"] == "rollback"
    assert "rolled back" in ok(cli("status", "greet", "--format", "markdown")).out.lower()
    assert ok(cli("release", "verify")).out.startswith("ok ")
    monkeypatch.chdir(repo.path)
    ok(cli("release", "sync"))
    assert versions(cli) == ("v1", None)


@pytest.fixture
def two_clones(cli: Cli, repo: Repo, tmp_path: Path) -> tuple[Path, Path, Path]:
    """This one, another, and the bare remote of both; v2 is the canary."""
    two_versions(repo)
    origin = a_remote(repo, tmp_path / "origin.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    other = tmp_path / "other"
    repo.git("clone", "-q", str(origin), str(other))
    return repo.path, other, origin


def offline_rollback(cli: Cli, origin: Path) -> None:
    away = origin.with_name("away.git")
    shutil.move(origin, away)
    assert cli("rollback", "greet").code == 5
    shutil.move(away, origin)


def test_a_rollback_made_offline_undoes_a_promotion_that_it_meets(
    cli: Cli, two_clones: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other, origin = two_clones
    offline_rollback(cli, origin)
    monkeypatch.chdir(other)
    ok(cli("promote", "greet", "--force", "--reason", "hurry"))
    assert versions(cli) == ("v2", None)
    monkeypatch.chdir(mine)
    done = ok(cli("release", "sync"))
    assert done.out.startswith("pushed: release(greet): production"), done.out
    assert versions(cli) == ("v1", None)
    monkeypatch.chdir(other)
    ok(cli("release", "sync"))
    assert versions(cli) == ("v1", None)
    moves = [each["move"] for each in told(cli, "release", "log", "greet")]
    assert moves == ["abort", "promote", "start", "release"]


def test_a_rollback_made_offline_that_meets_another_canary_shows_both(
    cli: Cli, two_clones: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other, origin = two_clones
    offline_rollback(cli, origin)
    monkeypatch.chdir(other)
    ok(cli("promote", "greet", "--force", "--reason", "hurry"))
    hail = GREET.replace("Greet {{", "Hail {{")
    (other / "prompts/greet.yaml").write_text(hail)
    Repo(other).commit("Hail people")
    Repo(other).git("push", "-q", "origin", "main")
    ok(cli("canary", "greet@HEAD", *QUICK))
    monkeypatch.chdir(mine)
    done = cli("release", "sync")
    assert done.code == 4
    assert "v2" in done.err
    assert "v3" in done.err
    ok(cli("release", "sync", "--discard"))
    assert versions(cli) == ("v2", "v3")


@pytest.mark.parametrize("failing", [True, False])
def test_a_tick_without_the_remote_takes_back_and_does_not_promote(
    cli: Cli, two_clones: tuple[Path, Path, Path], repo: Repo, failing: bool
) -> None:
    _, _, origin = two_clones
    traffic(repo, 400, failing=failing)
    away = origin.with_name("away.git")
    shutil.move(origin, away)
    done = cli("tick", "--all")
    assert done.code == 5, done.out + done.err
    assert "origin" in done.err
    assert versions(cli) == (("v1", None) if failing else ("v1", "v2"))
    shutil.move(away, origin)
    again = cli("tick", "--all")
    moved = [json.loads(line)["move"] for line in again.out.splitlines()]
    assert moved == ([] if failing else ["promote"])
    there = repo.git("ls-remote", "origin", "promptops-state").split()[0]
    assert there == repo.git("rev-parse", "promptops-state")


def test_the_gravest_code_of_many_canaries_is_the_code_of_the_tick(cli: Cli, repo: Repo) -> None:
    """Rolled back (1) beside invalid (4) beside a state that holds (0)."""
    for name in ("bad", "greet", "holed"):
        repo.write(f"prompts/{name}.yaml", GREET)
    repo.write(".gitignore", "registry.db*\n")
    repo.commit("Greet people")
    for name in ("bad", "greet", "holed"):
        repo.write(f"prompts/{name}.yaml", SALUTE)
    repo.commit("Salute people")
    for name in ("bad", "greet", "holed"):
        ok(cli("promote", f"{name}@HEAD~1", "--yes"))
        ok(cli("canary", f"{name}@HEAD", *QUICK))
    traffic(repo, 60, failing=True, prompt="bad")
    assert cli("tick", "greet", "holed").code == 0
    assert cli("tick", "--all", "--exit-code").code == 1
    traffic(repo, 60, prompt="holed", alone=True)
    ok(cli("canary", "bad@HEAD", *QUICK))
    done = cli("tick", "--all", "--exit-code")
    said = {each["prompt"]: each["code"] for each in map(json.loads, done.out.splitlines())}
    assert said == {"bad": 1, "greet": 3, "holed": 4}
    assert done.code == 4


def test_status_asks_git_little_for_each_of_many_canaries(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"greet{number}" for number in range(6)]
    for content in (GREET, SALUTE):
        for name in names:
            repo.write(f"prompts/{name}.yaml", content)
        repo.commit("Greet people")
    a_remote(repo, tmp_path / "origin.git")
    for name in names:
        ok(cli("promote", f"{name}@HEAD~1", "--yes"))
        ok(cli("canary", f"{name}@HEAD", *QUICK))

    def asked(*prompts: str) -> int:
        trace = tmp_path / f"trace{len(prompts)}"
        monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
        ok(cli("status", *prompts))
        return trace.read_text(encoding="utf-8").count('"event":"start"')

    one = asked(names[0])
    assert asked(*names) <= one + 3 * (len(names) - 1)
