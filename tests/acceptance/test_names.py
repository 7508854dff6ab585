"""One name, one meaning: a class or a public function of the package shares its name with no other."""

import ast
from collections import defaultdict
from collections.abc import Iterator

from support.package_source import parsed_files

DOUBLED: dict[str, str] = {}  # name -> why two may have it
# What a type is, not what was done: a noun may come behind one of these, as in ReleasedVersion.
PARTICIPLES = (
    "Asked Begun Bound Built Chosen Done Found Frozen Given Held Kept Known Left Lost Made Met Paid Said "
    "Seen Sent Served Shown Taken Told Understood Used Wanted Written"
)
ALLOWED_PARTICIPLES = {
    "Undecided": "an error that callers catch by this name: the data cannot answer yet",
}

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def definitions(nested: bool = False) -> Iterator[tuple[str, Definition]]:
    for path, tree in parsed_files(r"(?m)^ *class " if nested else ""):
        for node in ast.walk(tree) if nested else tree.body:
            if isinstance(node, Definition):
                yield path, node


def test_no_class_and_no_public_function_shares_its_name_with_another() -> None:
    files = defaultdict(list)
    for file, node in definitions():
        if isinstance(node, ast.ClassDef) or not node.name.startswith("_"):
            files[node.name].append(file)
    assert {name: places for name, places in files.items() if len(places) > 1}.keys() == DOUBLED.keys()


def test_no_class_is_named_by_a_participle_alone() -> None:
    classes = {node.name for _, node in definitions(nested=True) if isinstance(node, ast.ClassDef)}
    bare = {name for name in classes if name.lstrip("_") in PARTICIPLES.split() or is_one_word_in_ed(name)}
    assert bare == ALLOWED_PARTICIPLES.keys()


def is_one_word_in_ed(name: str) -> bool:
    word = name.lstrip("_")
    return word.istitle() and word.endswith("ed") and word not in ("Feed", "Seed", "Speed")
