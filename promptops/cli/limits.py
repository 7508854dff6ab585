"""A process of its own, with limits of the operating system, for verbs that render what a branch brings.

Templates, patterns and schemas of a stranger's branch are bounded one by one where they are used. What all
the bounds let through ends here: the system stops the process, and the one that waits for it says so.

macOS keeps the limit on computing; it has none on memory that holds for what is allocated today.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from promptops.errors import ExitCode

CPU_SECONDS = 120
CPU_VARIABLE = "PROMPTOPS_CPU_SECONDS"
_MAX_DIGITS = 6  # of seconds: eleven days
_MEMORY = 4 * 1024**3
_VERBS = frozenset({"cases", "diff", "hooks", "lint"})
_TAKING_VALUES = frozenset({"-C", "--registry"})


def is_limited(arguments: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether a command line reads what others have pushed, and calls no model for it.

    Where somebody has set a limit it holds for every verb, those that call models among them.
    """
    words = iter(arguments)
    for word in words:
        if word in _TAKING_VALUES:
            next(words, None)
        elif not word.startswith("-"):
            return CPU_VARIABLE in env or (word in _VERBS and "--run" not in arguments)
    return False


def run_limited(work: Callable[[], int]) -> int:
    """Run ``work`` in a child and give its exit code; what stops the child stops this process as well."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        _set_limits()
        _leave(work)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child too
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _forward_to(child))
    return _exit_code(os.waitpid(child, 0)[1])


def _leave(work: Callable[[], int]) -> NoReturn:
    code: int = ExitCode.BUG
    try:
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else ExitCode.BUG
    except BrokenPipeError:
        code = ExitCode.PIPE_CLOSED
    except BaseException as error:  # noqa: BLE001 - nothing goes beyond this process
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(code)


def _set_limits() -> None:
    import resource

    seconds = _cpu_seconds()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, seconds)
    _lower(resource.RLIMIT_DATA, _MEMORY)  # not the address space: git maps whole packs


def _lower(what: int, limit: int) -> None:
    import resource

    _, most = resource.getrlimit(what)
    allowed = most if most != resource.RLIM_INFINITY else limit
    resource.setrlimit(what, (min(limit, allowed), most))


def _cpu_seconds() -> int:
    text = os.environ.get(CPU_VARIABLE, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < len(text) <= _MAX_DIGITS else CPU_SECONDS


def _forward_to(child: int) -> Callable[[int, Any], None]:
    def forward(number: int, _frame: Any) -> None:
        os.kill(child, number)

    return forward


def _exit_code(status: int) -> int:
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    if number in (signal.SIGXCPU, signal.SIGKILL):
        what = f"{_cpu_seconds()} s of computing" if number == signal.SIGXCPU else "the system, out of memory"
        sys.stderr.write(
            f"promptops: stopped by {what}: a template, pattern or schema does not end\n"
            f"  {CPU_VARIABLE} gives it longer, where the files are trusted\n"
        )
        return ExitCode.INVALID
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return ExitCode.BUG
