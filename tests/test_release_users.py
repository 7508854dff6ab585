"""What those who release prompts see: names to paste, the nearest name, the next step."""

from pathlib import Path

from conftest import Cli, Repo
from greet_releases import QUICK, go_live, ok, told
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
