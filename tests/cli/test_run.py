"""The main job through the front door: a prompt, a provider, an answer, a row."""

import base64
import json
import signal
import sqlite3
import subprocess
import sys
import time
from typing import Any

import pytest

from support.forked_commands import ForkedPopen
from support.front_door import GREET, Cli, Repo
from support.logged_rows import open_log
from support.provider import Provider, cut_off, empty_choices, html, malformed, reset, slow, status, text

TRIAGE = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: string}
messages:
  - {role: user, content: "{{ ticket }}"}
output:
  schema: {type: object, required: [queue], properties: {queue: {enum: [billing, sales]}}}
  repair: 1
"""


def rows(repo: Repo, sql: str = "SELECT * FROM runs ORDER BY seq") -> list[dict[str, Any]]:
    with open_log(repo.path) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute(sql)
        return [dict(row) for row in found] if found.description else []


def texts(repo: Repo) -> list[dict[str, Any]]:
    return rows(repo, "SELECT * FROM run_texts ORDER BY seq")


def test_run_prints_the_answer_alone_and_logs_it(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("Hello Ada", usage={"prompt_tokens": 12, "completion_tokens": 3})
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, done.out, done.err) == (0, "Hello Ada\n", "")
    (sent,) = provider.requests
    assert sent.body == {
        "model": "gpt-4o-mini-2024-07-18",
        "messages": [
            {"role": "system", "content": "You greet people."},
            {"role": "user", "content": "Greet Ada."},
        ],
        "temperature": 0,
        "max_tokens": 64,
    }
    (row,) = rows(greeting)
    assert row["state"] == "finished"
    assert row["prompt"] == "greet"
    assert row["commit_sha"] == greeting.git("rev-parse", "HEAD")
    assert (row["dirty"], row["input_tokens"], row["output_tokens"]) == (0, 12, 3)
    assert row["cost_usd"] == pytest.approx(12 * 0.15e-6 + 3 * 0.6e-6)
    assert json.loads(texts(greeting)[0]["inputs"]) == {"name": "Ada"}


def test_json_is_what_runs_show_gives(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("Hello Ada")
    ran = json.loads(cli("run", "greet", "-i", "name=Ada", "--json", "--meta", "ticket=7").out)
    shown = json.loads(cli("runs", "show", ran["run_id"], "--json").out)
    assert {key: shown[key] for key in ran} == ran
    assert ran["output"] == "Hello Ada"
    assert ran["metadata"] == {"ticket": "7"}
    assert ran["version"] is None
    assert ran["error"] is None


def test_a_run_of_an_edited_file_is_dirty_and_of_a_revision_is_not(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    greeting.write("prompts/greet.yaml", GREET.replace("Greet {{ name }}.", "Say hi to {{ name }}."))
    for reference in ("greet", "greet@HEAD", "prompts/greet.yaml"):
        assert cli("run", reference, "-i", "name=Ada").code == 0
    assert [sent.body["messages"][1]["content"] for sent in provider.requests] == [
        "Say hi to Ada.",
        "Greet Ada.",
        "Say hi to Ada.",
    ]
    edited, committed, by_path = rows(greeting)
    assert (edited["dirty"], committed["dirty"]) == (1, 0)
    assert edited["digest"] == by_path["digest"] != committed["digest"]


class TestInputs:
    def test_files_stdin_and_a_literal_at_sign(
        self, greeting: Repo, provider: Provider, process: Any
    ) -> None:
        greeting.write("who.txt", "Grace\n")
        for value, stdin, expected in [
            ("name=@who.txt", "", "Greet Grace\n."),
            ("name=@-", "Alan", "Greet Alan."),
            ("name=@@home", "", "Greet @home."),
            ("name=a=b", "", "Greet a=b."),
        ]:
            process(["run", "greet", "-i", value], cwd=greeting.path, input=stdin)
            assert provider.requests[-1].body["messages"][1]["content"] == expected

    def test_stdin_fills_the_one_missing_string(
        self, greeting: Repo, provider: Provider, process: Any
    ) -> None:
        done = process(["run", "greet"], cwd=greeting.path, input="Ada")
        assert done.returncode == 0, done.stderr
        assert provider.requests[0].body["messages"][1]["content"] == "Greet Ada."

    def test_an_empty_stdin_gives_nothing(self, greeting: Repo, provider: Provider, process: Any) -> None:
        done = process(["run", "greet"], cwd=greeting.path, input="")
        assert done.returncode == 4
        assert "the input `name` is missing" in done.stderr

    def test_all_inputs_from_a_file_or_stdin(self, greeting: Repo, provider: Provider, process: Any) -> None:
        greeting.write("in.json", '{"name": "Ada"}')
        assert process(["run", "greet", "--inputs", "in.json"], cwd=greeting.path).returncode == 0
        done = process(["run", "greet", "--inputs", "-"], cwd=greeting.path, input='{"name": "Bob"}')
        assert done.returncode == 0
        assert provider.requests[1].body["messages"][1]["content"] == "Greet Bob."

    @pytest.mark.parametrize(
        "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]
    )
    def test_files_are_read_in_the_encodings_of_windows(
        self, encoding: str, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        (greeting.path / "wide.txt").write_bytes("Jü\n日本語".encode(encoding))
        (greeting.path / "wide.json").write_bytes('{"name": "Jü\\n日本語"}'.encode(encoding))
        for given in (("-i", "name=@wide.txt"), ("--inputs", "wide.json")):
            assert cli("run", "greet", *given).code == 0
            assert provider.requests[-1].body["messages"][1]["content"] == "Greet Jü\n日本語."

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["-i", "name"], "an input is NAME=VALUE"),
            (["-i", "nam=Ada", "-i", "name=x"], "unknown input `nam` (did you mean `name`?) of `greet`\n"),
            (["-i", "name=@nowhere"], "cannot read nowhere"),
            (["--inputs", "list.json"], "list.json: not an object"),
            (["--inputs", "broken.json"], "broken.json: not JSON"),
            (["-i", "name=@latin"], "latin: not UTF-8 (byte 1)\n  save the file as UTF-8"),
            (["-i", "name=@cut"], "cut: not UTF-16 (byte 5)\n  save the file as UTF-8"),
            (["-i", "name=x", "--set", "temperature"], "an override is KEY=VALUE"),
            (["-i", "name=x", "--meta", "k"], "metadata is KEY=VALUE"),
        ],
    )
    def test_bad_input_is_4_and_calls_nothing(
        self, arguments: list[str], message: str, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("list.json", "[1]")
        greeting.write("broken.json", "{")
        (greeting.path / "latin").write_bytes(b"\xe4")
        (greeting.path / "cut").write_bytes("ab".encode("utf-16")[:-1])
        done = cli("run", "greet", *arguments)
        assert done.code == 4, done.err
        assert message in done.err
        assert not provider.requests


class TestOverrides:
    def test_model_and_settings_are_logged_under_their_own_digest(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        cli("run", "greet", "-i", "name=x")
        done = cli(
            "run", "greet", "-i", "name=x", "--model", "openai/gpt-4o", "--set", "parameters.temperature=0.5"
        )
        assert done.code == 0, done.err
        assert provider.requests[1].body["model"] == "gpt-4o"
        assert provider.requests[1].body["temperature"] == 0.5
        plain, changed = rows(greeting)
        assert plain["digest"] != changed["digest"]
        assert json.loads(texts(greeting)[1]["overrides"]) == {
            "model": "openai/gpt-4o",
            "parameters.temperature": 0.5,
        }


class TestFailures:
    @pytest.mark.parametrize(
        ("answer", "code", "kind"),
        [
            (status(400, "bad temperature"), 4, "bad_request"),
            (status(401, "bad key"), 4, "authentication"),
            (status(404, "no such model"), 4, "not_found"),
            (status(429), 5, "rate_limit"),
            (status(500), 5, "server"),
            (malformed(), 5, "malformed_reply"),
            (html(), 5, "malformed_reply"),
            (empty_choices(), 5, "malformed_reply"),
            (reset(), 5, "connection"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_failed_call_is_one_line_an_exit_code_and_a_row(
        self, answer: Any, code: int, kind: str, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        provider.script = answer
        done = cli("run", "greet", "-i", "name=x", "--retries", "0")
        assert (done.code, done.out) == (code, "")
        assert done.err.startswith("promptops: ")
        assert "sk-test" not in done.err
        (row,) = rows(greeting)
        assert (row["state"], row["error_type"], row["retryable"]) == ("failed", kind, int(code == 5))

    def test_json_of_a_failed_call_says_why(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        provider.script = status(500, "boom")
        done = cli("run", "greet", "-i", "name=x", "--retries", "0", "--json")
        assert done.code == 5
        assert json.loads(done.out)["error"]["type"] == "server"

    def test_a_time_out(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        provider.script = slow(5, text("late"))
        done = cli("run", "greet", "-i", "name=x", "--retries", "0", "--timeout", "0.2")
        assert done.code == 5
        assert rows(greeting)[0]["error_type"] == "timeout"

    def test_no_key_names_the_variable(
        self, cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("OPENAI_API_KEY")
        done = cli("run", "greet", "-i", "name=x")
        assert done.code == 4
        assert "OPENAI_API_KEY" in done.err
        assert not provider.requests

    def test_retries_are_recorded_and_retry_after_is_kept(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        provider.script = [status(429, retry_after=0), status(503), text("at last")]
        done = cli("run", "greet", "-i", "name=x")
        assert (done.code, done.out) == (0, "at last\n")
        attempts = json.loads(texts(greeting)[0]["attempts"])
        assert [attempt.get("error", {}).get("type") for attempt in attempts] == [
            "rate_limit",
            "server",
            None,
        ]

    def test_a_retry_after_beyond_patience_is_an_answer(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        provider.script = status(429, retry_after=3600)
        assert cli("run", "greet", "-i", "name=x").code == 5
        assert len(provider.requests) == 1

    def test_the_next_pin_answers_when_the_first_fails_for_now(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("prompts/greet.yaml", GREET + "fallback: [openai/gpt-4o-2024-08-06]\n")
        provider.script = [status(500), text("from the second")]
        done = cli("run", "greet", "-i", "name=x", "--retries", "0")
        assert (done.code, done.out) == (0, "from the second\n")
        (row,) = rows(greeting)
        assert row["request_model"] == "openai/gpt-4o-mini-2024-07-18"
        attempts = json.loads(texts(greeting)[0]["attempts"])
        assert [attempt["model"] for attempt in attempts] == [
            "openai/gpt-4o-mini-2024-07-18",
            "openai/gpt-4o-2024-08-06",
        ]
        provider.script = status(401)
        assert cli("run", "greet", "-i", "name=x", "--retries", "0").code == 4
        assert len(provider.requests) == 3, "a key that is refused is not a reason to try another pin"

    def test_a_stream_that_is_cut_keeps_what_had_come(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        provider.script = cut_off("half an ans")
        done = cli("run", "greet", "-i", "name=x", "--stream", "--retries", "0")
        assert done.code == 5
        assert done.out.startswith("half an ans")
        assert rows(greeting)[0]["error_type"] == "cut_off"
        assert texts(greeting)[0]["output"] == "half an ans"


class TestStreaming:
    def test_text_comes_as_it_is_made_and_the_first_token_is_timed(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        provider.script = text("one two three")
        done = cli("run", "greet", "-i", "name=x", "--stream")
        assert (done.code, done.out) == (0, "one two three\n")
        assert provider.requests[0].streams
        (row,) = rows(greeting)
        assert 0 < row["first_token_ms"] <= row["latency_ms"]
        assert texts(greeting)[0]["output"] == "one two three"


class TestStructuredOutput:
    def test_one_repair_with_the_validation_error(self, cli: Cli, repo: Repo, provider: Provider) -> None:
        repo.write("prompts/triage.yaml", TRIAGE)
        usage = {"prompt_tokens": 10, "completion_tokens": 5}
        provider.script = [
            text('{"queue": "spam"}', usage=usage),
            text('{"queue": "billing"}', usage=usage),
        ]
        done = cli("run", "triage", "-i", "ticket=x", "--json")
        assert done.code == 0
        run = json.loads(done.out)
        assert run["output_json"] == {"queue": "billing"}
        assert (run["input_tokens"], run["output_tokens"]) == (20, 10)
        assert [attempt.get("output") for attempt in run["attempts"]] == ['{"queue": "spam"}', None]
        asked = provider.requests[1].body["messages"]
        assert [message["role"] for message in asked] == ["user", "assistant", "user"]
        assert "spam" in asked[2]["content"]

    def test_output_that_stays_invalid_is_printed_and_1(
        self, cli: Cli, repo: Repo, provider: Provider
    ) -> None:
        repo.write("prompts/triage.yaml", TRIAGE)
        provider.script = text("no JSON at all")
        done = cli("run", "triage", "-i", "ticket=x")
        assert (done.code, done.out) == (1, "no JSON at all\n")
        assert "invalid output: not JSON" in done.err
        assert rows(repo)[0]["error_type"] == "invalid_output"


class TestChecks:
    def test_a_failed_check_prints_the_answer_and_exits_1(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("prompts/greet.yaml", GREET + "checks:\n  - contains: Ada\n  - max_chars: 99\n")
        provider.script = [text("Hello Ada"), text("Hello you")]
        assert cli("run", "greet", "-i", "name=Ada").code == 0
        done = cli("run", "greet", "-i", "name=Ada")
        assert (done.code, done.out) == (1, "Hello you\n")
        assert "check failed: contains: 'Ada' does not occur in 'Hello you'" in done.err
        assert [row["checks_failed"] for row in rows(greeting)] == [0, 1]

    def test_an_unknown_check_is_found_before_the_call(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("prompts/greet.yaml", GREET + "checks:\n  - contain: Ada\n")
        done = cli("run", "greet", "-i", "name=Ada")
        assert done.code == 4
        assert "did you mean contains?" in done.err
        assert not provider.requests


class TestTools:
    def test_definitions_go_over_the_wire_and_calls_come_back(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        tool = {"type": "function", "function": {"name": "wave", "parameters": {"type": "object"}}}
        call = {"id": "c1", "type": "function", "function": {"name": "wave", "arguments": "{}"}}
        greeting.write("prompts/greet.yaml", GREET + f"tools: [{json.dumps(tool)}]\n")
        from support.provider import reply

        provider.script = reply({"role": "assistant", "content": None, "tool_calls": [call]})
        done = cli("run", "greet", "-i", "name=Ada")
        assert done.code == 0, done.err
        assert provider.requests[0].body["tools"] == [tool]
        assert json.loads(done.out) == [call]


class TestRichMessages:
    def test_a_chat_history_and_an_image_go_over_the_wire(
        self, cli: Cli, repo: Repo, provider: Provider
    ) -> None:
        repo.write(
            "prompts/look.yaml",
            "model: openai/gpt-4o-2024-08-06\n"
            "inputs:\n  chat: {type: messages, default: []}\n  photo: {type: image}\n"
            "messages:\n  - insert: chat\n"
            "  - role: user\n    content: [{text: What is it?}, {image: photo}]\n",
        )
        png = bytes.fromhex("89504e470d0a1a0a")
        (repo.path / "dot.png").write_bytes(png)
        chat = [{"role": "user", "content": "Hi {{ photo }}"}, {"role": "assistant", "content": "Hello"}]
        done = cli("run", "look", "-i", "photo=@dot.png", "-i", f"chat={json.dumps(chat)}")
        assert done.code == 0, done.err
        sent = provider.requests[0].body["messages"]
        url = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        assert sent == [
            *chat,
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": url}},
                ],
            },
        ]
        assert json.loads(texts(repo)[0]["inputs"])["photo"] == url
        assert "[image/png, 8 bytes]" in cli("render", "look", "-i", "photo=@dot.png").out

    def test_an_image_is_shown_as_its_size(self, cli: Cli, repo: Repo, provider: Provider) -> None:
        """Also where inputs are shown as they were logged or written."""
        url = f"data:image/png;base64,{base64.b64encode(bytes.fromhex('89504e470d0a1a0a') * 9).decode()}"
        prompt = (
            "model: openai/gpt-4o-2024-08-06\ninputs:\n  photo: {type: image}\n  of: {default: x}\n"
            "messages: [{role: user, content: [{image: photo}]}]\ncases: look.jsonl\n"
        )
        repo.write("prompts/look.yaml", prompt)
        repo.write("prompts/look.jsonl", json.dumps({"inputs": {"photo": url, "of": "y"}, "expected": "no"}))
        shown = [cli("cases", "list", "look").out, cli("eval", "look").out]
        cli("run", "look", "-i", f"photo={url}")
        shown.append(cli("runs", "show", "last").out)
        rows(repo, "DELETE FROM versions")
        repo.write("prompts/look.yaml", prompt + "description: another\nmax_input_tokens: 9000\n")
        rows(repo, "UPDATE runs SET digest = 'ff'")
        shown.append(cli("runs", "show", "last").out)
        for page in shown:
            assert "[image/png, 72 bytes]" in page
            assert "base64" not in page

    @pytest.mark.parametrize(
        ("pair", "message"),
        [
            ("chat=[", """such as -i chat='[{"role": "user", "content": "Hello"}]'"""),
            ("photo=nonsense", "must be an image"),
            ('chat=[{"role": "boss"}]', "chat"),
        ],
    )
    def test_inputs_of_another_kind_are_refused(
        self, pair: str, message: str, cli: Cli, repo: Repo, provider: Provider
    ) -> None:
        repo.write(
            "prompts/look.yaml",
            "model: openai/gpt-4o\ninputs:\n  chat: {type: messages, default: []}\n"
            "  photo: {type: image}\nmessages:\n  - insert: chat\n"
            "  - role: user\n    content: [{image: photo}]\n",
        )
        done = cli("run", "look", "-i", "photo=data:image/png;base64,iVBORw0KGgo=", "-i", pair)
        assert done.code == 4
        assert message in done.err


class TestLogging:
    def test_no_log_writes_nothing(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        assert cli("run", "greet", "-i", "name=x", "--no-log").code == 0
        assert not (greeting.path / "registry.db").exists()

    @pytest.mark.parametrize("keep", ["hash", "none"])
    def test_inputs_and_outputs_are_kept_as_the_settings_say(
        self, keep: str, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("promptops.yaml", f"log: {{inputs: {keep}, outputs: {keep}}}\n")
        greeting.write("prompts/greet.yaml", GREET + "checks: [{contains: nowhere}]\n")
        provider.script = text("top hushhush")
        done = cli("run", "greet", "-i", "name=hidden")
        assert done.out == "top hushhush\n"
        (row,) = rows(greeting)
        assert (row["inputs_hash"] is None, row["output_hash"] is None) == (keep == "none", keep == "none")
        data = b"".join(file.read_bytes() for file in greeting.path.glob("registry.db*"))
        assert b"hidden" not in data
        assert b"hushhush" not in data

    @pytest.mark.sqlite
    def test_a_registry_that_is_locked_does_not_cost_the_answer(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        assert cli("run", "greet", "-i", "name=1").code == 0
        (greeting.path / "registry.db").chmod(0o400)
        (greeting.path / "registry.db").rename(greeting.path / "kept.db")
        (greeting.path / "registry.db").mkdir()  # nobody, not even root, can write a row into a folder
        done = cli("run", "greet", "-i", "name=2")
        assert (done.code, done.out) == (0, "Greet 2.\n")
        assert "registry.db-spool" in done.err
        (greeting.path / "registry.db").rmdir()
        (greeting.path / "kept.db").rename(greeting.path / "registry.db")
        (greeting.path / "registry.db").chmod(0o600)
        (waiting,) = (greeting.path / "registry.db-spool").glob("*.json")
        assert "it waits in " in cli("runs", "show", waiting.stem[:20]).err
        assert cli("run", "greet", "-i", "name=3").code == 0
        assert [row["state"] for row in rows(greeting)] == ["finished"] * 3
        assert sorted(json.loads(row["inputs"])["name"] for row in texts(greeting)) == ["1", "2", "3"]
        assert not list((greeting.path / "registry.db-spool").glob("*.json"))

    @pytest.mark.sqlite
    def test_fail_closed_calls_nothing_unlogged(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        greeting.write("promptops.yaml", "log: {on_error: fail}\n")
        (greeting.path / "registry.db").mkdir()
        done = cli("run", "greet", "-i", "name=x")
        assert done.code == 4
        assert not provider.requests

    def test_ctrl_c_during_a_call_is_logged_as_interrupted(self, greeting: Repo, provider: Provider) -> None:
        provider.script = slow(20, text("late"))
        command = [sys.executable, "-m", "promptops", "run", "greet", "-i", "name=x"]
        child = ForkedPopen(command, cwd=greeting.path, stderr=subprocess.PIPE, encoding="utf-8")
        wait_until(lambda: provider.requests)
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=60)
        assert (child.returncode, said) == (130, "interrupted\n")
        assert rows(greeting)[0]["state"] == "interrupted"

    def test_a_killed_process_leaves_a_started_row(self, greeting: Repo, provider: Provider) -> None:
        provider.script = slow(20, text("late"))
        command = [sys.executable, "-m", "promptops", "run", "greet", "-i", "name=x"]
        child = ForkedPopen(command, cwd=greeting.path)
        wait_until(lambda: provider.requests)
        child.kill()
        child.wait()
        assert rows(greeting)[0]["state"] == "started"


def wait_until(condition: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_terminal_of_another_locale(greeting: Repo, provider: Provider, process: Any) -> None:
    import os

    provider.script = text("Grüße, 世界")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = process(["run", "greet", "-i", "name=x"], cwd=greeting.path, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(rows(greeting)) == 1
