"""What those who release prompts see: names to paste, the nearest name, the next step."""

import json
from pathlib import Path

import pytest

from support.front_door import GREET, Cli, Finished, Repo
from support.greet_releases import QUICK, a_remote, go_live, ok, told, two_versions
from support.provider import Provider


def test_history_names_released_versions_as_they_can_be_pasted(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
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
    cli: Cli, repo: Repo, provider: Provider, tmp_path: Path
) -> None:
    go_live(cli, repo)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"inputs": {"name": "Ada"}}\n{"inputs": {"name": "Bea"}}\n')
    ok(cli("batch", "greet:production", str(lines)))
    ok(cli("batch", "greet@HEAD", str(lines)))
    runs = {each["version"]: each["figures"]["runs"] for each in told(cli, "history", "greet")}
    assert runs["v1"] == 2
    assert runs[None] == 0


def test_list_says_which_versions_are_live(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    assert "production v1  " in cli("list").out
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert "production v1, canary v2 50%" in cli("list").out
    live = told(cli, "list")[0]["channels"]
    assert live == {"production": {"version": "v1", "canary": "v2", "weight_bp": 5000}}


def test_only_a_terminal_shortens_lines(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
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
def test_a_misspelt_prompt_is_told_what_is_near(cli: Cli, repo: Repo, words: str) -> None:
    go_live(cli, repo)
    done = cli(*words.split())
    assert done.code == 4
    assert "no prompt `grete`" in done.err
    assert "did you mean greet?" in done.err


def test_a_released_prompt_that_is_gone_from_the_tree_is_still_known(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    (repo.path / "prompts/greet.yaml").unlink()
    ok(cli("release", "show", "greet"))
    assert "greet:production" in ok(cli("status", "greet")).out
    assert "no active canary" in cli("release", "abort", "greet").err


def test_a_rollback_without_anything_before_names_the_command(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    done = cli("rollback", "greet")
    assert done.code == 4
    assert "promptops rollback greet:production --to REV" in done.err


def test_what_stands_in_the_working_tree_is_not_called_uncommitted(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    for verb in (("canary",), ("release", "forecast")):
        done = cli(*verb, "greet")
        assert done.code == 4
        assert "`greet` is what the working tree has, and only a commit is released" in done.err
        assert "greet@HEAD" in done.err


def test_before_any_call_no_number_of_calls_contradicts_the_forecast(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    foretold = told(cli, "release", "forecast", "greet@HEAD", "--plan", "quick")["calls"]
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("tick"))
    for found in told(cli, "status")[0]["findings"]["metrics"]:
        needed = found["calls_needed"]
        assert needed is None or needed == pytest.approx(foretold[found["metric"]["name"]], rel=0.1)


def test_without_the_remote_only_options_that_a_verb_has_are_offered(
    cli: Cli, repo: Repo, tmp_path: Path
) -> None:
    go_live(cli, repo)
    hub = a_remote(repo, tmp_path / "hub.git")
    ok(cli("release", "sync"))
    hub.rename(tmp_path / "gone.git")
    done = cli("release", "sync")
    assert done.code == 5
    assert "--local" not in done.err
    done = cli("canary", "greet@HEAD", *QUICK)
    assert done.code == 5
    assert "--local" in done.err


def test_a_forecast_needs_no_remote(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    go_live(cli, repo)
    hub = a_remote(repo, tmp_path / "hub.git")
    ok(cli("release", "sync"))
    hub.rename(tmp_path / "gone.git")
    assert "calls" in ok(cli("release", "forecast", "greet@HEAD")).out


@pytest.mark.sqlite
@pytest.mark.parametrize("more", [(), ("--unit", "u1")])
@pytest.mark.parametrize("reference", ["greet:production", "greet@HEAD"])
def test_a_call_that_is_not_logged_makes_no_registry(
    cli: Cli, repo: Repo, provider: Provider, reference: str, more: tuple[str, ...]
) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    for file in repo.path.glob("registry.db*"):
        file.unlink()
    ok(cli("run", reference, "-i", "name=Ada", "--no-log", *more))
    assert not list(repo.path.glob("registry.db*"))


BY_HAND = (
    "rollback greet",
    "release abort greet",
    "release pause greet",
    "release show greet",
    "release log",
)


@pytest.mark.sqlite
@pytest.mark.parametrize("words", BY_HAND)
def test_a_damaged_registry_keeps_nobody_from_moves_by_hand(cli: Cli, repo: Repo, words: str) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    (repo.path / "registry.db").write_bytes(b"no database" * 1000)
    done = ok(cli(*words.split()))
    assert "registry.db" in done.err
    assert "continuing without the registry" in done.err
    assert cli("tick").code == 4  # which has to know what was observed


@pytest.mark.sqlite
@pytest.mark.parametrize("words", [*BY_HAND, "status", "release verify", "release forecast greet@HEAD~1"])
def test_what_needs_no_registry_makes_none(cli: Cli, repo: Repo, words: str) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    (repo.path / "registry.db").unlink()
    cli(*words.split())
    assert not (repo.path / "registry.db").exists()


def test_a_clone_of_one_branch_sees_what_is_released(
    cli: Cli, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_versions(repo)
    hub = a_remote(repo, tmp_path / "hub.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    for words in ("status", "tick", "release log", "release show greet", "release bundle --out b.json"):
        clone = tmp_path / words.replace(" ", "-")
        repo.git("clone", "-q", "--depth=1", "--single-branch", "-b", "main", f"file://{hub}", str(clone))
        monkeypatch.chdir(clone)
        done = ok(cli(*words.split()))
        assert "nothing is released" not in done.err, words


def test_a_plan_that_is_not_reviewed_yet(cli: Cli, repo: Repo, tmp_path: Path) -> None:
    two_versions(repo)
    a_remote(repo, tmp_path / "hub.git")
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    repo.write("promptops.yaml", "plans: {careful: {eval: null, quality: optional, steps: [{weight: 10}]}}\n")
    done = cli("canary", "greet@HEAD", "--plan", "careful")
    assert done.code == 4
    assert "the plan `careful` is not on origin/main" in done.err
    assert "--unreviewed --reason" in done.err
    ok(cli("canary", "greet@HEAD", "--plan", "careful", "--unreviewed", "--reason", "trial"))


def test_why_it_waits_is_not_told_of_a_canary_that_goes_on(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    ok(cli("release", "pause", "greet", "--reason", "lunch"))
    assert "why     lunch" in cli("status").out
    ok(cli("release", "resume", "greet", "--reason", "eaten"))
    for form in ("text", "markdown", "html"):
        said = cli("status", "--format", form).out
        assert "why     eaten" not in said
        assert "Why: eaten" not in said
        assert '<p class="why">' not in said


def test_the_log_has_room_for_what_was_done(cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    head, row, _ = ok(cli("release", "log")).out.splitlines()
    assert head.split() == ["AT", "(UTC)", "WHERE", "WHAT", "BY"]
    assert "greet:production" in row
    head, row, _ = ok(cli("release", "log", "greet")).out.splitlines()
    assert head.split() == ["AT", "(UTC)", "CHANNEL", "WHAT", "BY"]
    assert len(row) < 80
    head, _, _ = ok(cli("release", "log", "greet:production")).out.splitlines()
    assert head.split() == ["AT", "(UTC)", "WHAT", "BY"]
    assert cli("release", "log", "-n", "0").code == 2


def test_one_hour_is_one_hour(cli: Cli, repo: Repo, provider: Provider, tmp_path: Path) -> None:
    go_live(cli, repo)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"inputs": {"name": "Ada"}}\n' * 300)
    ok(cli("batch", "greet:production", str(lines), "--no-cache"))
    assert "≈ 1 hour at your traffic" in ok(cli("release", "forecast", "greet@HEAD", "--plan", "quick")).out


def test_waiting_and_founding_speak_json_too(cli: Cli, repo: Repo) -> None:
    two_versions(repo)
    first = told(cli, "release", "forecast", "greet@HEAD")
    assert (first["calls"], "serves nothing yet" in first["sentence"]) == ({}, True)
    assert told(cli, "release", "init")["commit"]
    assert told(cli, "release", "init") == {"branch": "promptops-state", "commit": None}
    ok(cli("promote", "greet@HEAD~1", "--yes"))
    ok(cli("canary", "greet@HEAD", *QUICK))
    done = cli("release", "wait", "greet", "--timeout", "0s", "--json")
    assert done.code == 3
    assert json.loads(done.out) == {
        "prompt": "greet",
        "channel": "production",
        "ended": "undecided",
        "sentence": "v2 is not decided yet",
        "code": 3,
    }


def test_two_projects_of_one_repository(repo: Repo, cli: Cli, provider: Provider) -> None:
    for project in ("a", "b"):
        repo.write(f"services/{project}/promptops.yaml", "")
        repo.write(f"services/{project}/prompts/greet.yaml", GREET.replace("You greet", f"You {project}"))
    repo.write("services/b/prompts/other.yaml", GREET)
    repo.commit()

    def at(project: str, *arguments: str) -> Finished:
        return cli("-C", str(repo.path / "services" / project), *arguments)

    assert at("a", "promote", "greet@HEAD", "--yes").code == 0
    refused = at("b", "promote", "greet@HEAD", "--yes")
    assert (refused.code, "another project of this repository, in services/a" in refused.err) == (4, True)
    assert at("b", "promote", "other@HEAD", "--yes").code == 0
    for project, prompt in (("a", "greet"), ("b", "other")):
        assert [each["prompt"] for each in json.loads(at(project, "status", "--json").out)] == [prompt]
    assert at("b", "run", "greet:production", "-i", "name=Ada").code == 4
    assert at("a", "run", "greet:production", "-i", "name=Ada").code == 0


def test_stats_count_what_a_channel_served_by_batch(
    cli: Cli, repo: Repo, provider: Provider, tmp_path: Path
) -> None:
    go_live(cli, repo)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"inputs": {"name": "Ada"}}\n{"inputs": {"name": "Bea"}}\n')
    for reference in ("greet:production", "greet@HEAD"):
        ok(cli("batch", reference, str(lines), "--out", str(tmp_path / "out.jsonl"), "--no-cache"))
        (tmp_path / "out.jsonl").unlink()
    shown = told(cli, "runs", "stats", "greet")
    assert [row["calls"] for row in shown["rows"]] == [2]
    assert [(row["key"], row["calls"]) for row in shown["apart"]] == [("batch", 2)]
