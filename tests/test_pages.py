"""The pages: what they show is what happens, what they name exists, where they point is something."""

import os
import stat
import sys
from pathlib import Path

import pytest

from support.console_pages import matches, rewritten, run_page
from support.front_door import Repo
from support.paths import ROOT

CACHE = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
EMBEDDED = ("README.md",)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("promptops", "python"):
        program = folder / name
        module = " -m promptops" if name == "promptops" else ""
        program.write_text(f'#!/bin/sh\nexec {sys.executable}{module} "$@"\n', "utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": CACHE,
        "PROMPTOPS_LOCAL_FAST": "1",
    }


@pytest.mark.embedded
@pytest.mark.parametrize("name", EMBEDDED)
def test_a_page_on_the_embedded_model_shows_what_happens(
    name: str, repo: Repo, environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    results = list(run_page(text, repo.path, environment))
    if request.config.getoption("--write-golden"):
        page.write_text(rewritten(text, results), encoding="utf-8")
        return
    for block, outputs in results:
        for step, output in zip(block.steps, outputs, strict=True):
            assert matches(step.output, output), f"$ {step.command}\n{output}"
