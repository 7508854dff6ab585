"""The key ``guards`` of a prompt file: how it is read, what it adds to the digest, what is wrong with it."""

from typing import Any

import pytest

from promptops.prompt import Guard, find_problems, from_canonical
from promptops.prompt.diff import compare_prompts
from support.prompt_files import load_text, minimal, reader

NOT_ORDER = {"not": {"regex": r"ORDER-\d+"}}
BLOCK = {"on": "output", "check": "json", "do": "block"}


def guards(*items: Any) -> tuple[Guard, ...]:
    return load_text(minimal(guards=list(items), inputs={"text": "string"})).guards


def problems(*items: Any) -> list[tuple[int, str]]:
    """With the column: the file is JSON on one line."""
    found = find_problems("p", reader({"p.yaml": minimal(guards=list(items), inputs={"text": "string"})}))
    return [(one.position.column, one.message) for one in found if one.position]


def test_a_guard_is_a_check_with_what_it_does() -> None:
    one, two, three = guards(
        {"on": "input", "check": NOT_ORDER, "do": "redact", "with": "[order]", "inputs": ["text"]},
        {"on": "output", "check": "refusal", "do": "retry", "then": "replace", "with": "Ask us by mail."},
        {"on": "output", "check": "refusal", "do": "flag"},
    )
    assert (one.name, one.on, one.do, one.replacement, one.inputs) == (
        "not_regex",
        "input",
        "redact",
        "[order]",
        ("text",),
    )
    assert (one.check.kind, one.check.negate) == ("regex", True)
    assert (two.retries, two.then, two.on_error) == (1, "replace", "block")
    assert (three.name, three.on_error) == ("refusal_2", "allow")


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        ({"on": "input", "check": "json", "do": "retry"}, "`retry` is for outputs"),
        ({"on": "output", "check": "json", "do": "replace"}, "`replace` needs the text"),
        ({**BLOCK, "with": "x"}, "`with` says nothing beside `do: block`"),
        ({**BLOCK, "retries": 2}, "`retries` is for `do: retry`"),
        ({**BLOCK, "then": "flag"}, "`then` is for `do: retry`"),
        ({**BLOCK, "inputs": ["text"]}, "`inputs` is for `on: input`"),
        (
            {"on": "input", "check": "json", "do": "block", "inputs": ["texd"]},
            "the prompt has no input `texd`",
        ),
        ({**BLOCK, "check": {"contains": "a", "regex": "b"}}, "names `contains` and `regex`"),
        ({**BLOCK, "do": "drop"}, "drop"),
        ({"on": "output", "check": "json"}, "do"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(guard: dict[str, Any], message: str) -> None:
    ((column, found),) = problems(guard)
    assert message in found
    assert column > 1


def test_two_guards_of_one_name_are_refused() -> None:
    ((_, found),) = problems({**BLOCK, "name": "a"}, {**BLOCK, "name": "a"})
    assert "two guards are named `a`" in found


def test_guards_that_act_are_part_of_the_version_and_flags_are_not() -> None:
    plain = load_text(minimal())
    flagged = load_text(minimal(guards=[{**BLOCK, "do": "flag"}]))
    blocking = load_text(minimal(guards=[BLOCK, {**BLOCK, "do": "flag"}]))
    assert plain.digest == flagged.digest == load_text(minimal(guards=[])).digest
    assert blocking.digest not in (
        plain.digest,
        load_text(minimal(guards=[{**BLOCK, "message": "No."}])).digest,
    )
    assert blocking.digest == load_text(minimal(guards=[{**BLOCK, "name": "other"}])).digest


def test_a_stored_version_keeps_the_guards_that_act() -> None:
    written = [
        {"on": "input", "check": NOT_ORDER, "do": "redact", "with": "[order]", "inputs": ["text"]},
        {"on": "output", "check": {"similarity": {"to": "a"}, "threshold": 0.5}, "do": "retry", "retries": 2},
        {"on": "output", "check": "json", "do": "flag"},
    ]
    prompt = load_text(minimal(guards=written, inputs={"text": "string"}))
    stored = from_canonical("p", prompt.canonical())
    assert stored.digest == prompt.digest
    assert stored.guards == prompt.guards[:2]


def test_a_diff_says_what_changed_in_guards() -> None:
    old = load_text(minimal(guards=[BLOCK, {**BLOCK, "check": "refusal"}]))
    assert [change.lines for change in compare_prompts(old, load_text(minimal()))] == [
        ("`json` removed", "`refusal` removed")
    ]
    turned = load_text(minimal(guards=[{**BLOCK, "check": "refusal"}, BLOCK]))
    assert [change.lines for change in compare_prompts(old, turned)] == [("the order of the guards",)]
