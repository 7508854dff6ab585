"""A flag is spelt once in the package, whoever takes it: verbs of one flag take it from ``cli/options``."""

import ast
from collections import Counter
from collections.abc import Iterator

from support.package_source import parsed_files


def option_calls() -> Iterator[tuple[str, ast.Call]]:
    for path, tree in parsed_files(r"\bOption\("):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.Option", "Option"):
                yield f"{path}:{node.lineno}", node


def flags_of(call: ast.Call) -> list[str]:
    words = [word.value for word in call.args if isinstance(word, ast.Constant)]
    return [flag for word in words for flag in str(word).split("/")]


def test_every_option_spells_its_flag() -> None:
    assert [where for where, call in option_calls() if not flags_of(call)] == []


def test_no_flag_is_spelt_in_two_places() -> None:
    counts = Counter(flag for _, call in option_calls() for flag in flags_of(call))
    assert [flag for flag, count in counts.items() if count > 1] == []
    assert len(counts) > 80
