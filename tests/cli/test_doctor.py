import importlib.metadata
import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from promptops.providers.catalog_index import LITELLM_FILE, read_snapshot, snapshot_head
from support.front_door import Cli, Repo
from support.greet_releases import a_remote, ok
from support.provider import Provider, status


def findings(cli: Cli, *arguments: str) -> dict[str, tuple[str, str]]:
    told = json.loads(cli("doctor", *arguments, "--json").out)
    return {each["about"]: (each["state"], each["text"]) for each in told}


@pytest.mark.sqlite
def test_a_sound_project(cli: Cli, greeting: Repo, provider: Provider) -> None:
    assert findings(cli)["registry"][0] == "note"
    cli("run", "greet", "-i", "name=Ada")
    found = findings(cli)
    assert found["project"] == ("ok", f"{greeting.path}, 1 prompt")
    assert found["registry"] == ("ok", f"{greeting.path / 'registry.db'}, 1 run")
    assert found["keys"] == ("ok", "OPENAI_API_KEY")
    assert "sk-test" not in cli("doctor").out


def test_an_empty_project_outside_of_any_and_without_git(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert findings(cli)["project"][0] == "warning"
    assert findings(cli)["keys"][0] == "note"
    monkeypatch.chdir(tmp_path)
    assert findings(cli)["project"][0] == "error"
    assert cli("doctor").code == 1
    monkeypatch.setenv("PATH", str(tmp_path))
    assert findings(cli)["git"][0] == "error"
    assert findings(cli)["program"][0] == "note"


def test_another_tools_promptops_first_on_the_path(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "promptops"
    other.write_text("#!/bin/sh\necho another\n", encoding="utf-8")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin")
    assert findings(cli)["program"] == ("warning", f"{other} is another tool's promptops")


@pytest.mark.sqlite
def test_registries_in_trouble(cli: Cli, greeting: Repo, provider: Provider) -> None:
    file = greeting.path / "registry.db"
    file.write_bytes(b"no database" * 1000)
    assert findings(cli)["registry"][0] == "error"
    file.unlink()
    cli("run", "greet", "-i", "name=Ada")
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'run_texts'")
    assert findings(cli)["registry"][0] == "error"


def test_a_model_is_reached_when_asked(cli: Cli, greeting: Repo, provider: Provider) -> None:
    state, told = findings(cli, "--reach", "openai/gpt-4o")["openai/gpt-4o"]
    assert state == "ok"
    assert "answered in" in told
    provider.script = status(401, "bad key")
    assert findings(cli, "--reach", "openai/gpt-4o")["openai/gpt-4o"][0] == "error"


def test_the_embedded_model_is_looked_at_but_not_fetched(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert findings(cli)["embedded model"][0] == "note"
    weights = tmp_path / "cache/promptops/models/SmolLM2-135M-Instruct.Q4_1.gguf"
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(b"GGUF, but another")
    assert findings(cli)["embedded model"][0] == "error"
    monkeypatch.setenv("PROMPTOPS_LOCAL_GGUF", str(weights))
    assert "PROMPTOPS_LOCAL_GGUF" in findings(cli)["embedded model"][1]


def test_what_is_known_of_models_is_dated_and_old_when_it_is_old(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, released = snapshot_head(read_snapshot())
    facts = f"prices, windows and retirement dates of litellm {version} of {released}"
    assert findings(cli)["models"] == ("ok", facts)
    assert findings(cli)["providers"] == ("ok", f"litellm {importlib.metadata.version('litellm')}")
    monkeypatch.setitem(sys.modules, "litellm", None)
    assert found(cli, "providers")[0]["hint"] == "pip install 'git-promptops[providers]'"
    monkeypatch.delitem(sys.modules, "litellm")
    monkeypatch.syspath_prepend(str(tmp_path))
    for file in ("litellm/__init__.py", f"litellm/{LITELLM_FILE}", "litellm-999.0.0.dist-info/METADATA"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("Name: litellm\nVersion: 999.0.0\n" if "info" in file else "{}", "utf-8")
    os.utime(tmp_path / "litellm" / LITELLM_FILE, (0, 0))
    [old] = found(cli, "models")
    assert (old["state"], old["hint"]) == ("note", "pip install -U git-promptops")
    assert "of litellm 999.0.0, installed 1970-01-01, " in old["text"]


def found(cli: Cli, about: str) -> list[dict[str, str]]:
    return [each for each in json.loads(cli("doctor", "--json").out) if each["about"] == about]


def test_who_commits_releases(cli: Cli, greeting: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    assert findings(cli)["identity"] == ("ok", "Ada <ada@example.org>")
    for name in ("AUTHOR_NAME", "AUTHOR_EMAIL", "COMMITTER_NAME", "COMMITTER_EMAIL"):
        monkeypatch.delenv(f"GIT_{name}")
    greeting.git("config", "user.useConfigOnly", "true")
    (told,) = found(cli, "identity")
    assert told["state"] == "error"
    assert told["hint"] == 'git config user.name "Ada"; git config user.email ada@example.org'
    assert cli("doctor").code == 1
    greeting.git("config", "user.name", "Bea")
    greeting.git("config", "user.email", "bea@example.org")
    assert findings(cli)["identity"] == ("ok", "Bea <bea@example.org>")


def test_releases_that_are_signed(cli: Cli, greeting: Repo) -> None:
    assert "signing" not in findings(cli)
    greeting.git("config", "commit.gpgsign", "true")
    state, told = findings(cli)["signing"]
    assert state == "note"
    assert "a rollback goes out unsigned where signing fails" in told


def test_where_releases_are_shared(cli: Cli, greeting: Repo, tmp_path: Path) -> None:
    assert "remote" not in findings(cli)
    a_remote(greeting, tmp_path / "hub.git")
    assert findings(cli)["remote"] == ("ok", "origin, reviewed is origin/main")
    greeting.git("remote", "set-head", "origin", "--delete")
    greeting.git("update-ref", "refs/remotes/origin/master", "HEAD")
    (told,) = found(cli, "remote")
    assert told["state"] == "warning"
    assert "git remote set-head origin --auto" in told["hint"]
    greeting.git("remote", "rename", "origin", "up")
    greeting.git("remote", "add", "fork", str(tmp_path / "fork.git"))
    (told,) = found(cli, "remote")
    assert told["state"] == "warning"
    assert "release: {from: REMOTE/main}" in told["hint"]


def test_releases_of_this_machine_alone(cli: Cli, greeting: Repo, tmp_path: Path) -> None:
    ok(cli("promote", "greet@HEAD", "--yes"))
    hub = a_remote(greeting, tmp_path / "hub.git")
    (_, told) = found(cli, "releases")
    assert (told["state"], told["text"]) == ("warning", "1 transition is on this machine only")
    assert told["hint"] == "promptops release sync"
    hub.rename(tmp_path / "gone.git")  # doctor does not ask it
    assert len(found(cli, "releases")) == 2
    other = greeting.git("commit-tree", "HEAD^{tree}", "-m", "another")
    greeting.git("update-ref", "refs/remotes/origin/promptops-state", other)
    (told,) = found(cli, "state branch")
    assert (told["state"], told["hint"]) == ("error", "promptops release recover")
    assert "refs/remotes/origin/promptops-state is another branch than was verified here" in told["text"]


def test_a_work_tree_that_stands_on_the_state_branch(cli: Cli, greeting: Repo, tmp_path: Path) -> None:
    ok(cli("promote", "greet@HEAD", "--yes"))
    assert "state branch" not in findings(cli)
    tree = tmp_path / "look"
    greeting.git("worktree", "add", "-q", str(tree), "promptops-state")
    (told,) = found(cli, "state branch")
    assert (told["state"], told["hint"]) == ("note", f"git -C {tree} switch --detach")
    greeting.git("-C", str(tree), "switch", "-q", "--detach")
    assert "state branch" not in findings(cli)


@pytest.mark.sqlite
def test_what_could_not_be_taken_in_is_reported(cli: Cli, repo: Repo) -> None:
    repo.write("registry.db-spool/01J.damaged", "{")
    done = cli("doctor")
    assert "1 file in" in done.out
    assert "could not be taken in" in done.out
