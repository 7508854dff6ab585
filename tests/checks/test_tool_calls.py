"""The check on the tools that an answer calls, wherever checks see an answer."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from promptops.api import Workspace
from promptops.checks import CheckSubject, compile_checks, run_checks
from promptops.errors import Invalid
from promptops.prompt import Check
from promptops.registry import CheckResult
from support.front_door import Cli, Repo
from support.lint_files import Linter, prompt
from support.provider import Answer, Provider, reply, text

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "parameters": CITY}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "custom", "custom": {"name": "shell"}},
    {"type": "web_search"},
]
SHELL = {"id": "c9", "type": "custom", "custom": {"name": "shell", "input": "ls"}}


def call(name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


OSLO, ROME = call("weather", '{"city": "Oslo"}'), call("weather", '{"city": "Rome"}')
NOW = call("now", "")


def result(
    argument: Any, calls: Sequence[dict[str, Any]] | None, *, threshold: float | None = None, **more: Any
) -> CheckResult:
    check = Check("tool_calls", "tool_calls", argument, threshold=threshold)
    subject = CheckSubject(output="", tool_calls=calls, **{"tools": TOOLS, **more})
    (found,) = run_checks(compile_checks([check], "p.yaml"), subject)
    return found


@pytest.mark.parametrize(
    ("argument", "good", "bad", "said"),
    [
        (None, [OSLO, NOW, SHELL], [], "no tool is called"),
        (None, [OSLO], [NOW, call("wether")], "2 (wether): unknown tool `wether` (did you mean `weather`?)"),
        (None, [OSLO], [call("pay")], "call 1 (pay): unknown tool `pay`, known: weather, now, shell"),
        (None, [OSLO], [call("weather", '{"town": "Oslo"}')], "call 1 (weather): `arguments` lacks `city`"),
        (None, [OSLO], [call("weather", '{"city": 5}')], "`arguments.city` must be a string"),
        (None, [OSLO], [call("weather", '{"city": ')], "call 1 (weather): its arguments are not JSON"),
        (None, [OSLO], [call("weather", "[" * 100_000)], "call 1 (weather): its arguments are not JSON"),
        (None, [NOW], [call("now", "[]")], "its arguments must be a mapping, not a list"),
        (None, [call("now")], [{"type": "function", "function": None}], "call 1: names no tool"),
        (None, [NOW], [call("a"), call("b"), call("c"), call("d")], "and 1 more"),
        ({}, [], [call("pay")], "unknown tool"),
        ({"at_least": 2}, [OSLO, NOW], [OSLO], "1 call is made, and at least 2 is needed"),
        ({"at_most": 0}, [], [OSLO], "1 call is made, and at most 0 may be: weather"),
        ({"at_most": 1}, [OSLO], [OSLO, NOW], "2 calls are made, and at most 1 may be: weather, now"),
        ({"never": ["now"]}, [OSLO], [OSLO, NOW], "call 2 (now): it must not be called"),
        ("weather", [OSLO, ROME], [NOW], "not called: weather; called as well: now"),
        (["weather", "now"], [NOW, OSLO], [OSLO], "0.667, and at least 1 is needed: not called: now"),
        (["weather"], [OSLO], [], "not called: weather"),
        (
            {"names": ["weather", "now"], "order": "exact"},
            [OSLO, NOW],
            [NOW, OSLO],
            "called now, weather, and not weather, now",
        ),
        ({"names": ["now"], "order": "exact"}, [NOW], [], "called none, and not now"),
        ({"names": ["weather"], "order": "any"}, [OSLO], [call("weather")], "`arguments` lacks `city`"),
        (
            {"arguments": {"weather": {"city": "{{ where }}"}}},
            [NOW, OSLO],
            [OSLO, ROME],
            'call 2 (weather): `city` must be "Oslo", and is "Rome"',
        ),
        ({"arguments": {"now": {"days": 1}}}, [call("now", '{"days": 1.0}')], [NOW], "it lacks the argument"),
        ({"arguments": {"shell": {}}}, [SHELL], [NOW], "`shell` is not called"),
        (
            {"schemas": {"weather": {"properties": {"city": {"enum": ["Oslo"]}}}}},
            [OSLO],
            [ROME],
            "call 1 (weather): `arguments.city` must be one of",
        ),
        ("{{ expected }}", [NOW], [OSLO], "not called: now"),
    ],
)  # fmt: skip
def test_calls_pass_and_fail(argument: Any, good: list[Any], bad: list[Any], said: str) -> None:
    given = {"inputs": {"where": "Oslo"}, "expected": ["now"]}
    assert result(argument, good, **given).passed
    failed = result(argument, bad, **given)
    assert not failed.passed
    assert not failed.error
    assert said in failed.message


def test_the_value_is_the_f1_of_the_names() -> None:
    half = result(["weather", "now", "shell"], [OSLO], threshold=0.5)
    assert (half.passed, half.value) == (True, 0.5)
    wrong = result(["weather", "pay"], [OSLO, call("pay")])
    assert (wrong.passed, wrong.value) == (False, 1.0)


@pytest.mark.parametrize(
    ("calls", "expected", "said"),
    [
        (None, None, "which tools it calls is not known"),
        ([NOW], 5, "it takes a tool, a list of tools, or a mapping"),
        ([NOW], None, "it takes a tool"),
    ],
)
def test_what_cannot_be_said_is_an_error(calls: Any, expected: Any, said: str) -> None:
    found = result("{{ expected }}", calls, expected=expected)
    assert (found.passed, found.error) == (False, True)
    assert said in found.message


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"name": "f"}, "'name' was unexpected"),
        ([], "has less than 1 item"),
        ({"schemas": {"f": {"type": "nonsense"}}}, "`schemas.f`: not a JSON Schema"),
        ({"at_least": 2, "at_most": 1}, "`at_least` is more than `at_most`"),
        ({"order": "exact"}, "`names`, which are missing"),
    ],
)
def test_arguments_that_make_no_sense(argument: Any, said: str) -> None:
    with pytest.raises(Invalid) as caught:
        compile_checks([Check("tool_calls", "tool_calls", argument)], "p.yaml")
    assert said in caught.value.message


# lint


@pytest.fixture
def linter(repo: Repo) -> Linter:
    return Linter(repo.path)


HAS = "tools:\n  - {type: function, function: {name: weather}}\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("checks: [tool_calls]\n", "the prompt declares none"),
        (f"{HAS}checks: [{{tool_calls: [wether]}}]\n", "unknown tool `wether` (did you mean `weather`?)"),
        (f"{HAS}checks: [{{tool_calls: {{never: [pay]}}}}]\n", "unknown tool `pay`"),
        (f"{HAS}checks: [{{tool_calls: weather}}, {{tool_calls: '{{{{ expected }}}}'}}]\n", ""),
        ("checks: [{tool_calls: {at_most: 0}}]\n", ""),
        ("caller_tools: allow\nchecks: [{tool_calls: [pay]}]\n", ""),
        ("checks: [is-valid-openai-tools-call]\n", "is promptfoo's word for the check `tool_calls`"),
        ("checks: [{tool-call-f1: [a]}]\n", "the check `tool_calls` comes near"),
    ],
)
def test_lint_knows_the_tools(linter: Linter, more: str, said: str) -> None:
    found = [each.message for each in linter.findings(prompt(more=more))]
    assert (said in found[0]) if said else (found == [])


def test_lint_looks_at_the_checks_of_cases_and_guards(linter: Linter) -> None:
    cases = json.dumps({"inputs": {}, "checks": [{"tool_calls": "wether"}]})
    (found,) = linter.findings(prompt(more=f"{HAS}cases: c.jsonl\n"), c__jsonl=cases + "\n")
    assert (found.rule, "did you mean `weather`" in found.message) == ("bad-cases", True)
    guard = "guards: [{on: input, check: {tool_calls: {}}, do: flag}]\ninputs: {x: string}\n"
    assert "guard-never-fires" in linter.rules(prompt("{{ x }}", more=HAS + guard))


# through the front door

ASK = f"""\
model: openai/gpt-5.4-mini-2026-03-17
inputs: {{city: string}}
messages: [{{role: user, content: "{{{{ city }}}}"}}]
tools:
  - type: function
    function: {{name: weather, parameters: {json.dumps(CITY)}}}
checks:
  - tool_calls
  - tool_calls: {{arguments: {{weather: {{city: "{{{{ city }}}}"}}}}}}
    name: the_city
"""


def answer(*calls: dict[str, Any]) -> Answer:
    return reply({"role": "assistant", "content": None, "tool_calls": list(calls)}, finish="tool_calls")


def test_run_logs_and_shows_what_a_call_lacks(repo: Repo, cli: Cli, provider: Provider) -> None:
    repo.write("prompts/ask.yaml", ASK)
    repo.commit()
    provider.script = [answer(OSLO), answer(call("weather", '{"town": "Oslo"}'))]
    good = json.loads(cli("run", "ask", "-i", "city=Oslo", "--json").out)
    assert [check["pass"] for check in good["checks"]] == [True, True]
    done = cli("run", "ask", "-i", "city=Oslo", "--json")
    bad = json.loads(done.out)
    assert bad["checks"][0]["message"] == "call 1 (weather): `arguments` lacks `city`"
    assert "lacks the argument `city`" in bad["checks"][1]["message"]
    assert "`arguments` lacks `city`" in cli("runs", "show", bad["run_id"]).out


def test_eval_holds_cases_to_the_tools_that_they_expect(repo: Repo, cli: Cli, provider: Provider) -> None:
    cases = [
        {"inputs": {"city": "Oslo"}, "expected": ["weather"], "checks": [{"tool_calls": "{{ expected }}"}]},
        {"inputs": {"city": "Rome"}, "checks": [{"tool_calls": {"at_most": 0}, "name": "none"}]},
    ]
    repo.write("prompts/ask.cases.jsonl", "".join(f"{json.dumps(case)}\n" for case in cases))
    repo.write("prompts/ask.yaml", ASK.partition("checks:")[0] + "cases: ask.cases.jsonl\n")
    repo.commit()
    provider.script = lambda asked: answer(OSLO if "Oslo" in asked.raw.decode() else ROME)
    done = cli("eval", "ask")
    assert "ask passes 1 of 2 cases" in done.out
    assert "none: 1 call is made, and at most 0 may be: weather" in done.out


def test_a_guard_blocks_a_call_that_must_not_be_made(repo: Repo, cli: Cli, provider: Provider) -> None:
    guard = "guards: [{on: output, check: {tool_calls: {}}, do: block, message: No.}]\n"
    repo.write("prompts/ask.yaml", ASK.partition("checks:")[0] + guard)
    repo.commit()
    provider.script = [text("Which city?"), answer(OSLO), answer(call("pay"))]
    codes = [cli("run", "ask", "-i", "city=Oslo").code for _ in range(3)]
    assert codes == [0, 0, 1]
    repo.write("prompts/ask.yaml", ASK + guard.replace("block", "redact"))
    refused = cli("run", "ask", "-i", "city=Oslo")
    assert (refused.code, "cannot redact" in refused.err) == (4, True)


def test_what_a_caller_reports_as_text_says_nothing_of_tools(repo: Repo) -> None:
    repo.write("prompts/ask.yaml", ASK)
    repo.commit()
    with Workspace.open(repo.path) as workspace:
        run = workspace.prepare("ask", {"city": "Oslo"}).finish(output="sunny")
    assert [check.message for check in run.finished.checks] == ["which tools it calls is not known"] * 2
    assert all(check.error for check in run.finished.checks)


def test_a_caller_reports_tool_calls(repo: Repo, cli: Cli) -> None:
    repo.write("prompts/ask.yaml", ASK)
    repo.commit()
    with Workspace.open(repo.path) as workspace:
        called = workspace.prepare("ask", {"city": "Oslo"}).finish(tool_calls=[OSLO])
        silent = workspace.prepare("ask", {"city": "Oslo"}).finish(output="sunny", tool_calls=[])
        prepared = workspace.prepare("ask", {"city": "Oslo"})
        with pytest.raises(Invalid, match=r"`tool_calls\[0\].function` lacks `arguments`"):
            prepared.finish(tool_calls=[{"id": "1", "type": "function", "function": {"name": "weather"}}])
        prepared.finish(output="sunny")  # it has not ended by what was refused
    assert (called.passed, called.tool_calls, called.text) == (True, [OSLO], "")
    assert (silent.passed, [check.error for check in silent.checks]) == (False, [False, False])
    call_id = json.loads(cli("run", "ask", "-i", "city=Oslo", "--prepare").out)["run_id"]
    repo.write("end.json", json.dumps({"tool_calls": [OSLO], "output": None}))
    done = cli("runs", "finish", call_id, "--from", "end.json", "--json")
    assert (done.code, json.loads(done.out)["tool_calls"]) == (0, [OSLO]), done.err
    repo.write("end.json", json.dumps({"tool_calls": ["weather"]}))
    done = cli("runs", "finish", call_id, "--from", "end.json")
    assert (done.code, "`tool_calls[0]` must be a mapping" in done.err) == (4, True), done.err
