"""The source of the package, as tests of its form read it."""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import promptops

PACKAGE = Path(promptops.__file__).parent


def parsed_files(holding: str = "", *, but: Sequence[Path] = ()) -> Iterator[tuple[str, ast.Module]]:
    """Path and tree of each file whose text holds a match; to parse all of them takes seconds."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if not any(file.is_relative_to(folder) for folder in but):
            text = file.read_text("utf-8")
            if re.search(holding, text):
                yield file.relative_to(PACKAGE).as_posix(), ast.parse(text)
