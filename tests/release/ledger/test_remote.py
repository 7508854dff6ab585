"""The state branch and its remote: two clones, a remote that is away or refuses, local_commits made again."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptops.errors import Invalid, Unavailable
from promptops.git.repo import GitRepo
from promptops.release.ledger import Ledger, TransitionResult
from promptops.release.ledger.branch import StateBranch
from promptops.release.ledger.source_branch import (
    require_on_source_branch,
    resolve_source_branch,
    source_branch_settings,
)
from promptops.release.rules import Move, Transition
from promptops.versions.release_state import ReleaseState
from promptops.versions.resolve import resolve_version
from support.forked_commands import ForkedPopen
from support.git_repositories import GitFolder, new_repository
from support.ledger_transitions import (
    HOUR,
    NOW,
    channel,
    pause,
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
def bare(tmp_path: Path) -> GitFolder:
    """What both clones push to: three versions of a prompt, nothing released."""
    first = three_versions(tmp_path / "first")
    folder = GitFolder(tmp_path / "bare.git")
    first.git("clone", "-q", "--bare", str(first.path), str(folder.path))
    return folder


@pytest.fixture
def ada(bare: GitFolder, tmp_path: Path) -> GitFolder:
    return bare.clone(tmp_path / "ada")


@pytest.fixture
def bob(bare: GitFolder, tmp_path: Path) -> GitFolder:
    return bare.clone(tmp_path / "bob")


def away(folder: GitFolder) -> None:
    folder.git("remote", "set-url", "origin", f"file://{folder.path}/nowhere")


def back(folder: GitFolder, bare: GitFolder) -> None:
    folder.git("remote", "set-url", "origin", f"file://{bare.path}")


def tip(folder: GitFolder) -> str:
    return folder.git("rev-parse", "refs/heads/promptops-state")


def with_canary(folder: GitFolder) -> None:
    with Ledger(folder.settings()) as ledger:
        release(ledger, version(folder, "HEAD~1"))
        start(ledger, version(folder, "HEAD"))


def move(
    ledger: Ledger, change: Callable[[ReleaseState | None], Transition | None], *, hours: int = 2
) -> TransitionResult:
    return ledger.commit_transition("support/triage", "production", change, now=NOW + hours * HOUR)


def promote(state: ReleaseState | None) -> Transition | None:
    rollout = state.channels["production"].rollout if state else None
    return Transition(move=Move.PROMOTE, rollout=rollout, verdict="not worse")


def abort(state: ReleaseState | None) -> Transition | None:
    rollout = state.channels["production"].rollout if state else None
    return Transition(move=Move.ABORT, rollout=rollout)


def test_a_transition_counts_when_the_remote_has_it(ada: GitFolder, bare: GitFolder) -> None:
    with Ledger(ada.settings()) as ledger:
        written = release(ledger, version(ada, "HEAD"))
    assert written.pushed is True
    assert tip(bare) == tip(ada) == written.commit == ada.git("rev-parse", "origin/promptops-state")


def test_the_other_clone_goes_on_from_there(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    with Ledger(bob.settings()) as ledger:
        assert move(ledger, promote).message.endswith("production v1 → v2")
    with Ledger(ada.settings()) as ledger:
        assert move(ledger, roll_back_version).message.endswith("production v2 → v1, rolled back")
    assert tip(bare) == tip(ada)


def roll_back_version(state: ReleaseState | None) -> Transition | None:
    """What was promoted is rolled back, as soon as it is seen."""
    production = state.channels["production"] if state else None
    if production is None or production.rollout or production.previous is None:
        raise Invalid("nothing to roll back", hint="")
    return Transition(move=Move.ROLLBACK, stable=production.previous)


def test_two_clones_race_to_one_remote(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    words = [[sys.executable, str(WRITER), str(folder.path), "5"] for folder in (ada, bob)]
    running = [ForkedPopen(each, stdout=subprocess.PIPE) for each in words]
    for child in running:
        child.communicate()
    assert [child.returncode for child in running] == [0, 0]
    assert bare.git("rev-list", "--count", "promptops-state") == "12"
    with Ledger(bob.settings()) as ledger:
        ledger.refresh()
        assert [record.generation for record in ledger.log()] == list(range(12, 0, -1))


def first(ledger: Ledger, folder: GitFolder) -> TransitionResult:
    return release(ledger, version(folder, "HEAD~2"))


@pytest.mark.parametrize("change", [pause, promote])
def test_without_the_remote_nothing_changes(
    ada: GitFolder, change: Callable[[ReleaseState | None], Transition | None]
) -> None:
    with_canary(ada)
    before = tip(ada)
    away(ada)
    with Ledger(ada.settings()) as ledger:
        with pytest.raises(Unavailable, match="origin cannot be reached") as raised:
            move(ledger, change)
        assert "--local" in raised.value.hint
        assert ledger.pending() == []
    assert tip(ada) == before


def test_a_first_release_and_a_start_need_the_remote_too(ada: GitFolder) -> None:
    away(ada)
    with Ledger(ada.settings()) as ledger:
        for begin in (release, start):
            with pytest.raises(Unavailable):
                begin(ledger, version(ada, "HEAD"))
        assert ada.git("for-each-ref", "refs/heads/promptops-state") == ""
        with pytest.raises(Unavailable):
            ledger.head("support/triage")


@pytest.mark.parametrize("change", [roll_back, abort])
def test_taking_back_works_without_the_remote_and_is_pushed_later(
    ada: GitFolder, bare: GitFolder, change: Callable[[ReleaseState | None], Transition | None]
) -> None:
    with_canary(ada)
    away(ada)
    with Ledger(ada.settings()) as ledger:
        written = move(ledger, change)
        assert (written.pushed, written.changed) == (False, True)
        assert "cannot be reached" in written.problem
        assert channel(ledger).rollout is None
        assert [record.transition.move for record in ledger.pending()] == [change(None).move]  # type: ignore[union-attr]
    back(ada, bare)
    with Ledger(ada.settings()) as ledger:
        synced = ledger.sync()
        assert len(synced.replayed) == 1
        assert ledger.pending() == []
    assert tip(bare) == tip(ada)


def test_without_a_remote_on_purpose(ada: GitFolder, bare: GitFolder) -> None:
    away(ada)
    with Ledger(ada.settings(), local=True) as ledger:
        assert release(ledger, version(ada, "HEAD")).pushed is False
    back(ada, bare)
    with Ledger(ada.settings()) as ledger:
        assert release(ledger, version(ada, "HEAD~1")).pushed is True
    assert bare.git("rev-list", "--count", "promptops-state") == "2"


def test_an_offline_rollback_meets_a_promotion(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    away(ada)
    with Ledger(ada.settings()) as ledger:
        move(ledger, roll_back)
    old = tip(ada)
    with Ledger(bob.settings()) as ledger:
        move(ledger, promote)
    back(ada, bare)
    with Ledger(ada.settings()) as ledger:
        synced = ledger.sync()
        assert synced.replayed == ("release(support/triage): production v2 → v1, rolled back",)
        stable = channel(ledger).stable
    assert stable is not None
    assert stable.version == "v1"
    assert tip(bare) == tip(ada)
    assert old not in bare.git("rev-list", "promptops-state").split()


def test_a_rollback_wins_over_a_pause_elsewhere(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    away(ada)
    with Ledger(ada.settings()) as ledger:
        move(ledger, roll_back)
    with Ledger(bob.settings()) as ledger:
        move(ledger, pause)
    back(ada, bare)
    with Ledger(ada.settings()) as ledger:
        assert ledger.sync().replayed[0].endswith("canary v2 50% → 0%, rolled back")
        assert channel(ledger).rollout is None
    assert tip(bare) == tip(ada)


def test_a_pause_here_loses_to_a_rollback_elsewhere(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    with Ledger(ada.settings(), local=True) as ledger:
        move(ledger, pause)
    old = tip(ada)
    with Ledger(bob.settings()) as ledger:
        move(ledger, roll_back)
    with Ledger(ada.settings()) as ledger:
        synced = ledger.sync()
        assert synced.replayed == ()
        assert "rolled back meanwhile" in synced.dropped[0]
        assert channel(ledger).rollout is None
    assert tip(ada) == tip(bare)
    assert ada.git("for-each-ref", "--format=%(objectname)", "refs/promptops/discarded") == old


def test_a_rollback_in_both_places_is_one(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    away(ada)
    with Ledger(ada.settings()) as ledger:
        move(ledger, roll_back)
    with Ledger(bob.settings()) as ledger:
        ledger.commit_transition("support/triage", "production", roll_back, now=NOW + 3 * HOUR)
    back(ada, bare)
    with Ledger(ada.settings()) as ledger:
        assert "done already" in ledger.sync().dropped[0]
    assert tip(ada) == tip(bare)


def test_a_rollback_that_meets_another_rollout_stops(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    away(ada)
    with Ledger(ada.settings()) as ledger:
        move(ledger, roll_back)
    with Ledger(bob.settings()) as ledger:
        move(ledger, promote)
        start(ledger, version(bob, "HEAD~2"), rollout="r-2")
    back(ada, bare)
    with Ledger(ada.settings()) as ledger:
        with pytest.raises(Invalid, match="r-1") as raised:
            ledger.sync()
        assert "r-2" in raised.value.message
        assert "--discard" in raised.value.hint
        with pytest.raises(Invalid, match="diverged") as read:
            ledger.head("support/triage")
        assert "release sync" in read.value.hint
        assert len(ledger.pending()) == 1
        assert "conflict" in ledger.sync(discard=True).dropped[0]
        rollout = channel(ledger).rollout
    assert rollout is not None
    assert rollout.id == "r-2"


def test_the_same_pause_in_both_places_is_one(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    with Ledger(ada.settings(), local=True) as ledger:
        move(ledger, pause, hours=3)
        ledger.init(("@team",))
    with Ledger(bob.settings()) as ledger:
        move(ledger, pause)
    with Ledger(ada.settings()) as ledger:
        moved_on, again = ledger.sync().dropped
        assert "moved on meanwhile" in moved_on
        assert again == "release init (give the command again)"
        assert ledger.init(("@team",)) is not None
    assert tip(ada) == tip(bare)


def test_a_canary_that_came_and_went_here_leaves_nothing(
    ada: GitFolder, bob: GitFolder, bare: GitFolder
) -> None:
    with Ledger(ada.settings()) as ledger:
        release(ledger, version(ada, "HEAD~1"))
    with Ledger(ada.settings(), local=True) as ledger:
        start(ledger, version(ada, "HEAD~2"), rollout="r-9")
        move(ledger, roll_back)
    with Ledger(bob.settings()) as ledger:
        start(ledger, version(bob, "HEAD"), rollout="r-2")
    with Ledger(ada.settings()) as ledger:
        assert len(ledger.sync().dropped) == 2
        assert channel(ledger).rollout is not None
    assert tip(ada) == tip(bare)


def test_a_commit_of_somebody_is_not_made_again(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    mine = ada.git("commit-tree", "promptops-state^{tree}", "-p", "promptops-state", "-m", "mine")
    ada.git("update-ref", "refs/heads/promptops-state", mine)
    with Ledger(bob.settings()) as ledger:
        move(ledger, pause)
    with Ledger(ada.settings()) as ledger, pytest.raises(Invalid, match="not made by promptops") as raised:
        ledger.sync()
    assert "git branch kept" in raised.value.hint


def test_a_remote_that_never_settles(ada: GitFolder, bare: GitFolder) -> None:
    """Whoever gets there first each time, this process gives up in the end and says so."""
    with_canary(ada)
    hook = bare.path / "hooks/update"
    hook.write_text("#!/bin/sh\necho 'fatal: cannot lock ref' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = tip(ada)
    with Ledger(ada.settings()) as ledger, pytest.raises(Unavailable, match="others keep moving"):
        move(ledger, pause)
    assert tip(ada) == before


def test_two_releases_made_apart_get_numbers_of_their_own(
    ada: GitFolder, bob: GitFolder, bare: GitFolder
) -> None:
    """On different channels they do not contradict each other."""
    with_canary(ada)
    with Ledger(ada.settings(), local=True) as ledger:
        found = version(ada, "HEAD~2")
        staged = Transition(move=Move.RELEASE, stable=released(found))
        ledger.commit_transition("support/triage", "staging", lambda _: staged, now=NOW, version=found)
        ledger.commit_transition("support/triage", "staging", lambda _: staged, now=NOW, version=found)
    bob.commit(
        "Fourth",
        {
            "prompts/support/triage.yaml": (bob.path / "prompts/support/triage.yaml")
            .read_text()
            .replace("Good day", "Servus")
        },
    )
    with Ledger(bob.settings()) as ledger:
        move(ledger, roll_back)
        assert release(ledger, version(bob, "HEAD")).message.endswith("v1 → v3")
    with Ledger(ada.settings()) as ledger:
        assert ledger.sync().replayed[0] == "release(support/triage): staging v4"
        assert [frozen.version for frozen in ledger.versions("support/triage")] == ["v1", "v2", "v3", "v4"]
        state = ledger.head("support/triage")
    assert state is not None
    assert state.generation == 6
    assert state.channels["staging"].stable == state.channels["staging"].previous
    assert tip(ada) == tip(bare)


def test_a_rule_that_refuses_the_push_is_named(ada: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    hook = bare.path / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH013: commits must have verified signatures' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = tip(ada)
    with Ledger(ada.settings()) as ledger:
        with pytest.raises(Invalid, match="GH013: commits must have verified signatures") as raised:
            move(ledger, pause)
        assert "branch rule" in raised.value.hint
        assert "contents: write" in raised.value.hint
        assert tip(ada) == before
        written = move(ledger, roll_back)
        assert written.pushed is False
        assert "GH013" in written.problem


def test_hooks_of_the_user_do_not_stop_a_release(ada: GitFolder, bare: GitFolder) -> None:
    hook = ada.path / ".git/hooks/pre-push"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with_canary(ada)
    assert tip(bare) == tip(ada)


def test_a_single_branch_clone(ada: GitFolder, bare: GitFolder, tmp_path: Path) -> None:
    with_canary(ada)
    runner = bare.clone(tmp_path / "runner", "--single-branch", "--branch", "main")
    with Ledger(runner.settings()) as ledger:
        move(ledger, pause)
        assert len(ledger.log()) == 3
        assert ledger.pending() == []
    assert tip(bare) == tip(runner)


def test_a_shallow_single_branch_clone(ada: GitFolder, bare: GitFolder, tmp_path: Path) -> None:
    with_canary(ada)
    runner = bare.clone(tmp_path / "runner", "--single-branch", "--branch", "main", "--depth", "1")
    with Ledger(runner.settings()) as ledger:
        move(ledger, pause)
        assert move(ledger, roll_back).pushed is True
        assert len(ledger.log()) == 4
    assert tip(bare) == tip(runner)
    assert (
        resolve_version("support/triage@v1", runner.settings()).prompt.digest
        == version(ada, "HEAD~1").prompt.digest
    )


def test_a_shallow_clone_of_all_branches(ada: GitFolder, bare: GitFolder, tmp_path: Path) -> None:
    with_canary(ada)
    runner = bare.clone(tmp_path / "runner", "--no-single-branch", "--depth", "1")
    with Ledger(runner.settings()) as ledger:
        assert move(ledger, pause).pushed is True
    with Ledger(ada.settings()) as ledger:
        assert move(ledger, roll_back).pushed is True
    with Ledger(runner.settings()) as ledger:
        ledger.sync()
        assert channel(ledger).rollout is None


def test_a_clone_that_has_the_remote_tracking_ref_alone(
    ada: GitFolder, bare: GitFolder, tmp_path: Path
) -> None:
    with_canary(ada)
    runner = bare.clone(tmp_path / "runner")
    away(runner)
    with Ledger(runner.settings()) as ledger:
        assert channel(ledger).rollout is not None
        assert move(ledger, roll_back).pushed is False
        assert len(ledger.pending()) == 1
    back(runner, bare)
    with Ledger(runner.settings()) as ledger:
        ledger.sync()
    assert tip(bare) == tip(runner)


def test_a_clone_without_any_ref_finds_what_to_take_back(
    ada: GitFolder, bare: GitFolder, tmp_path: Path
) -> None:
    runner = bare.clone(tmp_path / "runner")
    with_canary(ada)
    with Ledger(runner.settings()) as ledger:
        written = move(ledger, roll_back_seen)
    assert written.pushed is True
    assert tip(bare) == tip(runner)


def roll_back_seen(state: ReleaseState | None) -> Transition | None:
    if state is None:
        raise Invalid("nothing is released", hint="")
    return roll_back(state)


def test_a_deleted_branch_is_restored_from_any_clone(ada: GitFolder, bob: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    with Ledger(bob.settings()) as ledger:
        ledger.refresh()
    kept = tip(bare)
    bare.git("update-ref", "-d", "refs/heads/promptops-state")
    with Ledger(bob.settings()) as ledger:
        with pytest.raises(Invalid, match="gone from origin") as raised:
            release(ledger, version(bob, "HEAD"))
        assert "release recover" in raised.value.hint
        assert ledger.recover().pushed is True
    assert tip(bare) == kept


def test_a_branch_that_was_made_anew_is_not_followed(ada: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    before = tip(ada)
    other = bare.git("commit-tree", "promptops-state^{tree}", "-m", "again")
    bare.git("update-ref", "refs/heads/promptops-state", other)
    with Ledger(ada.settings()) as ledger:
        with pytest.raises(Invalid, match="rewritten"):
            move(ledger, pause)
        with pytest.raises(Invalid, match="origin has another branch"):
            ledger.recover()
    assert tip(ada) == before
    assert other in ada.git("for-each-ref", "--format=%(objectname)", "refs/promptops/kept").split()


def test_a_branch_that_was_set_back_is_brought_forward(ada: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    before = tip(ada)
    bare.git("update-ref", "refs/heads/promptops-state", f"{before}^")
    with Ledger(ada.settings()) as ledger:
        assert ledger.recover().pushed is True
    assert tip(bare) == before


def test_a_proposal_is_pushed_to_a_branch_of_its_own(ada: GitFolder, bare: GitFolder) -> None:
    with_canary(ada)
    before = tip(bare)
    with Ledger(ada.settings(), propose="pause-triage") as ledger:
        assert move(ledger, pause).pushed is True
    assert tip(bare) == before
    assert bare.git("rev-parse", "pause-triage^") == before


def test_which_of_several_remotes_is_asked(ada: GitFolder, bare: GitFolder) -> None:
    ada.git("remote", "rename", "origin", "one")
    ada.git("remote", "add", "two", str(bare.path))
    with Ledger(ada.settings()) as ledger, pytest.raises(Invalid, match="one, two") as raised:
        release(ledger, version(ada, "HEAD"))
    assert "release: {from:" in raised.value.hint
    ada.write({"promptops.yaml": "release: {from: two/main}\n"})
    with Ledger(ada.settings()) as ledger:
        assert release(ledger, version(ada, "HEAD")).pushed is True
    assert ada.git("rev-parse", "two/promptops-state") == tip(bare)


def test_what_is_released_elsewhere_is_looked_for_once(
    ada: GitFolder, bare: GitFolder, tmp_path: Path
) -> None:
    runner = bare.clone(tmp_path / "runner", "--single-branch")
    with_canary(ada)
    with Ledger(runner.settings()) as ledger:
        assert channel(ledger).rollout is not None
        assert len(ledger.log()) == 2


def test_a_rollback_here_while_a_promotion_is_being_pushed(ada: GitFolder, bare: GitFolder) -> None:
    """The promotion reaches the remote; the rollback, made here meanwhile, rolls it back."""
    with_canary(ada)
    hook = bare.path / "hooks/post-receive"
    reached = bare.path / "reached"
    hook.write_text(f"#!/bin/sh\ntouch {reached}\nsleep 0.5\n")
    hook.chmod(0o755)
    with ThreadPoolExecutor(1) as pool:
        promoting = pool.submit(promote_in, ada)
        while not reached.exists():
            time.sleep(0.01)
        with Ledger(ada.settings()) as ledger:
            assert move(ledger, roll_back).pushed is True
        assert promoting.result().pushed is True
    with Ledger(ada.settings()) as ledger:
        stable = channel(ledger).stable
    assert stable is not None
    assert stable.version == "v1"
    assert tip(ada) == tip(bare)


def promote_in(folder: GitFolder) -> TransitionResult:
    with Ledger(folder.settings()) as ledger:
        return move(ledger, promote)


# the reviewed branch


@pytest.fixture
def read(ada: GitFolder) -> Iterator[GitRepo]:
    with GitRepo(ada.settings()) as repo:
        yield repo


def test_what_is_released_has_been_reviewed(ada: GitFolder, read: GitRepo) -> None:
    source = resolve_source_branch(StateBranch(ada.settings(), read))
    assert source is not None
    assert source.rev == "origin/main"
    require_on_source_branch(read, source, ada.git("rev-parse", "HEAD"), "support/triage@HEAD")
    ada.git("switch", "-q", "-c", "mine")
    mine = ada.commit("Mine", {"promptops.yaml": "channels: {mine: {}}\n"})
    with pytest.raises(Invalid, match="support/triage@mine is not on origin/main") as raised:
        require_on_source_branch(read, source, mine, "support/triage@mine")
    assert "--unreviewed" in raised.value.hint
    assert source_branch_settings(read, source).channels == {}


def test_without_a_remote_everything_is_as_it_stands(tmp_path: Path) -> None:
    folder = new_repository(tmp_path / "alone")
    folder.commit("First", {"promptops.yaml": "channels: {mine: {}}\n"})
    with GitRepo(folder.settings()) as repo:
        assert resolve_source_branch(StateBranch(folder.settings(), repo)) is None
        assert source_branch_settings(repo, None).channels == {"mine": {}}
        require_on_source_branch(repo, None, None, "any")


def test_a_reviewed_branch_of_another_name(ada: GitFolder, bare: GitFolder, read: GitRepo) -> None:
    ada.git("push", "-q", "origin", "HEAD~1:refs/heads/live")
    ada.write({"promptops.yaml": "release: {from: origin/live}\n"})
    source = resolve_source_branch(StateBranch(ada.settings(), read))
    assert source is not None
    assert (source.rev, source.commit) == ("origin/live", ada.git("rev-parse", "HEAD~1"))
    ada.write({"promptops.yaml": "release: {from: origin/other}\n"})
    with pytest.raises(Invalid, match="origin/other is not known here"):
        resolve_source_branch(StateBranch(ada.settings(), read))


def test_a_default_branch_that_is_not_known_is_asked_for(ada: GitFolder, read: GitRepo) -> None:
    ada.git("remote", "set-head", "origin", "--delete")
    assert resolve_source_branch(StateBranch(ada.settings(), read)) is not None
    ada.git("update-ref", "-d", "refs/remotes/origin/main")
    with pytest.raises(Invalid, match="which branch of origin") as raised:
        resolve_source_branch(StateBranch(ada.settings(), read))
    assert "set-head" in raised.value.hint
