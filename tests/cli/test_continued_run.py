"""``run -c``: a run that goes on from an earlier one, and what may not be gone on from."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptops.release.assignment import on_canary
from support.front_door import GREET, Cli, Repo
from support.git_repositories import GitFolder
from support.greet_releases import ok
from support.logged_rows import open_log
from support.provider import Provider, Received, reply, status, text
from support.release_states import released, write_state

ASSISTANT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {max_tokens: 64}
inputs:
  chat: {type: messages, default: []}
  tone: {type: string, default: kind}
  question: {type: string, maxLength: 200}
messages:
  - {role: system, content: "Be {{ tone }}."}
  - insert: chat
  - {role: user, content: [{text: "Q: {{ question }}", cache_control: {type: ephemeral}}]}
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def first(cli: Cli, *arguments: str, prompt: str = "greet") -> str:
    found: str = json.loads(ok(cli("run", prompt, "-i", "name=Ada", "--json", *arguments)).out)["run_id"]
    return found


def shown(cli: Cli, run: str = "last") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ok(cli("runs", "show", run, "--json")).out)
    return found


def sent(provider: Provider) -> list[tuple[str, Any]]:
    return [(each["role"], each["content"]) for each in provider.requests[-1].body["messages"]]


def change_log(repo: Repo, sql: str) -> None:
    with open_log(repo.path) as connection:
        connection.execute(sql)


def test_a_message_follows_what_was_said(cli: Cli, greeting: Repo, provider: Provider) -> None:
    before = first(cli)
    done = cli("run", "-c", "and in French?")
    assert (done.code, done.out, done.err) == (0, "and in French?\n", "")
    assert sent(provider) == [
        ("system", "You greet people."),
        ("user", "Greet Ada."),
        ("assistant", "Greet Ada."),
        ("user", "and in French?"),
    ]
    ok(cli("run", "greet", "-c", "and now?"))
    assert [role for role, _ in sent(provider)][-4:] == ["assistant", "user", "assistant", "user"]
    last = shown(cli)
    assert last["metadata"] == {"session": before, "parent": shown(cli, last["metadata"]["parent"])["run_id"]}
    assert last["metadata"]["parent"] != before
    assert last["messages"] == provider.requests[-1].body["messages"]
    assert (last["overrides"], last["checks"]) == ({"conversation": "conversation"}, [])
    assert cli("runs", "replay", "last").code == 0


def test_a_named_run_words_from_stdin_and_the_model_of_the_run_before(
    cli: Cli, greeting: Repo, provider: Provider, process: Any
) -> None:
    chosen = first(cli, "--model", "openai/gpt-4.1-nano-2025-04-14", "--set", "parameters.max_tokens=7")
    first(cli)
    done = process(["run", "greet", "--run", chosen, "-"], cwd=greeting.path, input="and\nthen?")
    assert done.returncode == 0, done.stderr
    body = provider.requests[-1].body
    assert (body["model"], body["max_tokens"]) == ("gpt-4.1-nano-2025-04-14", 7)
    assert body["messages"][-1]["content"] == "and\nthen?"


def test_a_prompt_with_a_history_of_its_own_takes_the_message_where_it_asks_for_it(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("prompts/ask.yaml", ASSISTANT)
    before = json.loads(ok(cli("run", "ask", "-i", "question=one", "-i", "tone=curt", "--json")).out)
    ok(cli("run", "-c", "two"))
    after = shown(cli)
    assert (after["digest"], after["overrides"]) == (before["digest"], {})
    assert after["inputs"]["question"] == "two"
    assert after["inputs"]["chat"] == [
        {"role": "user", "content": [{"type": "text", "text": "Q: one"}]},  # marked once, at the end
        {"role": "assistant", "content": "Q: one"},
    ]
    assert [role for role, _ in sent(provider)] == ["system", "user", "assistant", "user"]
    assert sent(provider)[0][1] == "Be curt."
    ok(cli("run", "ask", "-c", "-i", "question=three", "-i", "tone=kind"))
    assert (sent(provider)[0][1], len(sent(provider))) == ("Be kind.", 6)
    twice = cli("run", "ask", "-c", "four", "-i", "question=five")
    assert (twice.code, "given twice" in twice.err) == (2, True)
    long = cli("run", "ask", "-c", "x" * 201)
    assert (long.code, "question" in long.err) == (4, True)


def test_wrong_words(cli: Cli, greeting: Repo, provider: Provider) -> None:
    first(cli)
    for arguments, code, words in [
        (("greet", "-c"), 2, "greet is a prompt: what is to be said to it?"),
        (("-c",), 2, "what is next?"),
        (("greet", "-c", "hello", "-i", "name=Bob"), 2, "no place for a chat history"),
        (("greet", "hello"), 2, "-c MESSAGE goes on from your last run"),
        (("greet", "name=Bob"), 2, "-i name=Bob"),
        ((), 2, "REF is missing"),
        (("other", "-c", "hello"), 4, "no answered run of other"),
        (("greet", "-c", "hello", "--prepare", "--no-log"), 4, "--no-log none"),
    ]:
        done = cli("run", *arguments)
        assert (done.code, words in done.err) == (code, True), done.err
    assert len(provider.requests) == 1
    greeting.write("prompts/other.yaml", GREET)
    done = cli("run", "other", "--run", shown(cli)["run_id"], "hello")
    assert (done.code, "is of greet, not of other" in done.err) == (4, True)


def test_another_version_is_said(cli: Cli, greeting: Repo, provider: Provider) -> None:
    first(cli)
    ok(cli("run", "-c", "same"))
    greeting.write("prompts/greet.yaml", GREET.replace("Greet {{", "Salute {{"))
    done = cli("run", "greet", "-c", "again")
    assert "greet is another version now than at run" in done.err
    assert ("user", "Salute Ada.") in sent(provider)
    assert cli("run", "greet", "-c", "and again").err == ""
    greeting.write("prompts/greet.yaml", ASSISTANT.replace("question", "name"))
    done = cli("run", "greet", "-c", "again")
    assert (done.code, "takes a conversation in another way" in done.err) == (4, True)


def test_what_was_not_answered_is_passed_over_and_cannot_be_named(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    answered = first(cli)
    provider.script = status(400, "no")
    failed = json.loads(cli("run", "greet", "-i", "name=Bob", "--json").out)["run_id"]
    provider.script = text("fine")
    done = cli("run", "-c", "next")
    assert (done.code, done.out) == (0, "fine\n")
    assert f"run {failed} was not answered; going on from run {answered}" in done.err
    named = cli("run", "greet", "--run", failed, "next")
    assert (named.code, f"run {failed} failed: " in named.err) == (4, True)


CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE run_texts SET output = NULL", "has no answer in the log"),
        ("UPDATE run_texts SET inputs = NULL", "the log has no inputs of it"),
        ("UPDATE runs SET redacted_inputs = '{\"email\": 1}'", "inputs were redacted"),
        ("UPDATE runs SET redacted_outputs = '{\"email\": 1}'", "answer of run"),
        ("INSERT INTO held_runs (run_seq) VALUES (1)", "held (waiting)"),
        ("INSERT INTO held_runs (run_seq, decision) VALUES (1, 'rejected')", "held (rejected)"),
        (f"UPDATE run_texts SET tool_calls = '{json.dumps(CALLS)}'", "asks for tools"),
        ('UPDATE run_texts SET inputs = \'{"name": "Eve"}\'', "come out differently"),
        ("UPDATE runs SET state = 'started'", "there is no answered run"),
    ],
)
def test_nothing_goes_on_from_texts_that_are_not_there_as_they_were(
    cli: Cli, greeting: Repo, provider: Provider, sql: str, words: str
) -> None:
    first(cli)
    if "started" in sql:
        change_log(greeting, "UPDATE run_texts SET output = NULL")
    change_log(greeting, sql)
    done = cli("run", "-c", "hello")
    assert (done.code, words in done.err) == (4, True), done.err
    assert len(provider.requests) == 1


def test_earlier_answers_are_kept_no_longer_than_answers_are(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    first(cli)
    greeting.write("promptops.yaml", "log: {inputs: full, outputs: none}\n")
    ok(cli("run", "-c", "hello"))
    assert shown(cli)["inputs"] is None


def test_a_conversation_is_of_one_unit(cli: Cli, greeting: Repo, provider: Provider) -> None:
    first(cli, "--unit", "ada", "--meta", "tenant=acme")
    ok(cli("run", "-c", "two"))
    ok(cli("run", "-c", "three", "--unit", "ada"))
    done = cli("run", "-c", "four", "--unit", "bob")
    assert (done.code, "of another unit than --unit bob" in done.err) == (4, True)
    assert shown(cli)["metadata"]["tenant"] == "acme"
    assert "3 runs" in ok(cli("registry", "erase", "--unit", "ada", "--yes")).out
    assert cli("run", "-c", "five").code == 4


@pytest.fixture
def canary(repo: Repo) -> tuple[dict[bool, str], Repo]:
    """v1 is stable and v2 the canary of half of the units; a unit that meets each."""
    folder = GitFolder(repo.path)
    folder.commit("1", {"prompts/greet.yaml": GREET, ".gitignore": "registry.db*\n"})
    folder.commit("2", {"prompts/greet.yaml": GREET.replace("Greet {{", "Salute {{")}, day=2)
    stable, new = (released(folder, "greet", f"HEAD{rev}", v) for rev, v in (("~1", "v1"), ("", "v2")))
    write_state(folder, "greet", stable, new)
    salt = f"greet/production/{new['digest']}"
    return {on_canary(salt, f"u{n}", 5000): f"u{n}" for n in range(20)}, repo


@pytest.mark.parametrize("arm", ["canary", "stable"])
def test_a_conversation_stays_on_its_arm_and_is_no_evidence(
    cli: Cli, canary: tuple[dict[bool, str], Repo], provider: Provider, arm: str
) -> None:
    units, repo = canary
    first(cli, "--unit", units[arm == "canary"], prompt="greet:production")
    for number in range(4):
        done = ok(cli("run", "greet:production", "-c", f"message {number}"))
        assert done.err == ""
    with open_log(repo.path) as connection:
        rows = connection.execute(
            "SELECT arm, excluded, version, unit_hash FROM runs ORDER BY seq"
        ).fetchall()
    version = {"canary": "v2", "stable": "v1"}[arm]
    assert rows[0][:3] == (arm, None, version)
    assert {row[:3] for row in rows[1:]} == {(arm, "conversation", version)}
    assert len({row[3] for row in rows}) == 1
    assert shown(cli)["messages"] == provider.requests[-1].body["messages"]
    assert cli("runs", "replay", "last").code == 0


def test_a_budget_and_an_answer_that_calls_tools(cli: Cli, greeting: Repo, provider: Provider) -> None:
    done = cli("run", "greet", "-i", "name=Ada", "--max-cost", "0.0000001")
    assert (done.code, "of --max-cost" in done.err, provider.requests) == (6, True, [])
    ok(cli("run", "greet", "-i", "name=Ada", "--max-cost", "1"))
    unknown = cli("run", "greet", "-i", "name=Ada", "--max-cost", "1", "--model", "openai/gpt-none")
    assert (unknown.code, "--assume-cost" in unknown.err) == (4, True)

    def script(_: Received) -> Any:
        return reply({"role": "assistant", "content": None, "tool_calls": CALLS})

    provider.script = script
    cli("run", "greet", "-i", "name=Ada")
    assert "asks for tools" in cli("run", "-c", "hello").err


@pytest.mark.sqlite
def test_a_run_that_waits_beside_the_registry_is_taken_in_first(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    old = first(cli)
    registry, kept = greeting.path / "registry.db", greeting.path / "kept.db"
    registry.rename(kept)
    registry.mkdir()  # no row can be written into a folder
    waits = first(cli)
    registry.rmdir()
    kept.rename(registry)
    assert waits != old
    done = ok(cli("run", "-c", "next"))
    assert done.err == ""
    assert shown(cli)["metadata"]["parent"] == waits


def test_runs_that_were_pruned_are_passed_over(cli: Cli, greeting: Repo, provider: Provider) -> None:
    old, pruned = first(cli), first(cli)
    change_log(greeting, f"DELETE FROM runs WHERE run_id = '{pruned}'")
    done = ok(cli("run", "-c", "next"))
    assert done.err == f"run {pruned} is not in the registry; going on from run {old}\n"
    assert shown(cli)["metadata"]["parent"] == old


def test_redacted_texts_are_not_gone_on_from(cli: Cli, greeting: Repo, provider: Provider) -> None:
    greeting.write("promptops.yaml", "log: {redact: [email]}\n")
    ok(cli("run", "greet", "-i", "name=ada@example.org"))
    done = cli("run", "-c", "next")
    assert (done.code, "redacted before" in done.err, len(provider.requests)) == (4, True, 1)
