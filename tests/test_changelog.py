"""The changelog, the version and the tag of a release agree; CONTRIBUTING.md has the steps of a release."""

import re
import subprocess
from datetime import date

import pytest

import promptops
from promptops.providers.catalog_index import OLD_AFTER_DAYS, read_snapshot, snapshot_head
from support.paths import ROOT

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
RELEASE = re.compile(r"(?P<version>\d+\.\d+\.\d+) - (?:\d{4}-\d\d-\d\d|unreleased)")
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
SECTIONS = re.split(r"^## .+\n", TEXT, flags=re.MULTILINE)[1:]


def test_the_newest_heading_is_the_version() -> None:
    releases = [match for heading in HEADINGS if (match := RELEASE.fullmatch(heading))]
    assert ["Unreleased", *(match[0] for match in releases)] == HEADINGS
    assert releases[0]["version"] == promptops.__version__
    order = [tuple(map(int, match["version"].split("."))) for match in releases]
    assert order == sorted(order, reverse=True)


def test_only_the_newest_may_be_without_a_date() -> None:
    assert all(not heading.endswith("unreleased") for heading in HEADINGS[2:])


@pytest.mark.parametrize("section", SECTIONS, ids=HEADINGS)
def test_each_entry_is_below_the_heading_of_its_kind(section: str) -> None:
    before, *rest = re.split(r"^### (.+)$", section, flags=re.MULTILINE)
    kinds, entries = rest[::2], rest[1::2]
    assert before.strip() == ""
    assert kinds == [kind for kind in KINDS if kind in kinds]
    assert all(text.strip().startswith("- ") for text in entries)
    assert all(re.match(r"(- |  \S|$)", line) for text in entries for line in text.splitlines())


def test_the_version_is_written_once() -> None:
    """Beside the one place, pages may say which tag to pin: it is this version's."""
    command = ["git", "grep", "-nF", promptops.__version__, "--", "promptops", ".ci", ".github", "*.toml"]
    found = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert re.findall(r"^(.+?):", found, re.MULTILINE) == ["promptops/_version.py"]
    pinned = re.findall(r"rev: v(\S+)", "".join(page.read_text("utf-8") for page in ROOT.glob("docs/*.md")))
    assert {*pinned} == {promptops.__version__}


def test_a_tag_names_the_version_and_its_heading_has_a_date_and_its_catalogue_is_young() -> None:
    """Of a release alone, by the day of its commit: what passed once passes on any later day."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout.split()

    tags = git("tag", "--points-at", "HEAD", "--list", "v*")
    assert tags in ([], [f"v{promptops.__version__}"])
    assert not tags or not HEADINGS[1].endswith("unreleased")
    (day,) = git("log", "-1", "--format=%cs")
    _, listed = snapshot_head(read_snapshot())
    age = (date.fromisoformat(day) - date.fromisoformat(listed)).days
    assert not tags or age <= OLD_AFTER_DAYS, "make it again by .ci/build_catalog.py"
