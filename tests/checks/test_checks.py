import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from promptops.checks import CHECK_KINDS, CheckSubject, compile_checks, run_checks, validate_checks
from promptops.checks.numeric import last_number
from promptops.errors import Invalid
from promptops.prompt import Check
from promptops.prompt.canonical_json import compact_json
from promptops.prompt.cases import EXPECTED_NULL, expected_json
from promptops.registry import CheckResult
from support.front_door import GREET
from support.provider import text

CONTENT_KINDS = (  # test_content_checks.py, test_shipped_judges.py and test_tool_calls.py
    "pii", "secret", "links", "canary_word", "system_leak", "injection", "toxicity", "tone", "topic",
    "tool_calls",
)  # fmt: skip
PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def check(kind: str, argument: object = None, *, negate: bool = False, name: str = "") -> Check:
    return Check(name=name or kind, kind=kind, argument=argument, negate=negate, weight=1.0, threshold=None)


def result(kind: str, argument: object, output: str, **given: Any) -> CheckResult:
    (found,) = run_checks(
        compile_checks([check(kind, argument)], "p.yaml"), CheckSubject(output=output, **given)
    )
    return found


@pytest.mark.parametrize(
    ("kind", "argument", "good", "bad"),
    [
        ("equals", "yes", " yes\n", "Yes"),
        ("equals", 42, "42", "43"),
        ("equals", {"a": 1, "b": [True, None]}, '{"b": [true, null], "a": 1.0}', '{"b": [1, null], "a": 1}'),
        ("equals", True, " true\n", "True"),
        ("equals", 1, "1.0", "true"),
        ("equals", [], "[ ]", "no JSON"),
        ("iequals", {"Q": "Billing"}, '{"q": "billing"}', '{"q": "sales"}'),
        ("one_of", [{"q": 1}, None], "null", "None"),
        ("contains", True, "it is true", "it is True"),
        ("contains", {"q": 1}, '[{"x": {"q": 1}}]', '[{"q": "1"}]'),
        ("contains", {"q": 1}, 'so {"a": 2} or\n```json\n{"x": [{"q": 1.0}]}\n```', 'so {"q": "1"}'),
        ("icontains", ["A"], 'so [ "a" ].', 'so [ "b" ].'),
        ("contains_all", [{"q": 1}, 2], '[{ "q": 1 }, 2]', '[{"q": 2}, 1]'),
        ("contains", "refund", "a refund please", "a Refund please"),
        ("starts_with", "Dear", "\nDear Ada", "Hi, Dear"),
        ("regex", r"\b\d{3}\b", "call 123 now", "call 1234 now"),
        ("one_of", ["a", "b"], "b ", "c"),
        ("max_chars", 3, "ab", "abcd"),
        ("json", None, '{"a": [1]}', "{'a': 1}"),
        ("json", None, "null", "NaN"),
        ("json_schema", PERSON, '{"name": "Ada"}', '{"name": 7}'),
        ("iequals", "Yes", "yES ", "yes."),
        ("icontains", "Straße", "die STRASSE", "the road"),
        ("contains_any", ["a", "b"], "xb", "x"),
        ("contains_all", ["a", 1], "1a", "a"),
        ("ends_with", "kind regards", "… kind regards\n", "kind regards, Ada"),
        ("json_path", "$.a[0].b", '{"a": [{"b": null}]}', '{"a": []}'),
        ("json_path", {"path": "$.q", "equals": "x"}, '{"q": "x"}', '{"q": "y"}'),
        ("json_path", {"path": "$.q", "equals": 1}, '{"q": 1.0}', '{"q": true}'),
        ("json_path", {"path": "$.q", "equals": "1"}, '{"q": 1}', '{"q": 2}'),
        ("json_path", {"path": "$.q[*]", "one_of": [1, 2]}, '{"q": [1, 2]}', '{"q": [1, 3]}'),
        ("json_path", {"path": "$.q", "schema": {"type": "string"}}, '{"q": ""}', '{"q": 1}'),
        (
            "json_path",
            {"path": "$", "equals": '{"a": 1, "b": [2]}'},
            '{"b": [2], "a": 1}',
            '{"b": [3], "a": 1}',
        ),
        ("json_path", {"path": "$", "equals": "no JSON"}, '"no JSON"', "{}"),
        ("json_path", "$", "[]", "no JSON"),
        ("min_chars", 3, "abc", "ab"),
        ("max_words", 2, "a\n b", "a b c"),
        ("min_words", 2, "a b", "a"),
        ("language", "de", "Ihre Anfrage wurde an die Buchhaltung weitergeleitet.", "Your ticket is closed."),
        ("language", ["de", "en"], "Where is the station?", "¿Dónde está la estación?"),
        ("language", "en", "Where is the station?", " "),
        ("refusal", None, "I'm sorry, but I can't help with that.", "The invoice was paid on Monday."),
        ("numeric", 42, "It is 42.", "It is 43."),
        ("numeric", 1234.5, "1 of 2: €1,234.5 %", "1234 or so"),
        ("numeric", {"value": 10, "tolerance": 0.5}, "10.5", "10.6"),
        ("numeric", {"value": 200, "relative": 0.01}, "202", "203"),
        ("numeric", "-3", "\N{MINUS SIGN}3", "three"),
        ("similarity", "a small house", "a small horse", "something else"),
        ("similarity", ["red", "a small house"], "a small house", "blue"),
        ("similarity", {"to": "the cat sat", "by": "rouge_l"}, "The cat sat.", "a dog ran"),
        ("grounded", "context", "Ada lived in London", "Bob lived in Paris"),
        ("grounded", {"input": "context", "by": "sentences"}, "Ada lived there in 1840.", "Ada: 1841."),
        ("grounded", {"input": "context", "n": 2}, "Ada lived", "London Ada"),
        ("grounded", "context", "Ada", "…"),
        ("grounded", {"input": "context", "by": "sentences"}, "Ada", "…"),
        ("grounded", "passages", "see x and y", "see z"),
    ],
)
def test_each_check_passes_and_fails(kind: str, argument: object, good: str, bad: str) -> None:
    inputs = {
        "context": "Ada lived in London, there, in 1840.",
        "passages": [{"text": "see"}, {"text": ["x", "and"]}, "y"],
    }
    assert result(kind, argument, good, inputs=inputs).passed
    failed = result(kind, argument, bad, inputs=inputs)
    assert not failed.error
    assert not failed.passed
    assert failed.message
    assert "\n" not in failed.message


def test_every_kind_is_tried_above() -> None:
    marks = test_each_check_passes_and_fails.pytestmark
    elsewhere = {"latency", "cost", "python", "invariant", "judge", "complete", "tool_calls"} | {
        *CONTENT_KINDS
    }
    assert {row[0] for row in marks[0].args[1]} | elsewhere == set(CHECK_KINDS)


def test_a_bare_json_schema_holds_the_output_against_the_prompts() -> None:
    assert not result("json_schema", None, '{"name": 7}', schema=PERSON).passed
    assert (
        "`output.name` must be a string" in result("json_schema", None, '{"name": 7}', schema=PERSON).message
    )
    with pytest.raises(Invalid, match="no output schema"):
        result("json_schema", None, "{}")


def test_a_bare_equals_compares_with_what_the_case_expects() -> None:
    assert result("equals", None, "billing", expected="billing").passed
    assert not result("equals", None, "sales", expected="billing").passed


def test_expected_and_inputs_are_filled_into_arguments() -> None:
    given = {"expected": "42", "inputs": {"name": "Ada"}}
    assert result("contains", "{{ name }}: {{ expected }}", "Ada: 42", **given).passed
    assert result("one_of", ["{{ expected }}", "none"], "42", **given).passed


def test_not_turns_a_check_around_and_names_what_must_not_hold() -> None:
    compiled = compile_checks([check("contains", "secret", negate=True)], "p.yaml")
    assert run_checks(compiled, CheckSubject(output="fine"))[0].passed
    failed = run_checks(compiled, CheckSubject(output="a secret"))[0]
    assert (failed.passed, failed.message) == (False, "must not hold: contains")


def test_max_chars_reports_the_length() -> None:
    assert result("max_chars", 3, "abcd").value == 4


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        ("contain", "x", "no such check: contain (did you mean contains?)"),
        ("contains", None, "the check contains needs an argument"),
        ("starts_with", 3, "the check starts_with: its argument must be a string, not a number"),
        ("injection", True, "the check injection: it takes no `true`: write `injection` alone"),
        ("max_chars", -1, "the check max_chars: its argument is less than the minimum of 0 (it is `-1`)"),
        ("regex", "(", "the check regex: missing )"),
        ("json_schema", {"type": "no"}, "the check json_schema: "),
        ("one_of", [], "the check one_of: "),
        ("json", 1, "the check json: "),
        ("language", "german", "the check language: `german` is not an ISO 639-1 code"),
        ("json_path", "queue", "the check json_path: `queue` is not a JSONPath: it starts with $"),
        ("json_path", "$[", "the check json_path: `$[` is not a JSONPath: "),
        ("similarity", {"by": "rogue_1"}, "the check similarity: "),
        ("python", "checks.polite", "the check python: `checks.polite` names no function"),
        ("grounded", {}, "the check grounded: "),
        ("judge", {"votes": 3}, "the check judge: "),
        ("invariant", {"input": "x"}, "the check invariant: "),
    ],
)
def test_what_is_wrong_with_a_check_is_said_before_anything_runs(
    kind: str, argument: object, message: str
) -> None:
    with pytest.raises(Invalid) as caught:
        compile_checks([check(kind, argument)], "prompts/p.yaml")
    assert message in caught.value.message
    assert caught.value.message.startswith("prompts/p.yaml: ")
    assert caught.value.hint


def threshold(kind: str, argument: object, least: float, output: str, **given: Any) -> CheckResult:
    compiled = compile_checks([Check(kind, kind, argument, threshold=least)], "p.yaml")
    return run_checks(compiled, CheckSubject(output=output, **given))[0]


def test_a_threshold_says_how_much_is_enough() -> None:
    assert threshold("contains_all", ["a", "b"], 0.5, "a").passed
    failed = threshold("similarity", {"to": "the cat sat", "by": "rouge_1"}, 0.9, "the cat ran")
    assert failed.value == pytest.approx(2 / 3)
    assert failed.message.startswith("0.667, and at least 0.9 is needed: by rouge_1")


def test_latency_and_cost_are_held_against_what_the_answer_took() -> None:
    took = {"latency_ms": 900.0, "cost_usd": 0.002}
    assert result("latency", 1000, "x", **took).passed
    assert result("latency", 800, "x", **took).message == "900 ms, at most 800 ms is allowed"
    assert result("cost", 0.01, "x", **took).passed
    assert result("cost", 0.001, "x", **took).message == "0.002 USD, at most 0.001 USD is allowed"


@pytest.mark.parametrize(
    ("kind", "argument", "message"),
    [
        ("cost", 1, "the price of this answer is unknown"),
        ("latency", 1, "the latency of this answer is unknown"),
        ("equals", None, "nothing to compare with"),
        ("iequals", None, "nothing to compare with"),
        ("similarity", None, "nothing to compare with"),
        ("contains", "{{ missing }}", "`missing`"),
        ("regex", "{{ pattern }}", "is not a regular expression"),
        ("json_path", "$.{{ pattern }}", "is not a JSONPath"),
        ("numeric", "{{ word }}", "which is not a number"),
        ("grounded", "nowhere", "no input `nowhere`"),
    ],
)
def test_a_check_that_cannot_say_is_an_error_and_never_a_pass(
    kind: str, argument: object, message: str
) -> None:
    for negate in (False, True):
        compiled = compile_checks([check(kind, argument, negate=negate)], "p.yaml")
        (found,) = run_checks(compiled, CheckSubject(output="{}", inputs={"pattern": "(", "word": "one"}))
        assert (found.passed, found.error) == (False, True)
        assert message in found.message


def test_arguments_are_filled_in_wherever_they_stand() -> None:
    given = {"expected": {"queue": "billing"}, "inputs": {"n": 7}}
    wanted = {"path": "$.queue", "equals": "{{ expected.queue }}"}
    assert result("json_path", wanted, '{"queue": "billing"}', **given).passed
    assert result("numeric", {"value": "{{ n }}", "tolerance": 1}, "8", **given).passed
    assert result("json_schema", {"const": "{{ n }}"}, '"{{ n }}"', **given).passed


@pytest.mark.parametrize("expected", [{"b": "x'y", "a": [1, None]}, [], {}])
def test_an_expected_object_is_filled_in_as_json(expected: Any) -> None:
    wanted = {"path": "$", "equals": "{{ expected }}"}
    reordered = dict(reversed(expected.items())) if isinstance(expected, dict) else expected
    assert result("json_path", wanted, json.dumps(reordered), expected=expected).passed
    assert not result("json_path", wanted, '{"b": 1}', expected=expected).passed
    assert result("equals", "{{ expected }}", compact_json(expected), expected=expected).passed


def test_a_bare_numeric_compares_with_what_the_case_expects() -> None:
    assert result("numeric", None, "so it is 18", expected=18).passed
    assert result("numeric", None, "so it is 18", expected="18 apples").passed


@pytest.mark.parametrize(
    ("text", "number"),
    [("-1,234.50", -1234.5), ("6e3 km", 6000), ("v1.2.3", None), ("3-5", 5), (".5", 0.5), ("x2", None)],
)
def test_the_last_number_is_read_in_english_notation(text: str, number: float | None) -> None:
    assert last_number(text) == number


def write(repo: Any, name: str, text: str) -> Any:
    repo.write(f"{name}.py", text)
    return compile_checks([check("python", f"{name}:polite")], "p.yaml", repo.path)


def test_a_function_of_the_project_is_a_check(repo: Any) -> None:
    compiled = write(repo, "own_bool", "def polite(output):\n    return 'please' in output, 'no please'\n")
    assert run_checks(compiled, CheckSubject(output="please"))[0].passed
    assert run_checks(compiled, CheckSubject(output="now"))[0].message == "no please"
    scored = write(repo, "own_score", "def polite(output, *, expected):\n    return len(output) / expected\n")
    found = run_checks(scored, CheckSubject(output="1234", expected=10))[0]
    assert (found.passed, found.value) == (False, 0.4)
    everything = (
        "def polite(output, **given):\n    return set(given) == {'inputs', 'expected', 'tool_calls'}\n"
    )
    assert run_checks(write(repo, "own_all", everything), CheckSubject(output=""))[0].passed
    assert str(repo.path) in sys.path


def test_a_function_that_raises_or_answers_nothing_is_an_error(repo: Any) -> None:
    for name, body in (("own_raise", "raise KeyError('x')"), ("own_none", "return None")):
        (found,) = run_checks(
            write(repo, name, f"def polite(output):\n    {body}\n"), CheckSubject(output="")
        )
        assert (found.passed, found.error) == (False, True)
        assert "KeyError: 'x'" in found.message or "returned None" in found.message


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("own_missing:polite", "no module own_missing"),
        ("os:system", "os:system is Python's own"),
        ("own_bad:polite", "own_bad:polite: ZeroDivisionError"),
        ("own_empty:polite", "own_empty has no function polite"),
    ],
)
def test_a_function_that_is_not_there_is_found_before_anything_runs(
    repo: Any, place: str, message: str
) -> None:
    repo.write("own_bad.py", "1 / 0\n")
    repo.write("own_empty.py", "")
    with pytest.raises(Invalid, match=message):
        compile_checks([check("python", place)], "p.yaml", repo.path)
    (unbound,) = compile_checks([check("python", place)], "p.yaml")
    assert run_checks([unbound], CheckSubject(output=""))[0].error


def test_a_bare_json_schema_without_any_schema_is_refused_before_anything_runs() -> None:
    compiled = compile_checks([check("json_schema")], "p.yaml")
    with pytest.raises(Invalid, match="no output schema"):
        validate_checks(compiled, None, None)


def test_refusals_are_told_from_answers_in_recorded_replies(shared: Path) -> None:
    refused = agreed = 0
    for file in ("sensitive-gpt4", "sensitive-gpt35"):
        for row in read_lines(shared / f"data/llmdrift/{file}.jsonl"):
            for side in ("baseline", "candidate"):
                said_no = result("refusal", None, row[side]["output"]).passed
                refused += said_no
                agreed += said_no != row[side]["correct"]
    assert refused == 351
    assert agreed >= 0.94 * 400
    arithmetic = [row["candidate"]["output"] for row in read_lines(shared / "data/llmdrift/prime-gpt4.jsonl")]
    assert not any(result("refusal", None, output).passed for output in arithmetic)


def read_lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("argument", ["context", {"input": "context", "by": "sentences"}])
def test_answers_from_the_passage_are_grounded_and_those_to_other_questions_are_not(
    shared: Path, argument: object
) -> None:
    rows = read_lines(shared / "data/grounding-qa/xquad-en.jsonl")
    own = [result("grounded", argument, r["expected"], inputs={"context": r["context"]}) for r in rows]
    shifted = zip(rows, rows[len(rows) // 2 :] + rows[: len(rows) // 2], strict=True)
    others = [
        result("grounded", argument, o["expected"], inputs={"context": r["context"]}) for r, o in shifted
    ]
    assert sum(found.passed for found in own) / len(own) >= 0.99
    assert sum(found.passed for found in others) / len(others) <= 0.1


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        pytest.param("regex", r"^(a|aa)+$(?<!b)b|^(a|a)*c$", marks=pytest.mark.slow),
        ("json_path", "$..*..*..*..*"),
        pytest.param("json_path", "$[?search(@, '(a|aa)+b(a|aa)+c')]", marks=pytest.mark.slow),
        ("json_schema", {"items": {"pattern": "(?=a)(a+)+$"}}),
    ],
)
def test_a_check_ends_whatever_its_pattern_is(kind: str, argument: object) -> None:
    output = '["' + "a" * 50_000 + '!"]' if kind != "regex" else "a" * 50_000 + "!b"
    started = time.perf_counter()
    with suppress(Invalid):  # known before anything runs
        assert not result(kind, argument, output).passed
    assert time.perf_counter() - started < 20  # without a limit it would be hours, and machines are busy


@pytest.mark.slow  # the second that a search has
def test_the_answer_is_logged_although_a_check_is_stopped(repo: Any, cli: Any, provider: Any) -> None:
    provider.script = text(" " * 300_000 + "paid for!")
    repo.write("prompts/greet.yaml", GREET + "checks:\n  - regex: '\\s+$'\n")
    repo.commit("greet")
    done = cli("run", "greet", "-i", "name=Ada", "--json")
    row = json.loads(cli("runs", "show", "last", "--json").out)
    assert "paid for!" in done.out
    assert row["output"].endswith("paid for!")
    (checked,) = row["checks"]
    assert checked["error"]
    assert "not decided after 1 s" in checked["message"]


@pytest.mark.parametrize(
    "expected", [{"q": "billing", "asap": True}, [1, "a"], False, 0, "text", EXPECTED_NULL]
)
@pytest.mark.parametrize("argument", [None, "{{ expected }}", " {{expected}}"])
def test_a_structured_answer_equals_what_is_expected_of_it(expected: Any, argument: str | None) -> None:
    output = json.dumps(expected_json(expected), indent=1)
    assert result("equals", argument, output, expected=expected, schema={}).passed
    assert not result("equals", argument, '"another"', expected=expected, schema={}).passed


def test_a_text_is_compared_as_json_only_where_the_output_has_a_schema() -> None:
    assert not result("equals", '{"a":1}', '{"a": 1}').passed
    assert result("equals", '{"a":1}', '{"a": 1}', schema={}).passed
    assert not result("equals", "yes", '"yes"').passed
    assert result("equals", "yes", '"yes"', schema={}).passed


def test_values_stand_in_texts_as_json() -> None:
    found = result(
        "contains",
        "is {{ ok }}, {{ nothing }}, {{ order }}",
        "",
        inputs={"ok": True, "nothing": None, "order": {"a": [1]}},
    )
    assert 'is true, null, {"a":[1]}' in found.message


LONG_ID = 1234567890123456789  # beyond 2**53, as many services number things


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        (Check("c", "json_path", {"path": "$.id", "equals": LONG_ID}), True),
        (Check("c", "json_path", {"path": "$.id", "equals": str(LONG_ID)}), True),
        (Check("c", "json_path", {"path": "$.id", "equals": LONG_ID - 1}), False),
        (Check("c", "json_path", {"path": "$.id", "one_of": [1, "x"]}), False),
        (Check("c", "json_path", "$.id"), True),
        (Check("c", "equals", {"id": LONG_ID, "much": 0}), False),
    ],
)
def test_a_long_id_of_an_answer_is_compared_digit_by_digit(check: Check, passed: bool) -> None:
    subject = CheckSubject(output=f'{{"much": 1e999, "id": {LONG_ID}}}')
    (found,) = run_checks(compile_checks([check], "p.yaml"), subject)
    assert (found.error, found.passed) == (False, passed), found
