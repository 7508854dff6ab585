"""The command line: finds the verb, runs it, turns errors into exit codes. Knows no domain word.

Every verb is a function in a file of its own below ``commands/``, and only the file of the verb that
was asked for is imported. Help for the whole program is printed from the table below, without Typer.
"""

import functools
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from promptops._version import __version__
from promptops.errors import ExitCode, PromptopsError

PROGRAM = "promptops"


class Verb(NamedTuple):
    group: str
    summary: str
    parts: Mapping[str, str] = MappingProxyType({})  # a verb with verbs of its own: name -> summary


GROUPS = ("Write", "Run", "Judge", "Release", "Keep")
VERBS: dict[str, Verb] = {
    "init": Verb("Write", "Start a prompts folder in this repository"),
    "new": Verb("Write", "Write a new prompt file"),
    "list": Verb("Write", "List the prompts"),
    "show": Verb("Write", "Show one version of a prompt"),
    "history": Verb("Write", "List the versions of a prompt and how they did"),
    "lint": Verb("Write", "Find what is wrong with prompts before they are committed"),
    "diff": Verb("Write", "Show what changed between two versions of a prompt"),
    "render": Verb("Run", "Print the messages a version sends for given inputs"),
    "run": Verb("Run", "Run a version once and print the model's answer"),
    "batch": Verb("Run", "Run a version over a file of inputs"),
    "runs": Verb(
        "Run",
        "Look at logged runs",
        {
            "list": "List the latest runs",
            "show": "Show one run with the exact messages it sent",
            "search": "Search inputs and outputs",
            "replay": "Send a run's exact request again and compare the answers",
            "stats": "Sum up calls, errors, tokens, cost and latency",
            "export": "Write runs as JSONL or CSV, or as evidence for another registry",
            "import": "Take in what other registries know of releases",
            "finish": "Log how a run ended that run --prepare began",
            "prune": "Delete old runs and free their space",
            "recover": "Save what can be read of a damaged registry into a new one",
        },
    ),
    "eval": Verb("Judge", "Evaluate versions on a golden set, alone or against each other"),
    "bisect": Verb("Judge", "Find the commit since which a prompt does worse on its golden set"),
    "cases": Verb(
        "Judge",
        "Keep golden sets",
        {
            "add": "Make a case of a logged run",
            "list": "List the cases of a version",
            "validate": "Find malformed, unfit, doubled and leaked cases",
            "stats": "Say what a golden set is made of",
        },
    ),
    "checks": Verb(
        "Judge",
        "Draft checks",
        {"suggest": "Draft checks and a judge from a prompt's own words"},
    ),
    "judge": Verb(
        "Judge",
        "Let a judge look at answers, and know what it is worth",
        {
            "calibrate": "Hold a judge against people's labels and against itself",
            "score": "Let a judge score a sample of what a channel has answered",
        },
    ),
    "feedback": Verb("Judge", "Log what people say of an answer, or do with it"),
    "shadow": Verb(
        "Judge",
        "Try a version on real inputs, in front of no user",
        {
            "run": "Answer real inputs with two versions until it is clear which does better",
            "status": "Say how far shadow runs are and what they say so far",
            "show": "Show one shadow run with what broke and what was fixed",
            "list": "List shadow runs with their verdicts",
            "on": "Have a version answer a sample of a channel's calls, in front of no user",
            "off": "Take a channel's shadow away",
            "drain": "Answer what waits for the shadows of channels",
        },
    ),
    "canary": Verb("Release", "Show a version to a few users of a channel"),
    "promote": Verb("Release", "Serve a version to everybody"),
    "rollback": Verb("Release", "Serve again what was served before"),
    "status": Verb("Release", "Show what is live, and how a canary is doing"),
    "tick": Verb("Release", "Move canaries on, hold them or take them back, by the evidence"),
    "release": Verb(
        "Release",
        "Look after what is released",
        {
            "wait": "Wait until a canary is promoted or rolled back",
            "approve": "Say yes to a step that waits for a person",
            "pause": "Keep a canary where it is",
            "resume": "Let a canary go on",
            "abort": "End a canary; what was stable stays",
            "forecast": "Say how many calls and days a canary would take",
            "log": "List what was released when, by whom and why",
            "show": "Say what was live at a moment",
            "verify": "Compute every verdict again from what was observed",
            "sync": "Fetch what others released, and hand in what is here alone",
            "bundle": "Write what channels serve to one file, for places without git",
            "recover": "Bring back a state branch that is gone or damaged",
            "init": "Make the branch that holds what is released",
        },
    ),
    "hooks": Verb(
        "Keep",
        "Check prompts before git commits them",
        {
            "install": "Install git hooks that lint prompts and say what a commit changes",
            "status": "Say which hooks are installed, and where",
            "uninstall": "Take the hooks out and put back what was there before",
            "run": "Do what a hook does",
        },
    ),
    "cache": Verb(
        "Keep",
        "Look at the answers that batches and evals use again",
        {"stats": "Count answers that can be used again", "clear": "Let answers not be used again"},
    ),
    "doctor": Verb("Keep", "Check git, registry, keys and models"),
    "schema": Verb("Keep", "Print the JSON Schema of the prompt file or of promptops.yaml"),
    "completions": Verb("Keep", "Print the completion script of a shell"),
}
GLOBAL_OPTIONS = (
    ("-C DIR", "Run as if started in DIR"),
    ("--registry FILE", "Use this registry instead of the project's"),
    ("--version", "Print the version"),
    ("-h, --help", "Print this help, or a verb's"),
)


def entry() -> NoReturn:
    code = main()
    gc.freeze()  # else the end of the process looks for garbage once more, which took a sixth of its time
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _escape_unencodable_output()
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        return _handle_closed_pipe()


def _dispatch(arguments: list[str]) -> int:
    if "_PROMPTOPS_COMPLETE" in os.environ:
        return _exit_code_of(lambda: _complete(arguments))
    rest = _take_global_options(arguments)
    if isinstance(rest, int):
        return rest
    if not rest:
        print_help(sys.stderr.write)
        return ExitCode.USAGE
    if rest[0] not in VERBS:
        return _report_unknown("verb", rest[0], VERBS)
    if VERBS[rest[0]].parts:
        return _dispatch_subverb(rest[0], rest[1:])
    return _run_verb(rest[:1], rest[1:])


def _dispatch_subverb(verb: str, rest: list[str]) -> int:
    parts = VERBS[verb].parts
    if not rest:
        _print_subverbs(verb, sys.stderr.write)
        return ExitCode.USAGE
    if rest[0] in ("-h", "--help"):
        _print_subverbs(verb, sys.stdout.write)
        return 0
    if rest[0] not in parts:
        return _report_unknown(f"{verb} verb", rest[0], parts)
    return _run_verb([verb, rest[0]], rest[1:])


def _take_global_options(arguments: list[str]) -> list[str] | int:
    """What follows the options before the verb, or the exit code when they were all there was to do."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option, _, value = rest.pop(0).partition("=")
        if option in ("-h", "--help"):
            print_help(sys.stdout.write)
            return 0
        if option == "--version":
            sys.stdout.write(f"{PROGRAM} {__version__}\n")
            return 0
        if option not in ("-C", "--registry"):
            return _report_unknown("option", option, ("--help", "--version", "--registry"))
        if not value and not rest:
            return _report_usage_error(f"{option} needs a value")
        if not _apply_global_option(option, value or rest.pop(0)):
            return ExitCode.USAGE
    return rest


def _apply_global_option(option: str, value: str) -> bool:
    if option == "--registry":
        os.environ["PROMPTOPS_REGISTRY"] = os.path.abspath(value)  # noqa: PTH100 - no pathlib on the --help path
        return True
    try:
        os.chdir(value)
    except OSError as error:
        _report_usage_error(f"cannot change to {value}: {error.strerror}")
        return False
    return True


def _run_verb(path: list[str], arguments: list[str]) -> int:
    gc.disable()  # loading makes many objects and no garbage, and looking for it took a tenth of the start-up
    import typer

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(
        _as_exiting_command(find_verb(path))
    )
    try:
        app(arguments, prog_name=" ".join([PROGRAM, *path]))
    except SystemExit as leave:
        return leave.code if isinstance(leave.code, int) else int(bool(leave.code))
    finally:
        gc.enable()
    return 0


def find_verb(path: Sequence[str]) -> Callable[..., int | None]:
    name = "_".join(path).replace("-", "_")
    module = importlib.import_module(f"promptops.cli.commands.{'.'.join(path).replace('-', '_')}")
    function: Callable[..., int | None] = getattr(module, name, None) or getattr(module, f"{name}_")
    return function


def _as_exiting_command(verb: Callable[..., int | None]) -> Callable[..., None]:
    @functools.wraps(verb)
    def command(*args: Any, **kwargs: Any) -> None:
        gc.enable()
        sys.exit(_exit_code_of(functools.partial(verb, *args, **kwargs)))

    return command


def _exit_code_of(work: Callable[[], int | None]) -> int:
    try:
        code = work()
        sys.stdout.flush()
    except PromptopsError as error:
        return _report_error(error)
    except BrokenPipeError:
        return _handle_closed_pipe()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED
    except Exception:  # noqa: BLE001 - the one place where a bug becomes an exit code
        return _report_bug()
    return code or 0


def _report_error(error: PromptopsError) -> int:
    from promptops.console import note

    note(f"{PROGRAM}: {error.message}")
    if error.hint:
        note(f"  {error.hint}")
    return error.exit_code


def _report_bug() -> int:
    import traceback

    traceback.print_exc()
    sys.stderr.write(f"{PROGRAM} {__version__}: this is a bug. Please report it with the lines above.\n")
    return ExitCode.BUG


def _handle_closed_pipe() -> int:
    # what the interpreter flushes at exit must not fail a second time
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.PIPE_CLOSED


def _escape_unencodable_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _report_unknown(what: str, word: str, known: Iterable[str]) -> int:
    import difflib

    nearest = difflib.get_close_matches(word, list(known), 1)
    return _report_usage_error(
        f"no such {what}: {word}" + (f" (did you mean {nearest[0]}?)" if nearest else "")
    )


def _report_usage_error(message: str) -> int:
    sys.stderr.write(f"{PROGRAM}: {message}\n  {PROGRAM} --help lists what there is\n")
    return ExitCode.USAGE


def print_help(write: Callable[[str], object]) -> None:
    write(f"Usage: {PROGRAM} [-C DIR] [--registry FILE] VERB [ARGS]...\n\n")
    write("Version, run, log and release prompts from your own git repository.\n")
    for group in GROUPS:
        write(f"\n{group}\n")
        for name, verb in VERBS.items():
            if verb.group == group:
                write(f"  {name:<12} {verb.summary}\n")
    write("\nOptions\n")
    for option, meaning in GLOBAL_OPTIONS:
        write(f"  {option:<16} {meaning}\n")
    write(f"\n{PROGRAM} VERB --help explains a verb.\n")


def _print_subverbs(name: str, write: Callable[[str], object]) -> None:
    write(f"Usage: {PROGRAM} {name} VERB [ARGS]...\n\n{VERBS[name].summary}.\n\n")
    for part, summary in VERBS[name].parts.items():
        write(f"  {part:<12} {summary}\n")
    write(f"\n{PROGRAM} {name} VERB --help explains a verb.\n")


def _complete(words: list[str]) -> None:
    from promptops.cli.commands.completions import complete

    complete(words, {name: verb.parts for name, verb in VERBS.items()}, find_verb)
