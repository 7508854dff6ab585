"""Which keys of a prompt file are part of the version: a table of the manual, held by golden digests."""

import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from promptops.prompt import PROMPT_SCHEMA
from support.paths import ROOT

GOLDEN = ROOT / "tests/prompt/digests.json"


@pytest.fixture(scope="module")
def keys() -> Iterator[ModuleType]:
    sys.path.insert(0, str(ROOT / "docs/reference"))
    import digest_keys

    yield digest_keys
    sys.path.remove(str(ROOT / "docs/reference"))


def test_each_key_that_there_is_has_a_row(keys: ModuleType) -> None:
    named = {key.partition(":")[0] for key in keys.CHANGES}
    assert named == set(PROMPT_SCHEMA["properties"])


def test_digests_are_those_that_they_were(keys: ModuleType, request: pytest.FixtureRequest) -> None:
    found: dict[str, Any] = {"": keys.prompt_of(keys.BASE).digest}
    found |= {key: keys.changed(key).digest for key in keys.CHANGES}
    if request.config.getoption("write_golden"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    assert json.loads(GOLDEN.read_text("utf-8")) == found


def test_what_says_nothing_of_the_reply_is_not_in_it(keys: ModuleType) -> None:
    out = {key for key in keys.CHANGES if keys.changed(key).digest == keys.prompt_of(keys.BASE).digest}
    assert out == {
        "description",
        "inputs: description",
        "max_input_tokens",
        "checks",
        "guards: flag",
        "cases",
        "log",
        "probes",
        "retention",
        "review",
        "metadata",
    }


@pytest.mark.parametrize("said", [{"untrusted": False}, {"datamark": False}, {"sanitize": []}])
def test_what_is_not_used_changes_nothing(said: dict[str, Any], keys: ModuleType) -> None:
    plain = keys.prompt_of(keys.BASE)
    given = {**keys.BASE, "inputs": {**keys.BASE["inputs"], "text": {"type": "string", **said}}}
    assert keys.prompt_of(given).digest == plain.digest
