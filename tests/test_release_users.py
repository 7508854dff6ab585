"""What those who release prompts see: names to paste, the nearest name, the next step."""

from pathlib import Path

import pytest
from conftest import Cli, Repo
from greet_releases import QUICK, a_remote, go_live, ok, told
from provider import Provider


def test_history_names_released_versions_as_they_can_be_pasted(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    ok(cli("canary", "greet@HEAD", *QUICK))
    shown = [line.split("  ")[0] for line in cli("history", "greet").out.splitlines()[1:]]
    assert shown[:2] == ["greet@v2 [production canary]", "greet@v1 [production]"]
    ok(cli("show", "greet@v2"))
    ok(cli("promote", "greet", "--force", "--reason", "sure"))
    ok(cli("rollback", "greet", "--to", "v1"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("release", "abort", "greet"))
    assert [each["version"] for each in told(cli, "history", "greet")][:2] == ["v2", "v1"]


def test_history_counts_what_a_channel_served_by_batch(
    cli: Cli, greeting: Repo, provider: Provider, tmp_path: Path
) -> None:
    go_live(cli, greeting)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"inputs": {"name": "Ada"}}\n{"inputs": {"name": "Bea"}}\n')
    ok(cli("batch", "greet:production", str(lines)))
    ok(cli("batch", "greet@HEAD", str(lines)))
    runs = {each["version"]: each["figures"]["runs"] for each in told(cli, "history", "greet")}
    assert runs["v1"] == 2
    assert runs[None] == 0


def test_list_says_which_versions_are_live(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    assert "production v1  " in cli("list").out
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert "production v1, canary v2 50%" in cli("list").out
    live = told(cli, "list")[0]["channels"]
    assert live == {"production": {"version": "v1", "canary": "v2", "weight_bp": 5000}}


def test_only_a_terminal_shortens_lines(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    long = "because " * 20 + "of that"
    ok(cli("canary", "greet@HEAD", *QUICK, "--reason", long))
    shown = cli("status").out
    assert "…" not in shown
    assert f"({long})" in shown


@pytest.mark.parametrize(
    "words",
    [
        "status grete",
        "tick grete",
        "rollback grete",
        "promote grete",
        "release log grete",
        "release verify grete",
    ]
    + [f"release {verb} grete" for verb in ("abort", "approve", "pause", "resume", "show", "wait")],
)
def test_a_misspelt_prompt_is_told_what_is_near(cli: Cli, greeting: Repo, words: str) -> None:
    go_live(cli, greeting)
    done = cli(*words.split())
    assert done.code == 4
    assert "no prompt `grete`" in done.err
    assert "did you mean greet?" in done.err


def test_a_released_prompt_that_is_gone_from_the_tree_is_still_known(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    (greeting.path / "prompts/greet.yaml").unlink()
    ok(cli("release", "show", "greet"))
    assert "greet:production" in ok(cli("status", "greet")).out
    assert "no active canary" in cli("release", "abort", "greet").err


def test_a_rollback_without_anything_before_names_the_command(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    done = cli("rollback", "greet")
    assert done.code == 4
    assert "promptops rollback greet:production --to REV" in done.err


def test_what_stands_in_the_working_tree_is_not_called_uncommitted(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    for verb in (("canary",), ("release", "forecast")):
        done = cli(*verb, "greet")
        assert done.code == 4
        assert "`greet` is what the working tree has, and only a commit is released" in done.err
        assert "greet@HEAD" in done.err


def test_before_any_call_no_number_of_calls_contradicts_the_forecast(cli: Cli, greeting: Repo) -> None:
    go_live(cli, greeting)
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("tick"))
    assert "more calls" not in cli("status").out


def test_without_the_remote_only_options_that_a_verb_has_are_offered(
    cli: Cli, greeting: Repo, tmp_path: Path
) -> None:
    go_live(cli, greeting)
    hub = a_remote(greeting, tmp_path / "hub.git")
    ok(cli("release", "sync"))
    hub.rename(tmp_path / "gone.git")
    done = cli("release", "sync")
    assert done.code == 5
    assert "--local" not in done.err
    done = cli("canary", "greet@HEAD", *QUICK)
    assert done.code == 5
    assert "--local" in done.err


def test_a_forecast_needs_no_remote(cli: Cli, greeting: Repo, tmp_path: Path) -> None:
    go_live(cli, greeting)
    hub = a_remote(greeting, tmp_path / "hub.git")
    ok(cli("release", "sync"))
    hub.rename(tmp_path / "gone.git")
    assert "calls" in ok(cli("release", "forecast", "greet@HEAD")).out


@pytest.mark.parametrize("more", [(), ("--unit", "u1")])
@pytest.mark.parametrize("reference", ["greet:production", "greet@HEAD"])
def test_a_call_that_is_not_logged_makes_no_registry(
    cli: Cli, greeting: Repo, provider: Provider, reference: str, more: tuple[str, ...]
) -> None:
    go_live(cli, greeting)
    ok(cli("canary", "greet@HEAD", *QUICK))
    for file in greeting.path.glob("registry.db*"):
        file.unlink()
    ok(cli("run", reference, "-i", "name=Ada", "--no-log", *more))
    assert not list(greeting.path.glob("registry.db*"))
