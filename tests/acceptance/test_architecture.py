"""ARCHITECTURE.md names what is there: its tree, its walks, the places in its index."""

import ast
import re
import tomllib

import pytest

from support.paths import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
INDEX = re.findall(r"^\| .+ \| `(promptops/[\w/]+\.py)`(?: `(\w+)`)? \|$", PAGE, re.MULTILINE)
WALKED = sorted(set(re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", PAGE)))


def defined(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@pytest.mark.parametrize(("path", "name"), INDEX)
def test_each_place_of_the_index_is_there(path: str, name: str) -> None:
    assert (ROOT / path).is_file()
    assert not name or name in defined(path)


def test_the_index_answers_at_least_twenty_questions() -> None:
    assert len(INDEX) >= 20


@pytest.mark.parametrize("path", WALKED)
def test_each_file_of_the_walks_is_there(path: str) -> None:
    if path.startswith("promptops/"):
        return
    assert (ROOT / "promptops" / path).exists()


def test_the_layers_of_the_page_are_those_that_are_held() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(each for each in project["tool"]["importlinter"]["contracts"] if each["type"] == "layers")
    assert "\n".join(contract["layers"]) in PAGE


def test_each_package_stands_in_the_tree() -> None:
    for entry in (ROOT / "promptops").iterdir():
        if entry.is_dir() and (entry / "__init__.py").exists():
            assert f"\n  {entry.name}/" in PAGE, entry.name
