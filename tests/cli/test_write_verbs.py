"""init, new, list, show, history and schema, in a real repository."""

import json
import sqlite3
from typing import Any

import pytest

from promptops.cli.scaffold import SCHEMA_FILE, STARTER_DIR, schema_text
from promptops.prompt import PROMPT_SCHEMA
from support.front_door import GREET, Cli, Repo
from support.logged_rows import open_log
from support.paths import ROOT
from support.provider import Provider, text


class TestInit:
    def test_the_first_prompt_is_sound_and_runs_where_the_model_is(self, cli: Cli, repo: Repo) -> None:
        done = cli("init")
        assert done.code == 0
        assert "prompts/sentiment.yaml" in done.out
        assert cli("render", "sentiment", "-i", "text=Lovely.").code == 0
        assert "registry.db" in (repo.path / ".gitignore").read_text(encoding="utf-8").splitlines()
        assert json.loads((repo.path / "prompts" / SCHEMA_FILE).read_text(encoding="utf-8")) == PROMPT_SCHEMA

    def test_repeated_it_changes_nothing(self, cli: Cli, repo: Repo) -> None:
        cli("init")
        repo.write("prompts/sentiment.yaml", GREET)
        repo.write(".gitignore", "mine\nregistry.db\nregistry.db-*")
        before = {file: file.read_bytes() for file in repo.path.rglob("*") if file.is_file()}
        done = cli("init")
        assert (done.code, done.out) == (0, "nothing to do: this repository has all that it needs\n")
        assert {file: file.read_bytes() for file in repo.path.rglob("*") if file.is_file()} == before

    def test_an_existing_gitignore_is_added_to(self, cli: Cli, repo: Repo) -> None:
        repo.write(".gitignore", "mine")
        cli("init")
        text = (repo.path / ".gitignore").read_text(encoding="utf-8")
        assert text.startswith("mine\nregistry.db\n")

    def test_no_starter_is_put_beside_prompts_that_exist(self, cli: Cli, greeting: Repo) -> None:
        cli("init")
        assert not (greeting.path / "prompts/sentiment.yaml").exists()


class TestNew:
    def test_a_new_prompt_is_sound_and_points_editors_at_the_schema(self, cli: Cli, repo: Repo) -> None:
        done = cli("new", "support/triage", "--description", 'Route: "fast"', "--model", "openai/gpt-4o")
        assert done.code == 0
        written = (repo.path / "prompts/support/triage.yaml").read_text(encoding="utf-8")
        assert written.startswith("# yaml-language-server: $schema=../.prompt.schema.json\n")
        assert (repo.path / "prompts/support" / "../.prompt.schema.json").exists()
        assert cli("render", "support/triage", "-i", "text=x").code == 0
        listed = json.loads(cli("list", "--json").out)
        assert [(each["prompt"], each["description"]) for each in listed] == [
            ("support/triage", 'Route: "fast"')
        ]

    @pytest.mark.parametrize("name", ["Support", "a..b", "/a", "a/", "a b", "a@b", "a:b", ""])
    def test_a_name_that_references_could_not_hold_is_4(self, name: str, cli: Cli, repo: Repo) -> None:
        assert cli("new", name).code == 4

    @pytest.mark.parametrize(
        "path", ["prompts/support/route.yaml", "./prompts/support/route.yml", "prompts/support/route"]
    )
    def test_the_path_of_a_file_names_the_prompt(self, path: str, cli: Cli, repo: Repo) -> None:
        done = cli("new", path)
        assert (done.code, "promptops render support/route -i" in done.err) == (0, True)
        files = {file.name for file in (repo.path / "prompts/support").iterdir()}
        assert files == {"route.yaml", "route.cases.jsonl"}

    def test_a_path_elsewhere_is_refused_with_the_right_one(self, cli: Cli, repo: Repo) -> None:
        done = cli("new", "route.yaml")
        assert (done.code, "promptops new route writes prompts/route.yaml" in done.err) == (4, True)
        assert not (repo.path / "prompts").exists()

    def test_nothing_is_overwritten(self, cli: Cli, greeting: Repo) -> None:
        done = cli("new", "greet")
        assert done.code == 4
        assert "prompts/greet.yaml exists" in done.err
        assert (greeting.path / "prompts/greet.yaml").read_text(encoding="utf-8") == GREET


class TestList:
    def test_it_tells_what_each_prompt_is_and_when_it_last_ran(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("prompts/other.yaml", GREET.replace("Greet somebody", "Say goodbye"))
        greeting.write("prompts/broken.yaml", "modle: x\n")
        cli("run", "greet", "-i", "name=Ada")
        listed = {each["prompt"]: each for each in json.loads(cli("list", "--json").out)}
        assert sorted(listed) == ["broken", "greet", "other"]
        assert listed["greet"]["owner"] == "door"
        assert listed["greet"]["last_run"]["run_id"]
        assert listed["other"]["last_run"] is None
        assert "prompts/broken.yaml:1:1: unknown key `modle`" in listed["broken"]["problem"]
        table = cli("list").out
        assert table.splitlines()[0].split() == [
            "PROMPT",
            "DIGEST",
            "MODEL",
            "OWNER",
            "RAN",
            "DESCRIPTION",
        ]
        assert "invalid" in table

    def test_words_are_searched_in_names_and_descriptions(self, cli: Cli, greeting: Repo) -> None:
        greeting.write("prompts/other.yaml", GREET.replace("Greet somebody", "Say goodbye"))
        assert [row.split()[0] for row in cli("list", "GOODBYE", "say").out.splitlines()[1:]] == ["other"]
        assert cli("list", "nowhere").err == "no prompt matches nowhere: promptops list shows all\n"

    def test_without_prompts_it_says_how_to_begin(self, cli: Cli, repo: Repo) -> None:
        assert "promptops init" in cli("list").err
        assert json.loads(cli("list", "--json").out) == []


class TestShow:
    def test_a_version_is_shown_with_where_it_comes_from(self, cli: Cli, greeting: Repo) -> None:
        sha = greeting.git("rev-parse", "HEAD")
        shown = cli("show", "greet").out
        assert f"as in commit {sha[:10]}" in shown
        assert "You greet people." in shown
        greeting.write("prompts/greet.yaml", GREET + "# a comment\n")
        assert f"changed since commit {sha[:10]}" in cli("show", "greet").out
        assert f"commit {sha[:10]}" in cli("show", "greet@HEAD").out

    def test_json_gives_the_resolved_prompt(self, cli: Cli, greeting: Repo) -> None:
        shown = json.loads(cli("show", "greet@HEAD", "--json").out)
        assert shown["resolved"]["model"] == "openai/gpt-4o-mini-2024-07-18"
        assert (shown["source"], shown["dirty"], shown["files"]) == ("commit", False, ["greet.yaml"])
        assert cli("show", shown["pasteable"]).code == 0

    def test_nothing_committed_is_said(self, cli: Cli, repo: Repo) -> None:
        repo.write("prompts/greet.yaml", GREET)
        assert "nothing committed yet" in cli("show", "greet").out

    def test_a_version_that_only_ever_ran_is_found_by_its_digest(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        ran = json.loads(
            cli("run", "greet", "-i", "name=x", "--set", "parameters.temperature=0.7", "--json").out
        )
        shown = json.loads(cli("show", f"greet@{ran['digest'][:20]}", "--json").out)
        assert shown["digest"] == ran["digest"]

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ("gret", "greet"),
            ("greet@nowhere", "nowhere"),
            ("greet:production", "nothing released yet"),
            ("greet@v3", "nothing released yet"),
            ("greet@production", "greet:production"),
            ("greet:prodution", "production"),
        ],
    )
    def test_what_is_not_there_is_4_and_names_what_is_near(
        self, reference: str, message: str, cli: Cli, greeting: Repo
    ) -> None:
        done = cli("show", reference)
        assert done.code == 4
        assert message in done.err


class TestHistory:
    def test_versions_with_what_changed_and_how_they_did(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write("prompts/greet.yaml", GREET.replace("temperature: 0,", "temperature: 1,"))
        greeting.commit("Warm up")
        greeting.write("prompts/greet.yaml", GREET.replace("temperature: 0,", "temperature: 1,  "))
        greeting.commit("Only spaces")
        provider.script = [text("one"), text("two")]
        cli("run", "greet@HEAD", "-i", "name=x")
        cli("run", "greet@HEAD~2", "-i", "name=x")
        told = json.loads(cli("history", "greet", "--json").out)
        assert [(each["subject"], each["change"], each["figures"]["runs"]) for each in told] == [
            ("Warm up", "parameters", 1),
            ("Greet people", "new", 1),
        ]
        assert [each["digest"] for each in told] == [
            json.loads(cli("show", each["pasteable"], "--json").out)["digest"] for each in told
        ]
        table = cli("history", "greet", "-n", "1").out.splitlines()
        assert len(table) == 2
        assert "Warm up" in table[1]

    def test_a_prompt_not_committed_has_no_versions_yet(self, cli: Cli, repo: Repo) -> None:
        repo.write("prompts/greet.yaml", GREET)
        done = cli("history", "greet")
        assert (done.code, done.out) == (0, "")
        assert "there is no commit yet" in done.err

    def test_a_registry_that_is_damaged_does_not_hide_the_history(self, cli: Cli, greeting: Repo) -> None:
        (greeting.path / "registry.db").write_bytes(b"not a database" * 1000)
        done = cli("history", "greet")
        assert done.code == 0
        assert "Greet people" in done.out
        assert "left out" in done.err


def test_schema_prints_what_the_files_are_held_against(cli: Cli) -> None:
    assert json.loads(cli("schema").out) == PROMPT_SCHEMA
    assert "registry" in json.loads(cli("schema", "settings").out)["properties"]


def test_the_view_tells_a_reader_what_happened(cli: Cli, greeting: Repo, provider: Provider) -> None:
    provider.script = text("Hello Ada")
    cli("run", "greet", "-i", "name=Ada")
    with open_log(greeting.path) as connection:
        connection.row_factory = sqlite3.Row
        (row,) = map(dict, connection.execute("SELECT * FROM run_log"))
    wanted: dict[str, Any] = {"prompt": "greet", "output": "Hello Ada", "inputs": '{"name":"Ada"}'}
    assert {key: row[key] for key in wanted} == wanted


def test_this_projects_own_prompts_are_what_init_and_schema_write() -> None:
    prompts = ROOT / "prompts"
    for file in STARTER_DIR.iterdir():
        assert file.read_bytes() == (prompts / file.name).read_bytes()
    assert (prompts / SCHEMA_FILE).read_text(encoding="utf-8") == schema_text()
