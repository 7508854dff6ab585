"""The pictures show what the program prints now: README's tour, which a test runs, and the golden reports."""

import html
import json
import re
import runpy
from collections.abc import Iterator

import pytest

from support.console_pages import blocks_of, masked
from support.paths import ROOT

FOLDER = ROOT / "docs" / "pictures"
AGAIN = "run python docs/pictures/make.py"
MAKE = runpy.run_path(str(FOLDER / "make.py"), run_name="make")


def _steps_of_a_picture(theme: str) -> Iterator[tuple[str, str]]:
    svg = (FOLDER / f"tour-{theme}.svg").read_text(encoding="utf-8")
    text = html.unescape(svg.split("<desc>")[1].split("</desc>")[0])
    for step in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = step.partition("\n")
        yield command, output.strip().removesuffix("…")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_terminal_shows_what_the_tour_prints(theme: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = [step for block in blocks_of(readme) for step in block.steps]
    shown = list(_steps_of_a_picture(theme))
    assert len(shown) == len(MAKE["SHOWN"])
    for command, output in shown:
        printed = [masked(step.output) for step in tour if step.command == command]
        assert any(each.startswith(masked(output)) for each in printed), f"{command}: {AGAIN}"


@pytest.mark.parametrize("report", MAKE["REPORTS"])
def test_the_screenshots_are_of_reports_as_they_are(report: str) -> None:
    made_from = json.loads((FOLDER / "made-from.json").read_text(encoding="utf-8"))
    assert made_from[report] == MAKE["source_digest"](report), AGAIN
    assert all((FOLDER / f"{report}-{theme}.png").is_file() for theme in ("light", "dark"))
