"""``promptops batch``: a file of inputs, a provider, results in order, rows in the registry."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.batch_files import greetings, outputs, results, rows, write_lines
from support.forked_commands import ForkedPopen
from support.front_door import GREET, Cli, Repo
from support.provider import Answer, Provider, Received, echo, slow, status, text

TALKS_LATER = 0.002


def test_results_come_in_the_order_of_the_file_and_are_logged(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    def later_first(request: Received) -> Answer:
        number = int(re.findall(r"\d+", request.body["messages"][1]["content"])[0])
        return slow((30 - number) * TALKS_LATER, echo(request))

    provider.script = later_first
    write_lines(greeting, 30)
    done = cli("batch", "greet", "in.jsonl", "-j", "10")
    assert done.code == 0, done.err
    assert outputs(done.out) == greetings(30)
    assert [each["batch_line"] for each in results(done.out)] == list(range(1, 31))
    logged = {row["run_id"]: row for row in rows(greeting)}
    assert set(logged) == {each["run_id"] for each in results(done.out)}
    assert {row["kind"] for row in logged.values()} == {"batch"}
    assert rows(greeting, "SELECT * FROM batches")[0]["finished_at"]
    assert "30 lines: 30 run" in done.err


def test_a_result_is_what_runs_show_gives(cli: Cli, greeting: Repo, provider: Provider) -> None:
    greeting.write("in.jsonl", '{"inputs": {"name": "Ada"}, "unit": "u1", "metadata": {"tags": ["a"]}}\n')
    (result,) = results(cli("batch", "greet", "in.jsonl").out)
    shown = json.loads(cli("runs", "show", result["run_id"], "--json").out)
    assert {key: shown[key] for key in result} == result
    assert result["metadata"] == {"tags": ["a"]}
    (row,) = rows(greeting)
    assert len(row["unit_hash"]) == 64


def test_the_unit_is_found_where_it_is_said_to_be(
    cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTOPS_UNIT_KEY", "shared between hosts")
    greeting.write("in.jsonl", '{"inputs": {"name": "Ada"}, "metadata": {"user": 7}}\n')
    greeting.write("two.jsonl", '{"inputs": {"name": "Bo"}, "unit": "7"}\n')
    assert cli("batch", "greet", "in.jsonl", "--unit", "metadata.user").code == 0
    assert cli("batch", "greet", "two.jsonl").code == 0
    first, second = rows(greeting)
    assert first["unit_hash"] == second["unit_hash"]
    done = cli("batch", "greet", "two.jsonl", "--unit", "metadata.user")
    assert (done.code, "two.jsonl:1: no unit at `metadata.user`" in done.err) == (4, True)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "in.jsonl:731: not JSON"),
        ("[]", "in.jsonl:731: a line must be a mapping"),
        ('{"inputs": {"nmae": "x"}}', "in.jsonl:731: unknown input `nmae` (did you mean `name`?)"),
        ('{"inputs": {}}', "in.jsonl:731: the input `name` is missing"),
        ('{"input": {"name": "x"}}', "in.jsonl:731: unknown key `input` (did you mean `inputs`?)"),
        ('{"inputs": "x"}', "in.jsonl:731: `inputs` must be a mapping"),
        ('{"inputs": {"name": "x"}, "metadata": 1}', "in.jsonl:731: `metadata` must be a mapping"),
        ('{"inputs": {"name": "x"}, "unit": []}', "in.jsonl:731: the unit must be"),
        ("\udcff", "in.jsonl:731: not UTF-8"),
    ],
)
def test_a_bad_line_is_found_before_anything_is_run(
    line: str, message: str, cli: Cli, greeting: Repo, provider: Provider
) -> None:
    good = [json.dumps({"inputs": {"name": str(number)}}) for number in range(1000)]
    good[730] = line
    (greeting.path / "in.jsonl").write_text("\n".join(good), "utf-8", errors="surrogateescape")
    done = cli("batch", "greet", "in.jsonl")
    assert (done.code, done.out) == (4, "")
    assert message in done.err
    assert not provider.requests


def test_empty_lines_count_and_hold_nothing(cli: Cli, greeting: Repo, provider: Provider) -> None:
    greeting.write("in.jsonl", '\n{"inputs": {"name": "a"}}\n\n{"inputs": {"name": "b"}}')
    done = cli("batch", "greet", "in.jsonl")
    assert [each["batch_line"] for each in results(done.out)] == [2, 4]
    greeting.write("empty.jsonl", "")
    done = cli("batch", "greet", "empty.jsonl")
    assert (done.code, done.out) == (0, "")
    assert "0 lines" in done.err


def test_stdin_and_a_missing_file(greeting: Repo, provider: Provider, cli: Cli, process: Any) -> None:
    done = process(["batch", "greet", "-"], cwd=greeting.path, input='{"inputs": {"name": "Ada"}}\n')
    assert done.returncode == 0, done.stderr
    assert outputs(done.stdout) == ["Greet Ada."]
    done = cli("batch", "greet", "nowhere.jsonl")
    assert (done.code, "cannot read nowhere.jsonl: no such file" in done.err) == (4, True)


def test_failed_lines_are_results_and_exit_5_and_are_tried_again(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    def fails_for_3(request: Received) -> Answer:
        return status(500) if "person 3." in request.body["messages"][1]["content"] else echo(request)

    provider.script = fails_for_3
    write_lines(greeting, 5)
    done = cli("batch", "greet", "in.jsonl", "--out", "out.jsonl", "--retries", "0")
    assert done.code == 5, done.err
    found = results((greeting.path / "out.jsonl").read_text())
    assert [each["error"] and each["error"]["type"] for each in found] == [None, None, "server", None, None]
    assert "1 failed" in done.err
    provider.script = echo
    provider.requests.clear()
    done = cli("batch", "greet", "in.jsonl", "--out", "out.jsonl", "--retries", "0", "--json")
    assert done.code == 0, done.err
    assert len(provider.requests) == 1
    assert outputs((greeting.path / "out.jsonl").read_text()) == greetings(5)
    summary = json.loads(done.out)
    assert (summary["done_before"], summary["run"], summary["left"]) == (4, 1, 0)


def test_failed_checks_are_exit_1(cli: Cli, greeting: Repo, provider: Provider) -> None:
    greeting.write("prompts/greet.yaml", GREET + "checks: [{contains: person 1}]\n")
    write_lines(greeting, 2)
    done = cli("batch", "greet", "in.jsonl")
    assert (done.code, "1 failed a check" in done.err) == (1, True)
    assert [each["checks"][0]["pass"] for each in results(done.out)] == [True, False]


def test_retries_are_recorded(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = [status(429, retry_after=0), text("hello")]
    write_lines(greeting, 1)
    done = cli("batch", "greet", "in.jsonl")
    assert done.code == 0, done.err
    attempts = results(done.out)[0]["attempts"]
    assert [attempt.get("error", {}).get("type") for attempt in attempts] == ["rate_limit", None]


def test_a_storm_of_refusals_is_sat_out(cli: Cli, greeting: Repo, provider: Provider) -> None:
    refused = iter(range(60))

    def storm(request: Received) -> Answer:
        return echo(request) if next(refused, None) is None else status(429, retry_after=0.02)

    provider.script = storm
    write_lines(greeting, 40)
    done = cli("batch", "greet", "in.jsonl", "-j", "16", "--retries", "30")
    assert done.code == 0, done.err
    assert outputs(done.out) == greetings(40)
    assert len(provider.requests) == 100


def test_a_provider_that_went_down_ends_the_batch_and_it_goes_on_later(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    answered = iter(range(30))

    def goes_down(request: Received) -> Answer:
        return status(503) if next(answered, None) is None else echo(request)

    provider.script = goes_down
    write_lines(greeting, 200)
    done = cli("batch", "greet", "in.jsonl", "--out", "out.jsonl", "-j", "4", "--retries", "0")
    assert done.code == 5, done.err
    assert len(provider.requests) < 70
    assert " left" in done.err
    assert "answered 503" in done.err
    provider.script = echo
    provider.requests.clear()
    done = cli("batch", "greet", "in.jsonl", "--out", "out.jsonl", "-j", "4", "--retries", "0")
    assert done.code == 0, done.err
    assert len(provider.requests) == 170
    assert outputs((greeting.path / "out.jsonl").read_text()) == greetings(200)


def test_a_wrong_key_ends_the_batch_at_once(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = status(401)
    write_lines(greeting, 100)
    done = cli("batch", "greet", "in.jsonl", "-j", "1")
    assert done.code == 4
    assert len(provider.requests) == 3


def test_requests_a_minute(cli: Cli, greeting: Repo, provider: Provider) -> None:
    import time

    write_lines(greeting, 12)
    clock = time.monotonic()
    assert cli("batch", "greet", "in.jsonl", "--rpm", "600", "--tpm", "1000000").code == 0
    assert 0.1 < time.monotonic() - clock < 20


class TestOut:
    def test_other_files_are_not_overwritten(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        write_lines(greeting, 1)
        greeting.write("notes.txt", "mine\n")
        done = cli("batch", "greet", "in.jsonl", "--out", "notes.txt")
        assert (done.code, "something other than results" in done.err) == (4, True)
        done = cli("batch", "greet", "in.jsonl", "--out", "./in.jsonl")
        assert (done.code, "is the input file" in done.err) == (4, True)
        done = cli("batch", "greet", "in.jsonl", "--out", "no/such/folder")
        assert (done.code, "cannot write" in done.err) == (4, True)
        assert done.err.endswith("make its folder first: mkdir -p no/such\n")
        assert not provider.requests

    def test_a_full_disk_stops_the_batch_and_loses_nothing(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        write_lines(greeting, 3)
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        done = cli("batch", "greet", "in.jsonl", "--out", "/dev/full", "-j", "1")
        assert (done.code, "No space left" in done.err) == (5, True)
        made = len(provider.requests)
        done = cli("batch", "greet", "in.jsonl", "--out", "out.jsonl")
        assert done.code == 0
        assert len(provider.requests) == 3
        assert made >= 1

    def test_a_summary_for_scripts_needs_a_file(self, cli: Cli, greeting: Repo) -> None:
        write_lines(greeting, 1)
        done = cli("batch", "greet", "in.jsonl", "--json")
        assert (done.code, "--out FILE" in done.err) == (4, True)

    def test_control_characters_are_escaped(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        provider.script = text("\x9b31m ü\u2028")
        write_lines(greeting, 1)
        assert cli("batch", "greet", "in.jsonl", "--out", "out.jsonl").code == 0
        raw = (greeting.path / "out.jsonl").read_bytes()
        assert b"\\u009b31m" in raw
        assert "ü".encode() in raw
        assert outputs(raw.decode())[0] == "\x9b31m ü\u2028"


class TestRegistry:
    @pytest.mark.sqlite
    def test_one_that_cannot_be_written_calls_nothing(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        (greeting.path / "registry.db").mkdir()
        write_lines(greeting, 3)
        assert cli("batch", "greet", "in.jsonl").code == 4
        assert not provider.requests

    def test_outputs_are_kept_as_the_settings_say(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        greeting.write("promptops.yaml", "log: {inputs: none, outputs: hash}\n")
        write_lines(greeting, 2)
        done = cli("batch", "greet", "in.jsonl")
        assert outputs(done.out) == greetings(2)
        data = b"".join(file.read_bytes() for file in greeting.path.glob("registry.db*") if file.is_file())
        assert b"person 1" not in data
        assert {row["cache_key"] for row in rows(greeting)} == {None}

    @pytest.mark.parametrize("on_error", ["spool", "fail"])
    def test_a_registry_that_fills_up_stops_the_batch(
        self, on_error: str, greeting: Repo, provider: Provider, process: Any
    ) -> None:
        greeting.write("promptops.yaml", f"log: {{on_error: {on_error}}}\n")
        provider.script = lambda _: slow(0.01, text("x" * 20_000))
        write_lines(greeting, 100)
        command = ["batch", "greet", "in.jsonl", "-j", "2", "--out", "out.jsonl"]

        def small_files() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, resource.RLIM_INFINITY))

        python = [sys.executable, "-m", "promptops"]
        done = subprocess.run([*python, *command], cwd=greeting.path, preexec_fn=small_files, check=False)
        assert done.returncode == 5, done.stderr
        made = len(provider.requests)
        assert made < 50
        done = process(command, cwd=greeting.path)
        assert done.returncode == 0, done.stderr
        assert len(provider.requests) <= 100 + 4  # two in flight, and two whose rows could not be written
        assert len(results((greeting.path / "out.jsonl").read_text())) == 100


def test_two_batches_at_once_on_one_registry(greeting: Repo, provider: Provider) -> None:
    provider.script = lambda request: slow(0.01, echo(request))
    write_lines(greeting, 60, "a.jsonl")
    lines = (greeting.path / "a.jsonl").read_text().replace("person", "human")
    greeting.write("b.jsonl", lines)
    command = [sys.executable, "-m", "promptops", "batch", "greet"]
    both = [
        ForkedPopen(
            [*command, f"{name}.jsonl", "--out", f"{name}.out"], cwd=greeting.path, stderr=subprocess.PIPE
        )
        for name in "ab"
    ]
    said = [each.communicate(timeout=60)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    assert outputs((greeting.path / "a.out").read_text()) == greetings(60)
    assert len(outputs((greeting.path / "b.out").read_text())) == 60
    assert len(rows(greeting)) == 120


def test_the_progress_bar_is_for_terminals(greeting: Repo, provider: Provider) -> None:
    import os
    import pty

    write_lines(greeting, 20)
    provider.script = lambda request: slow(0.02, echo(request))
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "promptops", "batch", "greet", "in.jsonl", "--out", "o", "-j", "1"]
    child = ForkedPopen(command, cwd=greeting.path, stderr=follower, env={**os.environ, "TERM": "xterm"})
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 4096):
            shown += piece
    except OSError:  # the other end has gone
        pass
    os.close(leader)
    assert child.wait() == 0
    assert b"greet" in shown
    assert b"/20" in shown
    assert b"failed" in shown
