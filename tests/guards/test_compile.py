"""Which guards can act as they are asked to, and in which order they look."""

from typing import Any

import pytest

from promptops.errors import Invalid
from promptops.guards.compile import CompiledGuards, compile_guards
from support.prompt_files import load_text, minimal


def compiled(*items: Any) -> CompiledGuards:
    return compile_guards(load_text(minimal(guards=list(items))))


def test_cheap_guards_look_before_those_that_ask_a_model_and_else_as_written() -> None:
    judge = {"on": "output", "check": {"judge": "judges/tone"}, "do": "flag"}
    found = compiled(
        judge,
        {"on": "output", "check": "json", "do": "flag"},
        {"on": "input", "check": {"judge": "judges/tone"}, "do": "flag", "name": "asked"},
        {"on": "input", "check": {"max_chars": 9}, "do": "block"},
        {"on": "output", "check": "refusal", "do": "flag"},
    )
    assert [each.guard.name for each in found.outputs] == ["json", "refusal", "judge"]
    assert [each.guard.name for each in found.inputs] == ["max_chars"]
    assert [each.guard.name for each in found.graded_inputs] == ["asked"]


@pytest.mark.parametrize("check", ["json", {"regex": "a"}, {"contains": "a"}, {"not": "refusal"}])
def test_what_says_not_where_it_is_cannot_redact(check: Any) -> None:
    with pytest.raises(Invalid, match="cannot redact"):
        compiled({"on": "output", "check": check, "do": "redact"})


def test_an_unknown_check_is_named_with_the_nearest() -> None:
    with pytest.raises(Invalid, match=r"guards: no such check: contain .*contains"):
        compiled({"on": "output", "check": {"contain": "a"}, "do": "block"})
