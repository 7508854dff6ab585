"""The console blocks of the pages show what happens, word for word but for ids and times."""

import os
import sys
from pathlib import Path

import pytest

import promptops
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.console_pages import matches, rewritten, run_page
from support.forked_commands import write_program
from support.front_door import Repo
from support.paths import ROOT
from support.provider import Provider
from support.stand_in import stand_in, stand_in_answer

pytestmark = pytest.mark.slow
CACHE = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
EMBEDDED = ("README.md", "docs/checks.md", "docs/shadow.md")
GUIDES = (
    "docs/from-f-strings.md",
    "docs/from-promptfoo.md",
    "docs/from-github-models.md",
    "docs/from-openai-prompts.md",
    "docs/from-llm.md",
    "docs/from-prompty.md",
    "docs/from-dotprompt.md",
    "docs/images-and-chat.md",
    "docs/conversations.md",
    "docs/costs.md",
    "docs/many-machines.md",
    "docs/provider-batches.md",
    "docs/datasets.md",
    "docs/ci.md",
    "docs/team.md",
    "docs/releases.md",
    "docs/guards.md",
    "docs/monitoring.md",
)


BATCH_PAGE = (Faults(polls=1), Faults(), Faults(polls=9, cancel_after=1))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell with the ``promptops`` and ``python`` of this test; weights are not fetched again."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', "utf-8")
    (folder / "python").chmod(0o755)
    write_program(folder / "promptops", "-m", "promptops")
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(promptops.__file__).parents[1]),
        "XDG_CACHE_HOME": CACHE,
        "PROMPTOPS_LOCAL_FAST": "1",
    }


@pytest.mark.parametrize(
    "name",
    [*GUIDES, *(pytest.param(page, marks=[pytest.mark.embedded, pytest.mark.thorough]) for page in EMBEDDED)],
)
def test_a_page_shows_what_happens_and_leaves_nothing_behind(
    name: str,
    repo: Repo,
    provider: Provider,
    environment: dict[str, str],
    request: pytest.FixtureRequest,
) -> None:
    provider.script = stand_in
    if name == "docs/provider-batches.md":
        BatchProvider(*BATCH_PAGE, answer=stand_in_answer, provider=provider)
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
