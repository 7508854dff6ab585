"""``shadow run``, ``migrate``, ``noise`` and ``release gate``, which were one verb; old spellings."""

import inspect
import json
from typing import get_type_hints

import pytest
from typer.models import OptionInfo

from promptops.cli.main import find_verb
from promptops.cli.old_options import translate_shadow_run
from promptops.cli.verbs import VERBS
from support.front_door import Cli, Repo
from support.golden_set import animals, says
from support.provider import Provider

MAX_OPTIONS = 23
LARGE_VERBS = [*(("shadow", part) for part in VERBS["shadow"].parts), ("release", "gate")]
MODEL = "openai/gpt-4o-mini-2024-07-18"
NEW_MODEL = "openai/gpt-4.1-nano-2025-04-14"


@pytest.mark.parametrize("path", LARGE_VERBS, ids=" ".join)
def test_a_verb_has_no_more_options_than_one_screen_shows(path: tuple[str, ...]) -> None:
    hints = get_type_hints(find_verb(path), include_extras=True)
    options = [name for name, hint in hints.items() if _is_option(hint)]
    assert len(options) <= MAX_OPTIONS


@pytest.mark.parametrize(
    "path", [("shadow", "run"), ("shadow", "migrate"), ("release", "gate")], ids=" ".join
)
def test_the_body_of_a_verb_is_short(path: tuple[str, ...]) -> None:
    assert len(inspect.getsource(find_verb(path)).splitlines()) < 40


def _is_option(hint: object) -> bool:
    return any(isinstance(each, OptionInfo) for each in getattr(hint, "__metadata__", ()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("--all --model a=b", "shadow migrate --model a=b"),
        ("triage* --all --model=a=b --json", "shadow migrate triage* --model=a=b --json"),
        ("triage --aa --last 5 --full", "shadow noise triage --last 5"),
        ("triage --against triage@v1 --aa --json", "shadow noise triage@v1 --json"),
        ("triage --aa --against=triage@v1", "shadow noise triage@v1"),
        ("--rollout triage:staging --yes", "release gate triage:staging --yes"),
        ("--rollout=triage --last 5 --full", "release gate triage --last 5 --until all"),
        ("triage --since 7d --tag=vip", "shadow run triage --select since=7d --select tag=vip"),
        ("triage --full --min-pairs 5", "shadow run triage --until all"),
        ("triage --min-pairs=5 --json", "shadow run triage --json --until 5"),
        ("triage --min-pairs 5 --aa", "shadow noise triage"),
        ("t --retries 0 --timeout=3 --rpm 1", "shadow run t -o retries=0 -o timeout=3 -o rpm=1"),
        ("t --tpm 2 --assume-cost 1 --seed 4", "shadow run t -o tpm=2 -o assume-cost=1 -o seed=4"),
        ("t --margin 0 --semantic-from 1", "shadow run t -o margin=0 -o semantic-from=1"),
    ],
)
def test_old_options_are_written_as_new_ones(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    path, arguments = translate_shadow_run(old.split())
    assert " ".join([*path, *arguments]) == new
    assert "from the next version on, write: promptops " in capsys.readouterr().err


def test_what_is_not_old_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["triage@HEAD", "--against", "triage@HEAD~1", "--select", "tag=a", "-o", "seed=3", "--last"]
    assert translate_shadow_run(arguments) == (("shadow", "run"), arguments)
    assert not capsys.readouterr().err


@pytest.fixture
def farm(repo: Repo, provider: Provider, cli: Cli) -> Repo:
    """A prompt whose answers to five inputs are logged."""
    animals(repo, "plainly")
    provider.script = says()
    repo.write("log.jsonl", "".join(json.dumps({"inputs": {"animal": f"a{n}"}}) + "\n" for n in range(5)))
    assert cli("batch", "sound@HEAD", "log.jsonl", "--out", "out.jsonl").code == 0
    return repo


def test_aa_is_still_noise(cli: Cli, farm: Repo) -> None:
    done = cli("shadow", "run", "sound@HEAD", "--aa", "--seed", "3", "--json")
    assert done.code == 0, done.err
    assert "write: promptops shadow noise sound@HEAD -o seed=3 --json" in done.err
    found = json.loads(done.out)
    assert (found["mode"], found["pairs"], found["seed"]) == ("aa", 5, 3)


def test_all_is_still_a_migration(cli: Cli, farm: Repo) -> None:
    done = cli("shadow", "run", "--all", "--model", f"{MODEL}={NEW_MODEL}", "--full", "--json")
    assert done.code == 0, done.err
    assert f"write: promptops shadow migrate --model {MODEL}={NEW_MODEL} --json --until all" in done.err
    assert [each["candidate"]["model"] for each in json.loads(done.out)] == [NEW_MODEL]


def test_rollout_is_still_the_gate_of_a_release(cli: Cli, farm: Repo) -> None:
    done = cli("shadow", "run", "--rollout", "sound:production", "--yes")
    assert (done.code, "sound has no release on production" in done.err) == (4, True)
    assert "write: promptops release gate sound:production --yes" in done.err
