"""One name, one meaning: a class or a public function of the package shares its name with no other."""

import ast
import re
from collections import defaultdict

import pytest

from support.package_source import PACKAGE, parsed_files

DOUBLED: dict[str, str] = {}  # name -> why two may have it
# What a type is, not what was done: a noun may come behind one of these, as in ReleasedVersion.
PARTICIPLES = (
    "Asked Begun Bound Built Chosen Done Found Frozen Given Held Kept Known Left Lost Made Met Paid Said "
    "Seen Sent Served Shown Taken Told Understood Used Wanted Written"
)
ALLOWED_PARTICIPLES = {
    "Undecided": "an error that callers catch by this name: the data cannot answer yet",
}


@pytest.mark.slow
def test_no_class_and_no_public_function_shares_its_name_with_another() -> None:
    files = defaultdict(list)
    for file, tree in parsed_files():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) or (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
            ):
                files[node.name].append(file)
    assert {name: places for name, places in files.items() if len(places) > 1}.keys() == DOUBLED.keys()


def test_no_class_is_named_by_a_participle_alone() -> None:
    texts = (path.read_text("utf-8") for path in PACKAGE.rglob("*.py"))
    classes = {name for text in texts for name in re.findall(r"(?m)^ *class (\w+)[:(\[]", text)}
    bare = {name for name in classes if name.lstrip("_") in PARTICIPLES.split() or is_one_word_in_ed(name)}
    assert bare == ALLOWED_PARTICIPLES.keys()


def is_one_word_in_ed(name: str) -> bool:
    word = name.lstrip("_")
    return word.istitle() and word.endswith("ed") and word not in ("Feed", "Seed", "Speed")
