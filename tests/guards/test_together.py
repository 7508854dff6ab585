"""Guards beside what else there is: repair, schemas, tools, people who release, budgets, a locked log."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from promptops import Workspace
from promptops.config.settings import find_settings
from promptops.guards.texts import AnswerTexts, TextReplacement, texts_in
from promptops.registry import (
    GuardDecision,
    RegistryDatabase,
    get_run,
    list_api_keys,
    run_as_record,
    run_from_record,
    spent_by_key,
)
from support.front_door import GREET, Cli, Repo
from support.gateway_client import running_gateway
from support.greet_releases import go_live
from support.logged_runs import a_run, an_end
from support.prompt_files import TONE_JUDGE
from support.provider import Answer, Provider, Received, reply, slow, text

ORDER = r"{not: {regex: 'ORDER-\d+'}}"
SCHEMA = "output: {schema: {type: object, properties: {n: {type: integer}}, required: [n]}, repair: 1}\n"
TONE = TONE_JUDGE.replace("question: string, ", "").replace("{{ question }} ", "")
JUDGE = "{on: output, check: {judge: judges/tone, threshold: 3}, do: block, name: tone}"


def guarded(repo: Repo, *guards: str, more: str = "") -> None:
    lines = "".join(f"  - {guard}\n" for guard in guards)
    repo.write("prompts/greet.yaml", GREET + more + f"guards:\n{lines}")


def last(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("runs", "show", "last", "--json").out)
    return found


def test_an_answer_is_repaired_before_guards_look(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = [text("no JSON"), text('{"n": 4}')]
    guarded(greeting, "{on: output, check: {not: {contains: 'no'}}, do: block}", more=SCHEMA)
    assert cli("run", "greet", "-i", "name=Ada").out == '{"n": 4}\n'


def test_what_a_guard_has_changed_is_held_against_the_schema(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = text('{"n": 4111}')
    guarded(greeting, "{on: output, check: {not: {regex: '4111'}}, do: redact, name: card}", more=SCHEMA)
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, done.out) == (1, '{"n": "[card]"}\n')
    assert last(cli)["error"]["type"] == "invalid_output"


def test_an_answer_that_calls_a_tool_and_speaks_is_looked_at_whole(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"id": "ORDER-7"}'}}
    message = {"role": "assistant", "content": "I look", "tool_calls": [call]}
    provider.script = reply(message, finish="tool_calls")
    guarded(greeting, f"{{on: output, check: {ORDER}, do: block}}")
    with Workspace.open(greeting.path) as workspace:
        with workspace.stream("greet", {"name": "Ada"}) as stream:
            heard = "".join(stream)
        assert (heard, stream.run.blocked, stream.run.tool_calls) == ("I look", True, [])
    greeting.write("prompts/judges/tone.yaml", TONE)
    guarded(greeting, JUDGE)
    cli("run", "greet", "-i", "name=Ada")
    assert any("I look" in each.raw.decode() and "ORDER-7" in each.raw.decode() for each in provider.requests)


def test_an_answer_that_waits_for_a_person_has_passed_the_guards(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    guards = f"guards: [{{on: output, check: {ORDER}, do: redact, name: order}}]\n"
    go_live(cli, repo, more=f"review: required\n{guards}")
    provider.script = text("see ORDER-5")
    done = cli("run", "greet:production", "-i", "name=Ada")
    assert (done.code, done.out) == (3, "")
    assert json.loads(cli("runs", "list", "--json").out)[0]["output"] == "see [order]"


def judged(score: int) -> Any:
    def answer(request: Received) -> Answer:
        judge = b"gpt-4o-2024-08-06" in request.raw
        return text(f'{{"score": {score}}}' if judge else "Hello Ada", usage=USAGE)

    return answer


USAGE = {"prompt_tokens": 40, "completion_tokens": 12, "total_tokens": 52}


@pytest.mark.parametrize(("score", "blocked"), [(5, False), (1, True)])
def test_a_service_asks_the_judge_and_logs_that(
    score: int, blocked: bool, greeting: Repo, provider: Provider
) -> None:
    greeting.write("prompts/judges/tone.yaml", TONE)
    guarded(greeting, JUDGE)
    provider.script = judged(score)
    with Workspace.open(greeting.path) as workspace:
        for _ in range(2):
            run = workspace.run("greet", {"name": "Ada"})
            assert (run.blocked, run.text) == (blocked, "" if blocked else "Hello Ada")
            assert run.guards[0].usd
    with RegistryDatabase.open(find_settings(greeting.path, os.environ).registry) as registry:
        kinds = registry.read("SELECT kind, state FROM runs ORDER BY kind")
        assert [tuple(row) for row in kinds] == [("judge", "finished")] * 2 + [("run", "finished")] * 2


def test_what_judges_may_cost_is_set_aside_from_the_budget_of_a_key(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = lambda request: slow(0.2, judged(5)(request))
    repo.write("prompts/judges/tone.yaml", TONE)
    go_live(cli, repo, more=f"guards: [{JUDGE}]\n")
    budget = 0.002  # a call of greet may cost $0.00004, and its judge some $0.0008
    headers = {"Authorization": f"Bearer {cli('keys', 'new', 'a', '--usd-per-day', str(budget)).out.strip()}"}
    with running_gateway(repo.path) as client, ThreadPoolExecutor(16) as pool:
        ask = partial(client.chat, inputs={"name": "Ada"}, headers=headers)
        found = [each.result().status for each in [pool.submit(ask) for _ in range(16)]]
        assert 0 < found.count(200) <= 3, found
        assert found.count(429) == len(found) - found.count(200)
    with RegistryDatabase.open(find_settings(repo.path, os.environ).registry) as registry:
        assert registry.read_one("SELECT sum(spent_usd) FROM runs") <= budget


def test_a_key_of_the_gateway_pays_the_judges_and_does_not_see_them(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = judged(5)
    repo.write("prompts/judges/tone.yaml", TONE)
    go_live(cli, repo, more=f"guards: [{JUDGE}]\n")
    headers = {"Authorization": f"Bearer {cli('keys', 'new', 'acme', '--usd-per-day', '1').out.strip()}"}
    with running_gateway(repo.path) as client:
        assert client.chat(inputs={"name": "Ada"}, headers=headers).status == 200
        with RegistryDatabase.open(find_settings(repo.path, os.environ).registry) as registry:
            (judge, run) = registry.read("SELECT * FROM runs ORDER BY kind")
            (key,) = list_api_keys(registry)
            spent = spent_by_key(registry, key.key_id, run["started_at"][:10])
        assert (judge["kind"], judge["api_key"], judge["tenant"]) == ("judge", run["api_key"], None)
        assert spent == pytest.approx(judge["spent_usd"] + run["spent_usd"])
        assert client.get(f"/v1/runs/{judge['run_id']}", **headers).status == 404


def test_what_a_judge_of_unknown_price_cost_is_not_known(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = lambda request: text('{"score": 5}' if b"unpriced" in request.raw else "Hello")
    greeting.write("prompts/judges/tone.yaml", TONE.replace("gpt-4o-2024-08-06", "unpriced-1"))
    guarded(greeting, JUDGE)
    assert cli("run", "greet", "-i", "name=Ada").code == 0
    run = json.loads(cli("runs", "list", "greet", "--json").out)[0]
    assert run["guards"][0]["usd"] is None
    assert "unknown USD" in cli("runs", "show", run["run_id"]).out


def test_a_judge_that_is_its_own_guard_is_asked_once(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = judged(5)
    greeting.write("prompts/judges/tone.yaml", TONE + f"guards: [{JUDGE}]\n")
    guarded(greeting, JUDGE)
    assert cli("run", "greet", "-i", "name=Ada").code == 0
    assert len(provider.requests) == 2


def test_a_batch_pays_its_judges_out_of_its_budget(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = judged(5)
    greeting.write("prompts/judges/tone.yaml", TONE)
    guarded(greeting, JUDGE)
    greeting.write("names.jsonl", '{"inputs": {"name": "Ada"}}\n')
    done = cli("batch", "greet", "names.jsonl", "--max-cost", "0.0001")
    assert done.code == 6, done.err  # the judge may cost more than is left
    with RegistryDatabase.open(find_settings(greeting.path, os.environ).registry) as registry:
        (row,) = registry.read("SELECT state, spent_usd, error_type FROM runs WHERE kind = 'batch'")
        assert (row["error_type"], row["spent_usd"] > 0) == ("interrupted", True)
    done = cli("batch", "greet", "names.jsonl", "--max-cost", "1", "--out", "out.jsonl")
    assert done.code == 0, done.err
    assert json.loads((greeting.path / "out.jsonl").read_text())["guards"][0]["did"] == "passed"


def test_a_retry_that_may_not_be_paid_is_no_retry(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("ORDER-5", usage=USAGE)
    guarded(greeting, f"{{on: output, check: {ORDER}, do: retry, retries: 3}}")
    greeting.write("names.jsonl", '{"inputs": {"name": "Ada"}}\n')
    done = cli("batch", "greet", "names.jsonl", "--max-cost", "0.00006", "--out", "out.jsonl")
    (line,) = [json.loads(each) for each in (greeting.path / "out.jsonl").read_text().splitlines()]
    assert (line["output"], line["error"]["type"]) == (None, "output_blocked"), done.err
    assert 1 <= len(provider.requests) < 4


def test_what_guards_did_waits_beside_a_registry_that_cannot_be_written(greeting: Repo) -> None:
    decision = GuardDecision(guard="pii", on="input", did="redacted", why="email", ms=0.1)
    record = json.loads(json.dumps(run_as_record(a_run(), an_end(guards=(decision,)))))
    run, end = run_from_record(record)
    with RegistryDatabase.open(find_settings(greeting.path, os.environ).registry) as registry:
        registry.replay(run, end)
        (found,) = get_run(registry, run.run_id)["guards"]
        assert (found["guard"], found["did"], found["why"]) == ("pii", "redacted", "email")
    del record["finished"]["guards"]  # as an earlier version wrote it
    assert run_from_record(record)[1] is not None


def test_texts_are_found_and_replaced_where_they_stand() -> None:
    image = {"url": "data:image/png;base64,b"}
    value = {"text": ["a b", 4711, True, None], "x@y.example": {"content": "b"}, "image_url": image}
    seen = texts_in(value)
    assert seen == "a b\n4711\nx@y.example\nb"
    spans = [(2, 3, ""), (4, 8, "number"), (9, 20, "email"), (10, 12, "overlaps"), (21, 22, "")]
    assert TextReplacement(spans, None, "it").value(value) == {
        "text": ["a [it]", "[number]", True, None],
        "[email]": {"content": "[it]"},
        "image_url": image,
    }
    odd = AnswerTexts("{not JSON", [{"type": "custom"}, {"function": {"name": "f", "arguments": {"a": "b"}}}])
    assert odd.texts == "{not JSON\na\nb"
    assert (
        odd.replaced(TextReplacement([(12, 13, "")], "#", "")).tool_calls[1]["function"]["arguments"]
        == '{"a": "#"}'
    )


def test_personal_data_in_words_of_guards_is_redacted_in_the_log(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    del provider
    greeting.write("promptops.yaml", "log: {redact: [email]}\n")
    guarded(
        greeting,
        "{on: output, check: {not: {not: {contains: never}}}, do: flag, name: a}",
        JUDGE.replace("output", "input"),
    )
    guarded(greeting, "{on: input, check: {contains: never}, do: flag, name: a}")
    cli("run", "greet", "-i", "name=ada@example.org")
    run = last(cli)
    assert "[email]" in run["guards"][0]["why"]
    assert "ada@example.org" not in json.dumps(run)


def test_a_message_that_goes_on_from_a_run_is_looked_at_as_well(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    guarded(greeting, f"{{on: input, check: {ORDER}, do: block}}")
    assert cli("run", "greet", "-i", "name=Ada").code == 0
    done = cli("run", "-c", "and ORDER-5?")
    assert (done.code, done.out, len(provider.requests)) == (1, "", 1), done.err
    assert cli("run", "-c", "and more?").code == 0  # it goes on from what was answered
    assert b"ORDER-5" not in provider.requests[-1].raw


def test_a_page_shows_what_guards_did(cli: Cli, greeting: Repo, provider: Provider) -> None:
    from promptops.web.answers import run_view

    del provider
    guarded(greeting, f"{{on: input, check: {ORDER}, do: block, name: order}}")
    cli("run", "greet", "-i", "name=ORDER-5")
    marks = [text for text, _ in run_view(last(cli), 1_000).marks]
    assert marks == ["error: input_blocked", "guard order: blocked"]
