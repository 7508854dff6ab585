"""``promptops shadow run``: two versions on the inputs of the log, in front of no user."""

import json
from typing import Any

import pytest
from conftest import Cli, Repo
from evals import animals, asked, says
from provider import Provider


@pytest.fixture
def farm(repo: Repo, provider: Provider, cli: Cli) -> Repo:
    """Two committed versions, ``plainly`` and ``loudly``, and sixty logged runs of different numbers."""
    animals(repo, "plainly", "loudly")
    provider.script = says()
    lines = [
        {"inputs": {"animal": str(n)}, "metadata": {"tags": ["even" if n % 2 == 0 else "odd"]}}
        for n in range(60)
    ]
    repo.write("log.jsonl", "".join(json.dumps(each) + "\n" for each in lines))
    assert cli("batch", "sound@HEAD~1", "log.jsonl", "--out", "out.jsonl").code == 0
    provider.requests.clear()
    return repo


def run(cli: Cli, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = cli("shadow", "run", *arguments, "--json")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_it_answers_logged_inputs_with_both_versions(cli: Cli, farm: Repo, provider: Provider) -> None:
    found = run(cli, "sound@HEAD", "--against", "sound@HEAD~1", "--full")
    assert (found["pairs"], found["planned"], found["stopped"]) == (60, 60, "all")
    styles = [asked(request)[0] for request in provider.requests]
    assert (styles.count("plainly"), styles.count("loudly")) == (60, 60)
