"""No verb that writes a file writes through a link, however late it is put in the place of file or folder."""

import inspect
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from promptops.cli.main import find_verb
from promptops.cli.verbs import leaf_verbs
from promptops.config.safe_writes import WriteTarget
from promptops.errors import Invalid
from support.front_door import GREET, Cli, Repo
from support.greet_releases import go_live, ok


class Write(NamedTuple):
    """A command line, and a file that it writes."""

    words: tuple[str, ...]
    file: str


def to_file(*words: str) -> Write:
    return Write((*words, "--out", "out/report"), "out/report")


WRITES = {
    "init, ignored": Write(("init",), ".gitignore"),
    "init, schema": Write(("init",), "prompts/.prompt.schema.json"),
    "init, workflow": Write(("init", "--ci", "github"), ".github/workflows/promptops.yml"),
    "init, script": Write(("init", "--ci", "script"), "promote.sh"),
    "init, diff driver": Write(("init", "--diff-driver"), ".gitattributes"),
    "new": Write(("new", "team/other"), "prompts/team/other.yaml"),
    "new, cases": Write(("new", "team/other"), "prompts/team/other.cases.jsonl"),
    "checks suggest": Write(("checks", "suggest", "greet", "--write"), "prompts/greet.yaml"),
    "checks suggest, judge": Write(("checks", "suggest", "greet", "--write"), "prompts/judges/greet.yaml"),
    "cases add": Write(("cases", "add", "greet", "--run", "last", "--approve"), "prompts/greet.cases.jsonl"),
    "cases add, a file": Write(("cases", "add", "greet", "--from", "in.jsonl"), "prompts/greet.cases.jsonl"),
    "lint --fix": Write(("lint", "--fix"), "prompts/windows.yaml"),
    "import": Write(("import", "elsewhere"), "prompts/elsewhere.yaml"),
    "export": to_file("export", "greet", "--format", "promptfoo"),
    "hooks install": Write(("hooks", "install"), ".githooks/pre-commit"),
    "hooks uninstall": Write(("hooks", "uninstall"), ".githooks/pre-commit"),
    "batch": to_file("batch", "greet", "in.jsonl"),
    "eval": to_file("eval", "greet", "--cases", "in.jsonl", "--format", "json"),
    "registry recover": to_file("registry", "recover"),
    "release bundle": to_file("release", "bundle"),
    "runs export": to_file("runs", "export"),
    "runs report": to_file("runs", "report"),
    "runs export of a data set": to_file("runs", "export", "--format", "trl-sft"),
    "runs export for a release": to_file("runs", "export", "--for-release"),
    "shadow run": to_file("shadow", "run", "greet@HEAD", "--against", "greet@HEAD~1", "--inputs", "in.jsonl"),
}
AS_SHADOW_RUN = {("shadow", "migrate"), ("shadow", "noise"), ("shadow", "show"), ("release", "gate")}
"""Verbs that hand their report to the same function."""


def test_no_verb_that_writes_a_file_is_missing_here() -> None:
    with_out = {path for path in leaf_verbs() if "out" in inspect.signature(find_verb(path)).parameters}
    tried = {path for path in with_out for write in WRITES.values() if write.words[: len(path)] == path}
    assert with_out == tried | AS_SHADOW_RUN


class FileEvents:
    """Counts what this process does with files, and does ``then`` just before the one of a number."""

    NAMES = frozenset(
        {"open", "os.mkdir", "os.rename", "os.link", "os.remove", "sqlite3.connect", "subprocess.Popen"}
    )

    def __init__(self) -> None:
        self.count = 0
        self._at = -1
        self._then: Callable[[], None] | None = None
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: tuple[Any, ...]) -> None:
        if event not in self.NAMES:
            return
        self.count += 1
        if self._then and self.count >= self._at:
            then, self._then = self._then, None
            then()

    def expect(self, at: int = -1, then: Callable[[], None] | None = None) -> None:
        self.count, self._at, self._then = 0, at, then


@pytest.fixture(scope="module")
def events() -> FileEvents:
    return FileEvents()


@pytest.fixture
def start(
    repo: Repo, cli: Cli, provider: object, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Path]]:
    """A project in which every verb has something to write; each call puts it back as it was."""
    go_live(cli, repo)
    repo.git("config", "core.hooksPath", ".githooks")
    repo.write("prompts/windows.yaml", GREET.replace("\n", "\r\n"))
    repo.write("in.jsonl", '{"inputs": {"name": "Ada"}}\n')
    (repo.path / "out").mkdir()
    repo.write("elsewhere/promptfooconfig.yaml", "prompts: ['Hi {{who}}']\nproviders: [openai:gpt-4o]\n")
    if "uninstall" in request.node.name:
        ok(cli("hooks", "install"))
    ok(cli("run", "greet:production", "--unit", "u", "-i", "name=Ada"))
    kept = tmp_path / "kept"
    shutil.copytree(repo.path, kept, symlinks=True)
    outside = tmp_path / "outside"

    def put_back() -> Path:
        for folder in (repo.path, outside):
            for path in folder.iterdir() if folder.exists() else ():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        shutil.copytree(kept, repo.path, symlinks=True, dirs_exist_ok=True)
        outside.mkdir(exist_ok=True)
        (outside / "mine").write_text("mine", encoding="utf-8")
        return outside

    yield put_back
    os.chdir(tmp_path)


def link_in_place_of(path: Path, to: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        path.rename(path.with_name(f"{path.name}.aside"))
    path.symlink_to(to)


@pytest.mark.parametrize("name", WRITES)
def test_a_link_that_comes_at_any_moment_is_not_followed(
    repo: Repo, cli: Cli, start: Callable[[], Path], events: FileEvents, name: str
) -> None:
    words, file = WRITES[name]
    for _ in range(2):  # the first one loads what is loaded late
        start()
        events.expect()
        ok(cli(*words))
    target, total = repo.path / file, events.count
    first = 1 if os.environ.get("PROMPTOPS_ALL_MOMENTS") else total - 3  # files are written last
    for moment in range(first, total + 1):
        for link, to in ((target, ("mine", "new")[moment % 2]), (target.parent, "")):
            if link == repo.path:
                continue
            outside = start()
            events.expect(moment, lambda link=link, to=outside / to: link_in_place_of(link, to))
            done = cli(*words)
            events.expect()
            there = {path.name: path.read_text(encoding="utf-8") for path in outside.iterdir()}
            assert there == {"mine": "mine"}, (moment, total, link, done)
            assert done.code != 70, (moment, link, done)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(KeyError), WriteTarget.output(out).replacing() as stream:  # noqa: PT012 - a block that fails midway
        stream.write("half")
        raise KeyError
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]
    assert out.read_text() == "old"
    with WriteTarget.output(out).replacing() as stream:
        stream.write("new\r\n")
    assert out.read_bytes() == b"new\r\n"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with (
        pytest.raises(Invalid, match="No such file"),
        WriteTarget.output(tmp_path / "no" / "out").replacing(),
    ):
        pass
    with pytest.raises(Invalid, match="Is a directory"), WriteTarget.output(tmp_path).replacing():
        pass
    with WriteTarget.output(Path("/dev/null")).replacing() as stream:
        stream.write("gone")


def test_only_a_new_file_is_written_where_one_must_not_be(tmp_path: Path) -> None:
    target = WriteTarget.inside(tmp_path / "new", tmp_path)
    target.write(b"first", new=True)
    with pytest.raises(Invalid, match="File exists"):
        target.write(b"second", new=True)
    assert target.read() == b"first"
    assert [file.name for file in tmp_path.iterdir()] == ["new"]


def test_a_file_keeps_its_mode_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    file, pipe = tmp_path / "file", tmp_path / "pipe"
    file.touch(0o600)
    WriteTarget.inside(file, tmp_path).write(b"x")
    assert file.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    WriteTarget.output(pipe).write(b"through")
    assert os.read(reading, 99) == b"through"
    os.close(reading)


@pytest.mark.parametrize("write", [WRITES["init, ignored"], WRITES["init, schema"], WRITES["cases add"]])
def test_a_pipe_or_a_folder_in_the_place_of_a_file_holds_nobody_up(
    repo: Repo, cli: Cli, start: Callable[[], Path], write: Write
) -> None:
    for make in (os.mkfifo, os.mkdir):
        start()
        (repo.path / write.file).unlink(missing_ok=True)
        make(repo.path / write.file)
        done = cli(*write.words)
        assert (done.code, "regular file" in done.err or "Is a directory" in done.err) == (4, True), done
