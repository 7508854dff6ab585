"""What an earlier commit has written stays readable, and means the same.

``fixtures/d3408ec`` holds what the code of that commit made, and what it printed then. Nothing in there is
ever made again by later code: a change that needs another golden value takes something from users.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Repo

from promptops.prompt.canonical_json import canonical_json, compact_json
from promptops.release.assignment import bucket, on_canary, salt_of


def _fixtures() -> Path:
    folders = (parent / "fixtures" / "d3408ec" for parent in Path(__file__).parents)
    return next(folder for folder in folders if folder.is_dir())


FIXTURES = _fixtures()


def golden(name: str) -> Any:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


DIGESTS = golden("digests")


@pytest.fixture
def prompts(repo: Repo) -> Repo:
    """The prompt files of then, committed."""
    shutil.copytree(FIXTURES / "prompts", repo.path / "prompts")
    repo.commit()
    return repo


def test_digests_have_not_moved(prompts: Repo, cli: Cli) -> None:
    for revision in ("", "@HEAD"):
        for name, known in DIGESTS.items():
            shown = json.loads(cli("show", f"{name}{revision}", "--json").out)
            assert {key: shown[key] for key in known} == known, name


def test_every_prompt_of_the_folder_has_a_golden_digest(prompts: Repo, cli: Cli) -> None:
    listed = json.loads(cli("list", "--json").out)
    assert {each["prompt"]: each["digest"] for each in listed} == {
        name: known["digest"] for name, known in DIGESTS.items()
    }


@pytest.mark.parametrize("known", golden("canonical_json"), ids=lambda known: known["canonical"][:20])
def test_json_has_the_same_bytes(known: Any) -> None:
    assert canonical_json(known["value"]).decode() == known["canonical"]
    assert compact_json(known["value"]) == known["compact"]


def test_units_meet_the_arm_that_they_met() -> None:
    known = golden("assignments")
    for each in known["salts"]:
        assert salt_of(each["prompt"], each["channel"], each["digest"]) == each["salt"]
    for each in known["assignments"]:
        for unit, place in each["buckets"]:
            assert bucket(each["salt"], unit) == place
            assert not on_canary(each["salt"], unit, place)
            assert on_canary(each["salt"], unit, place + 1)
