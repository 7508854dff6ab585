"""What of a reply is its answer: not the thoughts, not what stands around its JSON; refusals as they are."""

import json
import sqlite3
from typing import Any

import pytest

from promptops import Workspace
from promptops.config.settings import current_settings
from promptops.prompt.from_canonical import from_canonical
from promptops.versions.resolve import resolve_version
from support.batch_files import rows
from support.front_door import Cli, Repo
from support.provider import Answer, Provider, chunk, events, reply, text

ASKED, UNASKED = (
    "openai/gpt-4o-mini-2024-07-18",
    "openai/gpt-3.5-turbo-0125",
)  # for a schema, by the catalogue
PROMPT = """\
model: %s
%s
messages:
  - {role: user, content: hello}
"""
SCHEMA = "{type: object, properties: {a: {type: integer}}, required: [a]}"
FENCED = 'Here you are:\n```json\n{"a": 1}\n```\n'


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Any:
    with Provider(text(FENCED)) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
        yield provider


def write(repo: Repo, settings: str = "", model: str = ASKED) -> None:
    repo.write("prompts/p.yaml", PROMPT % (model, settings))


def run(cli: Cli, *options: str) -> dict[str, Any]:
    return json.loads(cli("run", "p", "--json", *options).out)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        (f"output: {{schema: {SCHEMA}, extract: json}}", ASKED),
        (f"output: {{schema: {SCHEMA}}}", UNASKED),
        (f"output: {{schema: {SCHEMA}, extract: json}}", UNASKED),
        ("output: {extract: json}", ASKED),
    ],
)
def test_the_json_of_an_answer_is_the_answer(
    settings: str, model: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    write(repo, f"{settings}\nchecks: [json, {{json_schema: {SCHEMA}}}, {{max_chars: 10}}]", model)
    got = run(cli)
    assert (got["output"], got["output_json"], got["error"]) == ('{"a": 1}', {"a": 1}, None)
    assert all(check["pass"] for check in got["checks"])
    assert got["attempts"][0]["full_text"] == FENCED
    done = cli("run", "p")
    assert (done.out, done.code) == ('{"a": 1}\n', 0)
    assert "found in a longer text" in done.err
    assert FENCED.strip() in cli("runs", "show", "last").out


@pytest.mark.parametrize(
    ("settings", "model"),
    [(f"output: {{schema: {SCHEMA}}}", ASKED), (f"output: {{schema: {SCHEMA}, extract: none}}", UNASKED)],
)
def test_else_the_whole_text_is(settings: str, model: str, cli: Cli, repo: Repo, provider: Provider) -> None:
    write(repo, settings, model)
    got = run(cli)
    assert (got["output"], got["output_json"], got["error"]["type"]) == (FENCED, None, "invalid_output")
    assert "full_text" not in got["attempts"][0]


def test_it_enters_the_digest_where_it_is_written(cli: Cli, repo: Repo) -> None:
    digests = {}
    for extract in ("", ", extract: json", ", extract: none"):
        write(repo, f"output: {{schema: {SCHEMA}{extract}}}")
        prompt = resolve_version("p", current_settings()).prompt
        digests[extract] = prompt.digest
        assert from_canonical("p", prompt.canonical()).digest == prompt.digest
    assert len(set(digests.values())) == 3


@pytest.mark.parametrize("output", ["{}", "{extract: none}", "{extract: json, repair: 1}", "{extract: xml}"])
def test_an_output_that_asks_for_nothing_is_an_error(output: str, cli: Cli, repo: Repo) -> None:
    write(repo, f"output: {output}")
    done = cli("lint", "p")
    assert (done.code, "output" in done.out) == (1, True)


def test_it_can_be_set_for_a_run(cli: Cli, repo: Repo, provider: Provider) -> None:
    write(repo, f"output: {{schema: {SCHEMA}}}")
    assert run(cli, "--set", "output.extract=json")["output_json"] == {"a": 1}


def test_an_answer_is_read_before_a_repair_is_paid(cli: Cli, repo: Repo, provider: Provider) -> None:
    write(repo, f"output: {{schema: {SCHEMA}, repair: 1, extract: json}}")
    assert run(cli)["error"] is None
    assert len(provider.requests) == 1


def test_a_reply_is_kept_for_those_who_read_it_the_same(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("in.jsonl", '{"inputs": {}}\n')
    found = []
    for settings in (
        f"schema: {SCHEMA}, extract: json",
        f"schema: {SCHEMA}",
        f"schema: {SCHEMA}, extract: json",
    ):
        write(repo, f"output: {{{settings}}}")
        cli("batch", "p", "in.jsonl", "--out", "out.jsonl", "--restart")
        found.append(json.loads((repo.path / "out.jsonl").read_text())["output"])
    assert found == ['{"a": 1}', FENCED, '{"a": 1}']
    assert len(provider.requests) == 2


def test_what_is_not_logged_is_not_logged_around_it(cli: Cli, repo: Repo, provider: Provider) -> None:
    repo.write("promptops.yaml", "log: {outputs: hash}\n")
    provider.script = text(f"<think>secretly</think>{FENCED}")
    write(repo, "output: {extract: json}")
    cli("run", "p")
    with sqlite3.connect(repo.path / "registry.db") as registry:
        (attempts,) = registry.execute("SELECT attempts FROM run_texts").fetchone()
    assert "Here you are" not in attempts
    assert "secretly" not in attempts


def test_a_run_that_somebody_else_made_is_read_the_same(cli: Cli, repo: Repo) -> None:
    write(repo, "output: {extract: json}")
    prepared = json.loads(cli("run", "p", "--prepare").out)
    repo.write("result.json", json.dumps({"output": FENCED}))
    done = cli("runs", "finish", prepared["run_id"], "--from", "result.json")
    assert done.code == 0, done.err
    shown = json.loads(cli("runs", "show", prepared["run_id"], "--json").out)
    assert (shown["output"], shown["attempts"][0]["full_text"]) == ('{"a": 1}', FENCED)


THOUGHTS = [
    reply({"role": "assistant", "content": '{"a": 1}', "reasoning": "hm, JSON"}),
    reply({"role": "assistant", "content": '{"a": 1}', "reasoning_content": "hm, JSON"}),
    text('<think>hm, JSON</think>\n\n{"a": 1}'),
    text('\n<think>\nhm, JSON\n</think>{"a": 1}'),
]


@pytest.mark.parametrize("answer", THOUGHTS)
@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_thoughts_are_shown_on_request(
    answer: Answer, stream: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = answer
    write(repo, "checks: [json, {max_chars: 8}]")
    plain = cli("run", "p", stream)
    assert (plain.out, plain.code) == ('{"a": 1}\n', 0)
    assert "hm, JSON" not in plain.err
    asked = cli("run", "p", stream, "--reasoning")
    assert (asked.out, asked.code) == ('{"a": 1}\n', 0)
    assert "hm, JSON\n" in asked.err
    assert "hm, JSON" not in cli("runs", "show", "last").out
    assert "--- reasoning\nhm, JSON\n" in cli("runs", "show", "last", "--reasoning").out


@pytest.mark.parametrize("answer", THOUGHTS)
def test_an_application_reads_them(answer: Answer, repo: Repo, provider: Provider) -> None:
    provider.script = answer
    write(repo)
    with Workspace.open(repo.path) as workspace:
        done = workspace.run("p", {})
        assert (done.text, done.reasoning, done.full_text) == ('{"a": 1}', "hm, JSON", '{"a": 1}')
        stream = workspace.stream("p", {})
        assert "".join(stream) == '{"a": 1}'
        assert stream.run.reasoning == "hm, JSON"


def test_a_stream_comes_whole_where_its_json_is_looked_for(repo: Repo, provider: Provider) -> None:
    write(repo, "output: {extract: json}")
    with Workspace.open(repo.path) as workspace:
        stream = workspace.stream("p", {})
        assert [*stream] == ['{"a": 1}']
        assert stream.run.full_text == FENCED


REFUSAL = "I'd rather talk about gardens."
REFUSALS = [
    reply({"role": "assistant", "content": None, "refusal": REFUSAL}),
    reply({"role": "assistant", "content": "", "refusal": REFUSAL}),
    events(chunk({"refusal": REFUSAL[:9]}), chunk({"refusal": REFUSAL[9:]}), chunk({}, "stop")),
]


@pytest.mark.parametrize("answer", REFUSALS)
@pytest.mark.parametrize(("check", "passes"), [("refusal", True), ("not: refusal", False)])
def test_a_refusal_is_what_the_provider_calls_one(
    answer: Answer, check: str, passes: bool, cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = answer
    stream = "--stream" if answer.message is None else "--no-stream"
    write(
        repo,
        f"output: {{schema: {SCHEMA}, repair: 1, extract: json}}\nchecks: [{{{check}: null}}]"
        if check == "refusal"
        else f"output: {{schema: {SCHEMA}, repair: 1}}\nchecks: [{{{check}}}]",
    )
    cli("run", "p", stream)
    shown = json.loads(cli("runs", "show", "last", "--json").out)
    assert (shown["output"], shown["finish_reason"]) == (REFUSAL, "refusal")
    assert [each["pass"] for each in shown["checks"]] == [passes]
    assert shown["error"]["message"] == "the model declined to answer"
    assert len(provider.requests) == 1


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_is_shown_while_it_streams_too(
    answer: Answer, cli: Cli, repo: Repo, provider: Provider
) -> None:
    provider.script = answer
    write(repo, "")
    assert cli("run", "p", "--stream").out == f"{REFUSAL}\n"


@pytest.mark.parametrize("answer", REFUSALS)
def test_an_application_hears_a_refusal_once(answer: Answer, repo: Repo, provider: Provider) -> None:
    provider.script = answer
    write(repo, "")
    with Workspace.open(repo.path) as workspace, workspace.stream("p") as pieces:
        assert [*pieces] == [REFUSAL]


def test_text_beside_an_empty_refusal_is_no_refusal(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = reply({"role": "assistant", "content": "hello", "refusal": ""})
    write(repo, "checks: [{not: refusal}]")
    got = run(cli)
    assert (got["finish_reason"], got["checks"][0]["pass"]) == ("stop", True)


def test_a_refusal_from_the_cache_is_one(cli: Cli, repo: Repo, provider: Provider) -> None:
    provider.script = REFUSALS[0]
    write(repo, "checks: [refusal]")
    repo.write("in.jsonl", '{"inputs": {}}\n')
    for out in ("one.jsonl", "two.jsonl"):
        assert cli("batch", "p", "in.jsonl", "--out", out, "--restart").code == 0
    assert len(provider.requests) == 1
    assert [row["finish_reason"] for row in rows(repo)] == ["refusal", "refusal"]


@pytest.mark.parametrize("depth", [300, 100_000])
def test_an_answer_that_is_nested_too_deeply_breaks_its_schema(
    repo: Repo, cli: Cli, provider: Provider, depth: int
) -> None:
    write(repo, f"output: {{schema: {SCHEMA}}}")
    provider.script = text("[" * depth + "]" * depth)
    done = cli("run", "p")
    assert (done.code, done.out[:3]) == (1, "[[[")
    assert "invalid output: not JSON: it is nested deeper than 200 levels" in done.err
