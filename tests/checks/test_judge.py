"""Judges: what they declare, what they say, what happens when they say nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptops.checks.judge import JudgeReplyError, consensus, judge_from_prompt, judge_inputs, parse_label
from promptops.errors import Invalid
from promptops.prompt import Prompt
from support.front_door import Cli, Repo
from support.prompt_files import load_text
from support.provider import Provider, Received, as_json, status, text

MODEL = "openai/gpt-4o-mini-2024-07-18"


def prompt(output: str, inputs: str = "{output: string}") -> Prompt:
    source = f"model: {MODEL}\ninputs: {inputs}\nmessages: [{{role: user, content: judge}}]\n{output}"
    return load_text(source)


def schema(member: str, name: str = "score") -> str:
    return f"output: {{schema: {{type: object, properties: {{{name}: {member}}}, required: [{name}]}}}}\n"


SCORE = schema("{type: integer, minimum: 1, maximum: 5}")
CHOICE = schema("{enum: [good, bad]}", "choice")
PAIR = schema("{enum: [A, B, tie]}", "choice")


@pytest.mark.parametrize(
    ("output", "kind", "shown"),
    [
        (SCORE, "score", "1, 2, 3, 4, 5"),
        (schema("{type: number, minimum: 0, maximum: 1}"), "score", "0 to 1"),
        (schema("{enum: [3, 1, 2]}"), "score", "1, 2, 3"),
        (schema(f"{{type: integer, minimum: 0, maximum: {2**53 - 1}}}"), "score", "0 to 9.0072e+15"),
        (CHOICE, "choice", "good, bad"),
        ("output: {schema: {enum: [good, bad]}}\n", "choice", "good, bad"),
        ("output: {schema: {type: integer, minimum: 0, maximum: 2}}\n", "score", "0, 1, 2"),
    ],
)
def test_a_judge_declares_its_range_in_its_output_schema(output: str, kind: str, shown: str) -> None:
    scale = judge_from_prompt(prompt(output)).scale
    assert (scale.kind, str(scale)) == (kind, shown)


@pytest.mark.parametrize(
    ("output", "inputs", "message"),
    [
        ("", "{output: string}", "it has no output schema"),
        ("output: {schema: {type: object}}\n", "{output: string}", "`output` has no range"),
        (schema("{type: string}", "verdict"), "{output: string}", "has not one `score` or `choice`"),
        (schema("{type: integer}"), "{output: string}", "`score` has no range"),
        (schema("{enum: [1, good]}"), "{output: string}", "`score` has no range"),
        (schema("true"), "{output: string}", "`score` has no range"),
        (SCORE.replace("required: [score]", "required: []"), "{output: string}", "does not require `score`"),
        (CHOICE, "{a: string, b: string}", "takes `a` and `b` to compare, and its choices are good, bad"),
    ],
)
def test_a_prompt_without_a_range_is_no_judge(output: str, inputs: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        judge_from_prompt(prompt(output, inputs))
    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("output", "said", "verdict"),
    [
        (SCORE, {"score": 4}, 4.0),
        (SCORE, {"score": 4.0, "reason": "x"}, 4.0),
        (CHOICE, {"choice": "bad"}, "bad"),
        ("output: {schema: {enum: [good, bad]}}\n", "good", "good"),
    ],
)
def test_a_verdict_is_read_from_the_replys_json(output: str, said: Any, verdict: Any) -> None:
    assert parse_label(judge_from_prompt(prompt(output)).scale, said) == verdict


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (SCORE, {"score": 0}),
        (SCORE, {"score": 6}),
        (SCORE, {"score": 3.5}),
        (SCORE, {"score": True}),
        (SCORE, {"score": "4"}),
        (SCORE, {"score": None}),
        (SCORE, {"score": float("nan")}),
        (SCORE, {"score": 10**400}),
        (SCORE, {}),
        (SCORE, [4]),
        (CHOICE, {"choice": "Good"}),
        (CHOICE, {"choice": "x" * 99}),
        (schema("{type: number, minimum: 0, maximum: 1}"), {"score": 1.01}),
    ],
)
def test_what_is_outside_the_range_is_no_verdict_and_never_a_zero(output: str, said: Any) -> None:
    with pytest.raises(JudgeReplyError):
        parse_label(judge_from_prompt(prompt(output)).scale, said)


def test_a_judge_gets_what_it_declares_and_nothing_else() -> None:
    judge = prompt(
        SCORE, "{output: string, expected: string, inputs: object, tone: {type: string, default: x}}"
    )
    offered = {"output": "o", "expected": {"a": 1}, "inputs": {"q": 1}, "version": "v2", "tone": None}
    assert judge_inputs(judge, offered) == {"output": "o", "expected": '{"a":1}', "inputs": {"q": 1}}
    with pytest.raises(Invalid, match="needs the input `expected`"):
        judge_inputs(judge, {"output": "o", "inputs": {}, "expected": None})


@pytest.mark.parametrize(
    ("votes", "agreed"),
    [([1.0, 5.0, 4.0], 4.0), ([1.0, 2.0], 1.0), (["a", "b", "b"], "b"), (["b", "a"], "b"), ([], None)],
)
def test_votes_agree_on_the_middle_or_the_most_frequent(votes: list[Any], agreed: Any) -> None:
    assert consensus(votes) == agreed


# through the command line

ASSISTANT = f"""\
model: {MODEL}
inputs: {{question: string}}
messages: [{{role: user, content: "{{{{ question }}}}"}}]
checks:
  - contains: a
"""
TONE = f"""\
model: {MODEL}
inputs: {{question: string, output: string}}
messages: [{{role: user, content: "JUDGE {{{{ question }}}} / {{{{ output }}}}"}}]
{SCORE}"""


def project(repo: Repo, check: str, judge: str = TONE) -> None:
    repo.write("prompts/ask.yaml", ASSISTANT + check)
    repo.write("prompts/judges/tone.yaml", judge)
    repo.commit("Ask and judge")


def says(*verdicts: str) -> Any:
    """Judges answer these in turn; anybody else a plain answer."""
    left = list(verdicts)

    def answer(request: Received) -> Any:
        asked = request.body["messages"][-1]["content"]
        return text(left.pop(0)) if asked.startswith("JUDGE") else text("an answer")

    return answer


def run(cli: Cli, *more: str) -> tuple[int, dict[str, Any]]:
    done = cli("run", "ask", "-i", "question=why", "--json", *more)
    return done.code, json.loads(done.out)


def by_name(run: dict[str, Any]) -> dict[str, Any]:
    return {check["name"]: check for check in run["checks"]}


def test_a_judge_is_asked_only_where_calls_may_be_spent(repo: Repo, cli: Cli, provider: Provider) -> None:
    project(repo, "  - judge: judges/tone\n    name: tone\n    threshold: 4\n")
    provider.script = says('{"score": 5}')
    code, plain = run(cli)
    assert (code, list(by_name(plain)), len(provider.requests)) == (0, ["contains"], 1)
    code, judged = run(cli, "--all-checks")
    assert code == 0
    assert by_name(judged)["tone"] == {
        "name": "tone",
        "pass": True,
        "value": 5,
        "message": "",
    }
    kept = json.loads(cli("runs", "show", judged["run_id"], "--json").out)
    assert by_name(kept)["tone"]["value"] == 5
    assert kept["outcomes"][0]["name"] == "tone.failed"
    (call,) = json.loads(cli("runs", "list", "--kind", "judge", "--json").out)
    assert call["prompt"] == "judges/tone"
    assert call["metadata"] == {"judged_run": judged["run_id"], "check": "tone"}
    assert call["inputs"] == {"question": "why", "output": "an answer"}


def test_votes_are_averaged_and_replies_that_are_no_verdict_counted_apart(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    check = "  - judge: {prompt: judges/tone, votes: 4}\n    name: tone\n    threshold: 4\n"
    project(repo, check)
    provider.script = says('{"score": 5}', '{"score": 9}', "very good", '{"score": 2}')
    code, judged = run(cli, "--all-checks")
    tone = by_name(judged)["tone"]
    assert (code, tone["pass"], tone["value"]) == (1, False, 3.5)
    assert tone["message"].startswith(
        "3.5, and at least 4 is needed: the judge; 2 of 4 replies were no verdict"
    )
    kept = json.loads(cli("runs", "show", judged["run_id"], "--json").out)
    assert kept["outcomes"][0] | {"occurred_at": 0, "recorded_at": 0} == {
        "source": "judge",
        "name": "tone.failed",
        "value": 0.5,
        "text": "2 of 4 calls",
        "occurred_at": 0,
        "recorded_at": 0,
    }
    calls = json.loads(cli("runs", "list", "--kind", "judge", "--json").out)
    assert sorted(call["trial"] for call in calls) == [0, 1, 2, 3]
    assert sum(call["error"] is not None for call in calls) == 2


def test_a_judge_that_gives_no_verdict_at_all_is_an_error_and_no_score(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    project(repo, "  - not: {judge: judges/tone}\n    name: tone\n    threshold: 4\n")
    provider.script = says('{"score": 0}')
    code, judged = run(cli, "--all-checks")
    tone = by_name(judged)["tone"]
    assert (code, tone["pass"], tone["error"], tone["value"]) == (1, False, True, None)
    assert "the judge gave no verdict: invalid_output: " in tone["message"]
    kept = json.loads(cli("runs", "show", judged["run_id"], "--json").out)
    assert by_name(kept)["tone"]["error"] is True
    assert "check error: tone" in cli("run", "ask", "-i", "question=x", "--all-checks").err


def test_a_provider_that_fails_the_judge_does_not_cost_the_answer(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    project(repo, "  - judge: judges/tone\n    name: tone\n    threshold: 4\n")

    def answer(request: Received) -> Any:
        judge = request.body["messages"][-1]["content"].startswith("JUDGE")
        return status(400, "no") if judge else text("an answer")

    provider.script = answer
    done = cli("run", "ask", "-i", "question=x", "--all-checks")
    assert (done.code, done.out) == (1, "an answer\n")
    assert "check error: tone: the judge gave no verdict: bad_request" in done.err


def test_choices_that_pass_are_named_and_the_majority_decides(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    judge = TONE.replace(SCORE, CHOICE)
    project(repo, "  - judge: {prompt: judges/tone, votes: 3, pass: good}\n    name: tone\n", judge)
    provider.script = says('{"choice": "good"}', '{"choice": "bad"}', '{"choice": "good"}')
    tone = by_name(run(cli, "--all-checks")[1])["tone"]
    assert (tone["pass"], tone["value"]) == (True, pytest.approx(2 / 3))


def test_a_pair_is_compared_in_both_orders_and_position_wins_nothing(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    judge = TONE.replace(SCORE, PAIR).replace("{question: string, output: string}", "{a: string, b: string}")
    judge = judge.replace("{{ question }} / {{ output }}", "{{ a }} | {{ b }}")
    project(repo, "  - judge: {prompt: judges/tone, votes: 2, against: other}\n    name: better\n", judge)
    asked: list[str] = []

    def answer(request: Received) -> Any:
        content = request.body["messages"][-1]["content"]
        if not content.startswith("JUDGE"):
            return text("an answer")
        asked.append(content)
        return text('{"choice": "A"}')  # always the first place

    provider.script = answer
    better = by_name(run(cli, "--all-checks")[1])["better"]
    assert (better["pass"], better["value"]) == (True, 0.5)
    assert sorted(asked) == ["JUDGE an answer | other"] * 2 + ["JUDGE other | an answer"] * 2


@pytest.mark.parametrize(
    ("check", "judge", "message"),
    [
        ("  - judge: judges/tone\n", TONE, "gives scores (1, 2, 3, 4, 5)"),
        ("  - judge: {prompt: judges/tone, pass: x}\n", TONE, "`pass` is for choices"),
        ("  - judge: judges/tone\n", TONE.replace(SCORE, CHOICE), "which choices of judges/tone pass?"),
        ("  - judge: judges/tome\n", TONE, "no prompt `judges/tome`"),
        ("  - judge: ask\n", TONE, "ask is not a judge"),
    ],
)
def test_a_judge_that_does_not_fit_is_found_before_anything_is_spent(
    repo: Repo, cli: Cli, provider: Provider, check: str, judge: str, message: str
) -> None:
    project(repo, check, judge)
    done = cli("run", "ask", "-i", "question=x", "--all-checks")
    assert (done.code, provider.requests) == (4, [])
    assert message in done.err


def test_a_judge_that_needs_what_nobody_has_is_an_error_of_the_case(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    judge = TONE.replace("output: string}", "output: string, expected: string}")
    project(repo, "  - judge: judges/tone\n    threshold: 3\n", judge)
    found = by_name(run(cli, "--all-checks")[1])["judge"]
    assert (found["error"], len(provider.requests)) == (True, 1)
    assert "needs the input `expected`" in found["message"]


def test_inputs_of_a_judge_can_be_given_by_the_check(repo: Repo, cli: Cli, provider: Provider) -> None:
    judge = TONE.replace("output: string}", "output: string, expected: string}")
    project(
        repo,
        "  - judge: {prompt: judges/tone, inputs: {expected: 'like {{ question }}'}}\n    threshold: 3\n",
        judge,
    )
    provider.script = says('{"score": 3}')
    assert by_name(run(cli, "--all-checks")[1])["judge"]["pass"]


def test_an_answer_must_not_hang_on_an_input_that_does_not_matter(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    project(repo, "  - invariant: {input: question, values: [why, Why not, how]}\n")

    def answer(request: Received) -> Any:
        asked = request.body["messages"][-1]["content"]
        return text("it varies" if asked == "how" else "An  answer" if asked == "why" else "an answer")

    provider.script = answer
    code, judged = run(cli, "--all-checks")
    found = by_name(judged)["invariant"]
    assert (code, found["pass"], found["value"]) == (1, False, 0.5)
    assert "question=\"how\" gives 'it varies'" in found["message"]
    calls = json.loads(cli("runs", "list", "--kind", "judge", "--json").out)
    assert {call["inputs"]["question"] for call in calls} == {"how", "Why not"}


def test_an_invariant_of_an_unknown_input_or_with_failed_calls_is_an_error(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    project(
        repo, "  - invariant: {input: nobody, values: [x]}\n  - invariant: {input: question, values: [y]}\n"
    )

    def answer(request: Received) -> Any:
        return status(400, "no") if request.body["messages"][-1]["content"] == "y" else text("an answer")

    provider.script = answer
    found = by_name(run(cli, "--all-checks")[1])
    assert "no input `nobody`" in found["invariant"]["message"]
    assert "1 of 1 further calls failed: bad_request" in found["invariant_2"]["message"]
    assert found["invariant"]["error"]
    assert found["invariant_2"]["error"]


def test_likeness_by_vectors_asks_an_endpoint_for_them(repo: Repo, cli: Cli, provider: Provider) -> None:
    check = "  - similarity: {to: [far, near], by: embedding, model: openai/e-1}\n    threshold: 0.9\n"
    project(repo, check)
    vectors = {"an answer": [1.0, 0.1], "near": [1.0, 0.0], "far": [0.0, 1.0]}

    def answer(request: Received) -> Any:
        if request.path != "/v1/embeddings":
            return text("an answer")
        rows = [{"index": i, "embedding": vectors[each]} for i, each in enumerate(request.body["input"])]
        return as_json({"data": rows[::-1]})

    provider.script = answer
    assert "similarity" not in by_name(run(cli)[1])
    found = by_name(run(cli, "--all-checks")[1])["similarity"]
    assert (found["pass"], found["value"]) == (True, pytest.approx(0.995, abs=1e-3))
    sent = provider.requests[-1]
    assert sent.body == {"model": "e-1", "input": ["an answer", "far", "near"], "encoding_format": "float"}
    assert sent.headers["authorization"] == "Bearer sk-test"


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ({"data": []}, "answered 0 vectors for 2 texts"),
        ({"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": [1]}]}, "2 vectors"),
        ({"vectors": []}, "holds no vectors"),
        (None, "400"),
    ],
)
def test_an_endpoint_without_vectors_is_an_error(
    repo: Repo, cli: Cli, provider: Provider, reply: Any, message: str
) -> None:
    project(repo, "  - similarity: {to: x, by: embedding}\n")

    def answer(request: Received) -> Any:
        if request.path != "/v1/embeddings":
            return text("an answer")
        return status(400, "no such model (400)") if reply is None else as_json(reply)

    provider.script = answer
    found = by_name(run(cli, "--all-checks")[1])["similarity"]
    assert found["error"]
    assert message in found["message"]


@pytest.mark.parametrize(
    ("model", "message"), [("local/x", "is none"), ("groq/x", "GROQ_API_KEY is not set")]
)
def test_vectors_need_an_endpoint_and_its_key(
    repo: Repo, cli: Cli, provider: Provider, model: str, message: str
) -> None:
    project(repo, f"  - similarity: {{to: x, by: embedding, model: {model}}}\n")
    assert message in by_name(run(cli, "--all-checks")[1])["similarity"]["message"]


def test_judging_is_not_logged_where_nothing_is(repo: Repo, cli: Cli, provider: Provider) -> None:
    project(repo, "  - judge: judges/tone\n    threshold: 4\n")
    provider.script = says('{"score": 4}')
    assert run(cli, "--all-checks", "--no-log")[0] == 0
    assert not (Path(repo.path) / "registry.db").exists()


def test_messages_of_checks_are_not_kept_where_outputs_are_not(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    repo.write("promptops.yaml", "log: {outputs: none}\n")
    project(repo, "  - judge: judges/tone\n    name: tone\n    threshold: 5\n")
    provider.script = says('{"score": 4}')
    _, judged = run(cli, "--all-checks")
    assert by_name(judged)["tone"]["message"]
    kept = json.loads(cli("runs", "show", judged["run_id"], "--json").out)
    assert by_name(kept)["tone"] == {"name": "tone", "pass": False, "value": 4, "message": ""}


def test_a_run_that_failed_is_not_judged(repo: Repo, cli: Cli, provider: Provider) -> None:
    project(repo, "  - judge: judges/tone\n    threshold: 4\n")
    provider.script = status(400, "no")
    assert cli("run", "ask", "-i", "question=x", "--all-checks").code == 4
    assert len(provider.requests) == 1
