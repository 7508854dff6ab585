"""The pages: what they show is what happens, what they name exists, where they point is something."""

import os
import re
import sys
from pathlib import Path

import pytest

import promptops
from promptops.checks import CHECK_KINDS
from promptops.cli.verbs import leaf_verbs
from promptops.config.settings import SETTINGS_SCHEMA
from promptops.prompt import PROMPT_SCHEMA
from support.command_lines import GLOBAL, command_lines, fault_of, options_of
from support.console_pages import matches, rewritten, run_page
from support.front_door import Repo
from support.markdown_pages import code_of, leads_somewhere, relative_links, schema_keys, yaml_of
from support.paths import ROOT
from support.provider import Provider
from support.stand_in import stand_in

CACHE = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
EMBEDDED = ("README.md", "docs/checks.md", "docs/shadow.md")
GUIDES = (
    "docs/from-f-strings.md",
    "docs/images-and-chat.md",
    "docs/costs.md",
    "docs/ci.md",
    "docs/team.md",
    "docs/releases.md",
)


PAGES = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"},
    key=lambda page: str(page.relative_to(ROOT)),
)
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
FOREIGN_OPTIONS = {
    "--durations",
    "--no-deps",
    "--only-binary",
    "--save",
    "--schema",
    "--body-file",
    "--batch",
}
"""Of pytest, pip, llm, gh and git, which the pages name too."""
FOREIGN_KEYS = {
    "repo",
    "rev",
    "hooks",
    "permissions",
    "area",
    "votes",
    "stream_options",
    "usage",
    "reasoning_effort",
}
"""Of pre-commit, GitHub, a commit's subject, a judge's arguments and a request's parameters."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell with the ``promptops`` and ``python`` of this test; weights are not fetched again."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in (("promptops", " -m promptops"), ("python", "")):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n', "utf-8")
        program.chmod(0o755)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(promptops.__file__).parents[1]),
        "XDG_CACHE_HOME": CACHE,
        "PROMPTOPS_LOCAL_FAST": "1",
    }


@pytest.mark.parametrize(
    "name",
    [*GUIDES, *(pytest.param(page, marks=(pytest.mark.embedded, pytest.mark.slow)) for page in EMBEDDED)],
)
def test_a_page_shows_what_happens_and_leaves_nothing_behind(
    name: str,
    repo: Repo,
    provider: Provider,
    environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    provider.script = stand_in
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    results = list(run_page(text, repo.path, environment))
    if request.config.getoption("--write-golden"):
        page.write_text(rewritten(text, results), encoding="utf-8")
        return
    for block, outputs in results:
        for step, output in zip(block.steps, outputs, strict=True):
            assert matches(step.output, output), f"$ {step.command}\n{output}"
    assert repo.git("status", "--porcelain", "--untracked-files=all") == ""


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in relative_links(page) if not leads_somewhere(page, link)] == []


@by_page
def test_every_command_line_is_one(page: Path) -> None:
    lines = [line for line in command_lines(code_of(page.read_text(encoding="utf-8"))) if line != "…"]
    assert [(line, fault) for line in lines if (fault := fault_of(line))] == []


@by_page
def test_every_option_belongs_to_a_verb(page: Path) -> None:
    known = {flag for path in leaf_verbs() for flag in options_of(path)} | {*GLOBAL} | FOREIGN_OPTIONS
    spans = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    named = {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", span)}
    assert named - known == set()


@by_page
def test_every_key_is_one_of_a_file(page: Path) -> None:
    known = {*schema_keys(PROMPT_SCHEMA), *schema_keys(SETTINGS_SCHEMA), *CHECK_KINDS, *FOREIGN_KEYS}
    named = {key for text in yaml_of(page.read_text(encoding="utf-8")) for key in text}
    assert named - known == set()


def test_readme_is_short_and_begins_with_what_people_stumble_on() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert "git-promptops" in text[:1000]
    assert "Linux and macOS" in text[:1000]
