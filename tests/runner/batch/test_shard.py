"""One part of a batch for each of several processes: all of it once, in order again, resumed part by part."""

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.batch_files import calls_under_way, ended_calls, greetings, outputs, rows, write_lines
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.postgres import new_registry
from support.provider import Provider, echo, slow
from support.workspace_clients import until

LINES = 23
COMMAND = ("batch", "greet", "in.jsonl", "--out", "out.jsonl")


def start(repo: Repo, *more: str) -> "subprocess.Popen[str]":
    return ForkedPopen(
        [sys.executable, "-m", "promptops", *COMMAND, *more],
        cwd=repo.path,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def merged(repo: Repo, shards: int) -> list[str]:
    """As docs/many-machines.md says: a line of each file in turn."""
    files = sorted(repo.path.glob(f"out-*-of-{shards}.jsonl"))
    assert len(files) == shards
    pasted = subprocess.run(["paste", "-d", "\\n", *files], check=True, capture_output=True, encoding="utf-8")
    return outputs(pasted.stdout)


@pytest.mark.parametrize("shards", [1, 3, 11, 30])
def test_all_shards_are_the_whole(shards: int, greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    write_lines(greeting, LINES)
    for number in range(1, shards + 1):
        done = cli(*COMMAND, "--shard", f"{number}/{shards}")
        assert done.code == 0, done.err
        assert f"shard {number}/{shards}: " in done.err
    assert merged(greeting, shards) == greetings(LINES)
    assert len(provider.requests) == LINES
    assert len({row["batch_id"] for row in rows(greeting)}) == 1
    assert not (greeting.path / "out.jsonl").exists()


def test_without_the_option_all_shards_are_put_together(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    write_lines(greeting, LINES)
    for number in (3, 1):
        assert cli(*COMMAND, "--shard", f"{number}/3").code == 0
    asked = len(provider.requests)
    done = cli(*COMMAND)  # the second shard was never run
    assert done.code == 0, done.err
    assert f"{asked} done before" in done.err
    assert len(provider.requests) == LINES
    assert outputs((greeting.path / "out.jsonl").read_text()) == greetings(LINES)
    assert not calls_under_way(greeting)
    with_csv = cli("batch", "greet", "in.jsonl", "--out", "out.csv")  # a batch of its own, from the cache
    assert with_csv.code == 0
    assert len(provider.requests) == LINES


def test_two_hosts_with_one_registry_share_a_batch(
    greeting: Repo, provider: Provider, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.script = echo
    with new_registry() as server:
        monkeypatch.setenv("PROMPTOPS_REGISTRY", server)
        for number in (1, 2):
            host = tmp_path / f"host{number}"
            greeting.git("clone", "-q", str(greeting.path), str(host))
            write_lines(Repo(host), LINES)
            monkeypatch.chdir(host)
            assert cli(*COMMAND, "--shard", f"{number}/2").code == 0
        done = cli(*COMMAND)
    assert done.code == 0, done.err
    assert f"{LINES} done before" in done.err
    assert outputs((host / "out.jsonl").read_text()) == greetings(LINES)
    assert len(provider.requests) == LINES


def test_csv_results_are_put_together_as_well(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    write_lines(greeting, 5)
    for number in (1, 2):
        assert cli("batch", "greet", "in.jsonl", "--out", "out.csv", "--shard", f"{number}/2").code == 0
    assert cli("batch", "greet", "in.jsonl", "--out", "out.csv").code == 0
    with (greeting.path / "out.csv").open(newline="") as stream:
        assert [row["output"] for row in csv.DictReader(stream)] == greetings(5)
    assert len(provider.requests) == 5


def test_shards_that_begin_at_once_are_of_one_batch(greeting: Repo, provider: Provider) -> None:
    provider.script = lambda request: slow(0.02, echo(request))
    write_lines(greeting, 40)
    children = [start(greeting, "--shard", f"{number}/4") for number in range(1, 5)]
    for child in children:
        said = child.communicate(timeout=60)[1]
        assert child.returncode == 0, said
    assert merged(greeting, 4) == greetings(40)
    assert len({row["batch_id"] for row in rows(greeting)}) == 1
    assert len(provider.requests) == 40


def test_a_killed_shard_goes_on(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = lambda request: slow(20 if len(provider.requests) > 6 else 0, echo(request))
    write_lines(greeting, 40)
    child = start(greeting, "--shard", "2/2", "-j", "2")
    while len(provider.requests) < 8:
        assert child.poll() is None
    until(lambda: ended_calls(greeting) == 6)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    provider.script = echo
    done = cli(*COMMAND, "--shard", "2/2")
    assert done.code == 0, done.err
    assert "6 done before" in done.err
    assert "2 calls that an earlier process left under way made again: line 14, 16" in done.err
    assert len(provider.requests) == 20 + 2
    assert outputs((greeting.path / "out-2-of-2.jsonl").read_text()) == greetings(40)[1::2]


def test_the_same_lines_are_not_run_by_two_processes(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = lambda request: slow(20, echo(request))
    write_lines(greeting, 8)
    child = start(greeting, "--shard", "1/2")
    try:
        while not provider.requests:
            assert child.poll() is None
        for shard in ((), ("--shard", "1/2")):
            refused = cli(*COMMAND, *shard)
            assert refused.code == 5, refused.err
            assert "another process is running this very batch" in refused.err
    finally:
        child.kill()
        child.communicate()


def test_empty_lines_are_of_no_shard(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    text = write_lines(greeting, 6).read_text()
    greeting.write("in.jsonl", text.replace("\n", "\n\n", 3))
    for number in (1, 2):
        assert cli(*COMMAND, "--shard", f"{number}/2").code == 0
    assert merged(greeting, 2) == greetings(6)


def test_a_budget_is_each_shards_own(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    write_lines(greeting, 20)
    over = cli(*COMMAND, "--max-cost", "0", "--no-cache")
    assert over.code == 6
    whole = float(re.findall(r"20 calls may cost \$([0-9.]+)", over.err)[0])
    priced = ("--max-cost", f"{whole * 0.6:.5f}", "--no-cache")
    assert not provider.requests
    for number in (1, 2):  # what the first has spent is not the second's
        done = cli(*COMMAND, *priced, "--shard", f"{number}/2")
        assert done.code == 0, done.err
    assert len(provider.requests) == 20


def test_the_summary_names_the_shard(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    write_lines(greeting, 5)
    summary = json.loads(cli(*COMMAND, "--shard", "2/2", "--json").out)
    assert (summary["shard"], summary["lines"], summary["run"]) == ("2/2", 2, 2)
    assert json.loads(cli(*COMMAND, "--json").out)["shard"] is None


@pytest.mark.parametrize(
    "given", ["0/3", "4/3", "1/0", "x", "1", "1/3/3", "-1/3", "1/99999", "\uff11/3", "", "1.5/3"]
)
@pytest.mark.parametrize(
    "verb", [COMMAND, ("eval", "greet"), ("shadow", "run", "greet", "--against", "greet@HEAD")]
)
def test_what_is_no_shard_is_refused(
    verb: tuple[str, ...], given: str, greeting: Repo, provider: Provider, cli: Cli
) -> None:
    write_lines(greeting, 3)
    refused = cli(*verb, "--shard", given)
    assert refused.code == 2
    assert f"--shard {given}: not I/N with I from 1 to N" in refused.err
    assert not provider.requests


def test_a_shard_does_not_restart_the_others(greeting: Repo, cli: Cli) -> None:
    write_lines(greeting, 3)
    refused = cli(*COMMAND, "--shard", "1/2", "--restart")
    assert refused.code == 2
    assert "--restart would begin the other shards again" in refused.err


def test_a_device_is_no_name_for_shards(greeting: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = echo
    write_lines(greeting, 3)
    assert cli("batch", "greet", "in.jsonl", "--out", "/dev/null", "--shard", "1/2").code == 0
    assert not Path("/dev/null-1-of-2").exists()
