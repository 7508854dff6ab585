"""What can go wrong, and the exit code each kind has.

    PromptopsError
    ├── WrongUsage     2  a command line that does not say what is needed
    ├── Undecided      3  cannot say yet
    ├── Invalid        4  your files, state or configuration
    │   └── NotFound   4  ... name something that does not exist
    ├── Unavailable    5  something outside failed; a retry may help
    └── OverBudget     6  a budget stopped it

Exit code 1, "the answer is no", is a result and not an error: verbs return it.
A message says what, where, and (``hint``) the next step.
"""

import errno
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command ends with; ``EXIT_CODES`` says what each means."""

    OK = 0
    NO = 1
    USAGE = 2
    UNDECIDED = 3
    INVALID = 4
    UNAVAILABLE = 5
    OVER_BUDGET = 6
    BUG = 70
    INTERRUPTED = 130
    PIPE_CLOSED = 141


EXIT_CODES = {
    ExitCode.OK: "done; the answer is yes",
    ExitCode.NO: "the answer is no: a check failed (the answer is still printed), an output breaks its "
    "schema, lint or `doctor` found an error, a case of an eval failed, versions differ under "
    "`diff --exit-code`, a canary was rolled back, a committed verdict does not follow from the observations",
    ExitCode.USAGE: "wrong usage",
    ExitCode.UNDECIDED: "cannot say yet: undecided, a canary that is held under `--exit-code`, or a job of a "
    "provider's batch service that is not over",
    ExitCode.INVALID: "your files, state or configuration are invalid: not found, unreadable, no key, "
    "unknown model, a request that the provider refuses (400, 401, 403, 404), evidence of a canary that is "
    "invalid",
    ExitCode.UNAVAILABLE: "something outside failed and a retry may help: rate limit, time-out, 5xx, "
    "network, a locked registry, a batch with failed calls, a remote that was not reached (a rollback holds "
    "here all the same)",
    ExitCode.OVER_BUDGET: "a budget stopped it, wherever a call or a verdict is missing because of it",
    ExitCode.BUG: "a bug: a traceback, and how to report it",
    ExitCode.INTERRUPTED: "Ctrl-C",
    ExitCode.PIPE_CLOSED: "whoever read the output has gone",
}


class PromptopsError(Exception):
    exit_code: int = ExitCode.BUG

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint:
            self.add_note(hint)  # stands below the message in a traceback


class WrongUsage(PromptopsError):
    exit_code = ExitCode.USAGE


class Undecided(PromptopsError):
    exit_code = ExitCode.UNDECIDED


class Invalid(PromptopsError):
    exit_code = ExitCode.INVALID


class MissingInputs(Invalid):
    """Its hint is an option of the command line."""


class NotFound(Invalid):
    pass


class Unavailable(PromptopsError):
    exit_code = ExitCode.UNAVAILABLE


class OverBudget(PromptopsError):
    exit_code = ExitCode.OVER_BUDGET


_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the last by ``ulimit -f``


def is_disk_full(error: OSError) -> bool:
    return error.errno in _DISK_FULL


def disk_full_error(where: str) -> Unavailable:
    """``where``: what could not be written, such as "for the registry x.db"."""
    return Unavailable(
        f"no space left {where}",
        hint="free some space on its disk and try again; nothing already logged is lost",
    )
