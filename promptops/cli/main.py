"""The command line: finds the verb, runs it, turns errors into exit codes. Knows no domain word.

Every verb is a function in a file of its own below ``commands/``, and only the file of the verb that
was asked for is imported.
"""

import functools
import gc
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from promptops._version import __version__
from promptops.cli.help import PROGRAM, print_group_help, print_help
from promptops.cli.limits import is_limited, run_limited
from promptops.cli.running_command import RUNNING, RunningCommand
from promptops.cli.verbs import BUILT_IN, MOVED_OPTIONS, MOVED_VERBS, OTHER_WAYS, VERBS, suggest_verbs
from promptops.errors import ExitCode, PromptopsError, WrongUsage, disk_full_error, is_disk_full
from promptops.log import before_first_message

if TYPE_CHECKING:  # which takes time, and most commands log nothing
    import logging


_HELP = ["-h", "--help"]


_MAX_NUMBER = 2**53


def entry() -> NoReturn:
    if is_limited(sys.argv[1:], os.environ):
        sys.exit(run_limited(main))
    code = main()
    gc.freeze()  # else the end of the process looks for garbage once more, which took a sixth of its time
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _escape_unencodable_output()
    before_first_message.append(_show_log)
    try:
        return _dispatch(arguments)
    except BrokenPipeError:
        return _handle_closed_pipe()
    finally:
        _hide_log()


def _show_log(library: "logging.Logger") -> None:
    from promptops.cli.console_log import attach

    attach(library)


def _hide_log() -> None:
    if _show_log in before_first_message:
        before_first_message.remove(_show_log)
        return
    from promptops.cli.console_log import detach

    detach()


def _dispatch(arguments: list[str]) -> int:
    if "_PROMPTOPS_COMPLETE" in os.environ:
        return _exit_code_of(lambda: _complete(arguments))
    rest = _take_global_options(arguments)
    if isinstance(rest, int):
        return rest
    if not rest:
        print_help(sys.stderr.write)
        return ExitCode.USAGE
    return _dispatch_verb(rest)


def run_words(words: Sequence[str]) -> int:
    """Run another command in the place of the one that runs; its exit code."""
    return _dispatch_verb([*words])


def _dispatch_verb(words: list[str]) -> int:
    verb, *rest = words
    if verb in BUILT_IN:
        return _run_built_in(verb, rest)
    if verb not in VERBS:
        return _report_unknown_verb(verb)
    if VERBS[verb].parts:
        return _dispatch_subverb(verb, rest)
    return _run_verb([verb], rest)


def _run_built_in(verb: str, rest: list[str]) -> int:
    names = [word for word in rest if not word.startswith("-")]
    if verb == "version":
        return _report_usage_error(f"version takes no {names[0]}") if names else _print_version()
    if not names or names[0] in BUILT_IN:
        print_help(sys.stdout.write, everything="--all" in rest)
        return 0
    return _dispatch_verb([*names, "--help"])


def _print_version() -> int:
    sys.stdout.write(f"{PROGRAM} {__version__}\n")
    return 0


def _dispatch_subverb(verb: str, rest: list[str]) -> int:
    if not rest:
        print_group_help(verb, sys.stderr.write)
        return ExitCode.USAGE
    if rest[0] in ("-h", "--help"):
        print_group_help(verb, sys.stdout.write)
        return 0
    if moved := MOVED_VERBS.get((verb, rest[0])):
        sys.stderr.write(f"{PROGRAM}: `{verb} {rest[0]}` is `{' '.join(moved)}` from the next version on\n")
        return _dispatch_verb([*moved, *rest[1:]])
    if rest[0] not in VERBS[verb].parts:
        return _report_unknown_verb(rest[0], verb)
    if translator := MOVED_OPTIONS.get((verb, rest[0])):
        path, arguments = getattr(importlib.import_module(f"{__package__}.old_options"), translator)(rest[1:])
        return _run_verb([*path], arguments)
    return _run_verb([verb, rest[0]], rest[1:])


def _take_global_options(arguments: list[str]) -> list[str] | int:
    """What follows the options before the verb, or the exit code when they were all there was to do."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option, _, value = rest.pop(0).partition("=")
        if option in ("-h", "--help"):
            return _run_built_in("help", rest)
        if option in ("-V", "--version"):
            return _print_version()
        if option not in ("-C", "--registry"):
            return _report_unknown_option(option)
        if not value and not rest:
            return _report_usage_error(f"{option} needs a value")
        if not _apply_global_option(option, value or rest.pop(0)):
            return ExitCode.USAGE
    return rest


def _apply_global_option(option: str, value: str) -> bool:
    if option == "--registry":
        if "://" not in value:
            value = os.path.abspath(value)  # noqa: PTH100 - no pathlib on the --help path
        os.environ["PROMPTOPS_REGISTRY"] = value
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
    verb = find_verb(path)
    options: dict[str, Any] = {
        "context_settings": {"help_option_names": _HELP},
        "epilog": _examples(path, arguments),
    }
    app.command(**options)(_as_exiting_command(verb, path))
    try:
        app(arguments, prog_name=" ".join([PROGRAM, *path]))
    except SystemExit as leave:
        if leave.code == ExitCode.USAGE:
            _print_usage_hint(verb, arguments)
        return leave.code if isinstance(leave.code, int) else int(bool(leave.code))
    finally:
        gc.enable()
    return 0


def _examples(path: Sequence[str], arguments: Iterable[str]) -> str | None:
    if not {*_HELP}.intersection(arguments):
        return None
    from promptops.cli.examples import examples_of

    return examples_of(tuple(path))


def _print_usage_hint(verb: Callable[..., int | None], arguments: Sequence[str]) -> None:
    from promptops.cli.usage_hint import usage_hint
    from promptops.console import note

    if hint := usage_hint(verb, arguments):
        note(f"  {hint}")


def find_verb(path: Sequence[str]) -> Callable[..., int | None]:
    name = "_".join(path).replace("-", "_")
    module = importlib.import_module(f"promptops.cli.commands.{'.'.join(path).replace('-', '_')}")
    function: Callable[..., int | None] = getattr(module, name, None) or getattr(module, f"{name}_")
    return function


def _as_exiting_command(verb: Callable[..., int | None], path: Sequence[str]) -> Callable[..., None]:
    @functools.wraps(verb)
    def command(*args: Any, **kwargs: Any) -> None:
        gc.freeze()  # what was loaded stays, and is not looked through again
        collect_seldom()
        RUNNING.set(RunningCommand(path, verb, kwargs))
        sys.exit(_exit_code_of(functools.partial(_call_verb, verb, *args, **kwargs)))

    return command


def _call_verb(verb: Callable[..., int | None], *args: Any, **options: Any) -> int | None:
    """Refuse numbers that no table, file or clock holds, and files to write that a link leads elsewhere."""
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(each, int | float) and not abs(each) <= _MAX_NUMBER for each in values):
            raise WrongUsage(f"{_option_name(verb, name)}: {value} is beyond what can be counted")
        if name == "out" and value is not None:
            from promptops.config.containment import resolve_output

            resolve_output(value)
    return verb(*args, **options)


def _option_name(verb: Callable[..., object], parameter: str) -> str:
    """As it is typed, which need not be the parameter's name."""
    import inspect

    hint = inspect.signature(verb).parameters[parameter].annotation
    infos = getattr(hint, "__metadata__", ())
    names = [name for info in infos for name in (info.default, *info.param_decls)]  # both are
    typed = (name.partition("/")[0] for name in names if isinstance(name, str) and name.startswith("--"))
    return next(typed, f"--{parameter.replace('_', '-')}")


def collect_seldom() -> None:
    """Look for garbage as rarely as a program bears that makes much and leaves little in circles."""
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def _exit_code_of(work: Callable[[], int | None]) -> int:
    try:
        _take_interrupts()
        code = work()
        sys.stdout.flush()
    except PromptopsError as error:
        return _report_error(error)
    except BrokenPipeError:
        return _handle_closed_pipe()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an exit code
        if isinstance(error, OSError) and is_disk_full(error):
            return _report_full_disk(error)
        return _report_bug()
    return code or 0


def _take_interrupts() -> None:
    """From here on Ctrl-C is an exception; before, it ended the process (``__main__``)."""
    import signal

    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _report_error(error: PromptopsError) -> int:
    from promptops.console import note_error

    note_error(error)
    return error.exit_code


def _report_full_disk(error: OSError) -> int:
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
    return _report_error(disk_full_error(f"for {error.filename or 'what is written'}"))


def _report_bug() -> int:
    from promptops.console import note_traceback

    note_traceback()
    sys.stderr.write(f"{PROGRAM} {__version__}: this is a bug. Please report it with the lines above.\n")
    return ExitCode.BUG


def _handle_closed_pipe() -> int:
    _forget_output()
    return ExitCode.PIPE_CLOSED


def _forget_output() -> None:
    """What the interpreter flushes at exit must not fail a second time."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _escape_unencodable_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _report_unknown_verb(word: str, group: str = "") -> int:
    what = f"{group} verb" if group else "verb"
    if not group and word in OTHER_WAYS:
        return _report_usage_error(f"no such verb: {word}", OTHER_WAYS[word])
    near = [f"promptops {name}" if name == word else name for name in suggest_verbs(word, group)]
    return _report_usage_error(f"no such {what}: {word}{_did_you_mean(near)}")


def _report_unknown_option(option: str) -> int:
    import difflib

    near = difflib.get_close_matches(option, ("--help", "--version", "--registry"), 1)
    return _report_usage_error(f"no such option: {option}{_did_you_mean(near)}")


def _did_you_mean(words: Iterable[str]) -> str:
    *others, last = words or [""]
    return f" (did you mean {', '.join(others)}{' or ' if others else ''}{last}?)" if last else ""


def _report_usage_error(message: str, hint: str = f"{PROGRAM} help --all lists every verb") -> int:
    sys.stderr.write(f"{PROGRAM}: {message}\n  {hint}\n")
    return ExitCode.USAGE


def _complete(words: list[str]) -> None:
    from promptops.cli.completion import print_completions

    print_completions(words, {name: verb.parts for name, verb in VERBS.items()}, find_verb)
