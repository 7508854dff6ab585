"""The changelog, the version and the tag of a release agree; CONTRIBUTING.md has the steps of a release."""

import re
import subprocess

import promptops
from support.paths import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
RELEASE = re.compile(r"(?P<version>\d+\.\d+\.\d+) - (?:\d{4}-\d\d-\d\d|unreleased)")
KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_newest_heading_is_the_version() -> None:
    releases = [match for heading in HEADINGS if (match := RELEASE.fullmatch(heading))]
    assert ["Unreleased", *(match[0] for match in releases)] == HEADINGS
    assert releases[0]["version"] == promptops.__version__
    order = [tuple(map(int, match["version"].split("."))) for match in releases]
    assert order == sorted(order, reverse=True)


def test_only_the_newest_may_be_without_a_date() -> None:
    assert all(not heading.endswith("unreleased") for heading in HEADINGS[2:])


def test_changes_have_the_kinds_of_keep_a_changelog() -> None:
    assert {*re.findall(r"^### (.+)$", TEXT, re.MULTILINE)} <= KINDS


def test_a_tag_names_the_version_and_its_heading_has_a_date() -> None:
    command = ["git", "tag", "--points-at", "HEAD", "--list", "v*"]
    tags = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    assert tags in ([], [f"v{promptops.__version__}"])
    assert not tags or not HEADINGS[1].endswith("unreleased")
