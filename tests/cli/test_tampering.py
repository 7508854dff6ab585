"""A state branch that somebody changed by hand: named with commit and author, not taken over, repaired."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from promptops.api import Workspace
from support.front_door import Cli, Repo
from support.git_repositories import GitFolder
from support.greet_releases import SALUTE, a_remote, channel, go_live, ok, subjects, versions
from support.provider import Provider
from support.tampered_states import (
    ALL,
    BESIDE,
    MALLORY,
    STATE,
    STATES,
    Change,
    by_hand,
    forged_version,
    hand_edited_digest,
    tampered_version,
)
from support.workspace_clients import until


@pytest.fixture
def live(cli: Cli, repo: Repo) -> Repo:
    """v2 serves production, v1 did so before."""

    def build() -> None:
        go_live(cli, repo)
        ok(cli("promote", "greet@HEAD", "--yes", "--force", "--reason", "all is well"))

    repo.start_as("v2 after v1", build)
    return repo


@pytest.mark.parametrize("change", [*ALL, *BESIDE])
def test_verify_and_doctor_name_it_with_commit_and_author_and_recover_mends_it(
    cli: Cli, live: Repo, change: Change
) -> None:
    before = live.git("ls-tree", "-r", "promptops-state")
    assert cli("release", "verify").code == 0
    commit = by_hand(live, change)
    done = cli("release", "verify")
    assert done.code == 1
    assert f"commit {commit[:12]} by Mallory <mallory@example.org>" in done.out
    (first, *_) = json.loads(cli("release", "verify", "--json").out)
    assert (first["commit"], first["author"]) == (commit, "Mallory <mallory@example.org>")
    told = cli("doctor")
    assert "Mallory" in told.out
    assert told.code == 1
    assert "repaired: " in ok(cli("release", "recover")).out
    assert live.git("ls-tree", "-r", "promptops-state") == before
    ok(cli("release", "verify"))
    ok(cli("status"))
    assert versions(cli) == ("v2", None)
    assert "nothing is damaged" in ok(cli("release", "recover")).out


@pytest.mark.parametrize("change", ALL)
def test_the_last_good_state_goes_on_being_used(cli: Cli, live: Repo, change: Change) -> None:
    by_hand(live, change)
    for verb in (("status",), ("status", "greet"), ("release", "sync")):
        done = cli(*verb)
        assert (done.code, "Mallory" in done.err) == (4, True), (verb, done)
    state = json.loads(cli("release", "show", "greet:production", "--json").out)
    assert (state["stable"]["version"], state["previous"]["version"]) == ("v2", "v1")
    refused = cli("canary", "greet@HEAD~1", "--yes")
    assert refused.code == 4
    assert "Mallory" in refused.err


@pytest.mark.parametrize("change", STATES)
def test_a_rollback_works_all_the_same_and_mends_the_state(cli: Cli, live: Repo, change: Change) -> None:
    by_hand(live, change)
    ok(cli("rollback", "greet"))
    assert versions(cli) == ("v1", None)
    assert "releases/greet.yaml" not in cli("release", "verify").out
    assert cli("release", "recover").code == 0
    ok(cli("release", "verify"))


def test_forged_trailers_are_no_transition(cli: Cli, live: Repo) -> None:
    trailers = "Promptops-Prompt: greet\nPromptops-Channel: production\nPromptops-Generation: 2\n"
    message = f"release(greet): production v2\n\nPromptops-Transition: release\n{trailers}"
    for name in ("release", "recover", "init"):
        by_hand(
            live, hand_edited_digest, message=message.replace("Transition: release", f"Transition: {name}")
        )
        assert cli("release", "verify").code == 1
        ok(cli("release", "recover"))


def test_by_warn_it_is_taken_as_it_is_and_said(cli: Cli, live: Repo) -> None:
    before = channel(cli)["previous"]["digest"]
    by_hand(live, hand_edited_digest)
    file = live.path / "promptops.yaml"
    file.write_text(file.read_text() + "release: {on_tamper: warn}\n")
    done = cli("status", "greet")
    assert (done.code, "Mallory" in done.err) == (0, True)
    assert done.err.count("Mallory") == 1  # once, however often the state is read
    assert json.loads(cli("status", "greet", "--json").out)[0]["stable"]["digest"] == before
    assert cli("release", "verify").code == 1


def test_one_foreign_file_concerns_that_prompt_alone(cli: Cli, live: Repo) -> None:
    live.write("prompts/other.yaml", SALUTE)
    live.commit("Add another")
    ok(cli("promote", "other@HEAD", "--yes"))
    by_hand(live, lambda _: {"releases/junk.yaml": "channels: [", "releases/greet.yaml": "channels: ["})
    assert channel(cli, "other")["stable"]["version"] == "v1"
    assert ok(cli("status", "other")).err == ""
    live.write("prompts/other.yaml", SALUTE.replace("64", "65"))
    live.commit("Change it")
    ok(cli("canary", "other@HEAD", "--plan", "quick", "--yes"))
    ok(cli("tick", "other"))
    ok(cli("rollback", "other"))
    assert cli("tick", "greet").code == 4
    assert channel(cli)["stable"]["version"] == "v2"
    assert cli("tick", "junk").code == 4
    assert "repaired: releases/junk.yaml" in ok(cli("release", "recover")).out
    assert "junk" not in live.git("ls-tree", "-r", "--name-only", "promptops-state")


def test_a_foreign_branch_is_no_state(cli: Cli, live: Repo) -> None:
    before = live.git("rev-parse", "promptops-state")
    other = GitFolder(live.path).git("commit-tree", "HEAD^{tree}", "-m", "hello", **MALLORY)
    live.git("update-ref", STATE, other)
    done = cli("release", "verify")
    assert (done.code, "Mallory" in done.out) == (1, True)
    assert cli("status").code == 4
    assert channel(cli)["stable"]["version"] == "v2"
    ok(cli("release", "recover"))
    assert live.git("rev-parse", "promptops-state") == before
    assert other in live.git("for-each-ref", "refs/promptops/discarded")


def test_a_state_that_was_merged_into_another_branch_is_no_state(cli: Cli, live: Repo) -> None:
    """Its files are the same, and what they followed from is another history."""
    before = live.git("rev-parse", STATE)
    words = ("-p", "HEAD", "-p", STATE, "-m", live.git("log", "-1", "--format=%B", STATE))
    live.git("update-ref", STATE, live.git("commit-tree", f"{STATE}^{{tree}}", *words))
    assert cli("release", "verify").code == 1
    assert cli("status", "greet").code == 4
    assert cli("render", "greet:production", "-i", "name=Ada").code == 0
    assert cli("release", "recover").code == 0
    assert live.git("rev-parse", STATE) == before
    assert (cli("release", "verify").code, cli("status", "greet").code) == (0, 0)


def _cut_back(folder: GitFolder) -> None:
    folder.git("update-ref", STATE, f"{STATE}^")


def _amend(folder: GitFolder) -> None:
    message = folder.git("log", "-1", "--format=%B", STATE)
    words = ("-p", f"{STATE}^", "-m", f"{message}\n")
    folder.git("update-ref", STATE, folder.git("commit-tree", f"{STATE}^{{tree}}", *words, **MALLORY))


@pytest.mark.parametrize("rewrite", [_cut_back, _amend])
@pytest.mark.parametrize("where", ["alone", "here", "remote", "both"])
@pytest.mark.parametrize("first", [("rollback", "greet"), ("release", "recover")])
def test_a_tip_that_was_cut_back_or_amended_loses_no_rollback(
    cli: Cli, live: Repo, tmp_path: Path, rewrite: Callable[[GitFolder], None], where: str, first: tuple[str]
) -> None:
    """What is rolled back stays so: at once, and after everything that is then advised."""
    folders = {"here": GitFolder(live.path)}
    if where != "alone":
        folders["remote"] = GitFolder(a_remote(live, tmp_path / "hub.git"))
        ok(cli("release", "sync"))
    before = live.git("rev-parse", STATE)
    for name, folder in folders.items():
        if where in (name, "alone", "both"):
            rewrite(folder)
    rewritten = live.git("rev-parse", STATE)
    done, served = cli(*first), "v1" if "rollback" in first else "v2"
    assert versions(cli) == (served, None)
    unpushed = "rollback" in first and rewrite is _amend and where in ("remote", "both")
    assert done.code == (5 if unpushed else 0), done
    for verb in (("release", "recover"), ("release", "sync"), ("release", "verify"), ("status", "greet")):
        ok(cli(*verb))
    assert versions(cli) == (served, None)
    assert [line for line in subjects(live) if "v2 → v2" in line] == []
    kept = live.git("rev-list", STATE, "--glob=refs/promptops/discarded").split()
    assert {before, rewritten} <= set(kept)
    if "remote" in folders:
        assert folders["remote"].git("rev-parse", STATE) == live.git("rev-parse", STATE)


def test_recover_keeps_a_rollback_that_was_made_on_a_rewritten_tip(cli: Cli, live: Repo) -> None:
    """By ``warn`` it is: what stands there is taken as it is."""
    _amend(GitFolder(live.path))
    settings = live.path / "promptops.yaml"
    text = settings.read_text()
    settings.write_text(f"{text}release: {{on_tamper: warn}}\n")
    ok(cli("rollback", "greet"))
    assert versions(cli) == ("v1", None)
    settings.write_text(text)
    assert "made again: release(greet): production v2 → v1" in ok(cli("release", "recover")).out
    assert versions(cli) == ("v1", None)
    ok(cli("release", "verify"))


def test_a_branch_that_was_set_back_is_noticed(cli: Cli, live: Repo) -> None:
    before = live.git("rev-parse", "promptops-state")
    live.git("update-ref", STATE, "promptops-state^")
    assert cli("status").code == 4
    assert channel(cli)["stable"]["version"] == "v2"
    ok(cli("release", "recover"))
    assert live.git("rev-parse", "promptops-state") == before


def test_a_branch_that_is_gone_is_not_begun_anew(cli: Cli, live: Repo) -> None:
    before = live.git("rev-parse", "promptops-state")
    live.git("branch", "-q", "-D", "promptops-state")
    done = cli("promote", "greet@HEAD", "--yes")
    assert (done.code, "release recover" in done.err) == (4, True)
    ok(cli("release", "recover"))
    assert live.git("rev-parse", "promptops-state") == before


def test_what_a_remote_was_given_by_hand_is_not_taken_over(cli: Cli, live: Repo, tmp_path: Path) -> None:
    hub = a_remote(live, tmp_path / "hub.git")
    ok(cli("release", "sync"))
    before = live.git("rev-parse", "promptops-state")
    commit = by_hand(live, hand_edited_digest, git_dir=str(hub))
    done = cli("release", "sync")
    assert (done.code, commit[:12] in done.err) == (4, True)
    assert live.git("rev-parse", "promptops-state") == before
    assert channel(cli)["stable"]["version"] == "v2"
    assert "repaired: releases/greet.yaml" in ok(cli("release", "recover")).out
    ok(cli("release", "sync"))
    assert live.git("rev-parse", "promptops-state") == live.git("--git-dir", str(hub), "rev-parse", STATE)


def test_a_new_clone_finds_it_without_having_seen_the_branch_before(
    cli: Cli, live: Repo, tmp_path: Path
) -> None:
    hub = a_remote(live, tmp_path / "hub.git")
    ok(cli("release", "sync"))
    by_hand(live, hand_edited_digest, git_dir=str(hub))
    clone = tmp_path / "clone"
    live.git("clone", "-q", str(hub), str(clone))
    done = cli("-C", str(clone), "status", "greet")
    assert (done.code, "Mallory" in done.err) == (4, True)
    assert '"version": "v2"' in cli("-C", str(clone), "release", "show", "greet:production", "--json").out


def test_status_asks_git_little_once_all_is_verified(
    cli: Cli, live: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(cli("status"))
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    ok(cli("status"))
    asked = [json.loads(line)["argv"] for line in trace.read_text().splitlines() if '"event":"start"' in line]
    assert not [words for words in asked if "log" in words or "update-ref" in words]


def test_a_rollback_reads_a_damaged_version_from_its_commit_and_mends_it(cli: Cli, live: Repo) -> None:
    before = live.git("ls-tree", "-r", "promptops-state", "versions")
    by_hand(live, tampered_version)
    done = ok(cli("rollback", "greet"))
    assert "read from its commit" in done.err
    assert versions(cli) == ("v1", None)
    assert live.git("ls-tree", "-r", "promptops-state", "versions") == before
    ok(cli("release", "verify"))


def test_what_cannot_be_served_is_not_made_live(cli: Cli, live: Repo, tmp_path: Path) -> None:
    by_hand(live, tampered_version)
    clone = tmp_path / "clone"
    live.git(
        "clone", "-q", "--single-branch", "--branch", "promptops-state", f"file://{live.path}", str(clone)
    )
    done = cli("-C", str(clone), "rollback", "greet", "--local")
    assert (done.code, "its commit is not here" in done.err) == (4, True)
    assert '"version": "v2"' in cli("-C", str(clone), "release", "show", "greet", "--json").out


@pytest.mark.parametrize("change", STATES)
def test_whatever_reads_a_channel_reads_the_last_good_state(
    cli: Cli, live: Repo, provider: Provider, change: Change
) -> None:
    by_hand(live, change)
    done = cli("run", "greet:production", "-i", "name=Ada", "--json")
    assert (done.code, json.loads(done.out)["version"], "Mallory" in done.err) == (0, "v2", True)
    shown = cli("render", "greet:production", "-i", "name=Ada")
    assert (shown.code, "Salute Ada" in shown.out, "Mallory" in shown.err) == (0, True, True)
    told = json.loads(ok(cli("show", "greet:production", "--json")).out)
    assert told["version"] == "v2"
    assert "Salute" not in ok(cli("diff", "greet:production", "greet@HEAD")).out
    listed = json.loads(ok(cli("list", "--json")).out)
    assert "v2" in json.dumps(listed)
    lines = json.loads(ok(cli("history", "greet", "--json")).out)
    assert [line["version"] for line in lines if "production" in line["live"]] == ["v2"]


def test_a_number_that_no_release_gave_names_nothing(cli: Cli, live: Repo) -> None:
    by_hand(live, forged_version)
    for verb in (("render", "greet@v9", "-i", "name=Ada"), ("rollback", "greet", "--to", "v9")):
        done = cli(*verb)
        assert (done.code, "v1, v2" in done.err) == (4, True), done
    live.write("promptops.yaml", "release: {on_tamper: warn}\n")
    assert "Insult Ada" in cli("render", "greet@v9", "-i", "name=Ada").out


def test_a_service_goes_on_with_the_last_good_state(
    live: Repo, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    with Workspace.open(live.path) as workspace:
        assert workspace.run("greet:production", {"name": "Ada"}).started.version == "v2"
        by_hand(live, hand_edited_digest)
        until(lambda: "Mallory" in caplog.text)
        assert workspace.run("greet:production", {"name": "Ada"}).started.version == "v2"
