"""Below the command line nothing prints: it returns, raises or logs."""

import ast
from collections.abc import Iterator

from support.package_source import parsed_files

PRINTING = ("print", "sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__", "warnings.warn")


def printing_places() -> Iterator[str]:
    for path, tree in parsed_files(r"\bprint\b|\bsys\.(__)?std|\bwarnings\.warn\b"):
        if not path.startswith(("cli/", "console.py")):
            for node in ast.walk(tree):
                word = node.func if isinstance(node, ast.Call) else node
                if isinstance(word, ast.Name | ast.Attribute) and ast.unparse(word) in PRINTING:
                    yield f"{path}:{node.lineno}"


def test_nothing_below_the_command_line_prints() -> None:
    assert list(printing_places()) == []
