"""Runs on a channel, and runs that the caller makes and promptops only logs."""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from promptops.release.assignment import on_canary
from support.forked_commands import run_forked
from support.front_door import Cli, Repo
from support.git_repositories import GitFolder
from support.logged_rows import open_log
from support.provider import Provider, Received, echo, status, text
from support.release_states import released, write_state

PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, max_tokens: 64}}
inputs: {inputs}
messages:
  - {{role: user, content: "{text} {{{{ name }}}}"}}
checks:
  - contains: "{{{{ name }}}}"
"""
GREET = "prompts/greet.yaml"


def rows(repo: Repo) -> list[dict[str, Any]]:
    with open_log(repo.path) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM runs ORDER BY seq")]


def prompt(text: str, inputs: str = "{name: string}") -> str:
    return PROMPT.format(text=text, inputs=inputs)


Release = Callable[..., dict[str, str]]


@pytest.fixture
def release(repo: Repo) -> Release:
    """Release v1 to production and try v2 there; says a unit that meets each."""
    folder = GitFolder(repo.path)

    def go(new: str = prompt("Bye"), **more: Any) -> dict[str, str]:
        folder.commit("1", {GREET: prompt("Hi"), ".gitignore": "registry.db*\n"})
        folder.commit("2", {GREET: new}, day=2)
        stable, canary = (released(folder, "greet", f"HEAD{rev}", v) for rev, v in (("~1", "v1"), ("", "v2")))
        write_state(folder, "greet", stable, canary, **more)
        salt = f"greet/production/{canary['digest']}"
        meets = {on_canary(salt, f"u{n}", 5000): f"u{n}" for n in range(20)}
        return {"stable": meets[False], "canary": meets[True]}

    return go


def run(cli: Cli, unit: str, *more: str) -> Any:
    return cli("run", "greet:production", "--unit", unit, "-i", "name=Ada", *more)


def test_a_unit_meets_its_version_again_and_again(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    units = release()
    for _ in range(2):
        assert run(cli, units["stable"]).out == "Hi Ada\n"
        assert run(cli, units["canary"]).out == "Bye Ada\n"
    stable, canary = rows(repo)[:2]
    assert (stable["version"], stable["arm"], stable["channel"]) == ("v1", "stable", "production")
    assert (canary["version"], canary["arm"], canary["weight_bp"]) == ("v2", "canary", 5000)
    assert canary["rollout"] == "r-1"
    assert len({row["unit_hash"] for row in rows(repo)}) == 2
    assert {len(row["unit_key_id"]) for row in rows(repo)} == {12}
    shown = json.loads(run(cli, units["canary"], "--json").out)
    assert (shown["arm"], shown["rollout"], shown["version"]) == ("canary", "r-1", "v2")
    assert shown["reference"] == "greet:production"


def test_the_unit_may_be_said_by_the_metadata(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    units = release()
    done = cli("run", "greet:production", "-i", "name=Ada", "--meta", f"session={units['canary']}")
    assert done.out == "Bye Ada\n"
    assert rows(repo)[0]["unit_hash"]


def test_a_unit_of_a_version_that_is_on_no_channel(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    release()
    assert cli("run", "greet@HEAD~1", "-i", "name=Ada", "--unit", "u1").out == "Hi Ada\n"
    assert rows(repo)[0]["unit_hash"]
    assert rows(repo)[0]["arm"] is None


def test_a_channel_is_not_overridden(cli: Cli, release: Release) -> None:
    units = release()
    done = run(cli, units["canary"], "--model", "openai/gpt-4o")
    assert (done.code, "a channel serves what was released" in done.err) == (4, True)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (prompt("Bye {{ nobody.at.home }}"), "template prompts/greet.yaml:5"),
        (prompt("Bye", "{name: string, mood: string}"), "inputs refused"),
        (prompt("Bye", "{name: {type: string, maxLength: 2}}"), "inputs refused"),
    ],
)
def test_a_canary_that_cannot_be_sent_falls_back_and_counts_as_its_error(
    repo: Repo, cli: Cli, provider: Provider, release: Release, new: str, why: str
) -> None:
    units = release(new)
    done = run(cli, units["canary"])
    assert (done.code, done.out) == (0, "Hi Ada\n")
    (row,) = rows(repo)
    assert (row["version"], row["arm"], row["fallback"], row["error_type"]) == ("v1", "canary", why, None)


def test_what_neither_version_takes_is_the_callers_error_and_no_run(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    units = release(prompt("Bye", "{name: {type: string, maxLength: 2}}"))
    done = run(cli, units["canary"], "-i", "nome=Ada")
    assert (done.code, "nome" in done.err) == (4, True)
    assert not provider.requests
    assert rows(repo) == []


def test_an_input_that_only_the_canary_has(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    units = release(prompt("Bye {{ times }}", "{name: string, times: {type: integer, default: 1}}"))
    assert run(cli, units["canary"], "-i", "times=3").out == "Bye 3 Ada\n"


def test_failures_of_the_provider_and_of_checks_are_returned_as_they_are(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    units = release()
    provider.script = lambda request: text("nobody") if b"Bye" in request.raw else echo(request)
    done = run(cli, units["canary"])
    assert (done.code, done.out) == (1, "nobody\n")
    provider.script = lambda _: status(400)
    assert run(cli, units["canary"]).code == 4
    assert [row["fallback"] for row in rows(repo)] == [None, None]


def test_five_failures_in_a_row_put_the_canary_out_of_service(
    repo: Repo, cli: Cli, provider: Provider, release: Release
) -> None:
    units = release()

    def answer(request: Received) -> Any:
        return status(400) if b"Bye" in request.raw else echo(request)

    provider.script = answer
    for number in range(5):
        if number:
            assert run(cli, units["stable"]).code == 0
        failed = run(cli, units["canary"])
        assert failed.code == 4
        assert ("out of service here" in failed.err) == (number == 4)
    assert run(cli, units["canary"]).out == "Hi Ada\n"
    last = rows(repo)[-1]
    assert (last["version"], last["rollout"], last["arm"]) == ("v1", None, None)


def test_nothing_is_released(cli: Cli, greeting: Repo) -> None:
    done = cli("run", "greet:production", "-i", "name=Ada")
    assert done.code == 4
    assert "promptops promote greet@REV" in done.err
    assert "promptops release sync" in done.err


class TestPrepared:
    def prepared(self, cli: Cli, unit: str) -> dict[str, Any]:
        done = run(cli, unit, "--prepare")
        assert done.code == 0, done.err
        found: dict[str, Any] = json.loads(done.out)
        return found

    def finish(self, repo: Repo, run_id: str, report: Any, *more: str) -> CompletedProcess[str]:
        text = report if isinstance(report, str) else json.dumps(report)
        command = [sys.executable, "-m", "promptops", "runs", "finish", run_id, "--from", "-", *more]
        return run_forked(
            command, cwd=repo.path, input=text, capture_output=True, encoding="utf-8", check=False
        )

    def test_what_is_printed(self, repo: Repo, cli: Cli, release: Release, monkeypatch: Any) -> None:
        monkeypatch.delenv("OPENAI_API_KEY", raising=False)  # somebody else makes the call
        call = self.prepared(cli, release()["canary"])
        (row,) = rows(repo)
        assert call == {
            "run_id": row["run_id"],
            "digest": f"sha256:{row['digest']}",
            "arm": "canary",
            "model": "openai/gpt-4o-mini-2024-07-18",
            "parameters": {"temperature": 0, "max_tokens": 64},
            "tools": [],
            "messages": [{"role": "user", "content": "Bye Ada"}],
        }
        assert (row["state"], row["arm"], row["weight_bp"]) == ("started", "canary", 5000)

    def test_it_is_finished_by_another_process(self, repo: Repo, cli: Cli, release: Release) -> None:
        call = self.prepared(cli, release()["canary"])
        report = {"output": "Bye Ada", "input_tokens": 1000, "output_tokens": 500}
        done = self.finish(repo, call["run_id"], report, "--json")
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert [(check["name"], check["pass"]) for check in shown["checks"]] == [("contains", True)]
        (row,) = rows(repo)
        assert (row["state"], row["checks_failed"], row["input_tokens"]) == ("finished", 0, 1000)
        assert row["cost_usd"] == pytest.approx(1000 * 0.15e-6 + 500 * 0.6e-6)
        assert 0 < row["latency_ms"] < 60_000
        again = self.finish(repo, call["run_id"], report)
        assert (again.returncode, "has ended already" in again.stderr) == (4, True)

    def test_a_failed_check_is_a_no(self, repo: Repo, cli: Cli, release: Release) -> None:
        call = self.prepared(cli, release()["stable"])
        done = self.finish(repo, call["run_id"][:-2], {"output": "nobody"})
        assert (done.returncode, "check failed: contains" in done.stderr) == (1, True)
        (row,) = rows(repo)
        assert (row["checks_failed"], row["cost_usd"]) == (1, None)

    def test_a_reported_error(self, repo: Repo, cli: Cli, release: Release) -> None:
        unit = release()["canary"]
        for error, kind in (("it broke", "call_failed"), ({"type": "timeout", "message": "slow"}, "timeout")):
            done = self.finish(repo, self.prepared(cli, unit)["run_id"], {"error": error})
            assert done.returncode == 0, done.stderr
            row = rows(repo)[-1]
            assert (row["state"], row["error_type"], row["checks_failed"]) == ("failed", kind, None)

    @pytest.mark.parametrize(
        ("report", "what"),
        [
            ("{", "not JSON"),
            ([], "not a JSON object"),
            ({}, "neither output nor tool_calls nor error"),
            ({"output": 7}, "`output` cannot be 7"),
            ({"output": "x", "input_tokens": -3}, "`input_tokens` cannot be -3"),
            ({"outptu": "x"}, "outptu"),
            ({"error": {"type": 3}}, "`error` must be"),
        ],
    )
    def test_a_report_that_makes_no_sense(self, repo: Repo, cli: Cli, report: Any, what: str) -> None:
        file = Path(repo.path / "report.json")
        file.write_text(report if isinstance(report, str) else json.dumps(report))
        done = cli("runs", "finish", "01", "--from", str(file))
        assert (done.code, what in done.err) == (4, True), done.err

    def test_what_there_is_not(self, repo: Repo, cli: Cli, release: Release) -> None:
        release()
        done = self.finish(repo, "01ABC", {"output": "x"})
        assert (done.returncode, "no run 01ABC" in done.stderr) == (4, True)
        assert cli("runs", "finish", "01", "--from", "missing.json").code == 4
        assert run(cli, "u1", "--prepare", "--no-log").code == 4

    def test_a_registry_that_cannot_be_written_loses_neither_half(
        self, repo: Repo, cli: Cli, provider: Provider, release: Release
    ) -> None:
        units = release()
        registry = repo.write("registry.db", "this is not a registry")
        done = run(cli, units["canary"], "--prepare")
        assert "the run is kept in" in done.err
        run_id = json.loads(done.out)["run_id"]
        assert self.finish(repo, run_id, {"output": "nobody"}).returncode == 1
        registry.unlink()
        assert run(cli, units["stable"]).code == 0
        kept = next(row for row in rows(repo) if row["run_id"] == run_id)
        assert (kept["state"], kept["checks_failed"], kept["arm"]) == ("finished", 1, "canary")
        assert (kept["unit_hash"], kept["excluded"]) == (None, "unit not hashed")

    def test_a_version_that_is_not_committed_is_checked_while_its_files_are_there(
        self, repo: Repo, cli: Cli, release: Release
    ) -> None:
        release()
        repo.write(GREET, prompt("Yo"))
        call = json.loads(cli("run", "greet", "-i", "name=Ada", "--prepare").out)
        other = json.loads(cli("run", "greet", "-i", "name=Ada", "--prepare").out)
        assert self.finish(repo, call["run_id"], {"output": "nobody"}).returncode == 1
        repo.write(GREET, prompt("Changed"))
        done = self.finish(repo, other["run_id"], {"output": "nobody"})
        assert (done.returncode, "its checks have not been made" in done.stderr) == (0, True)

    def test_overrides_are_found_again(self, repo: Repo, cli: Cli, release: Release) -> None:
        release()
        override = ("--set", "parameters.temperature=1", "--prepare")
        call = json.loads(cli("run", "greet@HEAD", "-i", "name=Ada", *override).out)
        assert call["parameters"]["temperature"] == 1
        assert self.finish(repo, call["run_id"], {"output": "nobody"}).returncode == 1
