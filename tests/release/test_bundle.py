"""Released versions in one file, served where there is no git."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptops import Workspace
from promptops.config.settings import current_settings
from promptops.errors import Invalid, NotFound
from promptops.release.bundle import BundleSource, write_bundle
from support.front_door import GREET, Cli, Repo
from support.git_repositories import GitFolder
from support.provider import Provider, text
from support.release_states import released, write_state
from support.workspace_clients import until


@pytest.fixture
def live(greeting: Repo) -> GitFolder:
    """``greet`` with v1 live on production and v2 tried there; settings of their own."""
    greeting.write("prompts/greet.yaml", GREET.replace("Greet {{", "{% include 'tone.j2' %} {{"))
    greeting.write("prompts/tone.j2", "Welcome")
    greeting.write("promptops.yaml", "channels: {beta: {plan: quick}}\nlog: {inputs: hash}\n")
    greeting.commit("Welcome people")
    folder = GitFolder(greeting.path)
    stable, canary = released(folder, "greet", "HEAD~1", "v1"), released(folder, "greet", "HEAD", "v2")
    write_state(folder, "greet", stable, canary)
    return folder


@pytest.fixture
def bundle(live: GitFolder, tmp_path: Path) -> Path:
    place = tmp_path / "app" / "prompts.bundle"
    place.parent.mkdir()
    write_bundle(current_settings(), place)
    return place


@pytest.fixture
def workspace(bundle: Path, provider: Provider) -> Iterator[Workspace]:
    with Workspace.from_bundle(bundle) as opened:
        yield opened


def judged_bundle(greeting: Repo, place: Path, guard: str) -> Path:
    """A bundle of ``greet`` with a guard, in a folder of its own."""
    greeting.write("prompts/greet.yaml", f"{GREET}guards: [{guard}]\n")
    greeting.commit("Guard")
    folder = GitFolder(greeting.path)
    write_state(folder, "greet", released(folder, "greet", "HEAD", "v1"))
    place.mkdir()
    write_bundle(current_settings(), place / "prompts.bundle")
    return place / "prompts.bundle"


@pytest.mark.parametrize(("more", "does"), [("", "blocks"), (", on_error: allow", "allows")])
def test_a_guard_whose_judge_is_not_there_is_said_when_a_bundle_is_written(
    more: str, does: str, greeting: Repo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    judged_bundle(greeting, tmp_path / "app", f"{{on: output, check: toxicity, do: block{more}}}")
    said = (
        f"the guard toxicity of greet {does} every call where the bundle is read, as its judge is not in it"
    )
    assert said in caplog.text
    assert "judges/toxicity" in caplog.text


def test_judges_of_guards_are_in_the_bundle(
    cli: Cli, greeting: Repo, provider: Provider, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = "openai/gpt-5.4-mini-2026-03-17"
    assert cli("new", "judges/toxicity", "--judge", "toxicity", "--model", model).code == 0
    bundle = judged_bundle(greeting, tmp_path / "app", "{on: output, check: toxicity, do: block}")
    assert caplog.text == ""
    (tmp_path / "empty").mkdir()
    env = {**os.environ, "PATH": str(tmp_path / "empty")}
    for choice in ("clean", "toxic"):
        provider.script = lambda request, said=choice: text(
            json.dumps({"choice": said}) if b"You moderate texts" in request.raw else "Hello Ada"
        )
        done = subprocess.run(
            [sys.executable, "-c", JUDGED],
            cwd=bundle.parent,
            env=env,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert (done.stdout, done.stderr) == (f"{choice == 'toxic'}\n", "")


JUDGED = """
from promptops import Workspace
with Workspace.from_bundle("prompts.bundle") as workspace:
    run = workspace.run("greet:production", {"name": "Ada"})
    print(run.blocked)
    judge, *_ = [each for each in run.guards if each.usd is not None]
"""


def test_a_new_bundle_brings_a_new_judge(greeting: Repo, provider: Provider, tmp_path: Path) -> None:
    greeting.write("prompts/kind.yaml", KIND.format("Is it kind?"))
    bundle = judged_bundle(greeting, tmp_path / "app", "{on: output, check: {judge: kind}, do: block}")
    provider.script = lambda request: text("1" if b"Is it kind?" in request.raw else "0")
    with Workspace.from_bundle(bundle) as workspace:
        assert not workspace.run("greet:production", {"name": "Ada"}).blocked
        greeting.write("prompts/kind.yaml", KIND.format("Is it cruel?"))
        write_bundle(current_settings(), bundle)
        until(lambda: workspace.run("greet:production", {"name": "Ada"}).blocked)


def test_a_judge_that_was_changed_in_the_bundle_is_refused(cli: Cli, greeting: Repo, tmp_path: Path) -> None:
    greeting.write("prompts/kind.yaml", KIND.format("Is it kind?"))
    bundle = judged_bundle(greeting, tmp_path / "app", "{on: output, check: {judge: kind}, do: block}")
    written = bundle.read_text()
    bundle.write_text(written.replace("Is it kind?", "Always say 1"))
    with pytest.raises(Invalid, match="kind reads as sha256"):
        BundleSource(bundle)
    content = json.loads(written)
    content["files"] = {path: file for path, file in content["files"].items() if "kind" not in path}
    bundle.write_text(json.dumps(content))
    with pytest.raises(Invalid, match="lacks judges/kind/"):
        BundleSource(bundle)


KIND = """
model: openai/gpt-5.4-mini-2026-03-17
inputs: {{output: string}}
messages: [{{role: user, content: "{} {{{{ output }}}}"}}]
output: {{schema: {{type: integer, minimum: 0, maximum: 1}}}}
"""


def test_a_bundle_serves_what_the_repository_serves(live: GitFolder, workspace: Workspace) -> None:
    with Workspace.open(live.path) as there:
        for number in range(20):
            unit = f"user {number}"
            ours = workspace.run("greet:production", {"name": "Ada"}, unit=unit)
            theirs = there.run("greet:production", {"name": "Ada"}, unit=unit)
            assert ours.answer == theirs.answer
            for column in ("digest", "arm", "rollout", "weight_bp", "version", "commit_sha", "reference"):
                assert getattr(ours.started, column) == getattr(theirs.started, column)


WITHOUT_GIT = """
import shutil
from promptops import Workspace
assert shutil.which("git") is None
with Workspace.from_bundle("prompts.bundle") as workspace:
    run = workspace.run("greet:production", {"name": "Ada"}, unit="u42")
    print(run.answer, run.started.arm, run.started.inputs_hash is not None)
"""


@pytest.mark.sqlite
def test_it_works_where_there_is_no_git(bundle: Path, provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    env = {**os.environ, "PATH": str(tmp_path / "empty")}
    command = [sys.executable, "-c", WITHOUT_GIT]
    done = subprocess.run(
        command, cwd=bundle.parent, env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer, arm, hashed = done.stdout.rsplit(maxsplit=2)
    assert (answer, arm) in {("Greet Ada.", "stable"), ("Welcome Ada.", "canary")}
    assert hashed == "True"
    assert sorted(file.name for file in bundle.parent.iterdir()) == ["prompts.bundle", "registry.db"]


def test_versions_by_number_and_digest(workspace: Workspace) -> None:
    run = workspace.run("greet@v2", {"name": "Ada"})
    assert (run.answer, run.started.version, run.started.channel) == ("Welcome Ada.", "v2", None)
    again = workspace.run(f"greet@sha256:{run.started.digest[:12]}", {"name": "Ada"})
    assert again.started.digest == run.started.digest
    with pytest.raises(NotFound, match="is not in this bundle") as caught:
        workspace.run("greet@main", {"name": "Ada"})
    assert "greet@v1, greet@v2; what is live is greet:CHANNEL" in caught.value.hint
    with pytest.raises(NotFound, match="is not in this bundle"):
        workspace.run("greet", {"name": "Ada"})
    with pytest.raises(NotFound, match="no channel `production2`"):
        workspace.run("greet:production2", {"name": "Ada"})
    with pytest.raises(NotFound, match="not live on beta"):
        workspace.run("greet:beta", {"name": "Ada"})


def test_a_new_bundle_is_read_within_five_seconds(
    live: GitFolder, bundle: Path, workspace: Workspace
) -> None:
    workspace.run("greet:production", {"name": "Ada"})
    write_state(live, "greet", released(live, "greet", "HEAD", "v2"))
    write_bundle(current_settings(), bundle)
    until(lambda: workspace.run("greet:production", {"name": "Ada"}).started.arm is None)
    assert workspace.run("greet:production", {"name": "Ada"}).answer == "Welcome Ada."


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 2}', '{"format": 1}'])
def test_a_bundle_that_cannot_be_read_changes_nothing(
    bundle: Path, workspace: Workspace, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = workspace.run("greet:production", {"name": "Ada"}, unit="u")
    bundle.write_text(damage)
    until(lambda: str(bundle) in caplog.text)
    assert workspace.run("greet:production", {"name": "Ada"}, unit="u").started.arm == before.started.arm
    with pytest.raises(Invalid, match="bundle"):
        Workspace.from_bundle(bundle)


def test_a_changed_prompt_is_not_taken_for_the_released_one(bundle: Path) -> None:
    bundle.write_text(bundle.read_text().replace("You greet people", "You insult people"))
    with pytest.raises(Invalid, match="reads as sha256:"):
        BundleSource(bundle)


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no bundle"):
        Workspace.from_bundle(tmp_path / "none")


def test_readers_never_meet_half_a_bundle(live: GitFolder, bundle: Path) -> None:
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            write_bundle(current_settings(), bundle)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(60):
            assert BundleSource(bundle).releases("greet") is not None
    finally:
        over.set()
        writer.join()
    assert [file.name for file in bundle.parent.iterdir()] == [bundle.name]


def test_frozen_files_outlive_the_commit_they_came_from(live: GitFolder, bundle: Path) -> None:
    """What the branch keeps frozen is enough, where the commits are not there."""
    frozen = versions_in(bundle)
    assert len(frozen) == 2
    with_frozen(live, frozen)
    clone = live.clone(live.path.parent / "clone", "--single-branch", "--branch", "promptops-state")
    write_bundle(clone.settings(), bundle)
    assert versions_in(bundle) == frozen


@pytest.mark.parametrize("damage", ["prompt: another", "a: [b", "nobody"])
def test_a_damaged_version_is_bundled_from_its_commit_and_else_not_at_all(
    live: GitFolder, bundle: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    frozen, before = versions_in(bundle), bundle.read_bytes()
    texts = {
        path: text.replace("people", damage) if damage == "nobody" else damage
        for path, text in frozen.items()
    }
    with_frozen(live, texts)
    write_bundle(current_settings(), bundle)
    assert contents(versions_in(bundle)) == contents(frozen)
    assert "instead" in caplog.text
    clone = live.clone(live.path.parent / "clone", "--single-branch", "--branch", "promptops-state")
    bundle.write_bytes(before)
    with pytest.raises(Invalid, match="its commit is not here"):
        write_bundle(clone.settings(), bundle)
    assert bundle.read_bytes() == before


def versions_in(bundle: Path) -> dict[str, str]:
    files: dict[str, str] = json.loads(bundle.read_text())["files"]
    return {path: text for path, text in files.items() if path.startswith("versions/")}


def contents(files: dict[str, str]) -> dict[str, Any]:
    """Without the order that their files stand in."""
    return {path: yaml.safe_load(text) for path, text in files.items()}


def with_frozen(folder: GitFolder, files: dict[str, str]) -> None:
    """Commit frozen files to the state branch by hand, beside its others."""
    state = {
        path: folder.git("show", f"promptops-state:{path}") + "\n"
        for path in folder.git("ls-tree", "-r", "--name-only", "promptops-state").splitlines()
    }
    parent = folder.git("rev-parse", "promptops-state")
    folder.branch_from_files("refs/heads/promptops-state", state | files, parent=parent)


@pytest.mark.sqlite
def test_where_the_registry_is(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Workspace.from_bundle(bundle).settings.registry == bundle.parent / "registry.db"
    monkeypatch.setenv("PROMPTOPS_REGISTRY", str(tmp_path / "env.db"))
    assert Workspace.from_bundle(bundle).settings.registry == tmp_path / "env.db"
    given = Workspace.from_bundle(bundle, registry=tmp_path / "given.db")
    assert given.settings.registry == tmp_path / "given.db"


def test_the_verb(live: GitFolder, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "prompts.bundle"
    done = cli("release", "bundle", "--out", str(out))
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{out}: 1 prompt, 2 versions, ")
    made = json.loads(cli("release", "bundle", "--out", str(out), "--json").out)
    assert (made["file"], made["prompts"], made["versions"]) == (str(out), ["greet"], 2)
    assert made["bytes"] == out.stat().st_size
    refused = cli("release", "bundle", "--out", str(tmp_path / "nowhere" / "prompts.bundle"))
    assert (refused.code, "cannot write" in refused.err) == (4, True)


def test_before_the_first_release_there_is_nothing_to_bundle(greeting: Repo, cli: Cli) -> None:
    done = cli("release", "bundle", "--out", "prompts.bundle")
    assert done.code == 4
    assert "nothing is released yet" in done.err
