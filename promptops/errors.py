"""What can go wrong, and the exit code each kind has.

    PromptopsError
    ├── Undecided      3  cannot say yet
    ├── Invalid        4  your files, state or configuration
    │   └── NotFound   4  ... name something that does not exist
    ├── Unavailable    5  something outside failed; a retry may help
    └── OverBudget     6  a budget stopped it

Exit code 1, "the answer is no", is a result and not an error: verbs return it.
A message says what, where, and (``hint``) the next step.
"""

EXIT_CODES = {
    0: "done; the answer is yes",
    1: "the answer is no: a check failed (the answer is still printed), an output breaks its schema, lint or "
    "`doctor` found an error, a case of an eval failed, versions differ under `diff --exit-code`, a canary "
    "was rolled back, a committed verdict does not follow from the observations",
    2: "wrong usage",
    3: "cannot say yet: undecided, or a canary that is held under `--exit-code`",
    4: "your files, state or configuration are invalid: not found, unreadable, no key, unknown model, "
    "a request that the provider refuses (400, 401, 403, 404), evidence of a canary that is invalid",
    5: "something outside failed and a retry may help: rate limit, time-out, 5xx, network, a locked "
    "registry, a batch with failed calls, a remote that was not reached (a rollback holds here all the same)",
    6: "a budget stopped it, wherever a call or a verdict is missing because of it",
    70: "a bug: a traceback, and how to report it",
    130: "Ctrl-C",
    141: "whoever read the output has gone",
}


class PromptopsError(Exception):
    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Undecided(PromptopsError):
    exit_code = 3


class Invalid(PromptopsError):
    exit_code = 4


class NotFound(Invalid):
    pass


class Unavailable(PromptopsError):
    exit_code = 5


class OverBudget(PromptopsError):
    exit_code = 6
