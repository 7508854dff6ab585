"""The ``console`` blocks of a page: run as they stand, in one shell, and compared with what it shows."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

_BLOCK = re.compile(r"^```(?P<kind>console|yaml|python|json)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?P<path>[\w./-]+\.(?:ya?ml|py|json))\b.*\n")
_MARK = "\x01"
_MASKS = (
    (r"(?m)^latency .*$", "latency"),
    (r"\s+", " "),
    (r"\b01[0-9A-HJKMNP-TV-Z]{8}(?:[0-9A-HJKMNP-TV-Z]{4}(?:[0-9A-HJKMNP-TV-Z]{12})?)?\b", "RUN"),
    (r"sha256:[0-9a-f]{6,64}…?", "DIGEST"),
    (r"(?<=[@ ])[0-9a-f]{7,40}\b", "HASH"),
    (r"litellm \d+[.\d]* of \d{4}-\d\d-\d\d", "CATALOGUE"),
    (r"\b\d{4}-\d\d-\d\d", "DATE"),
    (r"(?<![\d:])\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?", "TIME"),
    (r"DATE[T ]`?TIME`?", "MOMENT"),
    (r"\b\d+(?:\.\d+)? (?:ms|s|min|h|d|minutes?|hours?|days?)\b", "DURATION"),
    (r"DURATION(?: DURATION)+", "DURATION"),
    (r"(?<=\s)\d+[smhd](?=\s)", "AGE"),
    (
        r"\d+ failed a check|\d+ cut off at|\d+ of \d+(?: calls, v1 in|: at least)",
        "FIGURE ",
    ),  # of a drawn arm
    (r"\d+(?:\.\d+)? points (?=more often)", "FIGURE "),
    (r"\b\d+ answered", "ANSWERED"),  # by this drain or by the one in the background
)
_TIMED_HEADING = re.compile(r"(?<= )(?:MS|AGE)(?= |$)")


@dataclass(frozen=True)
class Step:
    """One command of a page with the output that the page shows."""

    command: str
    output: str


@dataclass(frozen=True)
class Block:
    kind: str
    start: int
    end: int
    steps: tuple[Step, ...] = ()
    path: str = ""
    text: str = ""


def blocks_of(page: str) -> Iterator[Block]:
    """Console blocks, and the files that a page shows with their path as the first comment."""
    for match in _BLOCK.finditer(page):
        block = Block(match["kind"], match.start("text"), match.end("text"), text=match["text"])
        if block.kind == "console":
            yield replace(block, steps=tuple(_steps(block.text)))
        elif named := _FILE.match(block.text):
            yield replace(block, path=named["path"])


def _steps(text: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, *rest = part.splitlines()
        continued = 0
        while continued < len(rest) and rest[continued].startswith("> "):
            continued += 1
        command = "\n".join([first, *(line[2:] for line in rest[:continued])])
        yield Step(command, "\n".join(rest[continued:]))


def run_page(page: str, folder: Path, environment: dict[str, str]) -> Iterator[tuple[Block, list[str]]]:
    """What each command of each block printed, on stdout and stderr together."""
    blocks = list(blocks_of(page))
    script = "\n".join(line for block in blocks for line in _script(block))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, **environment, "COLUMNS": "80", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    outputs = iter(done.stdout.split(f"{_MARK}\n"))
    for block in blocks:
        if block.kind == "console":
            yield block, [next(outputs).rstrip() for _ in block.steps]


def _script(block: Block) -> Iterator[str]:
    if block.path:
        yield f"mkdir -p $(dirname {block.path})"
        yield f"cat > {block.path} <<'END_OF_FILE'\n{block.text}END_OF_FILE"
    for step in block.steps:
        yield step.command
        yield f"__code=$?; printf '{_MARK}\\n'; (exit $__code)"


def rewritten(page: str, results: list[tuple[Block, list[str]]]) -> str:
    """The page with what was printed; output that it cuts short with ``…`` stays where it holds."""
    for block, outputs in reversed(results):
        page = page[: block.start] + "".join(_shown(block, outputs)) + page[block.end :]
    return page


def _shown(block: Block, outputs: list[str]) -> Iterator[str]:
    for step, output in zip(block.steps, outputs, strict=True):
        yield "$ " + step.command.replace("\n", "\n> ") + "\n"
        shown = step.output if "…\n" in step.output and matches(step.output, output) else output
        yield shown.rstrip() + "\n" if shown.strip() else ""


def matches(shown: str, printed: str) -> bool:
    """Whether the two are the same but for what changes with each run; a line ``…`` stands for any lines."""
    parts = re.split(r"^…$", shown, flags=re.MULTILINE)
    pattern = ".*".join(re.escape(masked(part)) for part in parts)
    return re.fullmatch(pattern, masked(printed), re.DOTALL) is not None


def masked(text: str) -> str:
    """Without run ids, digests, times and widths of columns."""
    text = "\n".join(_without_timed_columns(text.splitlines()))
    for pattern, name in _MASKS:
        text = re.sub(pattern, name, text)
    return text.strip()


def _without_timed_columns(lines: list[str]) -> Iterator[str]:
    columns: list[int] = []
    for line in lines:
        if headings := [*_TIMED_HEADING.finditer(line)]:
            columns = [heading.end() for heading in headings]
        columns = columns if line.strip() else []
        cells = line
        for end in reversed(columns):  # a replacement moves what follows it
            cells = re.sub(r"\S+$", "", cells[:end]) + "·" + cells[end:] if end <= len(cells) else cells
        yield cells
