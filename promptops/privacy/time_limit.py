"""A function of the project, called so that one that does not come back keeps nobody waiting."""

import threading
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

Result = TypeVar("Result")
_MAX_LEFT_BEHIND = 4  # threads of functions that hang; more are not begun
_left_behind: list[threading.Thread] = []


class FunctionTimeoutError(Exception):
    """A function that has not come back in time."""


def call_within(seconds: float, function: Callable[[], Result]) -> Result:
    """What the function gives, or raises. Raises FunctionTimeoutError when it takes longer.

    Python cannot end a function from outside: its thread is left behind, and ends with the process.
    """
    _left_behind[:] = [thread for thread in _left_behind if thread.is_alive()]
    if len(_left_behind) >= _MAX_LEFT_BEHIND:
        raise FunctionTimeoutError(f"is not called: {len(_left_behind)} earlier calls have not come back")
    outcome: list[Callable[[], Result]] = []

    def work() -> None:
        try:
            result = function()
            outcome.append(lambda: result)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            outcome.append(partial(_throw, error))

    thread = threading.Thread(target=work, name="promptops-function", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        _left_behind.append(thread)
        raise FunctionTimeoutError(f"has not come back after {seconds:g} s")
    return outcome[0]()


def _throw(error: BaseException) -> NoReturn:
    raise error
