"""Versions of format 1 that an earlier commit released or committed: what they send, and what names them.

``fixtures/d3408ec/structures.bundle`` is a project as the code of that commit left it: ``order`` is released
as v1, which HEAD has again, with a canary v2 between; ``draft`` was committed only. Both print a mapping, a
boolean and null.
"""

import json
import shutil
from pathlib import Path

import pytest

from promptops import Workspace
from support.front_door import Cli, Repo
from support.paths import FIXTURES

V1 = "56de5d0b1719efb3f64b2215ae5cd4c0e9414d9c6f07860d721abee3877ec0a1"
V2 = "a7e16a705ae8cd04a61a4ef6285be5325193e0e16b45cd8bffeab7ead936f817"
DRAFT = "1e55b10d491cd2d738105523a482a02be37c182f97b1975d57a848c1f25fb225"
ORDER = '{"id": 1.0, "tags": ["é", null], "ok": false}'
PYTHON = "{'id': 1.0, 'tags': ['é', None], 'ok': False} True None pTrue"
JSON = '{"id":1.0,"tags":["é",null],"ok":false} true null ptrue'


@pytest.fixture
def project(repo: Repo) -> Repo:
    repo.git(
        "fetch", "-q", "--update-head-ok", str(FIXTURES / "d3408ec" / "structures.bundle"), "+refs/*:refs/*"
    )
    repo.git("reset", "-q", "--hard")
    return repo


def sent(cli: Cli, reference: str) -> str:
    done = cli("render", reference, "-i", f"order={ORDER}", "--json")
    assert done.code == 0, done.err
    return str(json.loads(done.out)[0]["content"])


def digest(cli: Cli, reference: str) -> str:
    return str(json.loads(cli("show", reference, "--json").out)["digest"]).removeprefix("sha256:")


@pytest.mark.parametrize(
    "reference",
    [
        "order:production",
        "order@v1",
        f"order@sha256:{V1[:12]}",
        "order@HEAD",
        "order",
        "order@INDEX",
        "order@HEAD~2",
    ],
)
def test_a_released_version_means_what_it_meant(reference: str, project: Repo, cli: Cli) -> None:
    assert sent(cli, reference) == PYTHON
    assert digest(cli, reference) == V1


@pytest.mark.parametrize("reference", ["order@v2", "order@HEAD~1", f"order@sha256:{V2[:12]}"])
def test_so_does_a_canary(reference: str, project: Repo, cli: Cli) -> None:
    assert sent(cli, reference) == f"Order: {PYTHON}"
    assert digest(cli, reference) == V2


def test_a_committed_version_is_what_its_digest_says(project: Repo, cli: Cli) -> None:
    assert sent(cli, f"draft@sha256:{DRAFT[:12]}") == f"Draft {PYTHON}"
    assert digest(cli, f"draft@sha256:{DRAFT}") == DRAFT
    now = digest(cli, "draft@HEAD")
    assert now != DRAFT
    for reference in ("draft", "draft@HEAD", f"draft@sha256:{now[:12]}"):
        assert sent(cli, reference) == f"Draft {JSON}"


def test_files_that_change_after_the_release_have_format_2(project: Repo, cli: Cli) -> None:
    file = project.path / "prompts/order.yaml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("{{ order }} ", "New: {{ order }} "), encoding="utf-8"
    )
    assert sent(cli, "order") == f"New: {JSON}"
    shown = cli("diff", "order@v1", "order").out
    assert "JSON values" in shown
    assert "lists and mappings in texts: as Python writes them -> as JSON" in shown
    assert "JSON values" not in cli("diff", "order@v1", "order@v2").out
    file.write_text(file.read_text(encoding="utf-8").replace("New: ", ""), encoding="utf-8")
    assert sent(cli, "order") == PYTHON


def test_history_knows_the_released_versions(project: Repo, cli: Cli) -> None:
    starts = json.loads(cli("history", "order", "--json").out)
    assert [start["digest"].removeprefix("sha256:") for start in starts] == [V1, V2, V1]


def test_a_bundle_of_releases_serves_them_as_they_were(project: Repo, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "releases.json"
    assert cli("release", "bundle", "--out", str(file)).code == 0
    shutil.rmtree(project.path / ".git")
    with Workspace.from_bundle(file) as workspace:
        prepared = workspace.prepare("order:production", {"order": json.loads(ORDER)}, unit="u")
        assert prepared.messages[0]["content"] in (PYTHON, f"Order: {PYTHON}")
