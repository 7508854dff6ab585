"""Batches that were interrupted: by a kill, by Ctrl-C, by a cut file."""

import csv
import json
import random
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from promptops.config.registry_location import local_file
from promptops.registry import format_line_ranges
from support.batch_files import calls_under_way, ended_calls, greetings, outputs, results, rows, write_lines
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.provider import Provider, echo, slow
from support.workspace_clients import until

LINES = 120
COMMAND = ["batch", "greet", "in.jsonl", "--out", "out.jsonl", "-j", "8"]


def start(repo: Repo, *more: str) -> "subprocess.Popen[str]":
    return ForkedPopen(
        [sys.executable, "-m", "promptops", *COMMAND, *more],
        cwd=repo.path,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def wait_for(provider: Provider, requests: int) -> None:
    deadline = time.monotonic() + 60
    while len(provider.requests) < requests:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def named(said: str) -> int:
    found = re.search(r"([\d,]+) calls? that an earlier process left under way", said)
    return int(found[1]) if found else 0


def test_killed_again_and_again(greeting: Repo, provider: Provider) -> None:
    chance = random.Random(1)
    provider.script = lambda request: slow(0.03, echo(request))
    write_lines(greeting, LINES)
    said = []
    for kill in (1, 2, 3):
        child = start(greeting)
        wait_for(provider, int(LINES * kill / 4) + chance.randrange(8))
        time.sleep(chance.random() * 0.03)
        child.kill()
        said.append(child.communicate(timeout=60)[1])
    child = start(greeting)
    said.append(child.communicate(timeout=60)[1])
    assert child.returncode == 0, said
    assert outputs((greeting.path / "out.jsonl").read_text()) == greetings(LINES)
    asked = [request.body["messages"][1]["content"] for request in provider.requests]
    assert set(asked) == set(greetings(LINES))
    repeated = len(asked) - LINES
    assert repeated <= 3 * 16  # 8 in flight, and at most as many whose rows were on their way to the disk
    assert len(rows(greeting)) == LINES
    assert named(said[-1]) <= 16
    assert not calls_under_way(greeting)


def test_a_csv_file_is_carried_on_as_well(greeting: Repo, provider: Provider) -> None:
    lines = 30
    provider.script = lambda request: slow(0.02, echo(request))
    write_lines(greeting, lines)
    for requests in (8, 20):
        child = start(greeting, "--out", "out.csv")
        wait_for(provider, requests)
        child.kill()
        child.communicate(timeout=60)
    child = start(greeting, "--out", "out.csv")
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 0, said
    with (greeting.path / "out.csv").open(newline="") as stream:
        found = list(csv.DictReader(stream))
    assert [row["output"] for row in found] == greetings(lines)
    assert {row["run_id"] for row in found} == {row["run_id"] for row in rows(greeting)}


def test_calls_that_were_under_way_are_counted_and_named(
    greeting: Repo, provider: Provider, cli: Cli
) -> None:
    provider.script = lambda request: slow(20 if len(provider.requests) > 10 else 0, echo(request))
    write_lines(greeting, 30)
    child = start(greeting)
    wait_for(provider, 18)
    until(lambda: ended_calls(greeting) == 10)
    child.kill()
    child.communicate()
    begun = len(provider.requests)
    provider.script = echo
    done = cli(*COMMAND)
    assert done.code == 0, done.err
    lines = {int(re.findall(r"\d+", r.body["messages"][1]["content"])[0]) for r in provider.requests[10:18]}
    assert (
        f"8 calls that an earlier process left under way made again: line {format_line_ranges(sorted(lines))}"
        in (done.err)
    )
    assert len(provider.requests) == begun + 20
    assert "10 done before" in done.err


def test_ctrl_c_finishes_what_is_under_way_and_says_how_to_go_on(
    greeting: Repo, provider: Provider, cli: Cli
) -> None:
    provider.script = lambda request: slow(0.3, echo(request))
    write_lines(greeting, 40)
    child = start(greeting)
    wait_for(provider, 8)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 130, said
    assert "finishing the 8 calls under way" in said
    assert "the same command goes on from here" in said
    assert {row["state"] for row in rows(greeting)} == {"finished"}
    assert len(results((greeting.path / "out.jsonl").read_text())) == len(provider.requests)
    provider.script = echo
    done = cli(*COMMAND)
    assert done.code == 0, done.err
    assert len(provider.requests) == 40
    assert named(done.err) == 0


def test_a_second_ctrl_c_leaves_at_once(greeting: Repo, provider: Provider) -> None:
    provider.script = lambda request: slow(20, echo(request))
    write_lines(greeting, 40)
    child = start(greeting)
    wait_for(provider, 8)
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    child.stderr.readline()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=15)  # the calls under way would take 20 s
    assert child.returncode == 130
    assert [row["state"] for row in rows(greeting)] == ["interrupted"] * 8


@pytest.mark.parametrize("keep", [0, 300, 5000])
def test_a_cut_file_of_results_is_mended(keep: int, greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = lambda request: slow(0.02, echo(request))
    write_lines(greeting, 40)
    child = start(greeting)
    wait_for(provider, 25)
    child.kill()
    child.communicate()
    out = greeting.path / "out.jsonl"
    out.write_bytes(out.read_bytes()[:keep])
    provider.script = echo
    done = cli(*COMMAND)
    assert done.code == 0, done.err
    assert outputs(out.read_text()) == greetings(40)
    assert len({each["run_id"] for each in results(out.read_text())}) == 40


def test_results_of_another_batch_are_replaced(greeting: Repo, provider: Provider, cli: Cli) -> None:
    write_lines(greeting, 5)
    assert cli(*COMMAND).code == 0
    write_lines(greeting, 3)
    assert cli(*COMMAND).code == 0
    assert outputs((greeting.path / "out.jsonl").read_text()) == greetings(3)


def test_on_stdout_everything_is_said_again(greeting: Repo, provider: Provider, cli: Cli) -> None:
    write_lines(greeting, 20)
    done = cli("batch", "greet", "in.jsonl", "--max-cost", "0.0003", "-j", "1")
    assert done.code == 6
    provider.requests.clear()
    before = ended_calls(greeting)
    fails = iter(range(5))
    provider.script = lambda request: slow(20, echo(request)) if next(fails, None) is None else echo(request)
    child = start(greeting)
    wait_for(provider, 10)
    until(lambda: ended_calls(greeting) == before + 5)
    child.kill()
    child.communicate()
    provider.script = echo
    done = cli("batch", "greet", "in.jsonl")
    assert outputs(done.out) == greetings(20)
    assert results(done.out)[0].keys() == results(done.out)[-1].keys()
    assert "5 done before" in done.err


def test_restart_starts_over(greeting: Repo, provider: Provider, cli: Cli) -> None:
    write_lines(greeting, 10)
    provider.script = lambda request: slow(0.3, echo(request))
    child = start(greeting)
    wait_for(provider, 8)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    provider.script = echo
    done = cli(*COMMAND, "--restart", "--no-cache", "--json")
    assert json.loads(done.out)["run"] == 10
    first = rows(greeting, "SELECT * FROM batches")
    assert len(first) == 2


def test_the_same_batch_twice_at_once_is_refused(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = lambda request: slow(1, echo(request))
    write_lines(greeting, 8)
    child = start(greeting)
    wait_for(provider, 8)
    done = cli(*COMMAND)
    assert (done.code, "another process is running this very batch" in done.err) == (5, True)
    child.communicate(timeout=60)
    assert child.returncode == 0


def test_a_batch_folder_that_cannot_be_made(greeting: Repo, provider: Provider, cli: Cli) -> None:
    local = local_file(greeting.registry)
    local.with_name(f"{local.name}-batches").write_text("in the way")
    write_lines(greeting, 2)
    done = cli(*COMMAND)
    assert (done.code, "cannot write" in done.err) == (4, True)


@pytest.mark.parametrize(
    ("lines", "spelled"),
    [
        ([3], "3"),
        ([3, 7, 8, 9, 12], "3, 7–9, 12"),
        (range(0, 60, 2), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, …"),
    ],
)
def test_lines_are_spelled_as_spans(lines: Any, spelled: str) -> None:
    assert format_line_ranges(lines) == spelled


def test_nothing_is_left_beside_the_registry(greeting: Repo, provider: Provider, cli: Cli) -> None:
    write_lines(greeting, 3)
    assert cli(*COMMAND).code == 0
    assert not calls_under_way(greeting)
