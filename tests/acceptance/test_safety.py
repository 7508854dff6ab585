"""The promises of docs/threat-model.md, one short story each, as somebody at the command line meets them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.front_door import GREET, Cli, Repo
from support.git_repositories import GitFolder
from support.greet_releases import QUICK, channel, go_live, ok, runs, told, versions
from support.provider import Answer, Provider, Received, as_json, reply, text
from support.raw_forms import OK
from support.raw_server import RawServer

RUN = ("run", "greet", "-i", "name=Ada")
KEY = "sk-swordfish-0123456789-abcdefghijklmnop"


def test_no_answer_is_lost(cli: Cli, greeting: Repo, provider: Provider) -> None:
    """An odd reply is printed and logged; a registry that is damaged comes back with what it held."""
    odd = {"prompt_tokens": 10**30, "completion_tokens": -1, "total_tokens": "many"}
    provider.script = reply({"role": "assistant", "content": "Hello Ada", "tool_calls": 5}, usage=odd)
    assert ok(cli(*RUN)).out == "Hello Ada\n"
    kept = runs(greeting)
    assert json.loads(cli("runs", "show", "last", "--json").out)["output"] == "Hello Ada"
    registry = greeting.path / "registry.db"
    registry.write_bytes(bytes(16) + registry.read_bytes()[16:])
    assert cli("doctor").code == 1
    ok(cli("registry", "recover", "--swap"))
    assert runs(greeting) == kept
    ok(cli("doctor"))


def test_what_is_live_is_what_was_decided(cli: Cli, repo: Repo, provider: Provider) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert cli("promote", "greet").code == 3
    assert versions(cli) == ("v1", "v2")
    folder, state = GitFolder(repo.path), "refs/heads/promptops-state"
    edited = folder.git("show", f"{state}:releases/greet.yaml").replace("5000", "10000")
    index = {"GIT_INDEX_FILE": str(repo.path.parent / "index")}
    folder.git("read-tree", state, **index)
    oid = folder.git("hash-object", "-w", "--stdin", text=edited)
    folder.git("update-index", "--cacheinfo", f"100644,{oid},releases/greet.yaml", **index)
    commit = folder.git("commit-tree", folder.git("write-tree", **index), "-p", state, "-m", "all for v2")
    folder.git("update-ref", state, commit)
    assert commit[:12] in cli("release", "verify").out
    for verb in (("tick", "greet"), ("status", "greet")):
        assert cli(*verb).code == 4, verb
    shown = json.loads(ok(cli("release", "show", "greet:production", "--json")).out)
    assert shown["rollout"]["weight_bp"] == 5000
    ok(cli("release", "recover"))
    ok(cli("release", "verify"))
    ok(cli("rollback", "greet"))
    assert versions(cli) == ("v1", None)


STRICT = """\
channels: {production: {plan: strict}}
plans: {strict: {eval: null, quality: optional, steps: [{weight: 5}, {approval: manual}, {weight: 50}]}}
"""


def test_nobody_goes_past_a_plan_unseen(cli: Cli, repo: Repo) -> None:
    """Not a canary that waits for a person, nor by its revision, another plan or a rollback."""
    repo.write("promptops.yaml", STRICT)
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--yes"))
    ok(cli("tick", "greet"))
    assert channel(cli)["rollout"]["phase"] == "awaiting"
    for line in (
        ("promote", "greet", "--yes"),
        ("promote", "greet", "--force"),
        ("promote", "greet@HEAD", "--plan", "direct", "--yes"),
        ("rollback", "greet", "--to", "v2"),
    ):
        assert cli(*line).code in {2, 4}, line
        assert versions(cli) == ("v1", "v2"), line
    ok(cli("rollback", "greet", "--reason", "rude answers"))
    refused = cli("promote", "greet@HEAD")
    assert refused.code == 2
    assert "skips step 1 (5%), step 2 (approval), step 3 (50%)" in refused.err
    assert "Ada <ada@example.org>: rude answers" in refused.err
    ok(cli("promote", "greet@HEAD", "--yes", "--reason", "polite now"))
    last = told(cli, "release", "log", "greet")[0]
    assert (last["forced"], len(last["skipped"])) == (True, 3)
    assert (last["actor"], last["authors"]) == ("Ada <ada@example.org>", ["Ada <ada@example.org>"])
    ok(cli("release", "verify"))


def test_keys_stay_where_they_are(
    cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    def refuse(request: Received) -> Answer:
        echoed = request.headers["authorization"]
        return as_json({"error": {"message": "x" * 380 + echoed + json.dumps(echoed[:20])}}, status=401)

    provider.script = refuse
    refused = cli(*RUN)
    assert refused.code != 0
    files = [file.read_bytes() for file in greeting.path.glob("registry.db*") if file.is_file()]
    for place in (refused.out + refused.err, cli("runs", "show", "last").out, *map(repr, files)):
        assert "swordfish" not in place
    asked = len(provider.requests)
    for line in (
        "parameters: {base_url: 'http://evil.test'}",
        "tools: [{type: mcp, server_url: 'http://evil'}]",
    ):
        kept = [each for each in GREET.splitlines() if not each.startswith(line.partition(":")[0])]
        greeting.write("prompts/greet.yaml", "\n".join([*kept, line, ""]))
        assert cli("lint").code == 1, line
        assert cli(*RUN).code == 4, line
    assert len(provider.requests) == asked


HOSTILE = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {name: string}
messages:
  - {role: user, content: "{{ name }}{{ 2 ** 2 ** 99 }}{{ 'a' * 10 ** 10 }}"}
  - {role: user, content: "{{ '%(a)99999d' * 100000 % {'a': 1} }}"}
checks: [{regex: "(a+)+$"}]
cases: greet.cases.jsonl
"""


def test_a_strangers_branch_is_data(cli: Cli, greeting: Repo, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    greeting.git("switch", "-qc", "stranger")
    greeting.write("prompts/greet.yaml", HOSTILE)
    greeting.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "@everyone <img src=x>"}}\n')
    greeting.write("promptops.yaml", "registry: .git/hooks/pre-commit\n")
    (greeting.path / "report.md").symlink_to(outside / "report.md")
    greeting.commit("Be kind")
    hooks = sorted(file.name for file in (greeting.path / ".git/hooks").iterdir())
    started = time.process_time()
    assert cli("lint").code == 1
    said = cli("diff", "main...stranger", "--format", "markdown")
    assert time.process_time() - started < 20
    assert said.code in {0, 1}
    assert "@everyone" not in said.out
    assert "<img" not in said.out
    assert cli("eval", "greet", "--out", "report.md").code == 4
    assert sorted(file.name for file in (greeting.path / ".git/hooks").iterdir()) == hooks
    assert list(outside.iterdir()) == []


def test_the_wire_is_bounded(cli: Cli, greeting: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> Iterator[bytes]:
        yield OK + b"Content-Type: text/event-stream\r\n\r\n"
        while True:
            yield b": wait\n" * 1000

    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    sizes = OK + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-7\r\n{}\r\n"
    for raw in (endless, sizes, OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}"):
        with RawServer(raw) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            started = time.monotonic()
            assert cli(*RUN, "--retries", "0", "--timeout", "1").code not in {0, 70}
            assert time.monotonic() - started < 15
    assert {row["state"] for row in runs(greeting)} == {"failed"}
    with Provider(text("\u202eevil\x1b[2J")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        shown = ok(cli(*RUN, "--json")).out
    assert not {"\u202e", "\x1b"} & set(shown)
