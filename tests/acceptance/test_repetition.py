"""Nothing is written twice: eight lines that stand in two places are a function that is missing."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import promptops

PACKAGE = Path(promptops.__file__).parent
MOST = 7  # equal lines in a row


def code_lines(text: str) -> list[tuple[int, str]]:
    """Number and text of each line that is neither blank nor a comment nor part of an import."""
    imports: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            imports.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(n, line) for n, line in lines if line and not line.startswith("#") and n not in imports]


def repeated_stretches(texts: dict[str, str]) -> list[list[str]]:
    """The places of each row of lines that stands in more than one."""
    places = defaultdict(list)
    for name, text in texts.items():
        lines = code_lines(text)
        for first in range(len(lines) - MOST):
            stretch = lines[first : first + MOST + 1]
            places[tuple(line for _, line in stretch)].append(f"{name}:{stretch[0][0]}")
    return [each for each in places.values() if len(each) > 1]


@pytest.mark.slow
def test_no_eight_equal_lines_stand_in_two_places() -> None:
    files = {str(path.relative_to(PACKAGE)): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    assert repeated_stretches(files) == []


def test_eight_equal_lines_are_found_past_blank_lines_comments_and_indents() -> None:
    lines = [f"x{number} = {number}" for number in range(8)]
    other = "if True:\n" + "\n\n    # why\n".join(f"    {line}" for line in lines)
    assert repeated_stretches({"a.py": "\n".join(lines), "b.py": other}) == [["a.py:1", "b.py:2"]]
    assert repeated_stretches({"a.py": "\n".join(lines[1:]), "b.py": other}) == []
    imports = "\n".join(f"import m{number}" for number in range(9))
    assert repeated_stretches({"a.py": imports, "b.py": imports}) == []
