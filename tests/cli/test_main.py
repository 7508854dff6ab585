import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promptops import __version__
from promptops.cli.main import GROUPS, VERBS, find_verb
from support.front_door import Cli, Repo

PATHS = [path for name, verb in VERBS.items() for path in ([[name, part] for part in verb.parts] or [[name]])]


def test_help_groups_the_verbs(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line in GROUPS] == list(GROUPS)
    for name, verb in VERBS.items():
        assert f"  {name:<12} {verb.summary}" in done.out


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"promptops {__version__}\n"


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_verb_has_help_that_begins_with_its_summary_and_fits_80_columns(
    path: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = cli(*path, "--help")
    assert done.code == 0
    assert done.out.lstrip().startswith(f"Usage: promptops {' '.join(path)}")
    assert (find_verb(path).__doc__ or "").split("\n")[0].rstrip(".") in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80


def test_nothing_to_do_is_wrong_usage_and_shows_the_help(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.out) == (2, "")
    assert "Usage: promptops" in done.err
    assert cli("runs").code == 2
    assert cli("runs", "--help").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lsit"], "no such verb: lsit (did you mean list?)"),
        (["runs", "serch"], "no such runs verb: serch (did you mean search?)"),
        (["--verson"], "no such option: --verson (did you mean --version?)"),
        (["-C"], "-C needs a value"),
        (["-C", "nowhere", "list"], "cannot change to nowhere: No such file or directory"),
    ],
)
def test_wrong_usage_says_what_is_near(arguments: list[str], message: str, cli: Cli) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert message in done.err


def test_wrong_usage_of_a_verb_is_2(cli: Cli) -> None:
    assert cli("render").code == 2
    assert cli("list", "--no-such-option").code == 2


def test_outside_a_repository_the_next_step_is_named(
    cli: Cli, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    done = cli("list")
    assert done.code == 4
    assert "git init" in done.err


def test_c_runs_in_another_folder(cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo.path.parent)
    assert cli("-C", "repo", "init").code == 0
    assert (repo.path / "prompts").is_dir()


def test_both_names_of_the_program_work() -> None:
    for command in ([sys.executable, "-m", "promptops"], ["git-promptops"]):
        done = subprocess.run([*command, "--version"], capture_output=True, encoding="utf-8", check=True)
        assert done.stdout == f"promptops {__version__}\n"


def test_a_verb_never_imports_a_verb() -> None:
    verbs = {".".join(path).replace("-", "_") for path in PATHS}
    for verb in verbs:
        source = Path(importlib.import_module(f"promptops.cli.commands.{verb}").__file__ or "").read_text(
            "utf-8"
        )
        imported = set(re.findall(r"from promptops\.cli\.commands\.([\w.]+) import", source))
        assert not imported & verbs, verb


HEAVY = {"litellm", "git", "aiohttp", "sqlite_utils", "rich", "openai", "httpx", "tabulate", "xllamacpp"}
SCRIPT = """
import sys
from promptops.cli.main import main
code = main(sys.argv[1:])
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {heavy}), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["render", "greet", "-i", "name=Ada"], ["render", "greet@HEAD", "-i", "name=Ada"]],
    ids=" ".join,
)
def test_no_heavy_module_is_imported_on_the_way(arguments: list[str], greeting: Repo) -> None:
    command = [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *arguments]
    done = subprocess.run(command, cwd=greeting.path, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == "\n"


def test_a_reader_that_leaves_early_is_no_error_worth_a_word(greeting: Repo) -> None:
    command = f"{sys.executable} -m promptops render greet -i name=@big | head -c 10"
    greeting.write("big", "x" * 1_000_000)
    done = subprocess.run(["sh", "-c", command], cwd=greeting.path, capture_output=True, check=True)
    assert (len(done.stdout), done.stderr) == (10, b"")
