"""Words that messages, help, docstrings and pages do without, each with what says it better."""

import functools
import re
import subprocess
from pathlib import Path

import pytest

from support.paths import ROOT

AVOIDED = {
    r"in front of no user": "without serving the answers to users",
    r"nobody is here": "not a terminal, cannot ask",
    r"says yes to it": "use --yes to confirm",
    r"it is so already": "already in that state",
    r"\bso already\b": "already",
    r"waits for nobody": "is not awaiting approval",
    r"nothing of \S+ is released": "has no release on",
    r"\bthis goes on without\b": "continuing without",
    r"\bhand(?:s|ed)? (?:\S+ )?in\b": "push",
    r"\bnot put out\b": "not published",
    r"\btake[ns]? (?:\S+ |a canary |the canary )?back\b": "roll back",
    r"\bbrought home\b": "replayed",
    r"\banew\b": "again",
    r"\bof late\b": "recently",
    r"\bmend(?:s|ed|ing)?\b": "repair",
    r"it holds, because": "it holds because",
    r"calls at once at most": "maximum concurrent calls",
    r"further attempts": "retries",
    r"go through all inputs": "use all inputs",
    r"the reviewed branch has not": "not on the source branch",
    r"is everything here": "check that the environment is ready",
    r"\b(?:can|could)(?: ?not|n't) be told\b": "undecided, unknown, not reached",
    r"\bshall\b": "is to, must",
    r"\bhence\b": "so",
}
AVOIDED_IN_PAGES = {
    r"\btold\b": "reported",
    r"\bwhich is said\b": "the error says so",
    r"\bstands? (?:in|on|before|below|beside)\b": "is",
    r"\bfurther (?:call|package|try|tries)": "more, another",
}
"""Help texts are pages as well: docs/reference/commands.md has them all."""
NOT_OURS = re.compile(
    r"tests/fixtures/|tests/test_english\.py|promptops/providers/models\.jsonl|CHANGELOG\.md|\.lock$"
)


@functools.cache
def texts() -> list[Path]:
    """Every text of the repository; history (the changelog, fixtures) stays as it was."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.splitlines() if not NOT_OURS.search(name)]
    return [ROOT / name for name in names if name.endswith((".py", ".md", ".sh", ".yml", ".j2", ".toml"))]


@functools.cache
def words_of(file: Path) -> str:
    """Without capitals, line breaks and the marks of comments, so that a broken phrase is found."""
    return re.sub(r"\s+(?:# )?", " ", file.read_text(encoding="utf-8")).lower()


def found_in(files: list[Path], pattern: str) -> list[str]:
    wanted = re.compile(pattern)
    return [str(file.relative_to(ROOT)) for file in files if wanted.search(words_of(file))]


@pytest.mark.parametrize("pattern", [*AVOIDED])
def test_a_word_that_has_a_plainer_one_stands_nowhere(pattern: str) -> None:
    assert found_in(texts(), pattern) == [], f"say: {AVOIDED[pattern]}"


@pytest.mark.parametrize("pattern", [*AVOIDED_IN_PAGES])
def test_nor_does_one_in_pages_and_help(pattern: str) -> None:
    pages = [file for file in texts() if file.suffix == ".md" and "tests" not in file.parts]
    assert found_in(pages, pattern) == [], f"say: {AVOIDED_IN_PAGES[pattern]}"
