"""What providers say and users feed in, from the command line to the registry and back.

tests/providers/http/test_raw_replies.py plays many more replies to both transports.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from support.batch_files import outputs, results
from support.front_door import Cli, Repo
from support.provider import Provider, as_json, text
from support.raw_forms import RawReply, answer
from support.raw_replies import RAW_REPLIES
from support.raw_server import RawServer

MODEL = "openai/gpt-5.4-mini-2026-03-17"  # priority costs twice as much, flex half
PROMPT = f"""\
model: {MODEL}
inputs: {{ticket: string}}
messages:
  - {{role: user, content: "{{{{ ticket }}}}"}}
"""
EXTRACT = "output: {extract: json}\n"
CUT = "The ticket bel"
SERVER_ERROR = {"error": "server", "retryable": True, "output": CUT}
CALLS = [("weather", {"city": "Oslo"}), ("weather", {"city": "Lima"})]
CAME: Mapping[str, Mapping[str, Any]] = {
    "finish-error.json": SERVER_ERROR,
    "finish-safety.json": {"error": "content_filter", "retryable": False},
    "finish-malformed-call.json": {"error": "server"},
    "finish-length-empty.json": {"output": "", "finish_reason": "length", "reasoning_tokens": 64},
    "refusal.json": {"output": "I cannot help with that.", "finish_reason": "refusal"},
    "think-then-json.json": {"output_json": {"queue": "billing"}, "reasoning": "The user wants …"},
    "reasoning-content.json": {"output": "billing", "reasoning": "Because of the invoice."},
    "tool-call-with-text.json": {"output": "Let me look.", "calls": CALLS[:1]},
    "service-tier-priority.json": {"output": "billing", "cost_usd": 0.24},
    "usage-cost.json": {"output": "billing", "cost_usd": 0.0123},
    "huge-tokens.json": {"output": "billing", "input_tokens": None, "cost_usd": None},
    "choices-number.json": {"error": "malformed_reply"},
    "deep.json": {"error": "malformed_reply"},
    "gzip-unasked.json": {"output": "billing"},
    "bom.json": {"output": "billing"},
    "stream-error-event.txt": SERVER_ERROR,
    "stream-event-error.txt": SERVER_ERROR,
    "stream-no-finish.txt": {"error": "cut_off", "output": CUT},
    "stream-two-calls-one-index.txt": {"calls": CALLS},
    "stream-after-done.txt": {"output": "billing"},
    "chunk-negative.raw": {"error": "malformed_reply"},
    "informational-first.raw": {"output": "billing"},
}
RECORDED = [each for each in RAW_REPLIES if each.name in CAME]


def came_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run of ``--json`` with what stands deeper in it brought up."""
    error = run["error"] or {"type": None, "retryable": None}
    calls = [
        (each["function"]["name"], json.loads(each["function"]["arguments"])) for each in run["tool_calls"]
    ]
    reasoning = run["attempts"][-1].get("reasoning")
    deeper = {"error": error["type"], "retryable": error["retryable"], "calls": calls, "reasoning": reasoning}
    return {**run, **deeper}


@pytest.mark.parametrize("played", RECORDED, ids=lambda played: played.name)
def test_run_and_batch_make_the_same_of_a_reply(
    played: RawReply, cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = CAME[played.name]
    repo.write("prompts/p.yaml", PROMPT + EXTRACT * ("output_json" in expected))
    repo.write("in.csv", "ticket\n?\n")
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    limits = ("--retries", "0", "--timeout", "5")
    with RawServer(played.raw) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        run = came_of(json.loads(cli("run", "p", "-i", "ticket=?", "--json", *limits).out))
        (line,) = map(came_of, results(cli("batch", "p", "in.csv", *limits, "--no-cache").out))
        assert len(server.requests) == 2  # nothing is repaired
    for came in (run, line):
        assert {name: came[name] for name in expected} == expected
        assert came["error"] == expected.get("error")


def test_every_reply_that_is_recorded_has_its_meaning() -> None:
    assert {each.name for each in RECORDED} == set(CAME)
    assert len(RAW_REPLIES) >= 80


def test_a_structured_answer_that_is_approved_passes_its_own_eval(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    schema = "{type: object, properties: {queue: {type: string}, urgent: {type: boolean}}, required: [queue]}"
    checks = "checks: [equals]\ncases: p.cases.jsonl\n"
    repo.write("prompts/p.yaml", f"{PROMPT}output: {{schema: {schema}}}\n{checks}")
    repo.write("prompts/p.cases.jsonl", "")
    repo.commit()
    provider.script = text('{"urgent":  false,\n "queue": "billing"}')
    cli("run", "p", "-i", "ticket=Rechnung")
    added = cli("cases", "add", "p", "--run", "last", "--approve")
    assert added.code == 0, added.err
    (case,) = map(json.loads, (repo.path / "prompts/p.cases.jsonl").read_text(encoding="utf-8").splitlines())
    assert case["expected"] == {"queue": "billing", "urgent": False}
    provider.script = text('{"queue": "billing", "urgent": false}')
    found = cli("eval", "p", "--no-cache")
    assert (found.code, "1 of 1" in found.out) == (0, True), found.out + found.err


def test_what_excel_saved_is_run_logged_and_found(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("prompts/p.yaml", PROMPT)
    table = 'ticket;unit\r\n"退款什么时候到账\r\n急";u1\r\n환불은 언제;u2\r\n\r\n'
    (repo.path / "tickets.csv").write_bytes(table.encode("utf-16"))
    done = cli("batch", "p", "tickets.csv")
    assert outputs(done.out) == ["退款什么时候到账\r\n急", "환불은 언제"], done.err
    for words, count in (("退款", 1), ("款什", 1), ("환불", 1), ("急", 1), ("払い", 0)):
        assert len(json.loads(cli("runs", "search", words, "--json").out)) == count, words


def test_what_was_spent_is_told_from_the_list_price(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write(
        "prompts/p.yaml", PROMPT + "parameters: {temperature: 0, service_tier: flex, max_tokens: 10000}\n"
    )
    repo.write("in.jsonl", '{"inputs": {"ticket": "?"}}\n')
    usage = {"prompt_tokens": 100_000, "completion_tokens": 10_000}
    provider.script = as_json(answer(usage=usage, service_tier="flex"))
    refused = cli("batch", "p", "in.jsonl", "--max-cost", "0.01")
    assert (refused.code, provider.requests) == (6, [])
    for spent in (0.06, 0.0, 0.0):  # half of the usual price, once
        done = cli("batch", "p", "in.jsonl", "--out", "out.jsonl", "--json")
        assert json.loads(done.out)["spent_usd"] == pytest.approx(spent)
    (stats,) = json.loads(cli("runs", "stats", "--json").out)["apart"]
    assert (stats["spent_usd"], stats["cost_usd"]) == (pytest.approx(0.06), pytest.approx(0.18))


def test_a_conversation_with_tools_goes_on_and_one_torn_apart_does_not(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = text("It is 7 °C.")
    repo.write(
        "prompts/p.yaml", f"model: {MODEL}\ninputs: {{chat: messages}}\nmessages: [{{insert: chat}}]\n"
    )
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    chat: list[dict[str, Any]] = [
        {"role": "user", "content": "{{ weather }}?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "7"},
    ]
    assert cli("run", "p", "-i", f"chat={json.dumps(chat)}").out == "It is 7 °C.\n"
    assert provider.requests[0].body["messages"] == chat
    torn = cli("run", "p", "-i", f"chat={json.dumps(chat[:1] + chat[2:])}")
    assert (torn.code, len(provider.requests)) == (4, 1)
    assert "`chat[1]` is the result of the tool call `c1`" in torn.err


POINTER = "version https://git-lfs.github.com/spec/v1\r\noid sha256:" + "4d" * 32 + "\r\nsize 12345\r\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"promptops.yaml": f"models: {{{MODEL}: {{base_modle: openai/gpt-4o}}}}\n"}, "base_model"),
        ({"promptops.yaml": "regsitry: runs.db\n"}, "registry"),
        ({"prompts/tone.j2": POINTER}, "LFS"),
        ({"prompts/tone.j2": "Be kind 🏴󠁧󠁢󠁳󠁣󠁴󠁿 🏴󠁧󠁢󠁷󠁬󠁳󠁿."}, ""),
        ({"prompts/tone.j2": "Be kind 🏴󠁧󠁢󠁳󠁣󠁴."}, "hidden"),
    ],
    ids=[
        "a key below a model",
        "a key of the settings",
        "a pointer of LFS",
        "flags",
        "a flag without its end",
    ],
)
def test_files_that_are_not_what_they_seem_are_named(
    files: dict[str, str], said: str, cli: Cli, repo: Repo
) -> None:
    repo.write("prompts/tone.j2", "Be kind.")
    repo.write("prompts/p.yaml", PROMPT.replace("{{ ticket }}", "{% include 'tone.j2' %} {{ ticket }}"))
    for path, content in files.items():
        repo.write(path, content)
    done = cli("lint", "p")
    assert (done.code != 0, said in done.out + done.err) == (bool(said), True), done.out + done.err
