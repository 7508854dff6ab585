"""The examples of docs/gateway.md, word for word but for the port, on the prompt of ``init``."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO

import pytest

from support.front_door import Cli, Repo
from support.gateway_client import Client, running_gateway
from support.greet_releases import ok, runs
from support.paths import ROOT
from support.provider import Provider, text

PAGE = (ROOT / "docs" / "gateway.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python|yaml)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def blocks(kind: str, word: str) -> list[str]:
    return [block for found, block in BLOCKS if found == kind and word in block]


@pytest.fixture
def client(cli: Cli, repo: Repo, provider: Provider) -> Iterator[Client]:
    """What the first block of the page makes, with a model of this machine in place of the embedded one."""
    provider.script = text("bad")
    (first,) = blocks("sh", "promptops init")
    assert [line.split()[:2] for line in first.splitlines()] == [
        ["promptops", "init"],
        ["git", "add"],
        ["promptops", "promote"],
        ["promptops", "serve"],
    ]
    ok(cli("init"))
    prompt = repo.path / "prompts" / "sentiment.yaml"
    embedded = prompt.read_text("utf-8")
    prompt.write_text(embedded.replace("local/smollm2-135m-instruct", "openai/stub-1"), "utf-8")
    (settings,) = blocks("yaml", "aliases")
    repo.write("promptops.yaml", settings)
    repo.commit("Say whether a message sounds good or bad")
    ok(cli(*first.splitlines()[2].split()[1:]))
    with running_gateway(repo.path) as running:
        yield running


def on(client: Client, example: str) -> str:
    assert "127.0.0.1:4455" in example
    return example.replace("127.0.0.1:4455", f"127.0.0.1:{client.port}")


def test_what_is_typed(client: Client, repo: Repo) -> None:
    for example in blocks("sh", "curl "):
        known = re.sub("(?<=RUN=)[0-9A-Z]{26}", runs(repo)[0]["run_id"] if runs(repo) else "", example)
        done = subprocess.run(
            ["bash", "-ec", on(client, known)], capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, done.stderr
        assert '"error":{' not in done.stdout, done.stdout
    assert len(runs(repo)) == 1


def test_programs_in_python(client: Client) -> None:
    pytest.importorskip("openai")
    chat, responses = (
        *blocks("python", "client = OpenAI("),
        *blocks("python", "responses.create"),
    )
    with redirect_stdout(StringIO()) as said:
        exec(on(client, chat) + responses, {})  # noqa: S102 - of this repository
    assert said.getvalue() == "bad\nbad\n"


def test_what_makes_keys(client: Client, cli: Cli) -> None:
    (example,) = blocks("sh", "promptops keys new acme --allow")
    new, shown, revoke = (re.sub("'", "", line).split()[1:] for line in example.splitlines())
    key = ok(cli(*new)).out.strip()
    assert "sentiment:*" in ok(cli(*shown)).out
    ok(cli(*revoke[:-1], key.split("-")[1]))
