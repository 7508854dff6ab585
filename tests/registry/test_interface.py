"""The registry's one door: what it offers, and that nobody goes round it."""

import ast
import re
from collections.abc import Iterator

from promptops import registry
from support.package_source import PACKAGE, parsed_files

REGISTRY = PACKAGE / "registry"


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


HOMES: dict[str, str] = registry._homes()  # noqa: SLF001 - the table that the names are looked up in


def test_a_type_checker_sees_the_names_that_are_there_when_it_runs() -> None:
    tree = ast.parse((REGISTRY / "__init__.py").read_bytes())
    seen = {name for name in imported(tree) if name.startswith("promptops.registry.")}
    assert seen == {f"promptops.registry.{module}.{name}" for name, module in HOMES.items()}
    assert all(getattr(registry, name) is not None for name in HOMES)


def test_packages_above_know_the_registry_by_its_interface_alone() -> None:
    around = [
        (path, name)
        for path, tree in parsed_files(r"promptops\.registry", but=[REGISTRY])
        for name in imported(tree)
        if name.startswith("promptops.registry.") and name.removeprefix("promptops.registry.") not in HOMES
    ]
    assert around == []


SQL = re.compile(
    r"\b(SELECT|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|PRAGMA|BEGIN IMMEDIATE)\b"
)
ENGINES = tuple(REGISTRY / name for name in ("sqlite", "postgres", "queries", "errors.py"))


def test_only_the_engines_know_their_libraries() -> None:
    aware = [
        (path, name)
        for path, tree in parsed_files("sqlite|psycopg", but=ENGINES)
        for name in imported(tree)
        if name.partition(".")[0] in ("sqlite3", "sqlite_utils", "psycopg")
    ]
    assert aware == []


def test_only_the_engines_speak_sql() -> None:
    spoken = [
        (path, node.value)
        for path, tree in parsed_files(SQL.pattern, but=ENGINES)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SQL.search(node.value)
    ]
    assert spoken == []
