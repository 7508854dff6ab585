"""requirements-dev.lock pins what pyproject.toml asks for."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.paths import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
APART = {"ray"}  # of 250 MB: .ci/run installs it beside the rest, in an environment of its own
GROUPS = {"base": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
LOCK = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")


def pinned() -> dict[str, list[str]]:
    """Each package with its versions: there may be one for each of several Pythons."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ;\n]+)", LOCK, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - APART))
def test_each_dependency_is_pinned_to_a_version_that_is_allowed(group: str) -> None:
    wanted = [Requirement(text) for text in GROUPS[group]]
    found = pinned()
    for each in wanted:
        if each.name != PROJECT["name"]:
            versions = found.get(canonicalize_name(each.name), [])
            assert versions, f"{each.name} is missing: run .ci/lock"
            assert [version for version in versions if version not in each.specifier] == [], each.name


def test_the_lock_says_how_it_is_made() -> None:
    assert ".ci/lock" in LOCK.split("==")[0]
    assert (ROOT / ".ci" / "lock").is_file()
