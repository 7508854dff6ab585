"""The pairs of a shadow run made in parts by several processes, and compared once."""

import json
import subprocess
import sys

import pytest

from support.batch_files import rows
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.golden_set import animals, asked, says
from support.provider import Provider, slow

RUN = ("shadow", "run", "sound@HEAD", "--against", "sound@HEAD~1")
PAIRS = 30


@pytest.fixture
def farm(repo: Repo, provider: Provider, cli: Cli) -> Repo:
    """Two versions and thirty logged inputs."""

    def build() -> None:
        animals(repo, "plainly", "loudly")
        lines = [json.dumps({"inputs": {"animal": str(n)}}) for n in range(PAIRS)]
        repo.write("log.jsonl", "\n".join(lines) + "\n")
        provider.script = says()
        assert cli("batch", "sound@HEAD~1", "log.jsonl", "--out", "out.jsonl").code == 0

    repo.start_as("sharded farm", build)
    provider.script = says()
    provider.requests.clear()
    return repo


@pytest.mark.parametrize("inputs", [(), ("--inputs", "log.jsonl")])
def test_all_shards_make_the_pairs_of_one_run(
    inputs: tuple[str, ...], cli: Cli, farm: Repo, provider: Provider
) -> None:
    for number in (2, 1, 3):
        done = cli(*RUN, *inputs, "--shard", f"{number}/3", "--json")
        assert done.code == 0, done.err
        found = json.loads(done.out)
        assert (found["pairs"], found["planned"], found["stopped"]) == (10, PAIRS, "shard")
    assert len(provider.requests) == len({asked(request) for request in provider.requests}) == 2 * PAIRS
    done = cli(*RUN, *inputs, "--until", "all", "--max-cost", "0", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["pairs"], found["planned"], found["stopped"]) == (PAIRS, PAIRS, "all")
    assert len(provider.requests) == 2 * PAIRS
    (run,) = rows(farm, "SELECT * FROM batches WHERE json_extract(options, '$.shadow') IS NOT NULL")
    assert run["finished_at"] is not None


def test_what_a_shard_has_made_is_not_made_again(cli: Cli, farm: Repo, provider: Provider) -> None:
    assert cli(*RUN, "--shard", "1/2").code == 0
    assert len(provider.requests) == PAIRS
    done = cli(*RUN, "--shard", "1/2")
    assert done.code == 0
    assert "one shard of them: the same command without --shard compares all" in " ".join(done.out.split())
    assert len(provider.requests) == PAIRS
    assert cli(*RUN, "--until", "all").code == 0
    assert len(provider.requests) == 2 * PAIRS


def test_shards_that_begin_at_once_have_one_choice_of_inputs(farm: Repo, provider: Provider) -> None:
    provider.script = lambda request: slow(0.02, says()(request))
    children: list[subprocess.Popen[str]] = [
        ForkedPopen(
            [sys.executable, "-m", "promptops", *RUN, "--sample", "20", "--shard", f"{number}/4"],
            cwd=farm.path,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for number in range(1, 5)
    ]
    for child in children:
        said = child.communicate(timeout=60)[1]
        assert child.returncode == 0, said
    made = rows(farm, "SELECT DISTINCT batch_id, batch_line, arm FROM runs WHERE kind = 'shadow'")
    assert len({row["batch_id"] for row in made}) == 1
    assert len(made) == len(provider.requests) == 40


@pytest.mark.parametrize("option", [("--restart",), ("--no-worse-than", "0.1")])
def test_what_is_asked_of_all_pairs_is_not_asked_of_some(
    option: tuple[str, ...], cli: Cli, farm: Repo, provider: Provider
) -> None:
    refused = cli(*RUN, *option, "--shard", "1/2")
    assert refused.code == 2
    assert option[0] in refused.err
    assert not provider.requests
