import json
import sqlite3
from pathlib import Path

import pytest
from conftest import Cli, Repo
from provider import Provider, status


def findings(cli: Cli, *arguments: str) -> dict[str, tuple[str, str]]:
    told = json.loads(cli("doctor", *arguments, "--json").out)
    return {each["about"]: (each["state"], each["text"]) for each in told}


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
