"""The state branch, written in one repository: commits, numbers, the log, and what must not harm them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from promptops.config.yaml import parse_yaml
from promptops.errors import Invalid, NotFound, Unavailable
from promptops.release.ledger import Ledger
from promptops.release.ledger.serialize import encode_snapshot
from promptops.release.rules import Move, Transition
from promptops.versions.release_state import (
    ReleasedSnapshot,
    ReleaseState,
    ShadowState,
    decode_snapshot,
    snapshot_path,
)
from promptops.versions.resolve import resolve_version
from support.forked_commands import ForkedPopen
from support.git_repositories import GitFolder, prompt_text
from support.ledger_transitions import (
    HOUR,
    NOW,
    channel,
    pause,
    plan,
    release,
    released,
    roll_back,
    start,
    three_versions,
    version,
)
from support.paths import SUPPORT

WRITER = SUPPORT / "ledger_writer.py"


@pytest.fixture
def folder(tmp_path: Path) -> GitFolder:
    return three_versions(tmp_path / "repo")


@pytest.fixture
def ledger(folder: GitFolder) -> Iterator[Ledger]:
    with Ledger(folder.settings()) as opened:
        yield opened


def state_files(folder: GitFolder) -> list[str]:
    return folder.git("ls-tree", "-r", "--name-only", "promptops-state").splitlines()


def test_a_first_release_is_an_orphan_commit_with_all_its_files(folder: GitFolder, ledger: Ledger) -> None:
    written = release(ledger, version(folder, "HEAD~1"))
    assert (written.changed, written.pushed) == (True, None)
    digest = version(folder, "HEAD~1").prompt.digest
    assert state_files(folder) == [
        "log/support/triage/1.json",
        "releases/support/triage.yaml",
        f"versions/support/triage/{digest[:12]}.yaml",
    ]
    assert folder.git("rev-list", "--count", "promptops-state") == "1"
    assert folder.git("status", "--porcelain") == ""
    stable = channel(ledger).stable
    assert stable is not None
    assert (stable.version, stable.digest) == ("v1", digest)
    assert resolve_version("support/triage:production", folder.settings()).prompt.digest == digest


def test_the_commit_says_what_has_happened(folder: GitFolder, ledger: Ledger) -> None:
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    ledger.commit_transition("support/triage", "production", roll_back, now=NOW + 2 * HOUR)
    titles = folder.git("log", "--format=%s", "promptops-state").splitlines()
    assert titles == [
        "release(support/triage): production canary v2 50% → 0%, rolled back",
        "release(support/triage): production canary v2 0% → 50%",
        "release(support/triage): production v1",
    ]
    trailers = folder.git("log", "-1", "--format=%(trailers:only,unfold)", "promptops-state").splitlines()
    digests = [version(folder, rev).prompt.digest for rev in ("HEAD", "HEAD~1")]
    assert trailers == [
        "Promptops-Rollout: r-1",
        "Promptops-Prompt: support/triage",
        "Promptops-Channel: production",
        "Promptops-Transition: rollback",
        f"Promptops-Canary: v2 sha256:{digests[0]}",
        f"Promptops-Stable: v1 sha256:{digests[1]}",
        "Promptops-Weight-Bp: 0",
        "Promptops-Generation: 3",
        "Promptops-Actor: Ada <ada@example.org>",
        "Promptops-Reason: wrong answers",
    ]


def test_plan_version_and_evidence_are_kept(folder: GitFolder, ledger: Ledger) -> None:
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    ledger.commit_transition("support/triage", "production", pause, now=NOW + 2 * HOUR, evidence={"calls": 7})
    assert ledger.plan(plan().digest) == plan()
    assert ledger.evidence("r-1") == [(3, {"calls": 7})]
    assert [frozen.version for frozen in ledger.versions("support/triage")] == ["v1", "v2"]
    with pytest.raises(NotFound, match="holds no plan"):
        ledger.plan("0" * 64)


def test_the_same_version_keeps_its_number(folder: GitFolder, ledger: Ledger) -> None:
    for rev in ("HEAD~2", "HEAD", "HEAD~2", "HEAD~1"):
        written = release(ledger, version(folder, rev))
    assert [frozen.version for frozen in ledger.versions("support/triage")] == ["v1", "v2", "v3"]
    assert written.message == "release(support/triage): production v1 → v3"


def test_nothing_to_do_writes_nothing(folder: GitFolder, ledger: Ledger) -> None:
    written = release(ledger, version(folder, "HEAD"))
    again = ledger.commit_transition("support/triage", "production", lambda _: None, now=NOW)
    assert (again.changed, again.commit) == (False, written.commit)


def test_a_move_that_does_not_apply_writes_nothing(folder: GitFolder, ledger: Ledger) -> None:
    written = release(ledger, version(folder, "HEAD"))
    with pytest.raises(Invalid, match="not about the rollout"):
        ledger.commit_transition("support/triage", "production", pause, now=NOW)
    assert ledger.commit_id() == written.commit


def test_a_version_that_is_not_committed_cannot_be_released(folder: GitFolder, ledger: Ledger) -> None:
    with pytest.raises(Invalid, match="not committed"):
        release(ledger, resolve_version("support/triage", folder.settings()))


def test_what_was_live_then(folder: GitFolder, ledger: Ledger) -> None:
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    ledger.commit_transition("support/triage", "production", roll_back, now=NOW + 2 * HOUR)
    assert ledger.at("support/triage", "production", NOW - 1) is None
    then = ledger.at("support/triage", "production", NOW + HOUR + 1)
    assert then is not None
    assert then.rollout is not None
    assert then.rollout.id == "r-1"
    moves = [record.transition.move for record in ledger.log("support/triage", "production")]
    assert moves == [Move.ROLLBACK, Move.START, Move.RELEASE]
    assert ledger.log("other") == []


def test_a_clock_that_goes_backwards_keeps_the_order(folder: GitFolder, ledger: Ledger) -> None:
    release(ledger, version(folder, "HEAD~1"), now=NOW)
    release(ledger, version(folder, "HEAD"), now=NOW - HOUR)
    assert [record.generation for record in ledger.log("support/triage")] == [2, 1]
    state = ledger.at("support/triage", "production", NOW)
    assert state is not None
    assert state.stable is not None
    assert state.stable.version == "v2"


def test_a_rollback_is_quick_and_starts_few_processes(
    folder: GitFolder, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    trace = tmp_path / "trace"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
    with Ledger(folder.settings()) as fresh:
        fresh.commit_transition("support/triage", "production", roll_back, now=NOW + 2 * HOUR)
    started = [line for line in trace.read_text().splitlines() if '"event":"start"' in line]
    assert len(started) <= 10


def test_nobody_to_commit_as_is_said(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name)
    folder.git("config", "user.useConfigOnly", "true")
    with Ledger(folder.settings()) as ledger, pytest.raises(Invalid, match="who commits") as raised:
        release(ledger, version(folder, "HEAD"))
    assert "git config user.name" in raised.value.hint


def sign_with_ssh(folder: GitFolder, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key)), ("commit.gpgsign", "true")):
        folder.git("config", name, value)


def test_commits_are_signed_where_git_is_told_to(folder: GitFolder, tmp_path: Path) -> None:
    sign_with_ssh(folder, tmp_path)
    with Ledger(folder.settings()) as ledger:
        release(ledger, version(folder, "HEAD"))
    assert "BEGIN SSH SIGNATURE" in folder.git("cat-file", "commit", "promptops-state")


def test_a_rollback_does_not_wait_for_a_signature(
    folder: GitFolder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sign_with_ssh(folder, tmp_path)
    with Ledger(folder.settings()) as ledger:
        release(ledger, version(folder, "HEAD~1"))
        release(ledger, version(folder, "HEAD"))
        (tmp_path / "key").unlink()
        with pytest.raises(Invalid, match="cannot sign"):
            release(ledger, version(folder, "HEAD~2"))
        ledger.commit_transition("support/triage", "production", roll_back, now=NOW)
    assert "written without signature" in caplog.text
    assert folder.git("log", "-1", "--format=%s", "promptops-state").endswith("v2 → v1, rolled back")


@pytest.mark.parametrize(
    "content",
    [
        b"plain\ntext\n",
        b"",
        b"a\r\nb",
        b"\xff\xfe\0",
        "\x85\u2028 \x07".encode(),
        b"  lead\n\n\ttab \n",
        b"- x: 1",
    ],
)
def test_a_frozen_version_gives_every_byte_back(content: bytes) -> None:
    frozen = ReleasedSnapshot("a/b", "v1", "ab" * 32, None, {"a/b.yaml": content, "übel.md": content + b"\n"})
    assert decode_snapshot(encode_snapshot(frozen), snapshot_path("a/b", "ab" * 32), "a/b") == frozen


def constant(move: Transition, _: ReleaseState | None) -> Transition:
    return move


def test_a_live_shadow_is_a_transition_too(folder: GitFolder, ledger: Ledger) -> None:
    found = version(folder, "HEAD")
    release(ledger, version(folder, "HEAD~1"))
    behind = ShadowState(released=released(found), sample_bp=1000, max_usd=2.0)
    told = []
    shadows: tuple[ShadowState | None, ...] = (behind, None)
    for shadow in shadows:
        written = ledger.commit_transition(
            "support/triage",
            "production",
            partial(constant, Transition(move=Move.SHADOW, shadow=shadow)),
            now=NOW,
            version=found,
        )
        told.append(written.message.partition(": ")[2])
    assert told == ["production shadow v2 10%", "production shadow off"]


# faults


@pytest.mark.parametrize("path", ["log/support/triage/3.json", "evidence/r-1/3.json"])
def test_a_damaged_record_is_named_and_recovered(folder: GitFolder, ledger: Ledger, path: str) -> None:
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    ledger.commit_transition("support/triage", "production", pause, now=NOW + 2 * HOUR, evidence={"calls": 7})
    for text in ("{", "[]", "7"):
        edit(folder, path, text)
        (found,) = ledger.audit()
        assert found.path == path
        assert ledger.evidence("r-1") == [(3, {"calls": 7})]
        assert len(ledger.log()) == 3
        with pytest.raises(Invalid, match=path) as raised:
            release(ledger, version(folder, "HEAD~2"))
        assert "release recover" in raised.value.hint
        assert ledger.recover().files == (path,)
        assert ledger.evidence("r-1") == [(3, {"calls": 7})]
        assert len(ledger.log()) == 3


def test_six_processes_lose_nothing(folder: GitFolder, ledger: Ledger) -> None:
    """15 transitions each, on one prompt, with changes in the tree and no branch checked out."""
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    folder.git("switch", "--detach", "HEAD~1")
    folder.write({"prompts/support/triage.yaml": prompt_text("Changed"), "new": "x"})
    before = folder.git("status", "--porcelain")
    words = [sys.executable, str(WRITER), str(folder.path), "15"]
    running = [ForkedPopen(words, stdout=subprocess.PIPE) for _ in range(6)]
    done = [child.communicate()[0] for child in running]
    assert [child.returncode for child in running] == [0] * 6
    generations = sorted(number for out in done for number in json.loads(out))
    assert generations == list(range(3, 93))
    state = ledger.head("support/triage")
    assert state is not None
    assert state.generation == 92
    assert len(ledger.log("support/triage")) == 92
    assert folder.git("rev-list", "--count", "promptops-state") == "92"
    assert folder.git("status", "--porcelain") == before


@pytest.mark.parametrize("also_git", [False, True])
def test_killed_between_object_and_ref(folder: GitFolder, ledger: Ledger, also_git: bool) -> None:
    written = release(ledger, version(folder, "HEAD~1"))
    hook, victim = folder.path / ".git/hooks/reference-transaction", folder.path / ".git/victim"
    then = "kill -9 $PPID" if also_git else "exit 1"
    hook.write_text(f'#!/bin/sh\n[ "$1" = prepared ] && {{ kill -9 "$(cat "{victim}")"; {then}; }}\nexit 0\n')
    hook.chmod(0o755)
    words = [sys.executable, str(WRITER), str(folder.path), "1", "release"]
    with ForkedPopen(words, stdin=subprocess.PIPE) as child:
        victim.write_text(str(child.pid))
        child.communicate(b"\n")
    assert child.returncode == -signal.SIGKILL
    hook.unlink()
    assert ledger.commit_id() == written.commit
    lock = folder.path / ".git/refs/heads/promptops-state.lock"
    if also_git:
        with pytest.raises(Unavailable, match=r"promptops-state.lock stays"):
            release(ledger, version(folder, "HEAD"))
        lock.unlink()
    assert release(ledger, version(folder, "HEAD")).message.endswith("v1 → v2")


def test_a_writer_that_is_not_promptops_comes_between(folder: GitFolder, ledger: Ledger) -> None:
    """What was decided on an older state is decided again, even where the state was read meanwhile."""
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    asked: list[int] = []

    def decide(state: ReleaseState | None) -> Transition | None:
        if not asked:
            edit(folder, "NOTE", "somebody's")
        asked.append(len(ledger.log("support/triage")))
        return pause(state)

    ledger.commit_transition("support/triage", "production", decide, now=NOW + 2 * HOUR)
    assert len(asked) == 2
    assert "NOTE" in state_files(folder)
    assert len(ledger.log()) == 3


def edit(folder: GitFolder, path: str, text: str) -> None:
    parent = folder.git("rev-parse", "promptops-state")
    index = str(folder.path / ".git/edit-index")
    folder.git("read-tree", parent, GIT_INDEX_FILE=index)
    oid = folder.git("hash-object", "-w", "--stdin", text=text)
    folder.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}", GIT_INDEX_FILE=index)
    tree = folder.git("write-tree", GIT_INDEX_FILE=index)
    folder.git(
        "update-ref", "refs/heads/promptops-state", folder.git("commit-tree", tree, "-p", parent, "-m", "x")
    )


def test_a_state_edited_by_hand_is_named(folder: GitFolder, ledger: Ledger) -> None:
    release(ledger, version(folder, "HEAD~1"))
    release(ledger, version(folder, "HEAD"))
    path = "releases/support/triage.yaml"
    text = folder.git("show", f"promptops-state:{path}")
    edit(folder, path, text.replace("version: v2", "version: v7"))
    with pytest.raises(Invalid, match="edited by hand") as raised:
        release(ledger, version(folder, "HEAD~2"))
    assert "release recover" in raised.value.hint


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("version: v2", "version: v7"),
        lambda text: text.replace("generation: 3", "generation: 99"),
        lambda text: text[:40],
        lambda _: "channels: {",
    ],
)
def test_a_damaged_state_is_recovered_from_its_history(
    folder: GitFolder, ledger: Ledger, damage: Callable[[str], str]
) -> None:
    for rev in ("HEAD~2", "HEAD~1", "HEAD~2"):
        release(ledger, version(folder, rev))
    before, path = channel(ledger), "releases/support/triage.yaml"
    edit(folder, path, damage(folder.git("show", f"promptops-state:{path}") + "\n"))
    edited = folder.git("rev-parse", "promptops-state")
    with pytest.raises(Invalid, match=r"promptops-state:releases/support/triage\.yaml"):
        release(ledger, version(folder, "HEAD"))
    assert ledger.recover().files == (path,)
    assert channel(ledger) == before
    assert folder.git("merge-base", edited, "promptops-state") == edited
    assert release(ledger, version(folder, "HEAD")).message.endswith("v1 → v3")


def test_a_file_that_was_taken_away_is_recovered(folder: GitFolder, ledger: Ledger) -> None:
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    before = state_files(folder)
    kept = [path for path in before if not path.startswith(("plans/", "log/"))]
    tree = folder.git("rev-parse", "promptops-state")
    index = str(folder.path / ".git/less-index")
    folder.git("read-tree", tree, GIT_INDEX_FILE=index)
    folder.git("update-index", "--force-remove", *(set(before) - set(kept)), GIT_INDEX_FILE=index)
    less = folder.git("commit-tree", folder.git("write-tree", GIT_INDEX_FILE=index), "-p", tree, "-m", "less")
    folder.git("update-ref", "refs/heads/promptops-state", less)
    assert set(ledger.recover().files) == set(before) - set(kept)
    assert state_files(folder) == before
    assert ledger.recover().files == ()


def test_a_branch_that_nothing_leads_to_any_more_is_found(folder: GitFolder, ledger: Ledger) -> None:
    written = release(ledger, version(folder, "HEAD"))
    folder.git("branch", "-q", "-D", "promptops-state")
    assert ledger.head("support/triage") is None
    assert ledger.recover().commit == written.commit
    assert ledger.commit_id() == written.commit


def test_where_nothing_is_left_to_recover_that_is_said(ledger: Ledger) -> None:
    with pytest.raises(NotFound, match="no trace") as raised:
        ledger.recover()
    assert "another clone" in raised.value.hint


def test_a_proposal_leaves_the_state_as_it_is(folder: GitFolder) -> None:
    with Ledger(folder.settings()) as ledger:
        before = release(ledger, version(folder, "HEAD~1"))
    with Ledger(folder.settings(), propose="release-triage") as ledger:
        written = release(ledger, version(folder, "HEAD"))
        assert (written.proposed, ledger.commit_id()) == ("release-triage", before.commit)
        with pytest.raises(Invalid, match="a branch release-triage already"):
            release(ledger, version(folder, "HEAD"))
    folder.git("update-ref", "refs/heads/promptops-state", "release-triage")
    with Ledger(folder.settings()) as ledger:
        assert [record.generation for record in ledger.log()] == [2, 1]


def test_the_log_needs_no_messages(folder: GitFolder, ledger: Ledger) -> None:
    """A proposal that is merged squashed has lost its trailers."""
    release(ledger, version(folder, "HEAD~1"))
    start(ledger, version(folder, "HEAD"))
    told = ledger.log()
    squashed = folder.git("commit-tree", "promptops-state^{tree}", "-m", "Squashed (#7)")
    folder.git("update-ref", "refs/heads/promptops-state", squashed)
    assert ledger.log() == told
    assert ledger.commit_transition("support/triage", "production", roll_back, now=NOW + 2 * HOUR).changed


def test_owners_of_the_branch(folder: GitFolder, ledger: Ledger) -> None:
    assert ledger.init(("@team",)) is not None
    assert folder.git("show", "promptops-state:CODEOWNERS") == "* @team"
    assert ledger.init(("@team",)) is None
    with pytest.raises(Invalid, match="not a code owner"):
        ledger.init(("team",))
    assert release(ledger, version(folder, "HEAD")).changed
    assert "CODEOWNERS" in state_files(folder)


def test_the_state_branch_may_be_checked_out(
    folder: GitFolder, ledger: Ledger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release(ledger, version(folder, "HEAD~1"))
    tree = GitFolder(tmp_path / "tree")
    folder.git("worktree", "add", "-q", str(tree.path), "promptops-state")
    release(ledger, version(folder, "HEAD"))
    assert tree.git("status", "--porcelain") == ""
    tree.write({"releases/support/triage.yaml": "mine"})
    ledger.commit_transition("support/triage", "production", roll_back, now=NOW)
    assert (tree.path / "releases/support/triage.yaml").read_text() == "mine"
    assert f"git -C {tree.path} switch --detach" in caplog.text
    state = ledger.head("support/triage")
    assert state is not None
    assert state.generation == 3


def test_it_works_from_a_linked_work_tree_and_a_subfolder(folder: GitFolder, tmp_path: Path) -> None:
    tree = GitFolder(tmp_path / "linked")
    folder.git("worktree", "add", "-q", "--detach", str(tree.path))
    with Ledger(tree.settings()) as ledger:
        release(ledger, version(folder, "HEAD"))
    assert "releases/support/triage.yaml" in state_files(folder)
    assert (
        parse_yaml(folder.git("show", "promptops-state:releases/support/triage.yaml").encode(), "x").data[
            "generation"
        ]
        == 1
    )
