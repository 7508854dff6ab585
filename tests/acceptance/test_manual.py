"""The manual: what its pages name exists, and where they point is something; the site has every page.

test_page_tours.py runs the commands of the pages, word for word.
"""

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from promptops.checks import CHECK_KINDS
from promptops.cli.verbs import VERBS, leaf_verbs
from promptops.config.settings_schema import SETTINGS_SCHEMA
from promptops.prompt import PROMPT_SCHEMA
from promptops.prompt.inputs import HANDLING_KEYS
from support.command_lines import GLOBAL, command_lines, fault_of, options_of
from support.markdown_pages import code_of, leads_somewhere, relative_links, schema_keys, spans_of, yaml_of
from support.paths import ROOT

PAGES = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {ROOT / "CHANGELOG.md"},
    key=lambda page: str(page.relative_to(ROOT)),
)
by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
FOREIGN_OPTIONS = {
    "--cov",
    "--cid",
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
    "apiVersion",
    "spec",
    "repo",
    "rev",
    "hooks",
    "permissions",
    "area",
    "votes",
    "store",
    "stream",
    "stream_options",
    "usage",
    "reasoning_effort",
    "services",
    "volumes",
    "questions",
    "codes",
    "providers",
    "defaultTest",
    "tests",
    "modelParameters",
    "testData",
    "evaluators",
    "string",
    "uses",
    "system",
    "defaults",
    "options",
    "allow",
}
"""Of pre-commit, GitHub, compose files, promptfoo, GitHub Models, llm, commits, arguments of checks, rubrics,
a request."""


@by_page
def test_links_lead_somewhere(page: Path) -> None:
    assert [link for link in relative_links(page) if not leads_somewhere(page, link)] == []


@by_page
def test_every_command_line_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = [line for line in command_lines(code_of(text)) if line != "…"]
    lines += [span for span in spans_of(text) if span.split(" ")[0] in VERBS]
    assert [(line, fault) for line in lines if (fault := fault_of(line))] == []


@by_page
def test_every_option_belongs_to_a_verb(page: Path) -> None:
    known = {flag for path in leaf_verbs() for flag in options_of(path)} | {*GLOBAL} | FOREIGN_OPTIONS
    spans = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    named = {flag for span in spans for flag in re.findall(r"(?<!\S)--[a-z][\w-]*", span)}
    assert named - known == set()


@by_page
def test_every_key_is_one_of_a_file(page: Path) -> None:
    known = {
        *HANDLING_KEYS,
        *schema_keys(PROMPT_SCHEMA),
        *schema_keys(SETTINGS_SCHEMA),
        *CHECK_KINDS,
        *FOREIGN_KEYS,
    }
    named = {key for text in yaml_of(page.read_text(encoding="utf-8")) for key in text}
    assert named - known == set()


@by_page
def test_what_is_written_below_a_key_is_allowed_there(page: Path) -> None:
    shown = [item for each in yaml_of(page.read_text(encoding="utf-8")) for item in each.items()]
    assert [(key, value) for key, value in shown if (files := _faults(key, value)) and all(files)] == []


def _faults(key: str, value: Any) -> list[list[str]]:
    """What is wrong with a value, for each kind of file with this key at its top; keys may be left out."""
    schemas = [schema for schema in (PROMPT_SCHEMA, SETTINGS_SCHEMA) if key in schema["properties"]]
    return [
        [
            error.message
            for error in jsonschema_rs.validator_for(schema["properties"][key]).iter_errors(value)
            if error.kind.name != "required"
        ]
        for schema in schemas
    ]


def test_the_site_has_every_page_once() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert sorted(_pages_of(nav)) == sorted(
        "index.md" if page.name == "README.md" else str(page.relative_to(ROOT))
        for page in (*PAGES, ROOT / "CHANGELOG.md")
    )


def _pages_of(nav: list[Mapping[str, Any]]) -> Iterator[str]:
    for entry in nav:
        for page in entry.values():
            yield from [page] if isinstance(page, str) else _pages_of(page)


@pytest.mark.slow
def test_the_site_can_be_built_and_loads_nothing_from_elsewhere() -> None:
    pytest.importorskip("zensical", reason="needs the extra 'docs'")
    done = subprocess.run([ROOT / ".ci" / "site"], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = [file.read_text(encoding="utf-8") for file in (ROOT / "build/site").rglob("*.html")]
    loaded = re.compile(r'<(?:link|script|img|source)\b[^>]*?\b(?:href|src|srcset)="?(https?:[^"> ]+)')
    assert pages
    assert [url for page in pages for url in loaded.findall(page)] == []


def test_readme_is_short_and_begins_with_what_people_stumble_on() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert "git-promptops" in text[:1000]
    assert "Linux and macOS" in text[:1000]
