"""Nothing that a branch names, or links to, is read or written outside of the repository."""

import os
from pathlib import Path

import pytest

from promptops.config.containment import outside_problem, resolve_inside
from promptops.config.settings import find_settings
from promptops.errors import Invalid
from promptops.versions.working_tree import working_tree_names, working_tree_reader
from support.front_door import GREET, Cli, Repo

RUN = ("run", "greet", "-i", "name=Ada")


@pytest.mark.parametrize(
    "path",
    [
        "../out.db",
        "/etc/x.db",
        "a/../../x.db",
        ".git/hooks/pre-commit",
        ".GIT/x.db",
        "a/.git/x",
        "git~1/hooks/x",
    ],
)
def test_what_lies_outside_or_in_a_git_folder(tmp_path: Path, path: str) -> None:
    assert outside_problem(tmp_path / path, tmp_path)
    with pytest.raises(Invalid):
        resolve_inside(tmp_path / path, tmp_path)


def test_what_lies_inside(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for path in ("registry.db", "a/b.db", "link/c.db", ".github/x.yml", ".gitignore"):
        assert not outside_problem(tmp_path / path, tmp_path)


REGISTRIES = [
    "../out.db",
    "/etc/of-a-branch.db",
    "~/x.db",
    ".git/hooks/pre-commit",
    "link/out.db",
    "linked.db",
]


@pytest.mark.parametrize("registry", REGISTRIES)
def test_a_branch_never_says_where_outside_the_registry_is(
    greeting: Repo, cli: Cli, provider: object, tmp_path: Path, registry: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (greeting.path / "link").symlink_to(outside)
    (greeting.path / "linked.db").symlink_to(outside / "made.db")
    greeting.write("promptops.yaml", f"registry: {registry}\n")
    hooks = sorted((greeting.path / ".git/hooks").iterdir())
    refused = cli(*RUN)
    assert refused.code == 4
    assert "PROMPTOPS_REGISTRY" in refused.err
    for verb in (
        ["list"],
        ["show", "greet"],
        ["lint"],
        ["diff"],
        ["history", "greet"],
        ["render", "greet", "-i", "name=A"],
    ):
        assert cli(*verb).code in {0, 1}, verb
    assert list(outside.iterdir()) == []
    assert sorted((greeting.path / ".git/hooks").iterdir()) == hooks
    assert not Path("/etc/of-a-branch.db").exists()


@pytest.mark.parametrize("end", ["-wal", "-spool", "-batches", "-shadow.lock"])
def test_nothing_beside_the_registry_is_a_link_out(greeting: Repo, tmp_path: Path, end: str) -> None:
    (greeting.path / f"registry.db{end}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid, match="lies outside of the repository"):
        _ = find_settings(greeting.path, {}).registry


def test_the_registry_of_a_flag_may_lie_anywhere(greeting: Repo, tmp_path: Path) -> None:
    greeting.write("promptops.yaml", "registry: ../out.db\n")
    assert find_settings(greeting.path, {"PROMPTOPS_REGISTRY": "/x/y.db"}).registry == Path("/x/y.db")
    assert find_settings(greeting.path, {}, registry=tmp_path / "z.db").registry == tmp_path / "z.db"


def test_a_folder_of_prompts_that_is_a_link_out_is_not_read(repo: Repo, tmp_path: Path, cli: Cli) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "greet.yaml").write_text(GREET, encoding="utf-8")
    (repo.path / "prompts").symlink_to(outside)
    settings = find_settings(repo.path, {})
    with pytest.raises(Invalid, match="outside of the repository"):
        working_tree_names(settings)
    with pytest.raises(Invalid, match="outside of the repository"):
        working_tree_reader(settings)("greet.yaml")
    for verb in (["lint"], ["render", "greet", "-i", "name=A"], ["new", "other"], ["init"]):
        assert cli(*verb).code == 4, verb
    assert [path.name for path in outside.iterdir()] == ["greet.yaml"]


def test_prompts_may_be_a_link_within_the_repository(repo: Repo) -> None:
    repo.write("texts/greet.yaml", GREET)
    (repo.path / "prompts").symlink_to("texts")
    assert working_tree_names(find_settings(repo.path, {})) == ["greet"]


def test_the_git_folder_is_no_folder_of_prompts(repo: Repo) -> None:
    (repo.path / "prompts").symlink_to(".git")
    with pytest.raises(Invalid, match="git folder"):
        working_tree_reader(find_settings(repo.path, {}))("config")


def test_a_settings_file_that_is_a_link_out_is_not_read(repo: Repo, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key: hunter2\n", encoding="utf-8")
    (repo.path / "promptops.yaml").symlink_to(tmp_path / "secret")
    with pytest.raises(Invalid, match="outside of the repository") as caught:
        find_settings(repo.path, {})
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (".gitignore", ["init"]),
        (".gitattributes", ["init", "--diff-driver"]),
        (".github", ["init", "--ci", "github"]),
        ("promote.sh", ["init", "--ci", "script"]),
        ("prompts/team", ["new", "team/other"]),
        ("prompts/.prompt.schema.json", ["new", "other"]),
    ],
)
def test_no_file_is_written_through_a_link_out(
    greeting: Repo, cli: Cli, tmp_path: Path, link: str, words: list[str]
) -> None:
    outside = tmp_path / "outside"
    (outside if "." not in Path(link).name[1:] else tmp_path).mkdir(exist_ok=True)
    (greeting.path / link).symlink_to(outside)
    assert cli(*words).code == 4
    assert not outside.exists() or not outside.is_dir() or list(outside.iterdir()) == []
    assert not outside.is_file()


OUTPUTS = [
    ("runs", "export"),
    ("runs", "export", "--for-release"),
    ("batch", "greet", "in.jsonl"),
    ("eval", "greet", "--cases", "in.jsonl", "--format", "html"),
    ("registry", "recover"),
    ("release", "bundle"),
]


@pytest.mark.parametrize("words", OUTPUTS)
def test_no_report_is_written_through_a_link_of_the_branch(
    greeting: Repo, cli: Cli, provider: object, tmp_path: Path, words: tuple[str, ...]
) -> None:
    greeting.write("in.jsonl", '{"inputs": {"name": "Ada"}}\n')
    assert cli(*RUN).code == 0
    outside = tmp_path / "outside"
    outside.mkdir()
    (greeting.path / "report.html").symlink_to(outside / "keys")
    (greeting.path / "folder").symlink_to(outside)
    for out in ("report.html", "folder/report.html"):
        done = cli(*words, "--out", out)
        assert (done.code, "lies outside of the repository" in done.err) == (4, True), done
    assert list(outside.iterdir()) == []


def test_a_report_may_be_written_anywhere_that_a_person_says(
    greeting: Repo, cli: Cli, provider: object, tmp_path: Path
) -> None:
    assert cli(*RUN).code == 0
    (tmp_path / "link").symlink_to(tmp_path / "linked")
    (greeting.path / "inner").symlink_to("real")
    for out in (tmp_path / "runs.jsonl", tmp_path / "link", Path("/dev/null"), Path("inner")):
        assert cli("runs", "export", "--out", str(out)).code == 0, out


@pytest.mark.parametrize("link", [".githooks", ".githooks/.pre-commit.promptops"])
def test_no_hook_is_written_through_a_link_of_the_branch(
    greeting: Repo, cli: Cli, tmp_path: Path, link: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine", encoding="utf-8")
    greeting.git("config", "core.hooksPath", ".githooks")
    (greeting.path / link).parent.mkdir(exist_ok=True)
    (greeting.path / link).symlink_to(outside / "mine" if "/" in link else outside)
    assert cli("hooks", "install").code == (0 if "/" in link else 4)
    assert [(file.name, file.read_text()) for file in outside.iterdir()] == [("mine", "mine")]


def test_a_folder_that_is_gone_is_called_gone(greeting: Repo, cli: Cli) -> None:
    gone = greeting.path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    done = cli("list")
    assert (done.code, done.err.startswith("promptops: the current folder is gone")) == (4, True)
