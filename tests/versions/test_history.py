import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptops.errors import Invalid, NotFound
from promptops.registry import (
    BranchKey,
    IndexedCommit,
    IndexedPrompt,
    RegistryDatabase,
    delete_indexed_branch,
    extend_indexed_branch,
    find_indexed_branch,
    find_indexed_prompt,
    save_indexed_prompt,
)
from promptops.versions.history import PromptHistory, VersionStats, read_history
from promptops.versions.resolve import resolve_version
from support.git_repositories import GitFolder, new_repository, prompt_text

A = "prompts/a.yaml"
Told = list[tuple[str, str]]


@pytest.fixture
def repository(tmp_path: Path) -> GitFolder:
    return new_repository(tmp_path / "r")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryDatabase]:
    with RegistryDatabase.open(tmp_path / "registry.db") as opened:
        yield opened


def told(found: PromptHistory) -> Told:
    """Subject and kind of change, oldest first."""
    return [(entry.subject, entry.change) for entry in reversed(found.versions)]


def tell(folder: GitFolder, name: str = "a", registry: RegistryDatabase | None = None) -> Told:
    return told(read_history(name, folder.settings(), registry))


def test_a_version_starts_where_the_meaning_changes(
    repository: GitFolder, registry: RegistryDatabase
) -> None:
    base = prompt_text()
    repository.commit("first", {A: base, "prompts/partials/p.txt": "x\n", "prompts/b.yaml": base})
    steps = {
        "elsewhere": {"readme": "x"},
        "another prompt": {"prompts/b.yaml": prompt_text("other")},
        "comment": {A: f"# why\n{base}"},
        "metadata": {A: f"{base}metadata: {{owner: me}}\n"},
        "checks": {A: f"{base}checks: [{{contains: x}}]\n"},
        "model": {A: prompt_text(model="openai/gpt-4o")},
        "temperature": {A: prompt_text(temperature=1)},
        "text": {A: prompt_text("Hello {% include 'partials/p.txt' %}", temperature=1)},
        "partial": {"prompts/partials/p.txt": "y\n"},
        "more": {
            A: prompt_text(
                temperature=1,
                more="tools: [{type: function, function: {name: f}}]\nfallback: [openai/o]\n"
                "output: {schema: schemas/s.json}\n",
            ),
            "prompts/schemas/s.json": '{"type": "object"}',
        },
        "schema": {"prompts/schemas/s.json": '{"type": "string"}'},
        "input": {
            A: prompt_text(
                temperature=1,
                more="tools: [{type: function, function: {name: f}}]\nfallback: [openai/o]\n"
                "output: {schema: schemas/s.json}\n",
            ).replace("who: string", "who: {type: string, maxLength: 5}")
        },
        "back": {A: base},
    }
    expected = [
        ("first", "new"),
        ("model", "model"),
        ("temperature", "model, parameters"),
        ("text", "messages, partials"),
        ("partial", "partials"),
        ("more", "messages, tools, fallback, output, partials"),
        ("schema", "output"),
        ("input", "inputs"),
        ("back", "parameters, inputs, tools, fallback, output"),
    ]
    for day, (subject, files) in enumerate(steps.items(), start=2):
        repository.commit(subject, files, day=day)
        if day % 4 == 0:  # so that some refreshes go over one commit and some over several
            tell(repository, registry=registry)
    assert tell(repository) == expected
    assert tell(repository, registry=registry) == expected
    newest = read_history("a", repository.settings(), registry).versions[0]
    assert newest.commit_sha == repository.git("rev-parse", "HEAD")
    assert (newest.author, newest.date, newest.path) == ("Ada", "2026-03-14T11:00:00Z", A)
    assert newest.digest == resolve_version(newest.pasteable, repository.settings()).prompt.digest
    assert newest.digest == read_history("a", repository.settings()).versions[-1].digest


def test_broken_and_deleted_files_are_told_of(repository: GitFolder, registry: RegistryDatabase) -> None:
    repository.commit("good", {A: prompt_text()})
    repository.commit("break", {A: "model: ["}, day=2)
    repository.commit("break the same", {A: "model: [ "}, day=3)
    repository.commit("another file", {"prompts/b.yaml": prompt_text()}, day=3)
    repository.commit("break otherwise", {A: "modle: x"}, day=4)
    tell(repository, registry=registry)
    repository.commit("repair", {A: prompt_text()}, day=5)
    repository.commit("delete", {A: None}, day=6)
    expected = [
        ("good", "new"),
        ("break", "invalid"),
        ("break the same", "invalid"),
        ("break otherwise", "invalid"),
        ("repair", "restored"),
        ("delete", "deleted"),
    ]
    assert tell(repository, registry=registry) == tell(repository) == expected
    entries = read_history("a", repository.settings()).versions
    assert entries[0].digest is entries[2].digest is None
    assert "unknown key `modle`" in entries[2].problem
    assert entries[0].problem == ""
    repository.commit("again", {A: prompt_text("other")}, day=7)
    assert tell(repository, registry=registry)[-2:] == [("delete", "deleted"), ("again", "messages")]


def test_a_prompt_that_began_broken(repository: GitFolder) -> None:
    repository.commit("broken", {A: "x: ["})
    repository.commit("gone", {A: None}, day=2)
    repository.commit("back", {"prompts/a.yml": prompt_text()}, day=3)
    assert tell(repository) == [("broken", "invalid"), ("gone", "deleted"), ("back", "new")]
    assert read_history("a", repository.settings()).versions[0].path == "prompts/a.yml"


def test_a_missing_partial_that_comes_later(repository: GitFolder) -> None:
    repository.commit("without", {A: prompt_text("{% include 'partials/p.txt' %}")})
    repository.commit("with", {"prompts/partials/p.txt": "p"}, day=2)
    assert tell(repository) == [("without", "invalid"), ("with", "new")]


class TestRenames:
    def test_a_moved_prompt_keeps_its_history(
        self, repository: GitFolder, registry: RegistryDatabase
    ) -> None:
        repository.commit("old", {"prompts/old.yaml": prompt_text("one")})
        repository.commit("old 2", {"prompts/old.yaml": prompt_text("two")}, day=2)
        tell(repository, "old", registry)
        repository.git("mv", "prompts/old.yaml", "prompts/mid.yaml")
        repository.commit("move", day=3)
        assert tell(repository, "mid", registry) == [("old", "new"), ("old 2", "messages")]
        repository.commit("mid", {"prompts/mid.yaml": prompt_text("three")}, day=4)
        (repository.path / "prompts/deep").mkdir()
        repository.git("mv", "prompts/mid.yaml", "prompts/deep/new.yml")
        repository.commit("move again", day=5)
        expected = [("old", "new"), ("old 2", "messages"), ("mid", "messages")]
        assert tell(repository, "deep/new", registry) == tell(repository, "deep/new") == expected
        assert tell(repository, "old", registry) == [*expected[:2], ("move", "deleted")]
        entry = read_history("deep/new", repository.settings()).versions[-1]
        assert (entry.path, entry.pasteable[:4]) == ("prompts/old.yaml", "old@")
        assert resolve_version(entry.pasteable, repository.settings()).prompt.digest == entry.digest

    @pytest.mark.parametrize("both", ["gone", "come"])
    def test_two_candidates_end_it(
        self, repository: GitFolder, registry: RegistryDatabase, both: str
    ) -> None:
        same = prompt_text("same")
        repository.commit(
            "old", {"prompts/x.yaml": same, **({"prompts/y.yaml": same} if both == "gone" else {})}
        )
        files: dict[str, str | bytes | None] = {"prompts/x.yaml": None, A: same}
        files |= {"prompts/y.yaml": None} if both == "gone" else {"prompts/b.yaml": same}
        repository.commit("move", files, day=2)
        repository.commit("edit", {A: prompt_text("edit")}, day=3)
        for store in (registry, registry, None):
            found = read_history("a", repository.settings(), store)
            assert told(found) == [("move", "new"), ("edit", "messages")]
            assert "history stops here" in found.note
            assert "x and y" in found.note if both == "gone" else "a and b" in found.note

    def test_yaml_to_yml_is_the_same_prompt(self, repository: GitFolder) -> None:
        repository.commit("one", {A: prompt_text()})
        repository.git("mv", A, "prompts/a.yml")
        repository.commit("suffix", day=2)
        repository.commit("both", {A: prompt_text()}, day=3)
        assert tell(repository) == [("one", "new"), ("both", "invalid")]

    def test_similar_files_are_not_a_rename(self, repository: GitFolder) -> None:
        repository.commit("x", {"prompts/x.yaml": prompt_text("x")})
        repository.commit("a", {"prompts/x.yaml": None, A: prompt_text("y")}, day=2)
        assert tell(repository) == [("a", "new")]


class TestShapes:
    def test_a_merge_is_one_step_of_the_first_parent_line(self, repository: GitFolder) -> None:
        repository.commit("base", {A: prompt_text("base")})
        repository.git("checkout", "-q", "-b", "side")
        repository.commit("side 1", {A: prompt_text("side 1")}, day=2)
        repository.commit("side 2", {A: prompt_text("side 2")}, day=3)
        repository.git("checkout", "-q", "main")
        repository.commit("main", {"readme": "x"}, day=4)
        repository.git("merge", "-q", "--no-ff", "-m", "merge", "side")
        assert tell(repository) == [("base", "new"), ("merge", "messages")]
        repository.git("checkout", "-q", "--detach", "side")
        assert tell(repository) == [("base", "new"), ("side 1", "messages"), ("side 2", "messages")]

    def test_a_rewritten_branch_is_read_again(
        self, repository: GitFolder, registry: RegistryDatabase
    ) -> None:
        first = repository.commit("first", {A: prompt_text("one")})
        repository.commit("second", {A: prompt_text("two")}, day=2)
        assert tell(repository, registry=registry) == [("first", "new"), ("second", "messages")]
        repository.git("reset", "-q", "--hard", first)
        assert tell(repository, registry=registry) == [("first", "new")]
        repository.commit("other", {A: prompt_text("other")}, day=3)
        assert tell(repository, registry=registry) == [("first", "new"), ("other", "messages")]
        repository.git("checkout", "-q", "--orphan", "fresh")
        repository.commit("orphan", {A: prompt_text("orphan")}, day=4)
        repository.git("branch", "-M", "fresh", "main")
        assert tell(repository, registry=registry) == [("orphan", "new")]
        repository.git("reflog", "expire", "--expire=now", "--all")
        repository.git("gc", "-q", "--prune=now")
        assert tell(repository, registry=registry) == [("orphan", "new")]

    def test_an_old_tip_that_git_has_dropped(self, repository: GitFolder, registry: RegistryDatabase) -> None:
        repository.commit("first", {A: prompt_text("one")})
        tell(repository, registry=registry)
        repository.git("commit", "-q", "--amend", "-m", "amended")
        repository.git("reflog", "expire", "--expire=now", "--all")
        repository.git("gc", "-q", "--prune=now")
        assert tell(repository, registry=registry) == [("amended", "new")]

    def test_the_old_tip_came_in_by_a_side_door(
        self, repository: GitFolder, registry: RegistryDatabase
    ) -> None:
        repository.commit("base", {A: prompt_text("base")})
        repository.git("branch", "side")
        repository.commit("mine", {A: prompt_text("mine")}, day=2)
        tell(repository, registry=registry)
        repository.git("checkout", "-q", "side")
        repository.commit("theirs", {"x": "y"}, day=3)
        repository.git("merge", "-q", "--no-ff", "-m", "take mine", "main")
        repository.git("checkout", "-q", "-B", "main")
        assert tell(repository, registry=registry) == [("base", "new"), ("take mine", "messages")]

    def test_branches_and_worktrees_do_not_mix(
        self, repository: GitFolder, registry: RegistryDatabase, tmp_path: Path
    ) -> None:
        repository.commit("base", {A: prompt_text("base")})
        repository.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "w"))
        linked = GitFolder(tmp_path / "w")
        linked.commit("side", {A: prompt_text("side")}, day=2)
        repository.commit("main", {A: prompt_text("main")}, day=3)
        for _ in range(2):
            assert tell(repository, registry=registry)[1][0] == "main"
            assert tell(linked, registry=registry)[1][0] == "side"

    def test_two_projects_in_one_repository(self, repository: GitFolder, registry: RegistryDatabase) -> None:
        for name in ("a", "b"):
            files = {f"services/{name}/promptops.yaml": "lint: {}", f"services/{name}/{A}": prompt_text(name)}
            repository.commit(name, files)
        for name in ("a", "b"):
            found = read_history("a", repository.settings(f"services/{name}"), registry)
            assert told(found) == [(name, "new")]
            assert found.versions[0].path == f"services/{name}/{A}"

    def test_a_shallow_clone_says_that_it_is_cut(
        self, repository: GitFolder, registry: RegistryDatabase, tmp_path: Path
    ) -> None:
        for day in (1, 2, 3):
            repository.commit(f"{day}", {A: prompt_text(f"{day}")}, day=day)
        shallow = repository.clone(tmp_path / "s", "--depth=2")
        found = read_history("a", shallow.settings(), registry)
        assert told(found) == [("2", "new"), ("3", "messages")]
        assert "shallow" in found.note
        assert "git fetch --unshallow" in found.note
        shallow.git("fetch", "-q", "--unshallow")
        assert len(tell(shallow, registry=registry)) == 3

    def test_a_bare_repository(self, repository: GitFolder, tmp_path: Path) -> None:
        repository.commit("one", {A: prompt_text()})
        bare = repository.clone(tmp_path / "bare.git", "--bare")
        assert tell(bare) == [("one", "new")]
        with pytest.raises(NotFound, match="no prompt `b`"):
            read_history("b", bare.settings())

    def test_a_partial_clone_is_not_taken_for_broken_files(
        self, repository: GitFolder, registry: RegistryDatabase, tmp_path: Path
    ) -> None:
        repository.git("config", "uploadpack.allowFilter", "true")
        repository.commit(
            "1", {A: prompt_text("{% include 'partials/p.txt' %}"), "prompts/partials/p.txt": "1"}
        )
        repository.commit("2", {"prompts/partials/p.txt": "2"}, day=2)
        partial = repository.clone(tmp_path / "p", "--filter=blob:none")
        for _ in range(2):
            with pytest.raises(Invalid, match="not in this partial clone"):
                read_history("a", partial.settings(), registry)
        partial.git("fetch", "-q", "--refetch", "--no-filter")
        assert tell(partial, registry=registry) == [("1", "new"), ("2", "partials")]

    def test_nothing_committed(self, repository: GitFolder) -> None:
        repository.write({A: prompt_text()})
        assert read_history("a", repository.settings()) == PromptHistory(
            "a", (), "there is no commit yet: git add prompts && git commit"
        )
        repository.git("commit", "-q", "--allow-empty", "-m", "x")
        assert read_history("a", repository.settings()).note == "prompts/a.yaml is not committed yet"
        with pytest.raises(NotFound, match="no prompt `aa` in the history") as caught:
            read_history("aa", repository.settings())
        assert caught.value.hint == "did you mean a?"
        with pytest.raises(Invalid, match="cannot be the name"):
            read_history("main..HEAD", repository.settings())

    def test_links_inside_the_prompts(self, repository: GitFolder, registry: RegistryDatabase) -> None:
        repository.write({"prompts/shared/p.txt": "one\n", A: prompt_text("{% include 'partials/p.txt' %}")})
        (repository.path / "prompts/partials").symlink_to("shared")
        repository.commit("one")
        repository.commit("two", {"prompts/shared/p.txt": "two\n"}, day=2)
        assert tell(repository, registry=registry) == [("one", "new"), ("two", "partials")]
        repository.commit("three", {"prompts/shared/p.txt": "three\n"}, day=3)
        assert tell(repository, registry=registry)[-1] == ("three", "partials")

    def test_names_that_need_care(self, repository: GitFolder, registry: RegistryDatabase) -> None:
        odd = "ein ü\n folder"
        repository.commit(
            "x", {f"{odd}/promptops.yaml": "", f"{odd}/prompts/a\nb.txt": "", f"{odd}/{A}": prompt_text()}
        )
        assert told(read_history("a", repository.settings(odd), registry)) == [("x", "new")]


class TestIndex:
    def test_a_registry_that_cannot_be_written(self, repository: GitFolder, tmp_path: Path) -> None:
        repository.commit("one", {A: prompt_text("one")})
        path = tmp_path / "registry.db"
        with RegistryDatabase.open(path) as opened:
            tell(repository, registry=opened)
        reading = RegistryDatabase.open(path)
        reading.writable = False
        with reading:
            assert tell(repository, registry=reading) == [("one", "new")]
            repository.commit("b", {"prompts/b.yaml": prompt_text("b")}, day=2)
            repository.commit("two", {A: prompt_text("two")}, day=3)
            assert tell(repository, registry=reading) == [("one", "new"), ("two", "messages")]

    def test_a_prompt_unknown_to_an_index_that_cannot_be_written(
        self, repository: GitFolder, registry: RegistryDatabase
    ) -> None:
        repository.commit("one", {A: prompt_text("one"), "prompts/b.yaml": prompt_text("b")})
        tell(repository, registry=registry)
        registry.writable = False
        assert tell(repository, "b", registry) == [("one", "new")]

    def test_what_is_known_is_not_read_again(
        self,
        repository: GitFolder,
        registry: RegistryDatabase,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        repository.commit("one", {A: prompt_text("one")})
        tell(repository, registry=registry)
        trace = tmp_path / "trace"
        monkeypatch.setenv("GIT_TRACE2", str(trace))
        tell(repository, registry=registry)
        assert "git log" not in trace.read_text()
        assert " cat-file" not in trace.read_text()

    def test_who_comes_second_changes_nothing(self, registry: RegistryDatabase) -> None:
        key = BranchKey(repository="/r", prefix="", branch="main", made_by="1")
        commit = IndexedCommit("c" * 40, "2026-03-01T11:00:00Z", "Ada", "one", [("a.yaml", None, "b" * 40)])
        assert extend_indexed_branch(registry, key, None, "c" * 40, [commit])
        assert not extend_indexed_branch(registry, key, None, "c" * 40, [commit])
        line = find_indexed_branch(registry, key)
        assert line is not None
        delete_indexed_branch(registry, key)
        save_indexed_prompt(registry, line, "a", IndexedPrompt(1, (), ""), [], again=True)
        assert find_indexed_prompt(registry, line, "a") is None

    def test_two_writers(self, repository: GitFolder, registry: RegistryDatabase) -> None:
        repository.commit("one", {A: prompt_text("one")})
        with RegistryDatabase.open(registry.path) as other:
            for day in range(2, 6):
                repository.commit(f"{day}", {A: prompt_text(f"{day}")}, day=day)
                assert tell(repository, registry=registry) == tell(repository, registry=other)


@pytest.mark.parametrize("seed", range(2))
def test_reading_on_gives_what_reading_anew_gives(
    repository: GitFolder, registry: RegistryDatabase, seed: int
) -> None:
    draw = random.Random(seed)
    texts = [prompt_text(word) for word in ["one", "two"]]
    texts += [prompt_text("{% include 'partials/p.txt' %}"), "model: ["]
    files = [f"prompts/{name}" for name in ("a.yaml", "b.yaml", "b.yml", "c.yaml")]
    for day in range(1, 25):
        changes: dict[str, str | bytes | None] = {}
        there = [path for path in files if (repository.path / path).exists()]
        if there and draw.random() < 0.4:  # a move, sometimes over another file
            source, target = draw.choice(there), draw.choice(files)
            changes |= {target: (repository.path / source).read_bytes()}
            changes |= {source: None} if source != target else {}
        elif there and draw.random() < 0.3:
            changes |= {draw.choice(there): None}
        else:
            changes |= {draw.choice(files): draw.choice(texts)}
        if draw.random() < 0.3:
            changes |= {"prompts/partials/p.txt": f"{day}"}
        repository.commit(f"{day}", changes, day=day)
        for name in "abc" if draw.random() < 0.6 else "a":
            try:
                again = read_history(name, repository.settings())
            except NotFound:
                continue
            assert read_history(name, repository.settings(), registry) == again


def test_what_is_live_and_how_it_did(repository: GitFolder) -> None:
    sha = repository.commit("one", {A: prompt_text("one")})
    repository.commit("two", {A: prompt_text("two")}, day=2)
    digest = resolve_version("a@HEAD~1", repository.settings()).prompt.digest
    canary = resolve_version("a", repository.settings()).prompt.digest
    stable = f'{{version: v1, digest: "sha256:{digest}", commit: {sha}}}'
    state = (
        "prompt: a\ngeneration: 1\nchannels:\n"
        f"  production:\n    stable: {stable}\n"
        f'    rollout: {{id: r-1, phase: progressing, plan: "sha256:{canary}", '
        f'canary: {{version: v2, digest: "sha256:{canary}"}}}}\n'
        f"  staging: {{stable: {stable}}}\n"
    )
    repository.verified_state({"releases/a.yaml": state})
    figures = VersionStats(runs=3, error_rate=0.5)
    two, one = read_history("a", repository.settings()).with_stats({digest: figures}).versions
    assert (one.live, one.version, one.figures) == (("production", "staging"), "v1", figures)
    assert (two.live, two.version, two.figures) == (("production canary",), "v2", VersionStats())
