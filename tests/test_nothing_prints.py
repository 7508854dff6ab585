"""Below the command line nothing prints: it returns, raises or logs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import promptops

PACKAGE = Path(promptops.__file__).parent
PRINTING = ("print", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "warnings.warn")


def printing_places() -> Iterator[str]:
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE)
        if path.parts[0] not in ("cli", "console.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                word = node.func if isinstance(node, ast.Call) else node
                if isinstance(word, ast.Name | ast.Attribute) and ast.unparse(word) in PRINTING:
                    yield f"{path}:{node.lineno}"


def test_nothing_below_the_command_line_prints() -> None:
    assert list(printing_places()) == []
