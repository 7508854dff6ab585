"""Whole reports, compared with the files in ``golden/``.

After a change that is meant, ``pytest tests/cli/reports/test_golden.py --write-golden`` writes them again:
read their diff, and look at the pages in a browser.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from promptops import reports
from promptops.cli.reports.eval import render_result
from promptops.cli.reports.release import render_status
from promptops.cli.reports.shadow import render_comparisons
from support.eval_results import alone, compared, several
from support.front_door import GREET, Cli, Repo
from support.shadow_results import broken, pair, passing
from support.shadow_results import compared as shadow_compared
from support.status_views import idle, view

GOLDEN = Path(__file__).with_name("golden")
STYLES = [Path(reports.__file__).with_name(name) for name in ("base.css", "plots.css")]


@cache
def _shadow_runs() -> list[object]:
    same = [pair(number, passing(True), passing(True)) for number in range(20)]
    return [shadow_compared(broken(), "a/worse"), shadow_compared(same, "b/same")]


def _one_shadow_run() -> list[object]:
    return _shadow_runs()[:1]


def _status() -> list[object]:
    held = view(phase="invalid", reason="the sample ratio is off")
    return [view(), idle(), replace(held, notes=("the remote was not reached",))]


def _rendered(render: Callable[[Any, str], str], result: Callable[[], Any], form: str) -> str:
    return render(result(), form)


REPORTS: dict[str, Callable[[], str]] = {
    f"{name}.{suffix}": partial(_rendered, render, result, form)
    for name, result, render, forms in (
        ("eval", compared, render_result, {"txt": "table", "md": "markdown", "html": "html"}),
        ("eval-alone", alone, render_result, {"txt": "table", "md": "markdown", "html": "html"}),
        ("eval-several", several, render_result, {"txt": "table", "md": "markdown", "html": "html"}),
        ("status", _status, render_status, {"txt": "text", "md": "markdown", "html": "html"}),
        ("shadow", _one_shadow_run, render_comparisons, {"txt": "text", "md": "markdown", "html": "html"}),
        (
            "shadow-table",
            _shadow_runs,
            partial(render_comparisons, table=True),
            {"txt": "text", "md": "markdown", "html": "html"},
        ),
    )
    for suffix, form in forms.items()
}


def _check(name: str, text: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / name
    for style in STYLES:
        text = text.replace(style.read_text("utf-8"), "")
    if request.config.getoption("--write-golden"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text("utf-8")


@pytest.mark.parametrize("name", REPORTS)
def test_reports_look_as_they_did(name: str, request: pytest.FixtureRequest) -> None:
    _check(name, REPORTS[name](), request)


@pytest.mark.parametrize(("name", "options"), [("diff.txt", ()), ("diff.md", ("--format", "markdown"))])
def test_a_diff_looks_as_it_did(
    name: str, options: tuple[str, ...], repo: Repo, cli: Cli, request: pytest.FixtureRequest
) -> None:
    repo.write("prompts/greet.yaml", GREET)
    repo.commit("greet")
    repo.write("prompts/greet.yaml", GREET.replace("Greet", "Kindly greet"))
    text = cli("diff", *options).out
    for pattern, stable in (
        (r"@[0-9a-f]{7}\b", "@COMMIT"),
        (r"\$0[.\d]+", "$0.01"),
        (r", prices of .*\)", ")"),
    ):
        text = re.sub(pattern, stable, text)
    _check(name, text, request)


def test_every_golden_file_belongs_to_a_report() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == {*REPORTS, "diff.txt", "diff.md"}
