"""What applications import: from ``promptops`` and nothing below it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import promptops
from support.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
IMPORT_BELOW = re.compile(r"^\s*(?:from|import)\s+promptops\.\S+", re.MULTILINE)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_public_name_can_be_imported_and_is_listed() -> None:
    assert all(getattr(promptops, name) for name in promptops.__all__)
    assert promptops.__all__ == sorted(promptops.__all__)
    assert set(promptops.__all__) <= set(dir(promptops))
    assert {name for name in promptops.__all__ if not name.startswith("_")} == set(promptops._MODULES)  # noqa: SLF001 - nothing public shows it


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'promptops' has no attribute 'Workspaces'"):
        _ = promptops.Workspaces  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'Workspaces'"):
        exec("from promptops import Workspaces", {})  # noqa: S102 - the statement is what is tested


def test_importing_the_package_loads_nothing_but_its_version() -> None:
    loaded = "print([name for name in sys.modules if name.startswith('promptops.')])"
    assert run_python(f"import sys, promptops; {loaded}") == "['promptops._version']\n"
    assert run_python(f"import sys; from promptops import NotFound; {loaded}") == (
        "['promptops._version', 'promptops.errors']\n"
    )


def test_the_version_stands_in_one_place() -> None:
    assert promptops.__version__ == promptops._version.__version__  # noqa: SLF001 - nothing public shows it
    assert promptops.__version__ not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert (ROOT / "promptops" / "py.typed").is_file()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_import_nothing_below_the_package(page: Path) -> None:
    assert IMPORT_BELOW.findall(page.read_text(encoding="utf-8")) == []


def test_the_python_page_names_every_public_name() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert [name for name in promptops.__all__ if name not in page and name != "__version__"] == []
