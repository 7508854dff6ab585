"""``promptops bisect``: the commit since which a golden set is answered worse."""

import json

import pytest

from support.batch_files import rows
from support.front_door import Cli, Repo
from support.golden_set import ANIMALS, animals, asked, many, says
from support.provider import Answer, Provider, Received, status, text

STYLES = [f"v{number}" for number in range(12)]


@pytest.fixture
def long(repo: Repo, provider: Provider) -> Repo:
    """Twelve versions; since v7 a third of the cases is answered wrongly."""
    animals(repo, STYLES[0])
    many(repo, 60)
    repo.commit("Many cases")
    for style in STYLES[1:]:
        repo.write("prompts/sound.yaml", ANIMALS.format(style=style))
        repo.commit(f"Say it {style}")
    provider.script = broken_since(7)
    return repo


def broken_since(first: int, every: int = 3):  # noqa: ANN201 - a script
    return says(lambda style, animal: int(style[1:]) >= first and int(animal) % every == 0)


def test_the_commit_is_found_in_few_runs(cli: Cli, long: Repo, provider: Provider) -> None:
    done = cli("bisect", "sound", "--good", "HEAD~11", "--bad", "HEAD")
    assert done.code == 0, done.err
    sha = long.git("rev-parse", "HEAD~4")
    assert f"commit {sha}" in done.out
    assert "is the first version that does worse" in done.out
    assert "Say it v7" in done.out
    assert "Author: Ada" in done.out
    assert "messages: " in done.out
    assert len(provider.requests) < 12 * 60 / 2
    assert "does worse: passes" in done.err
    asked_before = len(provider.requests)
    found = json.loads(cli("bisect", "sound", "--good", "HEAD~11", "--json").out)
    assert found["culprit"]["commit_sha"] == sha
    assert found["last_good"]["subject"] == "Say it v6"
    assert len(provider.requests) - asked_before < 20
    assert {row["kind"] for row in rows(long)} == {"eval"}


def test_what_is_not_worse_cannot_be_bisected(cli: Cli, long: Repo, provider: Provider) -> None:
    provider.script = says()
    done = cli("bisect", "sound", "--good", "HEAD~11")
    assert (done.code, "is not shown to do worse than" in done.out) == (3, True)
    found = json.loads(cli("bisect", "sound", "--good", "HEAD~11", "--json").out)
    assert (found["culprit"], found["suspects"], len(found["steps"])) == (None, [], 1)


def test_versions_that_cannot_be_judged_stay_suspects(cli: Cli, long: Repo, provider: Provider) -> None:
    def unclear(request: Received) -> Answer:
        """v5 to v7 break a little, too little to tell; from v8 on a lot."""
        style, animal = asked(request)
        version = int(style[1:])
        every = 3 if version >= 8 else 6 if version >= 5 else 1000
        wrong = int(animal) % 3 == 0 and int(animal) % every == 0 and version >= 5
        return text("ring") if wrong else says()(request)

    provider.script = unclear
    done = cli("bisect", "sound", "--good", "HEAD~11", "--json")
    found = json.loads(done.out)
    if done.code == 0:
        assert found["culprit"]["subject"] in {"Say it v5", "Say it v8"}
    else:
        assert done.code == 3
        assert {"Say it v8"} <= {each["subject"] for each in found["suspects"]}


def test_broken_files_between_are_named(cli: Cli, long: Repo, provider: Provider) -> None:
    long.write("prompts/sound.yaml", "model: [")
    long.commit("Break the file")
    long.write("prompts/sound.yaml", ANIMALS.format(style="v30"))
    long.commit("Repair it, and do worse")
    provider.script = broken_since(20)
    done = cli("bisect", "sound", "--good", "HEAD~13", "--bad", "HEAD")
    assert done.code == 3, done.out
    assert "cannot tell which of these it was" in done.out
    assert "Repair it, and do worse" in done.out
    assert "Say it v3" not in done.out
    assert "cannot tell: " in done.err


def test_a_version_that_comes_back_is_not_run_again(cli: Cli, long: Repo, provider: Provider) -> None:
    for style in ("v0", "v11", "v0", "v11"):
        long.write("prompts/sound.yaml", ANIMALS.format(style=style))
        long.commit(f"Back to {style}")
    done = cli("bisect", "sound", "--good", "HEAD~15")
    assert done.code == 0
    assert "Back to v11" in done.out or "Say it v7" in done.out


def test_what_cannot_be_searched(cli: Cli, long: Repo, provider: Provider) -> None:
    done = cli("bisect", "sound", "--good", "HEAD", "--bad", "HEAD~3")
    assert (done.code, "is newer than" in done.err) == (4, True)
    done = cli("bisect", "sound", "--good", "HEAD", "--bad", "HEAD")
    assert (done.code, "are the same version" in done.err) == (4, True)
    long.git("checkout", "-q", "-b", "side", "HEAD~2")
    long.write("prompts/sound.yaml", ANIMALS.format(style="v99"))
    long.commit("Beside")
    long.git("checkout", "-q", "main")
    done = cli("bisect", "sound", "--good", "HEAD~5", "--bad", "side")
    assert (done.code, "is not on the first-parent line" in done.err) == (4, True)
    provider.script = status(401)
    assert cli("bisect", "sound", "--good", "HEAD~11", "--no-cache").code == 4
    provider.script = broken_since(7)
    done = cli("bisect", "sound", "--good", "HEAD~11", "--max-cost", "0.00001")
    assert done.code == 6


def test_few_cases_are_decided_by_the_exact_test(cli: Cli, repo: Repo, provider: Provider) -> None:
    """Eight cases, all of which break: the bets alone would say nothing yet."""
    animals(repo, *STYLES[:4])
    repo.git("reset", "-q", "--hard", "HEAD~3")
    many(repo, 8)
    for style in STYLES[1:4]:
        repo.write("prompts/sound.yaml", ANIMALS.format(style=style))
        repo.commit(f"Say it {style}")
    provider.script = broken_since(2, every=1)
    done = cli("bisect", "sound", "--good", "HEAD~2", "--trials", "2", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["culprit"]["subject"] == "Say it v2"
