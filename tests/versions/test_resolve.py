import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptops.errors import Invalid, NotFound
from promptops.git.repo import VERIFIED_REF, GitRepo
from promptops.registry import RegistryDatabase
from promptops.registry.queries.versions import save_version
from promptops.versions.release_reader import find_state_commit, read_released_snapshot
from promptops.versions.resolve import (
    Reference,
    live_channels,
    parse_reference,
    prompt_names,
    resolve_version,
    resolve_version_in,
    version_reader,
    with_provenance,
)
from promptops.versions.trusted_releases import trusted_releases
from support.git_repositories import GitFolder, new_repository, prompt_text

A = "prompts/a.yaml"
STATE = "refs/heads/promptops-state"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitFolder:
    folder = new_repository(tmp_path / "r")
    monkeypatch.chdir(folder.path)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryDatabase]:
    with RegistryDatabase.open(tmp_path / "registry.db") as opened:
        yield opened


class TestGrammar:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("support/triage", Reference("support/triage", "support/triage")),
            ("a@HEAD~2", Reference("a@HEAD~2", "a", rev="HEAD~2")),
            ("a@HEAD@{1}", Reference("a@HEAD@{1}", "a", rev="HEAD@{1}")),
            ("a@v3", Reference("a@v3", "a", rev="v3")),
            ("a@sha256:abcdef", Reference("a@sha256:abcdef", "a", rev="sha256:abcdef")),
            ("a@:/fix: it", Reference("a@:/fix: it", "a", rev=":/fix: it")),
            (
                "a@refs/heads/production",
                Reference("a@refs/heads/production", "a", rev="refs/heads/production"),
            ),
            ("a:production", Reference("a:production", "a", channel="production")),
        ],
    )
    def test_a_reference_is_taken_apart(self, repository: GitFolder, text: str, expected: Reference) -> None:
        assert parse_reference(text, repository.settings()) == expected

    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("main..HEAD", "range of revisions", "NAME@REV"),
            ("main..HEAD@x", "range of revisions", "NAME@REV"),
            ("a@", "names no revision", "a@HEAD"),
            ("a@production", "production is a channel", "a:production is .*; a@refs/heads/production"),
            ("a@sha256:abc", "is not a digest", "6 to 64 hexadecimal"),
            ("a@sha256:xyzxyz", "is not a digest", ""),
            ("a:prodution", "no channel `prodution`", "did you mean production.* a@prodution"),
            ("a:", "no channel ``", "a@REV"),
            ("A", "cannot be the name of a prompt", "lower-case"),
            ("", "cannot be the name of a prompt", "lower-case"),
            ("../a", "cannot be the name of a prompt", "lower-case"),
            ("a//b", "cannot be the name of a prompt", "lower-case"),
            ("a b@HEAD", "cannot be the name of a prompt", "lower-case"),
        ],
    )
    def test_mistakes(self, repository: GitFolder, text: str, message: str, hint: str) -> None:
        with pytest.raises(Invalid, match=message) as caught:
            parse_reference(text, repository.settings())
        assert re.search(hint, caught.value.hint), caught.value.hint

    def test_a_path_to_a_prompt_file_is_its_name(self, repository: GitFolder) -> None:
        repository.write({"prompts/x@y/a.yaml": "", "prompts/support/triage.yml": "", "other.yaml": ""})
        settings = repository.settings()
        (repository.path / "link").symlink_to("prompts")
        for path in (
            "prompts/support/triage.yml",
            "./prompts/../prompts/support/triage.yml",
            str(repository.path / "prompts/support/triage.yml"),
            "link/support/triage.yml",
        ):
            assert parse_reference(path, settings).name == "support/triage"
            assert parse_reference(f"{path}@HEAD", settings) == Reference(
                f"{path}@HEAD", "support/triage", "HEAD"
            )
        with pytest.raises(Invalid, match=r"other.yaml is not below"):
            parse_reference("other.yaml", settings)
        with pytest.raises(Invalid, match="`x@y/a` cannot be the name of a prompt"):
            parse_reference("prompts/x@y/a.yaml", settings)


class TestWorkingTree:
    def test_reading_starts_no_git(self, repository: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
        repository.write({A: prompt_text()})
        monkeypatch.setenv("PATH", "")
        version = resolve_version("a", repository.settings())
        assert (version.prompt.name, version.source, version.pasteable) == ("a", "working tree", "a")
        assert (version.commit_sha, version.dirty, version.version) == (None, True, None)

    def test_provenance(self, repository: GitFolder) -> None:
        text = prompt_text("Hi {% include 'partials/p.txt' %}".replace("{%", "{%"))
        repository.write({A: text, "prompts/partials/p.txt": "x"})
        settings = repository.settings()
        version = resolve_version("a", settings)
        assert with_provenance(version, settings) == version
        sha = repository.commit("1")
        clean = with_provenance(version, settings)
        assert (clean.commit_sha, clean.dirty) == (sha, False)
        assert with_provenance(clean, settings).commit_sha == sha
        repository.write({A: text.replace("\n", "\r\n")})
        assert not with_provenance(resolve_version("a", settings), settings).dirty
        repository.write({A: text, "prompts/partials/p.txt": "y"})
        assert with_provenance(resolve_version("a", settings), settings).dirty
        repository.write({"prompts/b.yaml": prompt_text()})
        fresh = with_provenance(resolve_version("b", settings), settings)
        assert (fresh.commit_sha, fresh.dirty) == (sha, True)
        assert not with_provenance(resolve_version("a@INDEX", settings), settings).dirty
        repository.git("add", "-A")
        assert with_provenance(resolve_version("a@INDEX", settings), settings).dirty
        at = resolve_version("a@HEAD", settings)
        assert with_provenance(at, settings) is at

    def test_what_is_not_there(self, repository: GitFolder) -> None:
        repository.write({"prompts/support/triage.yaml": prompt_text(), "prompts/a.cases.yaml": ""})
        settings = repository.settings()
        with pytest.raises(NotFound, match="no prompt `support/traige` in the working tree") as caught:
            resolve_version("support/traige", settings)
        assert caught.value.hint == "did you mean support/triage?"
        with pytest.raises(NotFound) as caught:
            resolve_version("zzz", settings)
        assert caught.value.hint == "there are: support/triage"
        broken = prompt_text("{% include 'partials/none.txt' %}")
        repository.write({"prompts/b.yaml": broken})
        with pytest.raises(Invalid, match=r"none\.txt"):
            resolve_version("b", settings)

    def test_no_prompts_at_all(self, repository: GitFolder) -> None:
        with pytest.raises(NotFound) as caught:
            resolve_version("a", repository.settings())
        assert "promptops init" in caught.value.hint

    def test_links(self, repository: GitFolder, tmp_path: Path) -> None:
        (tmp_path / "out.yaml").write_text(prompt_text())
        repository.write({A: prompt_text(), "prompts/d/x": ""})
        folder = repository.path / "prompts"
        (folder / "in.yaml").symlink_to("a.yaml")
        (folder / "out.yaml").symlink_to(tmp_path / "out.yaml")
        (folder / "up").symlink_to("..")
        settings = repository.settings()
        assert resolve_version("in", settings).prompt.digest == resolve_version("a", settings).prompt.digest
        for name in ("out", "up/x"):
            with pytest.raises(Invalid, match="symbolic link that leaves prompts/"):
                resolve_version(name, settings)

    def test_what_is_no_file(self, repository: GitFolder) -> None:
        (repository.path / "prompts/a.yaml").mkdir(parents=True)
        settings = repository.settings()
        with pytest.raises(Invalid, match=r"prompts/a.yaml is a folder"):
            resolve_version("a", settings)
        os.mkfifo(repository.path / "prompts/b.yaml")
        with pytest.raises(Invalid, match=r"prompts/b.yaml is not a regular file"):
            resolve_version("b", settings)
        with (repository.path / "prompts/c.yaml").open("wb") as file:
            file.truncate(30_000_000)
        with pytest.raises(Invalid, match=r"prompts/c.yaml has 30,000,000 bytes"):
            resolve_version("c", settings)
        with pytest.raises(Invalid, match="File name too long"):
            resolve_version("d" * 300, settings)

    def test_a_bare_repository(self, repository: GitFolder, tmp_path: Path) -> None:
        repository.commit("1", {A: prompt_text()})
        bare = repository.clone(tmp_path / "bare.git", "--bare").settings()
        with pytest.raises(Invalid, match="bare repository has none") as caught:
            resolve_version("a", bare)
        assert "a@HEAD" in caught.value.hint
        assert resolve_version("a@HEAD", bare).prompt.name == "a"
        assert prompt_names(bare, "HEAD") == ["a"]


class TestRevisions:
    def test_commit_and_index(self, repository: GitFolder, tmp_path: Path) -> None:
        first = repository.commit("1", {A: prompt_text("one")})
        repository.write({A: prompt_text("two")})
        repository.git("add", "-A")
        repository.write({A: prompt_text("three")})
        settings = repository.settings()
        kept = resolve_version("a@HEAD", settings)
        assert (kept.source, kept.commit_sha, kept.dirty) == ("commit", first, False)
        assert kept.pasteable == f"a@{first[:7]}"
        assert resolve_version(kept.pasteable, settings).prompt.digest == kept.prompt.digest
        staged = resolve_version("a@INDEX", settings)
        assert (staged.source, staged.commit_sha, staged.pasteable) == ("index", None, "a@INDEX")
        digests = {resolve_version(text, settings).prompt.digest for text in ("a", "a@INDEX", "a@HEAD")}
        assert len(digests) == 3
        assert (
            prompt_names(settings, "INDEX")
            == prompt_names(settings)
            == prompt_names(settings, "main")
            == ["a"]
        )
        with GitRepo(settings) as repo:
            assert resolve_version_in(repo, parse_reference("a", settings)).source == "working tree"

    def test_one_git_process_reads_a_commit(
        self, repository: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = {A: prompt_text("{% include 'partials/p.txt' %}"), "prompts/partials/p.txt": "one line"}
        repository.commit("1", files)
        trace = tmp_path / "trace"
        monkeypatch.setenv("GIT_TRACE2", str(trace))
        assert resolve_version("a@HEAD", repository.settings()).prompt.partials
        started = [line for line in trace.read_text().splitlines() if " start " in line]
        assert len(started) == 1, started

    def test_what_is_not_there(self, repository: GitFolder) -> None:
        settings = repository.settings()
        with pytest.raises(NotFound, match="no commit yet"):
            resolve_version("a@HEAD", settings)
        repository.commit("1", {"prompts/support/triage.yaml": prompt_text()})
        repository.write({A: prompt_text()})
        with pytest.raises(NotFound, match="no prompt `a` at HEAD") as caught:
            resolve_version("a@HEAD", settings)
        assert caught.value.hint == "there are: support/triage"
        with pytest.raises(NotFound, match="no prompt `a` in the index"):
            resolve_version("a@INDEX", settings)
        with pytest.raises(NotFound, match="no revision `nowhere`"):
            resolve_version("a@nowhere", settings)

    def test_golden_sets_are_read_where_the_version_is_from(self, repository: GitFolder) -> None:
        repository.commit("1", {A: prompt_text("one"), "prompts/a.jsonl": "old\n"})
        repository.write({"prompts/a.jsonl": "staged\n"})
        repository.git("add", "-A")
        repository.write({"prompts/a.jsonl": "new\n"})
        settings = repository.settings()
        for text, expected in (("a", b"new\n"), ("a@INDEX", b"staged\n"), ("a@HEAD", b"old\n")):
            with version_reader(resolve_version(text, settings), settings) as read:
                assert read("a.jsonl") == expected


class TestDigests:
    def test_wherever_a_version_is_it_is_found_by_its_digest(
        self, repository: GitFolder, registry: RegistryDatabase
    ) -> None:
        settings = repository.settings()
        repository.commit("1", {A: prompt_text("one")})
        repository.commit("2", {A: prompt_text("two")}, day=2)
        repository.git("checkout", "-q", "-b", "side")
        side = repository.commit("3", {A: prompt_text("side")}, day=3)
        on_side = resolve_version("a@HEAD", settings).prompt.digest
        repository.git("checkout", "-q", "main")
        repository.write({A: prompt_text("staged")})
        repository.git("add", "-A")
        repository.write({A: prompt_text("edited")})
        for text, source in (("a@HEAD~1", "commit"), ("a@INDEX", "index"), ("a", "working tree")):
            version = resolve_version(text, settings)
            for digits in (version.prompt.digest, version.prompt.digest[:12].upper()):
                found = resolve_version(f"a@sha256:{digits}", settings)
                assert (found.source, found.prompt.digest) == (source, version.prompt.digest)
                assert found.commit_sha == version.commit_sha
        with pytest.raises(NotFound, match="no version of a here has the digest") as caught:
            resolve_version(f"a@sha256:{on_side}", settings, registry)
        assert caught.value.hint.startswith("there are: sha256:")
        save_version(registry, "a", on_side, "{}", commit_sha=side)
        assert resolve_version(f"a@sha256:{on_side[:12]}", settings, registry).commit_sha == side
        save_version(registry, "a", "f" * 64, "{}", commit_sha=side)
        with pytest.raises(Invalid, match="not as sha256:ffffffffffff"):
            resolve_version("a@sha256:ffffff", settings, registry)
        save_version(registry, "a", "f" * 63 + "e", "{}", commit_sha=side)
        save_version(registry, "a", "f" * 63 + "d", "{}", commit_sha="0" * 40)
        with pytest.raises(Invalid, match="is ambiguous: sha256:ffff"):
            resolve_version("a@sha256:ffffff", settings, registry)

    def test_a_version_from_before_a_rename(self, repository: GitFolder) -> None:
        first = repository.commit("1", {"prompts/old.yaml": prompt_text("one")})
        digest = resolve_version("old", repository.settings()).prompt.digest
        repository.git("mv", "prompts/old.yaml", A)
        repository.commit("move", day=2)
        repository.commit("2", {A: prompt_text("two")}, day=3)
        found = resolve_version(f"a@sha256:{digest}", repository.settings())
        assert (found.prompt.name, found.commit_sha) == ("a", first)
        assert found.pasteable == f"old@{first[:7]}"

    def test_broken_files_do_not_hide_the_others(self, repository: GitFolder) -> None:
        repository.commit("1", {A: prompt_text("one")})
        digest = resolve_version("a", repository.settings()).prompt.digest
        repository.write({A: "model: ["})
        repository.git("add", "-A")
        assert resolve_version(f"a@sha256:{digest}", repository.settings()).source == "commit"


def state_files(digest: str, commit: str, text: str, *, frozen: bool = True) -> dict[str, str]:
    encoded = base64.b64encode(b"bytes").decode()
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    release = f"""\
prompt: support/a
generation: 3
channels:
  production:
    stable: {{version: v2, digest: "sha256:{digest}", commit: {commit[:9]}, since: 2026-11-02T09:14:00Z}}
    previous: {{version: v1, digest: "sha256:{"0" * 64}"}}
    rollout:
      {{id: r-1, phase: progressing, plan: "sha256:{"2" * 64}", weight_bp: 500,
       canary: {{version: v3, digest: "sha256:{"1" * 64}"}}}}
  staging: {{}}
"""
    version = f"""\
prompt: support/a
version: v2
digest: sha256:{digest}
commit: {commit}
files:
  support/a.yaml: |
{indented}  images/x.png: {{base64: {encoded}}}
"""
    files = {"releases/support/a.yaml": release}
    return files | ({f"versions/support/a/{digest[:12]}.yaml": version} if frozen else {})


class TestReleased:
    @pytest.fixture
    def released(self, repository: GitFolder) -> GitFolder:
        text = prompt_text("live")
        sha = repository.commit("1", {"prompts/support/a.yaml": text})
        digest = resolve_version("support/a", repository.settings()).prompt.digest
        repository.verified_state(state_files(digest, sha, text))
        repository.commit("2", {"prompts/support/a.yaml": prompt_text("newer")}, day=2)
        return repository

    def test_nothing_released_yet(self, repository: GitFolder) -> None:
        repository.commit("1", {A: prompt_text()})
        for text in ("a:production", "a@v1"):
            with pytest.raises(NotFound, match="nothing released yet") as caught:
                resolve_version(text, repository.settings())
            assert caught.value.hint.startswith("promptops promote a@REV releases one")
        assert "a@refs/tags/v1" in caught.value.hint
        repository.git("remote", "add", "origin", "https://example.org/x.git")
        with pytest.raises(NotFound) as caught:
            resolve_version("a:staging", repository.settings())
        assert "promptops release sync; else promptops promote a@REV --to staging" in caught.value.hint
        with GitRepo(repository.settings()) as repo:
            assert trusted_releases(repo) is None
        assert live_channels(repository.settings()) == {}

    def test_channel_and_number(self, released: GitFolder) -> None:
        settings = released.settings()
        live = resolve_version("support/a:production", settings)
        assert (live.source, live.version, live.channel) == ("release", "v2", "production")
        assert live.commit_sha == released.git("rev-parse", "HEAD~1")
        assert live.pasteable == "support/a@v2"
        assert live.prompt.digest == resolve_version("support/a@HEAD~1", settings).prompt.digest
        assert [*live_channels(settings)["support/a"]] == ["production"]
        numbered = resolve_version("support/a@v2", settings)
        assert (numbered.prompt.digest, numbered.channel) == (live.prompt.digest, None)
        with version_reader(live, settings) as read:
            assert b"live" in read("support/a.yaml")

    def test_what_is_not_released(self, released: GitFolder) -> None:
        released.write({A: prompt_text()})
        settings = released.settings()
        for text, message, hint in (
            ("a:production", "no version of a is released yet", "promptops promote a@REV releases one"),
            ("support/a:staging", "support/a is not live on staging", "live: support/a:production"),
            ("support/a@v9", "support/a has no version v9", "there are: v1, v2, v3; a git tag"),
            ("support/a@v1", "neither kept on the state branch nor in a commit", "git fetch"),
        ):
            with pytest.raises(NotFound, match=message) as caught:
                resolve_version(text, settings)
            assert hint in caught.value.hint

    def test_the_frozen_version_outlives_its_commit(self, repository: GitFolder) -> None:
        text = prompt_text("live")
        repository.write({"prompts/support/a.yaml": text})
        digest = resolve_version("support/a", repository.settings()).prompt.digest
        old = state_files(digest, "f" * 40, text)
        release = "releases/support/a.yaml"
        repository.verified_state(old | {release: "prompt: support/a\ngeneration: 9\n"})
        settings = repository.settings()
        version = resolve_version("support/a@v2", settings)
        assert (version.prompt.digest, version.commit_sha) == (digest, "f" * 40)
        with pytest.raises(NotFound, match="is not in this repository"), version_reader(version, settings):
            pass
        with GitRepo(settings) as repo:
            frozen = read_released_snapshot(repo, STATE, "support/a", digest)
            assert frozen is not None
            assert frozen.read("images/x.png") == b"bytes"
            with pytest.raises(NotFound, match="has no file"):
                frozen.read("images/y.png")
            trusted = trusted_releases(repo)
            assert trusted is not None
            assert trusted.releases()["support/a"].generation == 9

    def test_without_frozen_files_the_commit_is_read_and_verified(self, repository: GitFolder) -> None:
        text = prompt_text("live")
        sha = repository.commit("1", {"prompts/support/a.yaml": text})
        settings = repository.settings()
        digest = resolve_version("support/a", settings).prompt.digest
        repository.verified_state(state_files(digest, sha, text, frozen=False))
        assert resolve_version("support/a:production", settings).commit_sha == sha
        repository.verified_state(state_files("a" * 64, sha, text, frozen=False))
        with pytest.raises(Invalid, match="not as sha256:aaaaaaaaaaaa"):
            resolve_version("support/a:production", settings)

    def test_the_newer_of_here_and_the_remote(self, released: GitFolder, tmp_path: Path) -> None:
        state = released.git("rev-parse", STATE)
        clone = released.clone(tmp_path / "clone")
        clone.git("update-ref", VERIFIED_REF, state)
        assert resolve_version("support/a:production", clone.settings()).version == "v2"
        clone.git("update-ref", STATE, state)
        ahead = clone.branch_from_files(STATE, {"x": "ahead"}, parent=state)
        with GitRepo(clone.settings()) as repo:
            assert find_state_commit(repo) == ahead
        clone.git("update-ref", "refs/remotes/origin/promptops-state", ahead)
        clone.git("update-ref", STATE, state)
        with GitRepo(clone.settings()) as repo:
            assert find_state_commit(repo) == ahead
        clone.branch_from_files(STATE, {"x": "other"}, parent=state)
        with pytest.raises(Invalid, match="promptops-state has diverged: refs/heads") as caught:
            resolve_version("support/a:production", clone.settings())
        assert caught.value.hint == "promptops release sync"

    @pytest.mark.parametrize(
        ("path", "text", "message"),
        [
            ("releases/support/a.yaml", "[]", "a mapping is missing"),
            ("releases/support/a.yaml", "prompt: b\ngeneration: 1", "it must name the prompt"),
            ("releases/support/a.yaml", "prompt: support/a", "its generation"),
            (
                "releases/support/a.yaml",
                "prompt: support/a\ngeneration: 1\nchannels: {production: {stable: {digest: x}}}",
                "`x` is not a digest",
            ),
            (
                "versions/support/a/DIGEST12.yaml",
                "prompt: b\nfiles: {}\ndigest: DIGEST",
                "that its path names",
            ),
            ("versions/support/a/DIGEST12.yaml", "digest: DIGEST\nfiles: {x: {base64: '%'}}", "not base64"),
            ("versions/support/a/DIGEST12.yaml", "digest: DIGEST\nfiles: {x: {base64: 3}}", "not base64"),
        ],
    )
    def test_damage_is_named(self, repository: GitFolder, path: str, text: str, message: str) -> None:
        prompt = prompt_text("live")
        sha = repository.commit("1", {"prompts/support/a.yaml": prompt})
        sha = "f" * 40 if path.startswith("versions/") else sha  # else its commit is read instead
        digest = resolve_version("support/a", repository.settings()).prompt.digest
        damaged = {path.replace("DIGEST12", digest[:12]): text.replace("DIGEST", digest)}
        repository.verified_state(state_files(digest, sha, prompt) | damaged)
        with pytest.raises(Invalid, match=message) as caught:
            resolve_version("support/a:production", repository.settings())
        assert "promptops-state" in caught.value.message
