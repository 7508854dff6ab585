"""Requests made again from the log."""

import json

import pytest

from support.front_door import GREET, Cli, Repo
from support.provider import Provider, text


def run_id(cli: Cli, *arguments: str) -> str:
    return str(json.loads(cli("run", *arguments, "--json").out)["run_id"])


def test_replay_sends_the_same_request_and_says_that_the_answer_is_the_same(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    first = run_id(cli, "greet", "-i", "name=Ada", "--set", "parameters.temperature=0.3")
    greeting.write("prompts/greet.yaml", "broken: [")
    done = cli("runs", "replay", first[:20])
    assert (done.code, done.out) == (0, "Greet Ada.\n")
    assert provider.requests[0].raw == provider.requests[1].raw
    replayed = json.loads(cli("runs", "list", "--json").out)[0]
    assert replayed["metadata"] == {"replay_of": first}


def test_answers_that_differ_are_shown_as_a_diff_and_exit_1(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = [text("same\nold"), text("same\nnew"), text("same\nnewer")]
    first = run_id(cli, "greet", "-i", "name=Ada")
    done = cli("runs", "replay", first)
    assert done.code == 1
    assert done.out.splitlines()[-3:] == [" same", "-old", "+new"]
    told = json.loads(cli("runs", "replay", first, "--json").out)
    assert (told["same"], told["after"]["output"]) == (False, "same\nnewer")


def test_what_was_not_stored_cannot_be_replayed(cli: Cli, greeting: Repo, provider: Provider) -> None:
    for kept in ("{inputs: hash}", "{outputs: none}"):
        greeting.write("promptops.yaml", f"log: {kept}\n")
        first = run_id(cli, "greet", "-i", "name=Ada")
        done = cli("runs", "replay", first)
        assert done.code == 4
        assert "not stored" in done.err


@pytest.mark.parametrize(
    "prompt",
    [
        GREET,
        GREET + "tools: [{type: function, function: {name: wave, parameters: {type: object}}}]\n",
        GREET + "output: {schema: {type: object, properties: {b: {}, a: {}}}, repair: 1}\n",
        GREET.replace(
            "  name: string", "  name: {type: string, default: Ada}\n  chat: {type: messages, default: []}"
        ).replace("messages:\n", "messages:\n  - insert: chat\n"),
        GREET.replace("Greet {{ name }}.", "{% include 'tone.md' %} Greet {{ name }}."),
    ],
    ids=["plain", "tools", "output", "chat", "partial"],
)
def test_a_version_that_was_never_committed_is_rebuilt_from_the_registry(
    prompt: str, cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("prompts/greet.yaml", prompt)
    repo.write("prompts/tone.md", "Be kind.")
    provider.script = text('{"a": 1}')
    first = run_id(cli, "greet", "-i", "name=Ada")
    (repo.path / "prompts/greet.yaml").unlink()
    assert cli("runs", "replay", first).code == 0
    assert provider.requests[0].raw == provider.requests[1].raw
    shown = json.loads(cli("runs", "show", first, "--json").out)
    assert shown["messages"] == provider.requests[0].body["messages"]


def test_a_prompt_with_an_image_file_is_replayed_from_its_commit_alone(
    cli: Cli, repo: Repo, provider: Provider
) -> None:
    png = bytes.fromhex("89504e470d0a1a0a")
    (repo.path / "prompts").mkdir()
    (repo.path / "prompts/dot.png").write_bytes(png)
    repo.write(
        "prompts/look.yaml",
        "model: openai/gpt-4o\nmessages:\n"
        "  - role: user\n    content: [{text: What is it?}, {image_file: dot.png}]\n",
    )
    uncommitted = run_id(cli, "look")
    assert cli("runs", "replay", uncommitted).code == 4
