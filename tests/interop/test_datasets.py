"""Logged runs become data sets for training, and nothing gets in that should not."""

import hashlib
import json
import sys
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from jsonschema import Draft202012Validator

from promptops._version import __version__
from promptops.errors import Invalid, Unavailable
from promptops.interop.datasets.parquet import COLUMNS, write_parquet
from promptops.interop.datasets.trained_on import MAX_MANIFEST, read_manifest_runs
from promptops.registry import RegistryDatabase, ReviewLabel, RunFilter, add_label, list_runs
from promptops.registry.queries.review.queues import DrawnItem, add_queue
from support.front_door import GREET, Cli, Repo
from support.logged_runs import a_run, an_end
from support.provider import Provider, Received, reply, text

MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["system", "user", "assistant", "tool"]},
        "content": {"type": "string"},
        "name": {"type": "string"},
        "tool_call_id": {"type": "string"},
        "tool_calls": {"type": "array", "minItems": 1},
    },
    "additionalProperties": False,
}
MESSAGES = {"type": "array", "minItems": 1, "items": MESSAGE}
ANSWER = {"type": "array", "minItems": 1, "maxItems": 1, "items": MESSAGE}
OPENAI_MESSAGE = {**MESSAGE, "required": ["role"]}
SHAPES: dict[str, Any] = {
    "trl-sft": {"required": ["messages"], "properties": {"messages": MESSAGES, "tools": {"type": "string"}}},
    "trl-dpo": {
        "required": ["prompt", "chosen", "rejected"],
        "properties": {"prompt": MESSAGES, "chosen": ANSWER, "rejected": ANSWER},
    },
    "openai-jsonl": {
        "required": ["messages"],
        "properties": {"messages": {**MESSAGES, "items": OPENAI_MESSAGE}, "tools": {"type": "array"}},
    },
}
CHECKED = GREET + 'checks: [{contains: "Hello"}]\n'
TOOL = {"type": "function", "function": {"name": "greet", "parameters": {"type": "object"}}}
CALL = {"id": "1", "type": "function", "function": {"name": "greet", "arguments": '{"who": "Ada"}'}}


@pytest.fixture
def greeted(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/greet.yaml", CHECKED)
    repo.commit()
    answers = iter(range(1_000))
    provider.script = lambda request: text(f"Hello {next(answers)}, {last_word(request)}")
    return repo


def last_word(request: Received) -> str:
    return str(request.body["messages"][-1]["content"]).split()[-1]


def run(cli: Cli, name: str, *options: str, ends: int = 0) -> str:
    done = cli("run", "greet", "-i", f"name={name}", "--json", *options)
    assert done.code == ends, done.err
    return str(json.loads(done.out)["run_id"])


def export(cli: Cli, form: str, *options: str) -> tuple[list[Any], dict[str, Any], str]:
    """Lines, manifest and what was said."""
    done = cli("runs", "export", "--format", form, "--out", "set.jsonl", *options)
    assert done.code == 0, done.err
    data = Path("set.jsonl").read_bytes()
    manifest = json.loads(Path("set.manifest.json").read_text("utf-8"))
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert (manifest["bytes"], manifest["file"]) == (len(data), "set.jsonl")
    lines = [json.loads(line) for line in data.decode().splitlines()]
    assert len(lines) == manifest["examples"] == len(manifest["runs"])
    shape = {"type": "object", "additionalProperties": False, **SHAPES[form]}
    for line in lines:
        Draft202012Validator(shape).validate(line)
    return lines, manifest, done.err


def left_out(cli: Cli, *options: str) -> dict[str, int]:
    """Why runs are left out where one may stay in."""
    run(cli, "the one that stays")
    return dict(export(cli, "trl-sft", *options)[1]["left_out"])


def store(*values: Any) -> None:
    """Rows of the project's registry."""
    with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry:
        registry.record(values)


class TestExamples:
    def test_messages_are_those_that_were_sent_with_the_answer(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        runs = [run(cli, "Ada"), run(cli, "Zoë")]
        lines, manifest, said = export(cli, "trl-sft")
        sent = [request.body["messages"] for request in provider.requests]
        assert [line["messages"][:-1] for line in lines] == sent
        assert [line["messages"][-1]["content"] for line in lines] == ["Hello 0, Ada.", "Hello 1, Zoë."]
        assert (manifest["runs"], manifest["runs_looked_at"], manifest["left_out"]) == (runs, 2, {})
        assert (manifest["format"], manifest["promptops"]) == ("trl-sft", __version__)
        (version,) = manifest["versions"]
        assert (version["prompt"], version["examples"]) == ("greet", 2)
        assert "2 examples of 2 runs written to set.jsonl" in said

    def test_the_same_again_gives_the_same_bytes(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        assert export(cli, "openai-jsonl")[1]["sha256"] == export(cli, "openai-jsonl")[1]["sha256"]

    def test_filters_choose_runs_and_stand_in_the_manifest(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        run(cli, "Eve", "--set", "parameters.temperature=1")
        digest = json.loads(cli("runs", "list", "--json").out)[0]["digest"]
        lines, manifest, _ = export(cli, "trl-sft", f"greet@{digest}", "--since", "1d")
        assert [line["messages"][-1]["content"] for line in lines] == ["Hello 1, Eve."]
        assert manifest["filters"]["prompt"] == "greet"
        assert digest.endswith(manifest["filters"]["digest"])
        assert manifest["filters"]["since"] < manifest["created_at"]

    def test_a_stretch_of_time(self, cli: Cli, greeted: Repo) -> None:
        day = "2026-01-0{}T00:00:00.000Z"
        found = {"prompt": "greet", "kind": "judge"}
        store(*((a_run(started_at=day.format(n), **found), an_end()) for n in (1, 2, 3)))
        done = cli("runs", "export", "--since", "2026-01-02", "--before", "2026-01-03")
        assert [json.loads(line)["started_at"] for line in done.out.splitlines()] == [day.format(2)]
        done = cli("runs", "export", "--before", "soon")
        assert (done.code, "--before soon: neither a span nor a date" in done.err) == (4, True)

    def test_tools_and_their_calls(self, cli: Cli, greeted: Repo, provider: Provider) -> None:
        greeted.write("prompts/greet.yaml", f"{GREET}tools: {json.dumps([TOOL])}\n")
        provider.script = reply(
            {"role": "assistant", "content": None, "tool_calls": [CALL]}, finish="tool_calls"
        )
        run(cli, "Ada")
        (line,) = export(cli, "openai-jsonl")[0]
        assert line["tools"] == [TOOL]
        assert line["messages"][-1] == {"role": "assistant", "tool_calls": [CALL]}
        (line,) = export(cli, "trl-sft")[0]
        assert json.loads(line["tools"]) == [TOOL]
        arguments = {**CALL, "function": {"name": "greet", "arguments": {"who": "Ada"}}}
        assert line["messages"][-1] == {"role": "assistant", "content": "", "tool_calls": [arguments]}

    def test_what_json_does_not_have_is_left_out_or_stays_a_text(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        greeted.write("prompts/greet.yaml", f"{GREET}tools: {json.dumps([TOOL])}\n")
        for arguments in (r'{"a": "\ud83d"}', '{"a": NaN}', '{"a": 1}'):
            call = {**CALL, "function": {"name": "greet", "arguments": arguments}}
            provider.script = reply({"role": "assistant", "tool_calls": [call]}, finish="tool_calls")
            run(cli, "Ada")
        lines, manifest, _ = export(cli, "trl-sft")
        calls = [line["messages"][-1]["tool_calls"][0]["function"]["arguments"] for line in lines]
        assert (calls, manifest["left_out"]) == (['{"a": NaN}', {"a": 1}], {"not_json": 1})

    def test_a_history_with_tools_and_texts_in_parts(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        greeted.write(
            "prompts/greet.yaml",
            "model: openai/gpt-4o-mini-2024-07-18\nparameters: {max_tokens: 5}\n"
            "inputs: {history: {type: messages}}\nmessages: [{insert: history}]\n",
        )
        cut = {**CALL, "id": "2", "function": {"name": "greet", "arguments": '{"who"'}}
        history = [
            {"role": "user", "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": "parts"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL, cut]},
            {"role": "tool", "tool_call_id": "1", "content": "done"},
            {"role": "tool", "tool_call_id": "2", "content": "not done"},
        ]
        provider.script = text("Hello")
        assert cli("run", "greet", "-i", f"history={json.dumps(history)}").code == 0
        (line,) = export(cli, "trl-sft")[0]
        assert [message["content"] for message in line["messages"]][:3] == ["Two\nparts", "", "done"]
        first, second = line["messages"][1]["tool_calls"]
        assert (first["function"]["arguments"], second) == ({"who": "Ada"}, cut)
        (line,) = export(cli, "openai-jsonl")[0]
        assert line["messages"][:2] == [
            {"role": "user", "content": "Two\nparts"},
            {"role": "assistant", "tool_calls": [CALL, cut]},
        ]
        assert cli("runs", "export", "--format", "parquet", "--out", "set.parquet").code == 0
        with duckdb.connect() as connection:
            ((messages,),) = connection.execute("SELECT messages FROM 'set.parquet'").fetchall()
        assert (messages[1]["tool_calls"], messages[2]["tool_call_id"]) == ([CALL, cut], "1")

    def test_images_are_left_out_but_for_openai(self, cli: Cli, greeted: Repo) -> None:
        pixel = (
            "data:image/png;base64,"
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        )
        greeted.write(
            "prompts/greet.yaml",
            "model: openai/gpt-4o-mini-2024-07-18\ninputs: {name: string, face: {type: image}}\n"
            "messages:\n  - role: user\n    content: [{text: 'Greet {{ name }}'}, {image: face}]\n",
        )
        assert cli("run", "greet", "-i", "name=Ada", "-i", f"face={pixel}").code == 0
        (line,) = [json.loads(each) for each in _lines(cli, "openai-jsonl")]
        parts = [{"type": "text", "text": "Greet Ada"}, {"type": "image_url", "image_url": {"url": pixel}}]
        assert line["messages"][0]["content"] == parts
        done = cli("runs", "export", "--format", "trl-sft", "--out", "other.jsonl")
        assert done.code == 4
        assert "no example in 1 runs: 1 images or files" in done.err
        assert not Path("other.jsonl").exists()
        assert not Path("other.manifest.json").exists()


def _lines(cli: Cli, form: str) -> list[str]:
    assert cli("runs", "export", "--format", form, "--out", "set.jsonl").code == 0
    return Path("set.jsonl").read_text("utf-8").splitlines()


class TestLeftOut:
    def test_inputs_of_the_golden_set_now_and_then(self, cli: Cli, greeted: Repo) -> None:
        greeted.write("prompts/greet.yaml", f"{CHECKED}cases: greet.cases.jsonl\n")
        greeted.write(
            "prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n{"inputs": {"name": "Eve"}}\n'
        )
        commit = greeted.commit()
        for name in ("Ada", "Eve", "Bob", "Joe"):
            run(cli, name)
        assert cli("eval", "greet").code == 0
        greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Bob"}}\n')
        greeted.commit()
        lines, manifest, said = export(cli, "trl-sft")
        assert [line["messages"][-2]["content"] for line in lines] == ["Greet Joe."]
        assert manifest["left_out"] == {"golden": 5}
        assert manifest["golden_sets"] == {"read": ["greet", f"greet@{commit}"], "unread": {}}
        assert "5 left out: inputs of a golden set" in said

    def test_a_case_of_another_version_counts_by_the_inputs_that_both_have(
        self, cli: Cli, greeted: Repo
    ) -> None:
        run(cli, "Ada")
        run(cli, "Bob")
        greeted.write(
            "prompts/greet.yaml",
            CHECKED.replace("name: string", "name: string\n  tone: string") + "cases: greet.cases.jsonl\n",
        )
        greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada", "tone": "warm"}}\n')
        assert export(cli, "trl-sft")[1]["left_out"] == {"golden": 1}
        greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"tone": "warm"}}\n')
        assert export(cli, "trl-sft")[1]["left_out"] == {}

    def test_spaces_and_case_hide_no_input_of_the_golden_set(self, cli: Cli, greeted: Repo) -> None:
        greeted.write(
            "prompts/greet.yaml",
            CHECKED.replace("name: string", "name: {type: [string, array]}") + "cases: greet.cases.jsonl\n",
        )
        cases = ('{"inputs": {"name": "Ada  Lovelace"}}', '{"inputs": {"name": ["Eve", 1]}}')
        greeted.write("prompts/greet.cases.jsonl", "\n".join(cases))
        asked = ('{"inputs": {"name": "ada lovelace\\n"}}', '{"inputs": {"name": ["eve ", 1]}}')
        greeted.write("in.jsonl", "\n".join(asked))
        assert cli("batch", "greet", "in.jsonl").code == 0
        assert left_out(cli) == {"golden": 2}

    def test_a_case_that_a_version_cannot_take_counts_too(self, cli: Cli, greeted: Repo) -> None:
        greeted.write("prompts/greet.yaml", f"{CHECKED}cases: greet.cases.jsonl\n")
        greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n')
        greeted.commit()
        both = CHECKED.replace("name: string", "name: string\n  tone: string")
        greeted.write("prompts/greet.yaml", f"{both}cases: greet.cases.jsonl\n")
        for name in ("Ada", "Bob"):
            run(cli, name, "-i", "tone=warm")
        assert export(cli, "trl-sft")[1]["left_out"] == {"golden": 1}

    def test_a_golden_set_that_cannot_be_read_stops_it_unless_it_is_an_old_one(
        self, cli: Cli, greeted: Repo
    ) -> None:
        greeted.write("prompts/greet.yaml", f"{CHECKED}cases: greet.cases.jsonl\n")
        greeted.write("prompts/greet.cases.jsonl", "no case\n")
        commit = greeted.commit()
        run(cli, "Ada")
        done = cli("runs", "export", "--format", "trl-sft", "--out", "set.jsonl")
        assert done.code == 4
        assert "greet.cases.jsonl:1: not JSON" in done.err
        greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Bob"}}\n')
        _, manifest, said = export(cli, "trl-sft")
        assert list(manifest["golden_sets"]["unread"]) == [f"greet@{commit}"]
        assert f"the golden set of greet@{commit} could not be read" in said

    def test_a_prompt_that_is_gone_has_no_golden_set(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        (greeted.path / "prompts" / "greet.yaml").unlink()
        assert len(export(cli, "trl-sft")[0]) == 1

    def test_answers_that_are_none(self, cli: Cli, greeted: Repo, provider: Provider) -> None:
        provider.script = text("Hello th", finish="length")
        run(cli, "Ada")
        provider.script = text("Hello")
        assert left_out(cli) == {"cut_off": 1}
        store((a_run(kind="judge"), an_end()), (a_run(excluded="mock"), an_end()))
        store((a_run(), an_end(state="failed", output=None, error_type="timeout", error_message="late")))
        store((a_run(inputs=None), an_end()), (a_run(), an_end(output=None)), (a_run(), an_end(output="")))
        store((a_run(overrides={"caller_tools": ["f"]}, digest="0" * 64), an_end()), (a_run(), an_end()))
        before = {"judge": 1, "no_answer": 2, "mock": 1, "not_kept": 2, "cut_off": 1}
        assert left_out(cli) == {**before, "not_rebuilt": 2, "duplicate": 1}

    def test_a_version_that_the_registry_lacks_is_read_from_its_commit(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry, registry.write() as connection:
            connection.execute("DELETE FROM versions")
        assert len(export(cli, "trl-sft")[0]) == 1

    def test_tools_of_callers_are_not_known(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry, registry.write() as connection:
            connection.execute("""UPDATE run_texts SET overrides = '{"caller_tools": ["f"]}'""")
        assert left_out(cli) == {"caller_tools": 1}

    def test_messages_that_come_out_differently_now(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry, registry.write() as connection:
            connection.execute("UPDATE runs SET messages_hash = 'other'")
        assert left_out(cli) == {"not_rebuilt": 1}

    def test_what_is_held_until_a_person_releases_it(self, cli: Cli, greeted: Repo) -> None:
        waiting, released = run(cli, "Ada"), run(cli, "Bob")
        with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry, registry.write() as connection:
            for run_id, decision, answer in ((waiting, None, ""), (released, "released", "Dear Bob")):
                connection.execute(
                    "INSERT INTO held_runs (run_seq, decision, answer) "
                    "SELECT seq, ?, ? FROM runs WHERE run_id = ?",
                    (decision, answer, run_id),
                )
        lines, manifest, _ = export(cli, "trl-sft")
        assert [line["messages"][-1]["content"] for line in lines] == ["Dear Bob"]
        assert manifest["left_out"] == {"held": 1}


class TestRedaction:
    MAIL = "ada.lovelace@example.org"

    def test_redacted_runs_are_left_out_unless_asked_for(self, cli: Cli, greeted: Repo) -> None:
        greeted.write("promptops.yaml", "log: {redact: [email]}\n")
        run(cli, self.MAIL)
        run(cli, "Bob")
        assert export(cli, "trl-sft")[1]["left_out"] == {"redacted": 1}
        lines, manifest, said = export(cli, "trl-sft", "--redacted")
        assert [line["messages"][-2]["content"] for line in lines] == ["Greet [email].", "Greet Bob."]
        assert (manifest["redacted"], manifest["left_out"]) == (1, {})
        assert "1 of them with redacted texts" in said

    def test_an_input_of_the_golden_set_is_known_also_redacted(self, cli: Cli, greeted: Repo) -> None:
        greeted.write("promptops.yaml", "log: {redact: [email]}\n")
        greeted.write("prompts/greet.yaml", f"{CHECKED}cases: greet.cases.jsonl\n")
        case = {"inputs": {"name": f"Ada of {self.MAIL}"}}
        greeted.write("prompts/greet.cases.jsonl", json.dumps(case) + "\n")
        for name in (f"Ada of {self.MAIL}", f"Eve of {self.MAIL}"):
            run(cli, name)
        _, manifest, _ = export(cli, "trl-sft", "--redacted")
        assert (manifest["left_out"], manifest["redacted"]) == ({"golden": 1}, 1)

    def test_rules_of_today_hold_for_what_was_logged_before_them(self, cli: Cli, greeted: Repo) -> None:
        written = run(cli, "Bob")
        run(cli, self.MAIL)
        assert cli("feedback", written, "--edit", f"Hello Bob, ask {self.MAIL}").code == 0
        greeted.write("promptops.yaml", "log: {redact: [email]}\n")
        assert left_out(cli, "--edits") == {"redacted": 2}
        for form in ("trl-sft", "trl-dpo", "openai-jsonl"):
            edits = [] if form == "trl-dpo" else ["--edits"]
            lines, _, _ = export(cli, form, "--redacted", *edits)
            assert self.MAIL not in json.dumps(lines)
            assert "[email]" in json.dumps(lines)

    def test_a_rule_that_fails_keeps_the_run_out(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        greeted.write("finder.py", "def find(text):\n    if 'Ada' in text: raise OSError\n    return []\n")
        greeted.write("promptops.yaml", "log: {redact: [{python: 'finder:find', name: own}]}\n")
        assert left_out(cli) == {"not_redacted": 1}


class TestQuality:
    def test_checks_ratings_and_scores(self, cli: Cli, greeted: Repo, provider: Provider) -> None:
        good, bad = run(cli, "Ada"), run(cli, "Bob")
        provider.script = text("Go away")
        failed = run(cli, "Eve", ends=1)
        assert cli("feedback", good, "up").code == 0
        assert cli("feedback", bad, "down").code == 0
        assert export(cli, "trl-sft", "--passed")[1]["runs"] == [good, bad]
        _, manifest, _ = export(cli, "trl-sft", "--min", "thumbs=1")
        assert (manifest["runs"], manifest["left_out"]) == ([good], {"below_minimum": 2})
        assert manifest["filters"]["min"] == {"thumbs": 1.0}
        _, manifest, said = export(cli, "trl-sft")
        assert manifest["runs"] == [good, bad, failed]
        assert "2 of them failed a check or were rated badly: see --passed and --min" in said

    def test_scores_of_judges_are_averaged_and_numbers_of_checks_count(self, cli: Cli, greeted: Repo) -> None:
        scored, other = run(cli, "Ada"), run(cli, "Bob")
        with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry, registry.write() as connection:
            for source, name, value in (
                ("judge", "quality", 3),
                ("judge", "quality", 5),
                ("check", "near", 0.9),
            ):
                connection.execute(
                    "INSERT INTO outcomes (run_seq, source, name, passed, value, occurred_at, recorded_at) "
                    "SELECT seq, ?, ?, 1, ?, '', '' FROM runs WHERE run_id = ?",
                    (source, name, value, scored),
                )
        assert export(cli, "trl-sft", "--min", "quality=4", "--min", "near=0.9")[1]["runs"] == [scored]
        assert cli("runs", "export", "--format", "trl-sft", "--out", "x", "--min", "quality=4.1").code == 4
        assert cli("feedback", other, "--metric", "near", "--value", "1").code == 0
        assert export(cli, "trl-sft", "--min", "near=0.95")[1]["runs"] == [other]

    def test_edits_stand_in_place_of_answers_whatever_was_said_of_those(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        provider.script = text("Go away", finish="length")
        edited = run(cli, "Ada", ends=1)
        provider.script = text("Hello")
        kept = run(cli, "Bob")
        assert cli("feedback", edited, "down", "--edit", "Hello dear Ada").code == 0
        lines, manifest, _ = export(cli, "trl-sft", "--edits", "--passed")
        assert [line["messages"][-1]["content"] for line in lines] == ["Hello dear Ada", "Hello"]
        assert manifest["runs"] == [edited, kept]
        assert manifest["filters"] == {"passed": True, "edits": True}
        provider.script = text("Hello again")
        assert cli("feedback", run(cli, "Bob"), "--edit", "Hello dear Bob").code == 0
        assert "1 of them have a person's better answer, which --edits takes" in export(cli, "trl-sft")[2]

    def test_a_reviewers_answer_is_an_edit(self, cli: Cli, greeted: Repo) -> None:
        reviewed = run(cli, "Ada")
        assert cli("feedback", reviewed, "--edit", "an older one").code == 0
        review(reviewed, "Hello dear Ada")
        (line,) = export(cli, "trl-sft", "--edits")[0]
        assert line["messages"][-1]["content"] == "Hello dear Ada"

    def test_an_edit_of_json_has_to_be_json(self, cli: Cli, greeted: Repo, provider: Provider) -> None:
        greeted.write("prompts/greet.yaml", GREET + "output: {schema: {type: object}}\n")
        provider.script = text('{"a": 1}')
        broken, whole = run(cli, "Ada"), run(cli, "Bob")
        assert cli("feedback", broken, "--edit", "{").code == 0
        assert cli("feedback", whole, "--edit", '{"a": 2}').code == 0
        lines, manifest, _ = export(cli, "trl-sft", "--edits")
        assert (lines[0]["messages"][-1]["content"], manifest["left_out"]) == (
            '{"a": 2}',
            {"edit_not_json": 1},
        )


def review(run_id: str, answer: str) -> None:
    with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry:
        seq = registry.read_one("SELECT seq FROM runs WHERE run_id = ?", (run_id,))
        items = [DrawnItem(seq, None, drawn=False)]
        about: dict[str, Any] = {"prompt": "greet", "channel": None, "selection": {}, "rubric": "0"}
        queue = add_queue(registry, **about, created_by="ada", items=items)
        item = registry.read_one("SELECT item FROM review_items WHERE queue = ?", (queue,))
        label = ReviewLabel(passed=False, reviewer="ada", rubric="0", answer=answer)
        assert add_label(registry, item, label)


class TestPairs:
    def pairs(self, lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
        return [
            (line["prompt"][-1]["content"], line["chosen"][0]["content"], line["rejected"][0]["content"])
            for line in lines
        ]

    def test_a_persons_answer_against_the_logged_one(self, cli: Cli, greeted: Repo) -> None:
        edited, _ = run(cli, "Ada"), run(cli, "Bob")
        assert cli("feedback", edited, "--edit", "Hello dear Ada").code == 0
        lines, manifest, said = export(cli, "trl-dpo")
        assert self.pairs(lines) == [("Greet Ada.", "Hello dear Ada", "Hello 0, Ada.")]
        assert (manifest["runs"], manifest["left_out"]) == ([[edited, edited]], {"no_pair": 1})
        assert "1 pair of 2 runs" in said

    def test_passed_against_failed_of_the_same_inputs(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        words = iter(["Hello", "Go away", "Hello there", "Go", "Hello", "Go away", "Hello"])
        provider.script = lambda _: text(next(words))
        ids = [run(cli, "Ada", ends="Go" in each) for each in ["", "Go", "", "Go"]]
        ids += [run(cli, "Bob"), run(cli, "Bob", ends=1)]
        run(cli, "Eve")
        lines, manifest, _ = export(cli, "trl-dpo")
        assert self.pairs(lines) == [
            ("Greet Ada.", "Hello", "Go away"),
            ("Greet Ada.", "Hello there", "Go"),
            ("Greet Bob.", "Hello", "Go away"),
        ]
        assert manifest["runs"] == [ids[:2], ids[2:4], ids[4:6]]
        assert manifest["left_out"] == {"no_pair": 1}

    def test_rated_apart_by_people_or_by_a_figure(self, cli: Cli, greeted: Repo) -> None:
        good, bad, other = (run(cli, "Ada") for _ in range(3))
        assert cli("feedback", bad, "down").code == 0
        assert export(cli, "trl-dpo")[1]["runs"] == [[good, bad]]
        for each, value in ((good, "0.2"), (other, "0.9")):
            assert cli("feedback", each, "--metric", "worth", "--value", value).code == 0
        assert export(cli, "trl-dpo", "--min", "worth=0.5")[1]["runs"] == [[other, good]]

    def test_the_same_words_are_never_chosen_and_rejected(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        provider.script = text("Hello")
        first, second = (run(cli, "Ada") for _ in range(2))
        assert cli("feedback", first, "up").code == 0
        assert cli("feedback", second, "down", "--edit", "Hello ").code == 0
        done = cli("runs", "export", "--format", "trl-dpo", "--out", "set.jsonl")
        assert (done.code, "no pair of answers in 2 runs: 2 no other answer" in done.err) == (4, True)

    def test_another_version_or_other_inputs_make_no_pair(
        self, cli: Cli, greeted: Repo, provider: Provider
    ) -> None:
        run(cli, "Ada")
        provider.script = text("Go away")
        run(cli, "Bob", ends=1)
        run(cli, "Ada", "--set", "parameters.temperature=1", ends=1)
        assert cli("runs", "export", "--format", "trl-dpo", "--out", "set.jsonl").code == 4

    def test_of_one_input_a_bounded_number_is_looked_at(self, cli: Cli, greeted: Repo) -> None:
        run(cli, "Ada")
        with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry:
            (one,) = list_runs(registry, RunFilter(), limit=1)
            hashes = {name: one[name] for name in ("prompt", "messages_hash", "inputs")}
            inputs_hash = registry.read_one("SELECT inputs_hash FROM runs")
            made = {**hashes, "digest": one["digest"].removeprefix("sha256:"), "inputs_hash": inputs_hash}
            registry.record([(a_run(**made), an_end(output=f"Hello {n}")) for n in range(1_500)])
        rate_by_turns()
        lines, manifest, _ = export(cli, "trl-dpo")
        assert (len(lines), manifest["left_out"]) == (50, {"no_pair": 1_401})


class TestParquet:
    def test_columns_are_typed_and_rows_are_those_of_the_examples(self, cli: Cli, greeted: Repo) -> None:
        runs = [run(cli, "Ada"), run(cli, "Zoë")]
        assert cli("feedback", runs[0], "up").code == 0
        done = cli("runs", "export", "--format", "parquet", "--out", "set.parquet")
        assert done.code == 0, done.err
        manifest = json.loads(Path("set.manifest.json").read_text("utf-8"))
        assert manifest["sha256"] == hashlib.sha256(Path("set.parquet").read_bytes()).hexdigest()
        with duckdb.connect() as connection:
            table = connection.execute("SELECT * FROM 'set.parquet'")
            names = [column[0] for column in table.description or ()]
            rows = [dict(zip(names, row, strict=True)) for row in table.fetchall()]
        assert names == list(COLUMNS)
        assert [row["run_id"] for row in rows] == runs == manifest["runs"]
        assert rows[1]["messages"][-1]["content"] == "Hello 1, Zoë."
        assert json.loads(rows[0]["inputs"]) == {"name": "Ada"}
        assert rows[0]["outcomes"] == [{"source": "person", "name": "thumbs", "value": 1.0}]
        assert (rows[0]["checks_failed"], rows[0]["edited"], rows[0]["tools"]) == ([], False, None)

    def test_calls_of_tools(self, cli: Cli, greeted: Repo, provider: Provider) -> None:
        greeted.write("prompts/greet.yaml", f"{GREET}tools: {json.dumps([TOOL])}\n")
        provider.script = reply({"role": "assistant", "tool_calls": [CALL]}, finish="tool_calls")
        run(cli, "Ada")
        assert cli("runs", "export", "--format", "parquet", "--out", "set.parquet").code == 0
        with duckdb.connect() as connection:
            ((messages, tools),) = connection.execute("SELECT messages, tools FROM 'set.parquet'").fetchall()
        assert (messages[-1]["tool_calls"], messages[-1]["content"]) == ([CALL], "")
        assert json.loads(tools) == [TOOL]

    def test_a_table_that_cannot_be_written_says_why(self, tmp_path: Path) -> None:
        with pytest.raises(Unavailable, match="the table could not be written: IO Error"):
            write_parquet(tmp_path / "nothing.jsonl", tmp_path / "table.parquet", longest=1)

    def test_without_duckdb_it_says_what_to_install(
        self, cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "duckdb", None)
        done = cli("runs", "export", "--format", "parquet", "--out", "set.parquet")
        assert done.code == 4
        assert "pip install 'git-promptops[parquet]'" in done.err
        assert not Path("set.parquet").exists()


@pytest.mark.no_cover
@pytest.mark.slow
def test_memory_stays_flat(cli: Cli, greeted: Repo) -> None:
    run(cli, "Ada")
    with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry:
        (one,) = list_runs(registry, RunFilter(), limit=1)
        made = {name: one[name] for name in ("prompt", "messages_hash", "inputs")}
        made["digest"] = one["digest"].removeprefix("sha256:")
        answers = (f"{n}" + "x" * 10_000 for n in range(1_200))
        registry.record(
            [(a_run(**made, inputs_hash=str(n // 2)), an_end(output=each)) for n, each in enumerate(answers)]
        )
    for form in ("trl-sft", "trl-dpo"):
        if form == "trl-dpo":
            rate_by_turns()
        tracemalloc.start()
        assert cli("runs", "export", "--format", form, "--out", "set.jsonl").code == 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8_000_000, form  # the answers alone are 12 MB


def rate_by_turns() -> None:
    with RegistryDatabase.open(Repo(Path.cwd()).registry) as registry, registry.write() as connection:
        connection.execute(
            "INSERT INTO outcomes (run_seq, source, name, value, occurred_at, recorded_at) "
            "SELECT seq, 'person', 'thumbs', CASE WHEN seq % 2 <> 0 THEN 1 ELSE -1 END, '', '' FROM runs"
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--format", "trl-sft"), "--out FILE"),
        (("--format", "trl-sft", "--out", "-"), "--out FILE"),
        (("--format", "trl-dpo", "--out", "x", "--edits"), "leave out --passed and --edits"),
        (("--format", "trl-sft", "--out", "x", "--min", "thumbs"), "--min thumbs: not NAME=VALUE"),
        (("--format", "trl-sft", "--out", "x", "--min", "=1"), "--min =1: not NAME=VALUE"),
        (("--format", "trl-sft", "--out", "x", "--min", "a=nan"), "--min a=nan: not NAME=VALUE"),
        (("--format", "csv", "--passed"), "choose what a data set holds"),
        (("--format", "trl-sft", "--out", "x", "--for-release"), "--since-last goes with --for-release"),
        (("--format", "trl-sft", "--out", "x"), "no example in 0 runs"),
    ],
)
def test_what_cannot_be_asked_for(cli: Cli, repo: Repo, options: tuple[str, ...], said: str) -> None:
    done = cli("runs", "export", *options)
    assert done.code == 4
    assert said in done.err
    assert not Path("x").exists()


def test_a_file_of_before_stays_where_an_export_fails(
    cli: Cli, greeted: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cli, "Ada")
    before = export(cli, "trl-sft")
    for broken in ("set.jsonl", "set.manifest.json"):
        (greeted.path / broken).chmod(0o600)
    greeted.write("prompts/greet.yaml", f"{CHECKED}cases: greet.cases.jsonl\n")
    greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n')
    assert cli("runs", "export", "--format", "trl-sft", "--out", "set.jsonl").code == 4
    assert json.loads(Path("set.jsonl").read_text("utf-8")) == before[0][0]
    assert json.loads(Path("set.manifest.json").read_text("utf-8")) == before[1]
    assert [each.name for each in greeted.path.glob(".promptops-*")] == []


class TestTrainedOn:
    def validate(self, cli: Cli, *manifests: str, ends: int = 1) -> list[tuple[str, str]]:
        options = [word for each in manifests for word in ("--trained-on", each)]
        done = cli("cases", "validate", "greet", *options, "--json")
        assert done.code == ends, done.err
        return [(each["where"], each["message"]) for each in json.loads(done.out)["findings"]]

    def test_a_case_that_was_in_a_data_set_before_is_found(self, cli: Cli, greeted: Repo) -> None:
        trained, other = run(cli, "Ada"), run(cli, "Bob")
        assert cli("feedback", trained, "--edit", "Hello dear Ada").code == 0
        export(cli, "openai-jsonl")
        Path("set.manifest.json").rename("all.manifest.json")
        export(cli, "trl-dpo")
        both = CHECKED.replace("name: string", "name: string\n  tone: {type: string, default: calm}")
        greeted.write("prompts/greet.yaml", f"{both}cases: greet.cases.jsonl\n")
        cases = [{"name": "Bob"}, {"name": "ada "}, {"name": "Eve", "tone": "calm"}]
        greeted.write("prompts/greet.cases.jsonl", "".join(f"{json.dumps({'inputs': c})}\n" for c in cases))
        ((where, message),) = self.validate(cli, "set.manifest.json")
        assert where == "prompts/greet.cases.jsonl:2"
        assert message == f"its inputs are those of run {trained}, which set.manifest.json names"
        found = self.validate(cli, "set.manifest.json", "all.manifest.json")
        assert [place for place, _ in found] == [where, where, "prompts/greet.cases.jsonl:1"]
        assert f"run {other}, which all.manifest.json" in found[2][1]
        assert self.validate(cli, ends=0) == []

    def test_a_manifest_is_bounded(self, cli: Cli, greeted: Repo) -> None:
        with greeted.write("x.json", "").open("wb") as stream:
            stream.truncate(MAX_MANIFEST + 1)
        with pytest.raises(Invalid, match="more than 200,000,000 bytes"):
            read_manifest_runs(Path("x.json"))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, "cannot read x.json: No such file"),
            ("{", "x.json: not JSON"),
            ("[]", "does not say of which runs"),
            ('{"runs": [["01", 2]]}', "does not say of which runs"),
        ],
    )
    def test_what_is_no_manifest(self, text: str | None, said: str, cli: Cli, greeted: Repo) -> None:
        greeted.write("prompts/greet.yaml", f"{CHECKED}cases: greet.cases.jsonl\n")
        greeted.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}}\n')
        if text is not None:
            greeted.write("x.json", text)
        done = cli("cases", "validate", "greet", "--trained-on", "x.json")
        assert (done.code, said in done.err) == (4, True), done.err
