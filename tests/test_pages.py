"""The pages: what they name exists, and where they point is something. test_page_tours.py runs them."""

import re
from pathlib import Path

import pytest

from promptops.checks import CHECK_KINDS
from promptops.cli.verbs import leaf_verbs
from promptops.config.settings_schema import SETTINGS_SCHEMA
from promptops.prompt import PROMPT_SCHEMA
from support.command_lines import GLOBAL, command_lines, fault_of, options_of
from support.markdown_pages import code_of, leads_somewhere, relative_links, schema_keys, yaml_of
from support.paths import ROOT

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
