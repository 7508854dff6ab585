"""The source of the package, as tests of its form read it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import promptops

PACKAGE = Path(promptops.__file__).parent


def parsed_files(holding: str = "", *, but: Path | None = None) -> Iterator[tuple[str, ast.Module]]:
    """Path and tree of each file whose text holds a match; to parse all of them takes seconds."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if but is None or not file.is_relative_to(but):
            text = file.read_text("utf-8")
            if re.search(holding, text):
                yield file.relative_to(PACKAGE).as_posix(), ast.parse(text)
