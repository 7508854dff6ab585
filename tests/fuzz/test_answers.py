"""Whatever a model answers, checks say yes or no to it, and a judge's reply is a verdict or none."""

from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from promptops.checks import CheckSubject, compile_checks, run_checks
from promptops.checks.judge import JudgeReplyError, judge_from_prompt, parse_label
from promptops.guards.texts import AnswerTexts
from promptops.prompt import Check
from promptops.providers.types import Completion
from promptops.runner.retry import output_problem
from support.fuzzing import DEEP, VALUES, damaged_data, damaged_json, fuzz_settings, settle
from support.prompt_files import load_text, minimal

SCHEMA = {"type": "object", "properties": {"a": {"$ref": "#"}}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
ARGUMENTS: dict[str, Any] = {
    "json": None,
    "json_schema": SCHEMA,
    "json_path": {"path": "$.a", "equals": {"a": 1}, "schema": SCHEMA},
    "equals": {"a": 12345678901234567890},
    "tool_calls": {"names": ["f"], "arguments": {"f": {"a": 1}}, "schemas": {"f": SCHEMA}},
}
CHECKS = compile_checks([Check(kind, kind, argument) for kind, argument in ARGUMENTS.items()], "p.yaml")
PROMPT = load_text(minimal(output={"schema": SCHEMA}))
TEXTS = DEEP | damaged_json([{"a": {"a": 1}}, [{"a": 1}]]).map(lambda data: data.decode("utf-8", "replace"))
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


@given(text=TEXTS, call=damaged_data([CALL]), arguments=TEXTS)
@example(text="[" * 300 + "]" * 300, call=CALL, arguments="[" * 100_000)
@example(text="{}", call={"type": []}, arguments="")
@example(text='{"a": 12345678901234567890}', call=CALL, arguments='{"a": [9007199254740992, 1e999]}')
@fuzz_settings(60)
def test_an_answer_passes_checks_or_does_not(text: str, call: Any, arguments: str) -> None:
    deep = {**CALL, "function": {"name": "f", "arguments": arguments}}
    calls = [deep, *([call] if isinstance(call, dict) else [])]
    subject = CheckSubject(output=text, tool_calls=calls, tools=[TOOL])
    for found in run_checks(CHECKS, subject):
        assert not found.error, found
    assert isinstance(output_problem(PROMPT, Completion(text=text, response_model="m")), str)
    assert isinstance(AnswerTexts(text, calls).texts, str)


SCORES = [{"type": "integer", "minimum": 1, "maximum": 5}, {"enum": [1, 2.5]}, {"enum": ["good", "bad"]}]
SIZES = st.sampled_from([2**53 - 1, -1, 1.5, 0, True, None, "x"])


def scored(least: Any, most: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


@given(
    score=damaged_data(SCORES) | st.builds(scored, SIZES, SIZES),
    said=VALUES | st.sampled_from([10**400, 5e-324, 3, "good"]),
)
@example(score=True, said=1)
@example(score=scored(0, 2**53 - 1), said=10**400)
@fuzz_settings(60)
def test_a_judge_has_a_scale_and_its_reply_a_verdict_or_none(score: Any, said: Any) -> None:
    schema = {"type": "object", "properties": {"score": score}, "required": ["score"]}
    judge = settle(lambda: judge_from_prompt(load_text(minimal(output={"schema": schema}))))
    if not isinstance(judge, Exception):
        with suppress(JudgeReplyError):
            assert isinstance(parse_label(judge.scale, {"score": said}), float | str)
