"""Guards through the front door: what a caller gets, what the provider sees, what is logged."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from promptops import Workspace
from promptops.checks import CHECK_KINDS
from support.front_door import GREET, Cli, Repo
from support.prompt_files import TONE_JUDGE
from support.provider import Answer, Provider, Received, reply, slow, status, text

ORDER = r"{not: {regex: 'ORDER-\d+'}}"


def guarded(repo: Repo, *guards: str, more: str = "") -> Repo:
    """The prompt ``greet`` with these guards."""
    lines = "".join(f"  - {guard}\n" for guard in guards)
    repo.write("prompts/greet.yaml", GREET + more + f"guards:\n{lines}")
    return repo


def logged(cli: Cli, run: str = "last") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("runs", "show", run, "--json").out)
    return found


def test_a_blocked_input_calls_nobody_and_costs_nothing(cli: Cli, greeting: Repo, provider: Provider) -> None:
    guarded(
        greeting, f"{{on: input, check: {ORDER}, do: block, message: No order numbers please., name: order}}"
    )
    done = cli("run", "greet", "-i", "name=ORDER-77")
    assert (done.code, done.out, provider.requests) == (1, "", [])
    assert "blocked: No order numbers please." in done.err
    run = logged(cli)
    assert (run["state"], run["spent_usd"], run["output"]) == ("finished", 0.0, None)
    assert run["error"]["type"] == "input_blocked"
    (decision,) = run["guards"]
    assert (decision["guard"], decision["on"], decision["did"]) == ("order", "input", "blocked")
    shown = cli("runs", "show", "last").out
    assert "guard order: blocked the input, " in shown
    assert cli("run", "greet", "-i", "name=Ada").code == 0


def test_what_is_redacted_of_an_input_reaches_neither_model_nor_log(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    guarded(greeting, f"{{on: input, check: {ORDER}, do: redact, name: order}}")
    assert cli("run", "greet", "-i", "name=ORDER-77 and ORDER-8").out == "Greet [order] and [order].\n"
    assert b"ORDER-" not in provider.requests[0].raw
    run = logged(cli)
    assert run["inputs"] == {"name": "[order] and [order]"}
    assert "ORDER-" not in json.dumps({**run, "guards": []})
    assert "\n--- user\nGreet [order] and [order]." in cli("runs", "show", "last").out


def test_only_inputs_that_a_guard_names_are_looked_at(cli: Cli, greeting: Repo, provider: Provider) -> None:
    del provider
    two = GREET.replace("  name: string\n", "  name: string\n  mail: {type: array, default: []}\n")
    greeting.write(
        "prompts/greet.yaml",
        two + f"guards: [{{on: input, inputs: [mail], check: {ORDER}, do: redact, with: X}}]\n",
    )
    done = cli("run", "greet", "-i", "name=ORDER-1", "-i", 'mail=[{"to": "ORDER-2", "ORDER-3": true}, 4]')
    assert "ORDER-1" in done.out
    assert logged(cli)["inputs"]["mail"] == [{"to": "X", "X": True}, 4]


def broken(text: str, argument: Any) -> Any:
    raise TimeoutError(text, argument)


@pytest.mark.parametrize("find", [lambda *_: [], broken], ids=["nowhere", "broken"])
def test_what_has_no_place_in_a_text_cannot_be_redacted(
    find: Any, cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = replace(CHECK_KINDS["contains"], spans=find)
    monkeypatch.setitem(cast("dict[str, Any]", CHECK_KINDS), "contains", kind)
    del provider
    guarded(greeting, "{on: output, check: {not: {contains: Ada}}, do: redact}")
    assert cli("run", "greet", "-i", "name=Ada").code == 1
    (decision,) = logged(cli)["guards"]
    assert (decision["did"], decision["error"]) == ("blocked", True)


def test_a_blocked_answer_leaves_nobody(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("your order is ORDER-5")
    guarded(greeting, f"{{on: output, check: {ORDER}, do: block}}", more="checks: [{contains: order}]\n")
    for more in ([], ["--json"], ["--stream"], ["--all-checks"]):
        done = cli("run", "greet", "-i", "name=Ada", *more)
        assert (done.code, "ORDER" in done.out + done.err.partition("guard not_regex")[0]) == (1, False), more
    run = logged(cli)
    assert (run["output"], run["error"]["type"], run["finish_reason"]) == (
        None,
        "output_blocked",
        "content_filter",
    )
    assert run["attempts"][0]["output"] == "your order is ORDER-5"
    assert run["checks"] == []
    assert "--- answer that no guard let pass\nyour order is ORDER-5" in cli("runs", "show", "last").out


def test_an_answer_is_redacted_in_its_text_its_json_and_its_tool_calls(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    guarded(greeting, f"{{on: output, check: {ORDER}, do: redact, name: order}}")
    provider.script = text("see ORDER-5")
    assert cli("run", "greet", "-i", "name=Ada").out == "see [order]\n"
    provider.script = text('{"id": "\\u004fRDER-5", "n": [1]}')
    assert cli("run", "greet", "-i", "name=Ada").out == '{"id": "[order]", "n": [1]}\n'
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"id": "ORDER-7"}'}}
    provider.script = reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")
    done = cli("run", "greet", "-i", "name=Ada", "--json")
    (told,) = json.loads(done.out)["tool_calls"]
    assert told["function"]["arguments"] == '{"id": "[order]"}'
    assert "ORDER" not in done.out.replace(json.loads(done.out)["guards"][0]["why"], "")
    call["function"] = {"name": "ORDER-9", "arguments": "{}"}
    assert cli("run", "greet", "-i", "name=Ada").code == 1  # the name of a tool cannot be redacted
    assert logged(cli)["error"]["type"] == "output_blocked"


def test_a_replaced_answer_is_what_checks_see(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("no ORDER-5")
    guarded(
        greeting,
        f"{{on: output, check: {ORDER}, do: replace, with: Ask us.}}",
        more="checks: [{equals: Ask us.}]\n",
    )
    assert cli("run", "greet", "-i", "name=Ada").out == "Ask us.\n"
    assert logged(cli)["checks"][0]["pass"]


def test_a_replacement_has_to_fit_the_schema(cli: Cli, greeting: Repo) -> None:
    guarded(
        greeting,
        "{on: output, check: refusal, do: replace, with: no}",
        more="output: {schema: {type: object}}\n",
    )
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, "`with` breaks the output schema" in done.err) == (4, True)


def ask_again(request: Received) -> Answer:
    told = "cannot be sent" in request.raw.decode()
    return text("all well" if told else "ORDER-5 is well")


def test_a_retry_tells_the_model_why(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = ask_again
    guarded(greeting, f"{{on: output, check: {ORDER}, do: retry, name: order}}")
    done = cli("run", "greet", "-i", "name=Ada", "--stream")
    assert (done.code, done.out, len(provider.requests)) == (0, "all well\n", 2)
    run = logged(cli)
    assert [each["did"] for each in run["guards"]] == ["retried", "passed"]
    assert run["attempts"][0]["output"] == "ORDER-5 is well"


@pytest.mark.parametrize(
    ("then", "out", "code", "did"),
    [
        ("", "", 1, "blocked"),
        (", then: replace, with: Ask us.", "Ask us.\n", 0, "replaced"),
        (", then: flag", "ORDER-5\n", 0, "flagged"),
    ],
)
def test_retries_are_bounded(
    then: str, out: str, code: int, did: str, cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = text("ORDER-5")
    guarded(greeting, f"{{on: output, check: {ORDER}, do: retry, retries: 2{then}}}")
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, done.out, len(provider.requests)) == (code, out, 3)
    assert [each["did"] for each in logged(cli)["guards"]] == ["retried", "retried", did]


def test_a_flag_is_recorded_and_changes_nothing(cli: Cli, greeting: Repo, provider: Provider) -> None:
    del provider
    before = json.loads(cli("show", "greet", "--json").out)["digest"]
    guarded(
        greeting,
        "{on: input, check: {not: {icontains: ADA}}, do: flag, name: who}",
        "{on: output, check: refusal, do: flag}",
    )
    assert json.loads(cli("show", "greet", "--json").out)["digest"] == before
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, done.out) == (0, "Greet Ada.\n")
    assert "guard who: flagged the input" in done.err
    stats = cli("runs", "stats")
    assert stats.code == 0
    assert "GUARD" in stats.out
    guards = {row["guard"]: row for row in json.loads(cli("runs", "stats", "--json").out)["guards"]}
    assert (guards["who"]["looked"], guards["who"]["flagged"]) == (1, 1)
    assert "who" in cli("runs", "export").out


BROKEN = "def check(output):\n    raise ValueError('broken')\n"


@pytest.mark.parametrize(("on_error", "code"), [("", 1), (", on_error: allow", 0)])
def test_a_guard_that_raises_blocks_unless_it_may_not(
    on_error: str, code: int, cli: Cli, greeting: Repo, provider: Provider
) -> None:
    greeting.write("guard_that_raises.py", BROKEN)
    guarded(greeting, f"{{on: input, check: {{python: 'guard_that_raises:check'}}, do: block{on_error}}}")
    assert cli("run", "greet", "-i", "name=Ada").code == code
    (decision,) = logged(cli)["guards"]
    assert (decision["error"], decision["did"]) == (True, "allowed" if code == 0 else "blocked")
    assert "broken" in decision["why"]
    assert len(provider.requests) == (code == 0)


def judged(score: str) -> Any:
    def answer(request: Received) -> Answer:
        return text(score) if b"gpt-4o-2024-08-06" in request.raw else text("Hello Ada")

    return answer


JUDGE = "{on: output, check: {judge: judges/tone, threshold: 3}, do: block, name: tone%s}"


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        ('{"score": 5}', 0, False),
        ('{"score": 1}', 1, False),
        ("well, five", 1, True),
        ('{"score": 99}', 1, True),
    ],
)
def test_a_judge_decides_and_nonsense_is_no_verdict(
    said: str, code: int, error: bool, cli: Cli, greeting: Repo, provider: Provider
) -> None:
    greeting.write(
        "prompts/judges/tone.yaml",
        TONE_JUDGE.replace("question: string, ", "").replace("{{ question }} ", ""),
    )
    provider.script = judged(said)
    guarded(greeting, JUDGE % "")
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, "Hello Ada" in done.out) == (code, code == 0), done.err
    found = logged(cli, json.loads(cli("runs", "list", "greet", "--json").out)[0]["run_id"])
    (decision,) = found["guards"]
    assert decision["error"] is error
    assert decision["usd"] > 0
    assert f"{decision['usd']:.6f}"[:4] in cli("runs", "show", found["run_id"]).out
    stats = json.loads(cli("runs", "stats", "--json").out)
    assert [row["key"] for row in stats["apart"]] == ["judge"]


def test_a_guard_of_patterns_stands_beside_one_that_asks_a_judge(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    greeting.write(
        "prompts/judges/tone.yaml",
        TONE_JUDGE.replace("question: string, ", "").replace("{{ question }} ", ""),
    )
    provider.script = judged('{"score": 5}')
    guarded(greeting, "{on: input, check: injection, do: block}", JUDGE % "")
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, "Hello Ada" in done.out) == (0, True), done.err
    found = logged(cli, json.loads(cli("runs", "list", "greet", "--json").out)[0]["run_id"])
    assert [(each["guard"], each["did"]) for each in found["guards"]] == [
        ("injection", "passed"), ("tone", "passed"),
    ]  # fmt: skip


def judge_script(trouble: Answer) -> Any:
    def answer(request: Received) -> Answer:
        return trouble if b"gpt-4o-2024-08-06" in request.raw else text("Hello Ada")

    return answer


@pytest.mark.parametrize("trouble", [status(400), slow(0.5, text('{"score": 5}'))], ids=["down", "slow"])
@pytest.mark.parametrize(("on_error", "code"), [("", 1), (", on_error: allow", 0)])
def test_a_judge_that_is_down_or_slow(
    trouble: Answer,
    on_error: str,
    code: int,
    cli: Cli,
    greeting: Repo,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("promptops.guards.act.GRADED_SECONDS", 0.1)
    greeting.write(
        "prompts/judges/tone.yaml",
        TONE_JUDGE.replace("question: string, ", "").replace("{{ question }} ", ""),
    )
    provider.script = judge_script(trouble)
    guarded(greeting, (JUDGE % on_error).replace("on: output", "on: input"))
    assert cli("run", "greet", "-i", "name=Ada").code == code
    assert len([each for each in provider.requests if b"Greet" in each.raw and b"judge" not in each.raw]) >= (
        code == 0
    )


def test_a_judge_that_does_not_exist_is_a_guard_that_cannot_say(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    del provider
    guarded(greeting, JUDGE % "")
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, done.out) == (1, "")
    assert "judges/tone" in logged(cli)["guards"][0]["why"]


def test_a_client_of_ones_own_makes_no_guarded_call(cli: Cli, greeting: Repo) -> None:
    guarded(greeting, f"{{on: input, check: {ORDER}, do: block}}")
    done = cli("run", "greet", "-i", "name=Ada", "--prepare")
    assert (done.code, "your own client cannot" in done.err) == (4, True)
    guarded(greeting, f"{{on: input, check: {ORDER}, do: flag}}")
    assert cli("run", "greet", "-i", "name=ORDER-1", "--prepare").code == 0


def test_a_batch_says_why_a_line_has_no_answer(cli: Cli, greeting: Repo, provider: Provider) -> None:
    guarded(greeting, f"{{on: input, check: {ORDER}, do: block, message: No orders.}}")
    greeting.write(
        "names.jsonl", "".join(f'{{"inputs": {{"name": "{n}"}}}}\n' for n in ("Ada", "ORDER-1", "Bo"))
    )
    done = cli("batch", "greet", "names.jsonl", "--out", "answers.jsonl")
    assert done.code == 1, done.err
    assert ("1 blocked by guards" in done.err, "failed a check" in done.err) == (True, False)
    lines = [json.loads(line) for line in (greeting.path / "answers.jsonl").read_text().splitlines()]
    assert [line["output"] for line in lines] == ["Greet Ada.", None, "Greet Bo."]
    assert lines[1]["error"] == {"type": "input_blocked", "message": "No orders.", "retryable": False}
    assert len(provider.requests) == 2
    assert cli("batch", "greet", "names.jsonl", "--out", "answers.jsonl").code in (0, 1)
    assert len(provider.requests) == 2  # nothing is asked a second time


def test_a_blocked_run_has_no_answer_that_a_replay_could_compare_with(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = text("ORDER-5")
    guarded(greeting, f"{{on: output, check: {ORDER}, do: block}}")
    assert cli("run", "greet", "-i", "name=Ada").code == 1
    done = cli("runs", "replay", "last")
    assert (done.code, "a guard blocked run" in done.err, len(provider.requests)) == (4, True, 1)


def test_a_kept_answer_goes_through_the_guards_as_well(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("ORDER-5")
    greeting.write("names.jsonl", '{"inputs": {"name": "Ada"}}\n')
    assert cli("batch", "greet", "names.jsonl").code == 0
    guarded(greeting, f"{{on: output, check: {ORDER}, do: redact, name: order}}")
    for _ in range(2):
        done = cli("batch", "greet", "names.jsonl", "--restart")
        assert (json.loads(done.out)["output"], len(provider.requests)) == ("[order]", 1)
    greeting.write("prompts/greet.yaml", GREET)  # what a guard has changed is a reply for nobody else
    assert json.loads(cli("batch", "greet", "names.jsonl", "--restart").out)["output"] == "ORDER-5"


def test_an_application_is_told_what_guards_did(greeting: Repo, provider: Provider) -> None:
    provider.script = text("see ORDER-5")
    guarded(greeting, f"{{on: output, check: {ORDER}, do: block, message: Ask us., name: order}}")
    with Workspace.open(greeting.path) as workspace:
        run = workspace.run("greet", {"name": "Ada"})
        assert (run.blocked, run.text, run.message, run.passed) == (True, "", "Ask us.", False)
        assert (run.error, run.reasoning, run.full_text) == (None, None, "")
        assert [(each.guard, each.did) for each in run.guards] == [("order", "blocked")]
        with workspace.stream("greet", {"name": "Ada"}) as stream:
            assert "".join(stream) == "see "
        assert stream.run.blocked
        guarded(greeting, "{on: input, check: {judge: judges/tone}, do: block}")
        assert workspace.run("greet", {"name": "Bo"}).guards[0].error


def test_a_log_without_texts_keeps_what_guards_did(cli: Cli, greeting: Repo, provider: Provider) -> None:
    del provider
    greeting.write("promptops.yaml", "log: {inputs: none}\n")
    guarded(greeting, f"{{on: input, check: {ORDER}, do: block, message: No orders., name: order}}")
    cli("run", "greet", "-i", "name=ORDER-77")
    run = logged(cli)
    assert (run["error"]["message"], run["guards"][0]["why"]) == ("No orders.", "")
    assert "ORDER" not in json.dumps(run)


def test_words_of_guards_are_erased_with_the_texts(cli: Cli, greeting: Repo, provider: Provider) -> None:
    del provider
    guarded(greeting, "{on: input, check: {max_chars: 1}, do: flag}")
    cli("run", "greet", "-i", "name=Ada", "--unit", "u")
    assert "characters" in logged(cli)["guards"][0]["why"]
    assert cli("registry", "erase", "--unit", "u", "--yes").code == 0
    assert logged(cli)["guards"][0]["why"] == ""
    assert logged(cli)["guards"][0]["did"] == "flagged"


def test_prompts_without_guards_load_nothing_of_them(greeting: Repo, provider: Provider) -> None:
    del provider
    program = (
        "import sys; from promptops.cli.main import main; main(['run', 'greet', '-i', 'name=Ada']); "
        "own = ('promptops.guards', 'promptops.checks.guard_arguments', 'promptops.checks.shipped_judges'); "
        "print([name for name in sys.modules if name.startswith(own) or 'guarding' in name])"
    )
    Path(greeting.path / "look.py").write_text(program)
    done = process_python(greeting.path / "look.py")
    assert done.endswith("[]\n")


def process_python(file: Path) -> str:
    import subprocess
    import sys

    return subprocess.run(
        [sys.executable, str(file)], capture_output=True, encoding="utf-8", check=True, cwd=file.parent
    ).stdout
