"""What the settings say not to keep is in no file, and no key ever is: every byte is looked at."""

import base64
import itertools
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from promptops.api import Workspace
from promptops.providers.types import ModelError
from support.front_door import Cli, Repo
from support.logged_rows import registry_bytes
from support.prompt_files import ASKING, TONE_JUDGE
from support.provider import (
    Answer,
    Provider,
    Received,
    as_json,
    body,
    chunk,
    events,
    html,
    reply,
    status,
    text,
)

ASKED, ANSWERED = "quokka-in-the-question", "wombat-in-the-answer"
KEY = "sk-live-" + "".join(f"{chr(65 + n % 26)}{chr(97 + n * 3 % 26)}{n % 10}" for n in range(52))

STRICT = ASKING.replace("checks:", "output: {schema: {type: object, required: [a]}, repair: 1}\nchecks:")
QUOTES: tuple[Callable[[], Answer], ...] = (
    lambda: text(f"{ANSWERED} to {ASKED}"),
    lambda: tool_call("f", json.dumps({"a": ANSWERED})),
    lambda: reply({"role": "assistant", "content": "ok", "reasoning": f"{ANSWERED} {ASKED}"}),
    lambda: status(400, f"cannot say {ANSWERED} of {ASKED}"),
    lambda: status(500, f"cannot say {ANSWERED} of {ASKED}"),
    lambda: html(502, f"{ASKED} {ANSWERED}"),
    lambda: body(f"{ASKED} {ANSWERED}".encode()),
    lambda: text(f"{ANSWERED} to {ASKED}", finish="length"),
)


CASES: list[dict[str, Any]] = [
    {"id": f"c{number}", "inputs": {"question": f"{ASKED} {number}"}, "expected": ASKED}
    for number in range(len(QUOTES))
]
LINES = "".join(json.dumps(case) + "\n" for case in CASES)


def tool_call(name: str, arguments: str) -> Answer:
    call = {"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return reply({"role": "assistant", "content": None, "tool_calls": [call]}, finish="tool_calls")


def every_byte(repo: Repo) -> bytes:
    files = (file for file in repo.path.rglob("*") if file.is_file() and ".git" not in file.parts)
    found = b"".join(file.read_bytes() for file in files if file.name not in {"promptops.yaml", "in.jsonl"})
    return found + registry_bytes(repo)


def quoting(request: Received) -> Answer:
    """The number at the end of a question says in which way it is quoted."""
    if request.body["model"].startswith("gpt-4o-2024"):
        return text(json.dumps({"score": 1, "reason": f"{ASKED}: {ANSWERED}"}))
    (number,) = {int(found) for found in re.findall(rf"{ASKED} (\d)", json.dumps(request.body))}
    return QUOTES[number]()


@pytest.fixture
def project(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/judges/tone.yaml", TONE_JUDGE)
    repo.write("prompts/ask.yaml", ASKING)
    repo.write("prompts/ask.cases.jsonl", LINES)
    repo.commit("Ask")
    repo.write("prompts/ask.yaml", STRICT)
    repo.commit("Ask for an object")
    provider.script = quoting
    return repo


def use_everything(cli: Cli, repo: Repo) -> None:
    """Log with every verb that calls a model, and write every form of report."""
    for (version, retries), case in itertools.product((("ask@HEAD~1", "0"), ("ask@HEAD", "1")), CASES):
        question = case["inputs"]["question"]
        cli("run", version, "-i", f"question={question}", "--all-checks", "--retries", retries)
    repo.write("in.jsonl", "".join(json.dumps({"inputs": case["inputs"]}) + "\n" for case in CASES))
    cli("batch", "ask", "in.jsonl", "--retries", "0")
    for form in ("html", "markdown", "json", "junit"):
        cli("eval", "ask@HEAD~1", "--format", form, "--out", f"eval.{form}", "--retries", "0")
    pair = ("ask@HEAD", "--against", "ask@HEAD~1")
    cli("eval", *pair, "--format", "html", "--out", "pair.html", "--retries", "0")
    for form in ("html", "markdown", "json"):
        more = ("-o", "retries=0", "--format", form, "--out", f"shadow.{form}")
        cli("shadow", "run", *pair, "--inputs", "in.jsonl", *more)
    prepared = json.loads(cli("run", "ask", "-i", f"question={ASKED}", "--prepare").out)
    repo.write("in.jsonl", json.dumps({"error": f"{ASKED} {ANSWERED}"}))
    assert cli("runs", "finish", prepared["run_id"], "--from", "in.jsonl").code == 0
    repo.write("prompts/ask.cases.jsonl", "")


@pytest.mark.parametrize("kept", ["none", "hash"])
def test_neither_is_anywhere(kept: str, cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", f"log: {{inputs: {kept}, outputs: {kept}}}\n")
    use_everything(cli, project)
    for file in ("eval.html", "pair.html", "shadow.html"):
        assert (project.path / file).exists(), file

    data = every_byte(project)

    assert ASKED.encode() not in data
    assert ANSWERED.encode() not in data


def test_inputs_alone_are_nowhere(cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "log: {inputs: none}\n")
    use_everything(cli, project)

    rows = json.loads(cli("runs", "list", "--all", "-n", "100", "--json").out)
    assert rows
    for row in rows:
        shown = cli("runs", "show", row["run_id"], "--json").out
        run = json.loads(shown)
        assert run["inputs"] is None
        if run["output"] is None:
            assert ASKED not in json.dumps({**run, "tool_calls": [], "attempts": []})


@pytest.mark.sqlite
def test_what_waits_beside_the_registry_is_as_poor(cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "log: {inputs: none, outputs: none}\n")
    (project.path / "registry.db").mkdir()
    (project.path / "prompts/ask.cases.jsonl").write_text("")

    cli("run", "ask", "-i", f"question={ASKED} 0", "--retries", "0")

    assert list(project.path.glob("registry.db-spool/*.json"))
    data = every_byte(project)
    assert ASKED.encode() not in data
    assert ANSWERED.encode() not in data


# ---- keys

ECHOES: dict[str, Callable[[], Answer]] = {
    "in an error": lambda: status(401, f"Incorrect API key provided: {KEY}."),
    "where a message is cut": lambda: status(401, "x" * 384 + KEY),
    "where a body is cut": lambda: body(b"x " * 3_190 + KEY.encode(), 500),
    "in a page": lambda: html(502, f"Bad gateway {KEY}"),
    "URL-encoded": lambda: status(400, "Bad " + "".join(f"%{ord(c):02x}" for c in KEY)),
    "in base64": lambda: status(400, "Basic " + base64.b64encode(f"x:{KEY}".encode()).decode()),
    "in a redirect": lambda: body(b"", 302, Location=f"https://example.org/?key={quote(KEY)}"),
    "in an answer": lambda: text(f"Your key is {KEY}."),
    "in an answer that is cut": lambda: text(f"Your key is {KEY[:100]}", finish="length"),
    "in a call of a tool": lambda: tool_call(KEY, KEY),
    "in a length": lambda: Answer(headers={"Content-Type": "application/json"}, pieces=(KEY.encode(),)),
    "in an error inside a stream": lambda: events({"error": {"message": f"no {KEY}", "code": KEY}}),
    "over events": lambda: events(chunk({"content": KEY[:80]}), chunk({"content": KEY[80:]}), {"error": KEY}),
    "in reasons": lambda: reply({"role": "assistant", "content": "ok", "reasoning": KEY}),
    "in the names of things": lambda: as_json(
        {
            "id": KEY,
            "model": KEY,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
            ],
        }
    ),
    "in a finish reason": lambda: text("ok", finish=KEY),
}


def pieces(secret: str, length: int = 16) -> set[str]:
    return {secret[start : start + length] for start in range(len(secret) - length + 1)}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_a_key_that_comes_back_is_nowhere(
    echo: Callable[[], Answer],
    cli: Cli,
    greeting: Repo,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider.script = lambda _: echo()

    done = cli("run", "greet", "-i", "name=Ada", "--retries", "0")
    streamed = cli("run", "greet", "-i", "name=Ada", "--retries", "0", "--stream")
    failed = cli("doctor", "--reach", "openai/gpt-4o-mini-2024-07-18")
    greeting.write("in.jsonl", '{"inputs": {"name": "Ada"}}\n')
    batch = cli("batch", "greet", "in.jsonl", "--out", "out.jsonl", "--retries", "0")
    (greeting.path / "registry.db-spool").mkdir(exist_ok=True)

    shown = done.err + streamed.err + failed.out + failed.err + batch.err + batch.out
    data = every_byte(greeting).decode("utf-8", "replace")
    forms = pieces(KEY) | pieces(base64.b64encode(KEY.encode()).decode()) | pieces(quote(KEY, safe=""))
    assert not [form for form in forms if form in shown]
    assert not [form for form in forms if form in data]
    assert provider.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_an_application_is_told_without_the_key(
    greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    provider.script = status(401, f"no {KEY}")
    with Workspace.open(greeting.path) as workspace, pytest.raises(ModelError) as raised:
        workspace.run("greet", {"name": "Ada"})
    assert "no ***" in str(raised.value)
    assert KEY not in repr(raised.value)
