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
