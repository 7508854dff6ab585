import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from promptops.errors import Invalid, NotFound
from promptops.git.log import first_parent_log, is_on_first_parent_line
from promptops.git.repo import INDEX, STATE_BRANCH, STATE_REF, VERIFIED_REF, GitRepo, Tip
from support.git_repositories import GitFolder, new_repository

A = "prompts/a.yaml"


@pytest.fixture
def repository(tmp_path: Path) -> GitFolder:
    return new_repository(tmp_path / "r")


@pytest.fixture
def repo(repository: GitFolder) -> Iterator[GitRepo]:
    with GitRepo(repository.settings()) as opened:
        yield opened


def child_id(repo: GitRepo) -> int:
    child = repo._objects._child  # noqa: SLF001 - to kill it
    assert child is not None
    return child.pid


class TestRevisions:
    def test_names_of_a_commit(self, repository: GitFolder, repo: GitRepo) -> None:
        first = repository.commit("first fix", day=1)
        second = repository.commit("second", day=2)
        repository.git("tag", "-a", "v1", "-m", "x", first)
        repository.git("branch", "feature/ü x".replace(" ", "-"), first)
        for rev in ("v1", "refs/tags/v1", first, first[:7], "HEAD~1", "HEAD^", "feature/ü-x", ":/first fix"):
            assert repo.resolve_commit(rev) == first, rev
        for rev in ("HEAD", "main", "@", "HEAD@{0}", second[:10], "main@{1 second ago}"):
            assert repo.resolve_commit(rev) == second, rev

    def test_unknown_names_list_what_is_near(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit()
        repository.git("branch", "feature")
        with pytest.raises(NotFound, match="no revision `featrue`") as caught:
            repo.resolve_commit("featrue")
        assert "feature" in caught.value.hint
        with pytest.raises(NotFound) as caught:
            repo.resolve_commit("zzzzzzzzzzz")
        assert "git log" in caught.value.hint

    def test_what_is_no_revision(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("x", {A: "text\n"})
        for rev in ("", "a\nb", "a\0b"):
            with pytest.raises(Invalid, match="is not a revision"):
                repo.resolve_commit(rev)
        for rev in ("--help", "-n1", "main..HEAD", "HEAD~9"):
            with pytest.raises(NotFound, match="no revision"):
                repo.resolve_commit(rev)
        with pytest.raises(Invalid, match="names a blob, not a commit"):
            repo.resolve_commit(f"HEAD:{A}")

    def test_no_commit_yet(self, repo: GitRepo) -> None:
        assert not repo.has_commits()
        assert repo.tip().commit is None
        with pytest.raises(NotFound, match="no commit yet"):
            repo.resolve_commit("HEAD")

    def test_a_name_of_two_things_is_refused(self, repository: GitFolder, repo: GitRepo) -> None:
        first = repository.commit("1")
        repository.commit("2", day=2)
        repository.git("branch", "both", first)
        repository.git("tag", "both")
        with pytest.raises(Invalid, match="`both` is ambiguous: refs/heads/both, refs/tags/both"):
            repo.resolve_commit("both")
        repository.git("branch", first[:7])
        with pytest.raises(Invalid, match=f"is ambiguous: refs/heads/{first[:7]}, {first}"):
            repo.resolve_commit(first[:7])

    def test_a_short_id_of_two_commits_lists_both(self, repository: GitFolder, repo: GitRepo) -> None:
        stream = "".join(
            f"commit refs/heads/main\ncommitter A <a@b> {1000 + n} +0000\ndata 1\nx\n" for n in range(2000)
        )
        repository.git("fast-import", "--quiet", text=stream)
        shas = sorted(repository.git("rev-list", "main").split())
        pair = next((a, b) for a, b in pairwise(shas) if a[:4] == b[:4])
        with pytest.raises(Invalid, match="is ambiguous") as caught:
            repo.resolve_commit(pair[0][:4])
        assert pair[0][:12] in caught.value.message
        assert pair[1][:12] in caught.value.message
        for sha in pair:
            assert repo.resolve_commit(repo.abbreviate(sha)) == sha

    def test_a_reflog_that_does_not_go_so_far(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit(day=2)
        with pytest.raises(NotFound, match="only goes back to"):
            repo.resolve_commit("main@{10 years ago}")

    def test_tip(self, repository: GitFolder, repo: GitRepo) -> None:
        assert repo.tip() == Tip("refs/heads/main", None)
        sha = repository.commit()
        with GitRepo(repo.settings) as later:
            assert later.tip() == Tip("refs/heads/main", sha)
        repository.git("checkout", "-q", "--detach")
        repository.git("update-ref", "refs/heads/promptops-state", sha)
        repository.git("update-ref", "refs/heads/x/promptops-state", sha)
        repository.git("update-ref", "refs/remotes/a/promptops-state", sha)
        with GitRepo(repo.settings) as later:
            assert later.tip() == Tip("HEAD", sha)
            assert list(later.state_heads()) == [
                "refs/heads/promptops-state",
                "refs/remotes/a/promptops-state",
            ]

    def test_ancestry(self, repository: GitFolder, repo: GitRepo) -> None:
        base = repository.commit("base")
        repository.git("checkout", "-q", "-b", "side")
        side = repository.commit("side", day=2)
        repository.git("checkout", "-q", "main")
        main = repository.commit("main", day=3)
        repository.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        merge = repository.git("rev-parse", "HEAD")
        assert repo.is_ancestor(side, merge)
        assert not repo.is_ancestor(main, side)
        settings = repository.settings()
        assert [is_on_first_parent_line(settings, old, merge) for old in (base, main, side, merge)] == [
            True,
            True,
            False,
            True,
        ]
        assert not is_on_first_parent_line(settings, merge, main)


class TestStateBranches:
    @pytest.fixture
    def commits(self, repository: GitFolder) -> list[str]:
        found = [repository.commit(), repository.commit()]
        repository.git("update-ref", STATE_REF, found[0])
        return found

    def test_moved_made_or_deleted_by_another_process(
        self, repository: GitFolder, repo: GitRepo, commits: list[str]
    ) -> None:
        assert repo.state_heads() == {STATE_REF: commits[0]}
        repository.git("update-ref", STATE_REF, commits[1])
        assert repo.state_heads() == {STATE_REF: commits[0]}
        repo.reread_refs()
        assert (repo.state_heads(), repo.verified_state()) == ({STATE_REF: commits[1]}, None)
        repository.git("pack-refs", "--all")
        repository.git("update-ref", VERIFIED_REF, commits[0])
        repo.reread_refs()
        assert (repo.state_heads(), repo.verified_state()) == ({STATE_REF: commits[1]}, commits[0])
        repository.git("update-ref", "-d", VERIFIED_REF)
        repo.reread_refs()
        assert repo.verified_state() is None
        repository.git("update-ref", "-d", STATE_REF)
        repo.reread_refs()
        assert repo.state_heads() == {}

    def test_of_a_new_remote(
        self, repository: GitFolder, repo: GitRepo, commits: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert list(repo.state_heads()) == [STATE_REF]
        fetched = f"refs/remotes/origin/{STATE_BRANCH}"
        repository.git("update-ref", fetched, commits[1])
        monkeypatch.setattr("promptops.git.repo._NEW_REFS_SECONDS", -1.0)
        repo.reread_refs()
        assert repo.state_heads() == {STATE_REF: commits[0], fetched: commits[1]}

    def test_no_git_is_started_for_it(
        self, repository: GitFolder, repo: GitRepo, commits: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert repo.state_heads()
        assert repo.has_commits()
        monkeypatch.setenv("PATH", "/nowhere")
        repo.reread_refs()
        assert repo.state_heads() == {STATE_REF: commits[0]}


class TestFiles:
    def test_reading_at_revisions_and_in_the_index(self, repository: GitFolder, repo: GitRepo) -> None:
        first = repository.commit("1", {A: b"\xff\0one\n", "prompts/one-line.txt": "no line break"})
        repository.write({A: "two\n", "prompts/new.yaml": "new\n"})
        repository.git("add", "-A")
        repository.write({A: "three\n"})
        assert repo.read(first, A) == b"\xff\0one\n"
        assert repo.read("HEAD", "prompts/one-line.txt") == b"no line break"
        assert repo.read(INDEX, A) == b"two\n"
        assert repo.read(INDEX, "prompts/one-line.txt") == b"no line break"
        assert repo.read_many([(first, A), (INDEX, A), (first, "prompts/one-line.txt")]) == [
            b"\xff\0one\n",
            b"two\n",
            b"no line break",
        ]
        assert [entry.path for entry in repo.list_files(first, "prompts")] == [A, "prompts/one-line.txt"]
        assert [entry.path for entry in repo.list_files(INDEX, "prompts")][1] == "prompts/new.yaml"
        assert [entry.path for entry in repo.list_files(first, "")] == [A, "prompts/one-line.txt"]

    def test_files_of_a_revision_are_those_that_git_lists(self, repository: GitFolder, repo: GitRepo) -> None:
        files = {"a/b/c/d.txt": "", "a/b.txt": "", "a/b-c/e.txt": "", "a!b": "", "é/f": ""}
        first = repository.commit("1", {A: "one\n", **files})
        (repository.path / "a/link").symlink_to("b.txt")
        repository.git("add", "-A")
        repository.git("update-index", "--add", "--cacheinfo", f"160000,{first},a/module")
        repository.git("commit", "-q", "-m", "2")
        for folder in (
            "",
            "a",
            "a/b",
            "a/b/c",
            "a/b.txt",
            "a/b.txt/x",
            "a/link",
            "a/module/x",
            "é",
            "no",
            "no/x",
        ):
            listed = repository.git("ls-tree", "-r", "-z", "HEAD", "--", *filter(None, [folder])).split("\0")
            found = [(each.mode, each.oid, each.path) for each in repo.list_files("HEAD", folder)]
            assert found == [(line[:6], *line.split(" ", 2)[2].split("\t")) for line in filter(None, listed)]

    def test_what_is_not_there(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("1", {A: "x\n"})
        for rev in ("HEAD", INDEX):
            for path in ("prompts/b.yaml", f"{A}/x", "nowhere/b.yaml", "prompts", "prompts/x/y.yaml"):
                with pytest.raises(NotFound, match="no file"):
                    repo.read(rev, path)

    def test_names_that_need_care(self, repository: GitFolder) -> None:
        odd = "ein ü\n folder"
        repository.commit("1", {f"{odd}/prompts/a b.yaml": "odd\n", f"{odd}/promptops.yaml": "lint: {}\n"})
        with GitRepo(repository.settings(odd)) as repo:
            path = f"{odd}/prompts/a b.yaml"
            assert repo.read("HEAD", path) == b"odd\n"
            assert repo.read(INDEX, path) == b"odd\n"
            assert repo.read_many([("HEAD", path)]) == [b"odd\n"]
            assert [entry.path for entry in repo.list_files("HEAD", f"{odd}/prompts")] == [path]
            with pytest.raises(NotFound):
                repo.read("HEAD", f"{odd}/prompts/b.yaml")
            log = [*first_parent_log(repo.settings, "HEAD", None, f"{odd}/prompts")]
            assert [change.path for commit in log for change in commit.changes] == [path]

    def test_links_are_followed_inside_the_prompts_only(self, repository: GitFolder, repo: GitRepo) -> None:
        folder = repository.path / "prompts"
        repository.write({"prompts/real/a.yaml": "real\n", "secret": "s\n"})
        (folder / "file.yaml").symlink_to("real/a.yaml")
        (folder / "dir").symlink_to("real")
        (folder / "deep").symlink_to("dir/a.yaml")
        (folder / "out").symlink_to("../secret")
        (folder / "absolute").symlink_to("/etc/passwd")
        (folder / "loop").symlink_to("loop")
        (folder / "dangling").symlink_to("nothing")
        (repository.path / "above").symlink_to("prompts/real/a.yaml")
        repository.commit()
        for rev in ("HEAD", INDEX):
            for good in ("file.yaml", "dir/a.yaml", "deep"):
                assert repo.read(rev, f"prompts/{good}") == b"real\n", (rev, good)
            for bad in ("prompts/out", "prompts/absolute", "above"):
                with pytest.raises(Invalid, match="symbolic link that leaves prompts/"):
                    repo.read(rev, bad)
            with pytest.raises(Invalid, match="leads in a circle"):
                repo.read(rev, "prompts/loop")
            with pytest.raises(NotFound, match="no file prompts/dangling"):
                repo.read(rev, "prompts/dangling")

    def test_a_submodule(self, repository: GitFolder, repo: GitRepo, tmp_path: Path) -> None:
        inner = new_repository(tmp_path / "inner")
        inner.commit("i", {"a.yaml": "x\n"})
        repository.git("submodule", "add", "-q", str(inner.path), "prompts/sub")
        repository.commit()
        for rev in ("HEAD", INDEX):
            for path in ("prompts/sub", "prompts/sub/a.yaml"):
                with pytest.raises(Invalid, match="prompts/sub is a submodule"):
                    repo.read(rev, path)

    def test_a_conflict_in_the_index(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("base", {A: "base\n"})
        repository.git("checkout", "-q", "-b", "side")
        repository.commit("side", {A: "side\n"})
        repository.git("checkout", "-q", "main")
        repository.commit("main", {A: "main\n"})
        repository.git("merge", "side", check=False)
        with pytest.raises(Invalid, match=r"prompts/a.yaml has a merge conflict") as caught:
            repo.read(INDEX, A)
        assert caught.value.hint == f"resolve it, then: git add {A}"

    def test_another_index_file(self, repository: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        repository.commit("1", {A: "one\n"})
        repository.write({A: "two\n"})
        repository.git("add", "-A", GIT_INDEX_FILE=".git/other")
        monkeypatch.setenv("GIT_INDEX_FILE", ".git/other")
        with GitRepo(repository.settings()) as repo:
            assert repo.read(INDEX, A) == b"two\n"
            assert repo.list_files(INDEX, "prompts") != repo.list_files("HEAD", "prompts")

    def test_a_bare_repository(self, repository: GitFolder, tmp_path: Path) -> None:
        repository.commit("1", {A: "one\n"})
        bare = repository.clone(tmp_path / "bare.git", "--bare")
        with GitRepo(bare.settings()) as repo:
            assert repo.read("HEAD", A) == b"one\n"
            with pytest.raises(Invalid, match="a bare repository has no index"):
                repo.read(INDEX, A)

    def test_git_dir_in_the_environment(
        self, repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repository.commit("1", {A: "one\n"})
        monkeypatch.setenv("GIT_DIR", str(repository.path / ".git"))
        monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
        with GitRepo(GitFolder(tmp_path).settings()) as repo:
            assert repo.read("HEAD", A) == b"one\n"

    def test_sha256_repositories(self, tmp_path: Path) -> None:
        folder = new_repository(tmp_path / "s", "--object-format=sha256")
        sha = folder.commit("1", {A: "one\n", "prompts/l": "one line"})
        with GitRepo(folder.settings()) as repo:
            assert len(sha) == 64
            assert repo.read(repo.resolve_commit(sha[:9]), "prompts/l") == b"one line"


class TestTrouble:
    def test_the_child_is_started_again_after_its_death(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("1", {A: "one\n"})
        assert repo.read("HEAD", A) == b"one\n"
        os.kill(child_id(repo), signal.SIGKILL)
        assert repo.read("HEAD", A) == b"one\n"

    def test_the_child_dies_while_many_are_read(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("1", {A: "one\n"})
        assert repo.has_commits()
        os.kill(child_id(repo), signal.SIGKILL)
        with pytest.raises(Invalid, match="died while reading"):
            repo.read_many([("HEAD", A)] * 3)
        assert repo.read_many([("HEAD", A)] * 3) == [b"one\n"] * 3

    def test_many_long_questions_and_answers_do_not_block(self, repository: GitFolder, repo: GitRepo) -> None:
        deep = "prompts/" + "/".join(["d" * 200] * 10)
        repository.commit("1", {f"{deep}/a.yaml": "x" * 100_000 + "\n"})
        assert len(repo.read_many([("HEAD", f"{deep}/a.yaml")] * 200)) == 200
        assert repo.read_many([]) == []

    def test_answers_left_unread_are_not_mixed_up(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("1", {A: "one\n"})
        answers = repo._objects.ask_many(["HEAD"] * 10)  # noqa: SLF001 - nothing public shows it
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        assert repo.read("HEAD", A) == b"one\n"

    def test_a_damaged_repository(self, repository: GitFolder, repo: GitRepo) -> None:
        repository.commit("1", {A: "one\n"})
        oid = repository.git("rev-parse", f"HEAD:{A}")
        (repository.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
        with pytest.raises(Invalid, match=f"the object {oid} is missing") as caught:
            repo.read("HEAD", A)
        assert "git fsck" in caught.value.hint
        oid = repository.git("rev-parse", "HEAD:prompts")
        (repository.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
        for folder in ("", "prompts", "prompts/x"):
            with pytest.raises(Invalid, match=f"the object {oid} is missing"):
                repo.list_files("HEAD", folder)
        assert repo.list_files("HEAD", "other") == []
        (repository.path / ".git/config").write_text("[core")
        with GitRepo(repo.settings) as broken, pytest.raises(Invalid, match="bad config"):
            broken.read("HEAD", A)

    def test_a_partial_clone_fetches_nothing_behind_our_back(
        self, repository: GitFolder, tmp_path: Path
    ) -> None:
        repository.git("config", "uploadpack.allowFilter", "true")
        first = repository.commit("1", {A: "one\n"})
        repository.commit("2", {A: "two\n"})
        partial = repository.clone(tmp_path / "p", "--filter=blob:none")
        with GitRepo(partial.settings()) as repo:
            assert repo.read("HEAD", A) == b"two\n"
            with pytest.raises(Invalid, match="not in this partial clone") as caught:
                repo.read(first, A)
            assert "git fetch --refetch --no-filter" in caught.value.hint

    def test_a_shallow_clone_says_so(self, repository: GitFolder, tmp_path: Path) -> None:
        repository.commit("1", {A: "one\n"})
        repository.commit("2", {A: "two\n"})
        shallow = repository.clone(tmp_path / "s", "--depth=1")
        with GitRepo(shallow.settings()) as repo:
            assert repo.is_shallow()
            with pytest.raises(NotFound) as caught:
                repo.resolve_commit("HEAD~1")
            assert "git fetch --unshallow" in caught.value.hint

    def test_a_repository_of_somebody_else(
        self, repository: GitFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repository.commit("1", {A: "one\n"})
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        with GitRepo(repository.settings()) as repo:
            for question in (repo.has_commits, repo.tip):
                with pytest.raises(Invalid, match="dubious ownership") as caught:
                    question()
                assert "git config --global --add safe.directory" in caught.value.hint

    @pytest.mark.parametrize(
        ("script", "message"),
        [("exit 1", "again and again"), ("read x; echo 0 blob 99; echo cut", "again and again")],
    )
    def test_a_git_that_dies_at_once(
        self,
        repo: GitRepo,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        script: str,
        message: str,
    ) -> None:
        fake = tmp_path / "bin" / "git"
        fake.parent.mkdir()
        fake.write_text(f"#!/bin/sh\n{script}\n")
        fake.chmod(0o755)
        monkeypatch.setenv("PATH", str(fake.parent))
        with pytest.raises(Invalid, match=message):
            repo.read("HEAD", A)
        with pytest.raises(Invalid, match="died while reading"):
            repo.read_many([("HEAD", A)])

    def test_outside_of_any_repository(self, repo: GitRepo) -> None:
        nowhere = GitRepo(replace(repo.settings, top=None, git_dir=None))
        with pytest.raises(Invalid, match="no git repository here"):
            nowhere.tip()

    def test_git_is_not_installed(
        self, repo: GitRepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(Invalid, match="git was not found on PATH"):
            repo.tip()

    def test_the_language_of_the_user_changes_nothing(
        self, repository: GitFolder, repo: GitRepo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
        monkeypatch.setenv("LANGUAGE", "de")
        repository.commit()
        with pytest.raises(NotFound, match="no revision `x`"):
            repo.resolve_commit("x")


def test_the_log_is_the_same_whatever_the_configuration(repository: GitFolder, repo: GitRepo) -> None:
    repository.commit("add :100 a", {A: "a\n" * 20, "other": "1"})
    for setting in ("log.follow true", "color.ui always", "log.showRoot false", "diff.renames copies"):
        repository.git("config", *setting.split())
    repository.git("mv", A, "prompts/b.yaml")
    repository.commit("move", day=2)
    repository.commit("elsewhere", {"other": "2"}, day=3)
    repository.git("commit", "-q", "--allow-empty-message", "-m", "", "--allow-empty")
    log = [*first_parent_log(repo.settings, "HEAD", None, "prompts")]
    assert [(commit.subject, commit.author, commit.authored_at) for commit in log] == [
        ("move", "Ada", "2026-03-02T11:00:00Z"),
        ("add :100 a", "Ada", "2026-03-01T11:00:00Z"),
    ]
    gone, come = log[0].changes
    assert (gone.path, gone.new_oid, come.path, come.old_oid) == (A, None, "prompts/b.yaml", None)
    assert gone.old_oid == come.new_oid
    assert [*first_parent_log(repo.settings, "HEAD", log[0].sha, "prompts")] == []


@pytest.mark.parametrize("name", ["swe-agent-config", "smolagents-prompts", "prompthub", "prompty-files"])
def test_real_histories_read_as_git_reads_them(name: str, shared: Path, tmp_path: Path) -> None:
    bundle = shared / "data/prompt-histories" / f"{name}.bundle"
    subprocess.run(["git", "clone", "-q", str(bundle), str(tmp_path / "c")], check=True, capture_output=True)
    folder = GitFolder(tmp_path / "c")
    with GitRepo(folder.settings()) as repo:
        log = [*first_parent_log(repo.settings, "HEAD", None, "")]
        paths = sorted({change.path for commit in log for change in commit.changes})
        for path in paths[::7]:
            ours = [commit.sha for commit in log if any(change.path == path for change in commit.changes)]
            assert ours == folder.git("log", "--first-parent", "--format=%H", "--", path).split()
        wanted = [
            (commit.sha, change.path)
            for commit in log
            for change in commit.changes
            if change.new_oid is not None
        ][:50]
        assert repo.read_many(wanted) == [repo.read(*one) for one in wanted]
        sha, path = wanted[0]
        assert repo.read(sha, path).decode().strip() == folder.git("show", f"{sha}:{path}")


def test_a_file_that_add_n_announces_is_not_in_the_index(repository: GitFolder, repo: GitRepo) -> None:
    repository.commit("first", {A: "one\n", "prompts/empty.md": ""})
    repository.write({"prompts/later.yaml": "two\n", "prompts/void.md": ""})
    repository.git("add", "-N", "prompts/later.yaml")
    repository.git("add", "prompts/void.md")
    assert [entry.path for entry in repo.list_files(INDEX, "prompts")] == [
        A, "prompts/empty.md", "prompts/void.md"
    ]  # fmt: skip
    assert repo.read(INDEX, "prompts/void.md") == b""
    with pytest.raises(NotFound, match=r"no file prompts/later\.yaml in the index"):
        repo.read(INDEX, "prompts/later.yaml")
