import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from promptops import __version__
from promptops.cli import commands
from promptops.cli.main import find_verb
from promptops.cli.verbs import BUILT_IN, GROUPS, MOVED_VERBS, OTHER_WAYS, SYNONYMS, VERBS, leaf_verbs
from support.front_door import Cli, Repo

PATHS = [list(path) for path in leaf_verbs()]
COMMANDS = Path(commands.__file__ or "").parent


def test_help_shows_the_seventeen_verbs_that_people_need(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    common = {name: verb for name, verb in VERBS.items() if verb.common}
    assert len(common) == 17
    assert [
        line.split()[0] for line in done.out.splitlines() if line.split()[:1] and line.split()[0] in VERBS
    ] == [*common]
    assert cli("help").out == done.out
    assert "promptops help --all lists every verb" in done.out


@pytest.mark.parametrize("arguments", [("help", "--all"), ("--help", "--all")])
def test_help_all_groups_every_verb_with_those_below_it(arguments: tuple[str, str], cli: Cli) -> None:
    done = cli(*arguments)
    assert done.code == 0
    assert [line for line in done.out.splitlines() if line in GROUPS] == list(GROUPS)
    for name, verb in VERBS.items():
        assert f"  {name:<12} {verb.summary}" in done.out
        for part, summary in verb.parts.items():
            assert f"    {part:<10} {summary}" in done.out
    assert all(f"  {name:<12} {summary}" in done.out for name, summary in BUILT_IN.items())
    assert max(map(len, done.out.splitlines())) <= 80


def test_help_explains_a_verb_and_a_group(cli: Cli) -> None:
    assert cli("help", "list").out == cli("list", "--help").out
    assert cli("help", "runs", "list").out == cli("runs", "list", "--help").out
    assert cli("help", "runs").out == cli("runs", "--help").out
    assert cli("help", "lsit").code == 2


def test_version(cli: Cli) -> None:
    assert cli("--version").out == cli("-V").out == cli("version").out == f"promptops {__version__}\n"
    assert cli("version", "2").code == 2


def test_a_verb_is_a_leaf_or_a_group_and_nothing_else_lies_among_them() -> None:
    files = {path.relative_to(COMMANDS).with_suffix("").as_posix() for path in COMMANDS.rglob("*.py")}
    groups = {f"{name}/__init__" for name, verb in VERBS.items() if verb.parts} | {"__init__"}
    leaves = {"/".join(path) for path in leaf_verbs()}
    assert files == groups | leaves
    assert all(not (COMMANDS / f"{group}.py").read_text("utf-8") for group in groups - {"__init__"})


@pytest.mark.parametrize("old", MOVED_VERBS, ids=" ".join)
def test_a_verb_that_has_moved_still_works_and_says_its_new_spelling(old: tuple[str, ...], cli: Cli) -> None:
    new = MOVED_VERBS[old]
    done = cli(*old, "--help")
    assert (done.code, done.out) == (0, cli(*new, "--help").out)
    assert done.err == f"promptops: `{' '.join(old)}` is `{' '.join(new)}` from the next version on\n"
    assert f"  {old[-1]} " not in cli(old[0], "--help").out


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_verb_reads_its_options_and_calls_the_domain(path: list[str]) -> None:
    lines, _ = inspect.getsourcelines(find_verb(path))
    assert len(lines) <= 60, "the domain belongs below the command line"


def test_synonyms_name_verbs_and_are_none() -> None:
    names = {" ".join(path) for path in leaf_verbs()}
    assert {word for words in SYNONYMS.values() for word in words} <= names
    assert not {*SYNONYMS, *OTHER_WAYS} & (VERBS.keys() | BUILT_IN.keys())
    assert not SYNONYMS.keys() & OTHER_WAYS.keys()


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
    monkeypatch.setenv("_PROMPTOPS_COMPLETE", "1")
    flags = re.findall(r"^  (?:(-\w), )?(?:(-[\w-]+))(?:, (-[\w-]+))?", done.out, re.MULTILINE)
    assert {flag for line in flags for flag in line if flag} <= set(cli(*path, "-").out.split())


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
        (["runs", "serch"], "no such runs verb: serch (did you mean runs search?)"),
        (["checks", "list"], "no such checks verb: list (did you mean promptops list?)"),
        (["runs", "approve"], "no such runs verb: approve (did you mean release approve?)"),
        (["search", "refund"], "no such verb: search (did you mean runs search?)"),
        (["aprove"], "no such verb: aprove (did you mean release approve?)"),
        (["stats"], "no such verb: stats (did you mean runs stats, cases stats or cache stats?)"),
        (["log"], "no such verb: log (did you mean history, runs list or release log?)"),
        (["ask"], "no such verb: ask (did you mean run?)"),
        (["deploy"], "no such verb: deploy (did you mean canary or promote?)"),
        (["compare"], "no such verb: compare (did you mean diff or eval?)"),
        (["metrics"], "no such verb: metrics (did you mean runs stats or status?)"),
        (["runs", "ls"], "no such runs verb: ls (did you mean runs list?)"),
        (["release", "logs"], "no such release verb: logs (did you mean release log?)"),
        (["release", "stop"], "no such release verb: stop (did you mean release abort?)"),
        (["release", "rollback"], "no such release verb: rollback (did you mean promptops rollback?)"),
        (["runs", "delete"], "no such runs verb: delete (did you mean registry prune or cache clear?)"),
        (["cases", "create"], "no such cases verb: create (did you mean cases add?)"),
        (["help", "search"], "no such verb: search (did you mean runs search?)"),
        (["release", "search"], "no such release verb: search (did you mean runs search?)"),
        (["xyzzy"], "no such verb: xyzzy\n"),
        (["tail"], "no such verb: tail (did you mean runs list?)"),
        (
            ["commit"],
            "no such verb: commit\n  prompts are files: change prompts/NAME.yaml, then git commit\n",
        ),
        (["login"], "no such verb: login\n  keys stand in the environment variable of the provider"),
        (["models"], "no such verb: models\n  models are named as litellm names them"),
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
    [
        ["--help"],
        ["render", "greet", "-i", "name=Ada"],
        ["render", "greet@HEAD", "-i", "name=Ada"],
        ["lint"],
        ["diff"],
    ],
    ids=" ".join,
)
def test_no_heavy_module_is_imported_on_the_way(arguments: list[str], greeting: Repo) -> None:
    command = [sys.executable, "-c", SCRIPT.format(heavy=HEAVY), *arguments]
    done = subprocess.run(command, cwd=greeting.path, capture_output=True, encoding="utf-8", check=True)
    assert done.stderr.splitlines()[-1] == ""


def test_a_reader_that_leaves_early_is_no_error_worth_a_word(greeting: Repo) -> None:
    command = f"{sys.executable} -m promptops render greet -i name=@big | head -c 10"
    greeting.write("big", "x" * 1_000_000)
    done = subprocess.run(["sh", "-c", command], cwd=greeting.path, capture_output=True, check=True)
    assert (len(done.stdout), done.stderr) == (10, b"")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "greet", "--name", "Ada"], "  name is an input of the prompt: -i name=Ada\n"),
        (["run", "greet", "--naem", "Ada"], "  name is an input of the prompt: -i name=Ada\n"),
        (["run", "greet", "name=Ada"], "  name is an input of the prompt: -i name=Ada\n"),
        (["diff", "greet", "--name", "Ada"], "  name is an input of the prompt: -i name=Ada\n"),
        (["eval", "greet", "--name", "Ada"], "promptops run greet -i name=Ada answers it alone\n"),
        (
            ["run", "greet", "-i", "name=A", "--registry", "x"],
            "  --registry stands before the verb: promptops --registry … run\n",
        ),
        (["render", "--name=Ada B", "greet"], "  name is an input of the prompt: -i 'name=Ada B'\n"),
        (["render", "greet", "--name", "x" * 100], "-i 'name=…'\n"),
        (["run", "greet", "Ada Lovelace"], "  an input is given by its name: -i 'name=Ada Lovelace'\n"),
        (["run", "greet", "-p", "name", "Ada"], "  name is an input of the prompt: -i name=Ada\n"),
        (["run", "greet", "--param", "x"], "  --param is --input here\n"),
        (
            ["run", "greet", "--temperature", "1"],
            "  temperature is a parameter of the model: --set parameters.temperature=1\n",
        ),
        (
            ["run", "greet", "-o", "max_tokens", "9"],
            "  max_tokens is a parameter of the model: --set parameters.max_tokens=9\n",
        ),
        (["run", "greet", "-m", "openai/o3"], "  -m is --model here\n"),
        (["diff", "--cached"], "  --cached is --staged here\n"),
        (["batch", "greet", "x", "--output", "y"], "  --output is --out here\n"),
        (["rollback", "greet", "--yes"], "  nothing is asked here: leave --yes out\n"),
        (["run"], "  prompts here: greet\n"),
        (["history"], "  prompts here: greet\n"),
        (["promote", "--yes"], "  prompts here: greet\n"),
        (["runs", "show"], "  promptops runs list shows the ids of runs; last is your own last run\n"),
    ],
)
def test_a_refused_command_line_says_how_it_is_written_here(
    arguments: list[str], hint: str, cli: Cli, greeting: Repo
) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(hint)


def test_an_option_that_is_nothing_gets_no_hint(cli: Cli, greeting: Repo) -> None:
    for words in ("run greet --mood good", "list --name Ada", "run --name Ada", "run greet -i name=A --x"):
        done = cli(*words.split())
        assert done.code == 2
        assert "-i " not in done.err
