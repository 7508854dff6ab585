"""Who commits a release: as git has it, wherever it is configured."""

from pathlib import Path

import pytest

from promptops.git.actor import actor_of
from promptops.git.state_branch import read_git_identity, write_commit
from support.git_repositories import GitFolder, new_repository


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitFolder:
    """A repository of Bea's, with no name in the environment."""
    monkeypatch.delenv("EMAIL", raising=False)
    for who in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{who}_{part}")
    repository = new_repository(tmp_path / "r")
    repository.git("config", "user.name", "Bea")
    repository.git("config", "user.email", "bea@example.org")
    return repository


def command_line(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Configure git as CI services do: by variables, in no file."""
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(values)))
    for index, (key, value) in enumerate(values.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{index}", key.replace("_", "."))
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{index}", value)


def committer(folder: GitFolder) -> str:
    commit = write_commit(folder.settings(), None, {"a": b"1"}, "x")
    return folder.git("log", "-1", "--format=%cn <%ce>", commit)


def test_the_configuration(folder: GitFolder) -> None:
    assert read_git_identity(folder.settings()).actor == committer(folder) == "Bea <bea@example.org>"


def test_a_committer_of_its_own(folder: GitFolder) -> None:
    folder.git("config", "committer.name", "Release robot")
    actor = read_git_identity(folder.settings()).actor
    assert actor == committer(folder) == "Release robot <bea@example.org>"


def test_variables(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    command_line(monkeypatch, user_name="CI", user_email="ci@example.org")
    assert read_git_identity(folder.settings()).actor == committer(folder) == "CI <ci@example.org>"
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "bot@example.org")
    assert read_git_identity(folder.settings()).actor == committer(folder) == "CI <bot@example.org>"


def test_a_file_named_by_a_variable(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.git("config", "--unset", "user.name")
    (folder.path / "global").write_text("[user]\n\tname = Cleo\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(folder.path / "global"))
    assert read_git_identity(folder.settings()).actor == committer(folder) == "Cleo <bea@example.org>"


def test_a_worktree_of_its_own(folder: GitFolder) -> None:
    folder.commit()
    folder.git("config", "extensions.worktreeConfig", "true")
    folder.git("worktree", "add", "-q", "../other")
    other = GitFolder(folder.path.parent / "other")
    other.git("config", "--worktree", "user.name", "Dora")
    assert read_git_identity(other.settings()).actor == committer(other) == "Dora <bea@example.org>"


def test_an_address_in_the_environment(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.git("config", "--unset", "user.email")
    monkeypatch.setenv("EMAIL", "mail@example.org")
    assert read_git_identity(folder.settings()).actor == committer(folder) == "Bea <mail@example.org>"


@pytest.mark.parametrize("key", ["user.name", "user.email"])
def test_what_git_would_make_up_names_nobody(folder: GitFolder, key: str) -> None:
    folder.git("config", "--unset", key)
    assert read_git_identity(folder.settings()).actor == ""


GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "ada", "GITHUB_ACTOR_ID": "12"}
ADA = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org"}
GITLAB = {"GITLAB_CI": "true", "GITLAB_USER_NAME": "Eve", "GITLAB_USER_EMAIL": "eve@example.org"}


@pytest.mark.parametrize(
    ("variables", "actor"),
    [
        (ADA, "Ada <ada@example.org>"),
        ({"GIT_AUTHOR_NAME": "Ada"}, "Ada <bea@example.org>"),
        (GITHUB, "ada <12+ada@users.noreply.github.com>"),
        ({**GITHUB, "GITHUB_TRIGGERING_ACTOR": "eve"}, "eve"),
        ({**GITHUB, **ADA}, "Ada <ada@example.org>"),
        ({**GITHUB, "GITHUB_EVENT_NAME": "schedule"}, "Bea <bea@example.org>"),
        ({"GITHUB_ACTOR": "ada"}, "Bea <bea@example.org>"),
        (GITLAB, "Eve <eve@example.org>"),
        ({**GITLAB, "CI_PIPELINE_SOURCE": "schedule"}, "Bea <bea@example.org>"),
        (
            {"TF_BUILD": "True", "BUILD_REQUESTEDFOR": "Eve", "BUILD_REQUESTEDFOREMAIL": "e@x.org"},
            "Eve <e@x.org>",
        ),
        (
            {
                "BUILDKITE": "true",
                "BUILDKITE_BUILD_CREATOR": "Eve",
                "BUILDKITE_BUILD_CREATOR_EMAIL": "e@x.org",
            },
            "Eve <e@x.org>",
        ),
        ({"CIRCLECI": "true", "CIRCLE_USERNAME": "eve"}, "eve"),
        ({"JENKINS_URL": "http://x", "BUILD_USER": "Eve", "BUILD_USER_EMAIL": "e@x.org"}, "Eve <e@x.org>"),
        ({"CI": "true"}, "Bea <bea@example.org>"),
    ],
)
def test_a_person_before_the_machine_that_commits(variables: dict[str, str], actor: str) -> None:
    bea = {"user.name": "Bea", "user.email": "bea@example.org"}
    assert actor_of(bea, variables) == actor
