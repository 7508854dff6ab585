"""Makes the pictures of the manual again: of what its own pages do, on the embedded model and a stand-in.

    python docs/pictures/make.py [tour] [eval] [shadow] [status]      # all without a name

Needs the extras of `pip install -e '.[local,dev]'` and Chromium (Debian: `apt-get install chromium`), and
some minutes. The commands are those of the pages: tests/test_pictures.py sees from README.md, and from the
golden files of reports, when the pictures are old.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
MADE_FROM = FOLDER / "made-from.json"
sys.path[:0] = [str(FOLDER), str(ROOT / "tests")]

from terminal import THEMES, picture, terminal_output  # noqa: E402 - beside this file

from support.console_pages import Block, blocks_of  # noqa: E402 - beside the tests
from support.provider import Provider  # noqa: E402
from support.stand_in import stand_in  # noqa: E402

COLUMNS = 84
ALT = "promptops: a prompt is run, changed, compared on its golden set, and rolled back"
SHOWN = {  # the beginning of a command of README's tour: how many lines of its output
    "promptops run sentiment -i": 1,
    "promptops diff sentiment --stat": 2,
    "promptops eval": 9,
    "promptops tick": 2,
}


@dataclass(frozen=True)
class Report:
    """A report that is made before a command of a page, by a command of its own."""

    page: str
    before: str
    command: str
    height: int


REPORTS = {
    "eval": Report(
        "README.md",
        "promptops promote",
        "promptops eval sentiment@HEAD --against sentiment@HEAD~1 --format html --out {out}",
        1500,
    ),
    "shadow": Report(
        "docs/shadow.md",
        "git add -A && git commit -qm 'Route",
        "promptops shadow run sentiment@HEAD --against sentiment@HEAD~1 --format html --out {out}",
        1080,
    ),
    "status": Report(
        "docs/releases.md", "for i in $(seq 81", "promptops status mood --format html > {out}", 1080
    ),
}
WIDTH = 1000


def main(names: list[str]) -> None:
    reports = {name: report for name, report in REPORTS.items() if not names or name in names}
    wants_tour = not names or "tour" in names
    pages = [*(["README.md"] if wants_tour else []), *(report.page for report in reports.values())]
    with tempfile.TemporaryDirectory() as temporary, Provider(stand_in) as provider:
        made = Path(temporary)
        environment = _environment(made, provider.base_url)
        played = {page: play(page, made, environment, whole=wants_tour) for page in dict.fromkeys(pages)}
        for theme in THEMES:
            if wants_tour:
                shown = "\n".join(_cut(played["README.md"]))
                svg = picture(shown, theme=theme, columns=COLUMNS, name="tour", alt=ALT)
                (FOLDER / f"tour-{theme}.svg").write_text(svg, encoding="utf-8")
            for name, report in reports.items():
                screenshot(made / f"{name}.html", FOLDER / f"{name}-{theme}.png", theme, WIDTH, report.height)
    sources = json.loads(MADE_FROM.read_text(encoding="utf-8")) | {
        name: source_digest(name) for name in reports
    }
    MADE_FROM.write_text(json.dumps(sources, indent=2) + "\n", encoding="utf-8")


def play(page: str, made: Path, environment: dict[str, str], *, whole: bool) -> list[tuple[str, str]]:
    """Each command of a page with what it prints on a terminal, up to the last report that is made of it."""
    project = made / Path(page).stem
    subprocess.run(["git", "init", "-q", "-b", "main", project], check=True)
    wanted = {name: report for name, report in REPORTS.items() if report.page == page}
    played = []
    for command in _commands(blocks_of((ROOT / page).read_text(encoding="utf-8"))):
        for name, report in [*wanted.items()]:
            if command.startswith(report.before):
                own = report.command.format(out=made / f"{name}.html")
                terminal_output(own, project, environment, columns=COLUMNS)
                del wanted[name]
        if not wanted and not (whole and page == "README.md"):
            break
        played.append((command, terminal_output(command, project, environment, columns=COLUMNS)))
    return played


def _commands(blocks: Iterator[Block]) -> Iterator[str]:
    for block in blocks:
        if block.path:
            yield f"mkdir -p $(dirname {block.path}); cat > {block.path} <<'END'\n{block.text}END"
        yield from (step.command for step in block.steps)


def _cut(played: list[tuple[str, str]]) -> Iterator[str]:
    """What the picture shows: the first of each of its commands, and the beginning of what that prints."""
    for start, count in SHOWN.items():
        command, printed = next(each for each in played if each[0].startswith(start))
        lines = printed.splitlines()
        yield f"\x1b[2m$\x1b[0m \x1b[1m{command}\x1b[0m"
        yield from [*lines[:count], *(["…"] if len(lines) > count else []), ""]


def _environment(made: Path, provider_url: str) -> dict[str, str]:
    """A shell with this ``promptops``, an author for its commits, and a stand-in for the provider."""
    program = made / "bin" / "promptops"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m promptops "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    author = {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _AUTHOR.items()
    }
    return {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PROMPTOPS_LOCAL_FAST": "1",
        "OPENAI_BASE_URL": provider_url,
        "OPENAI_API_KEY": "sk-test",
        **author,
    }


_AUTHOR = {"NAME": "Ada", "EMAIL": "ada@example.org"}


def screenshot(page: Path, file: Path, theme: str, width: int, height: int) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("needs Chromium: apt-get install chromium")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags += [f"--blink-settings=preferredColorScheme={0 if theme == 'dark' else 1}"]
    flags += [f"--window-size={width},{height}", f"--screenshot={file}"]
    subprocess.run([browser, *flags, page.as_uri()], check=True, stderr=subprocess.DEVNULL)


def source_digest(report: str) -> str:
    """Of all that makes a report's look: what the program writes for the golden results, and the style."""
    golden = ROOT / "tests/cli/reports/golden" / f"{report}.html"
    styles = [ROOT / "promptops/reports" / name for name in ("base.css", "plots.css")]
    return hashlib.sha256(b"".join(file.read_bytes() for file in (golden, *styles))).hexdigest()


if __name__ == "__main__":
    main(sys.argv[1:])
