"""Signals that end a program: taken by its own way to end, or held until files are all written, or none."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def take_ending_signals(handler: Callable[[int, Any], object] | signal.Handlers) -> None:
    """What they do from now on. A hangup that is ignored, as under `nohup`, stays so."""
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


class StoppedError(BaseException):
    """A signal has come that ends the program; no error of it, so that no handler of errors takes it."""


@contextmanager
def held_signals() -> Iterator[Callable[[], None]]:
    """Hold back Ctrl-C, SIGTERM and SIGHUP; they do what they do when the block has ended.

    What it yields raises StoppedError where one has come, for a block that can put things back.
    """
    came: list[int] = []

    def note(number: int, _frame: Any) -> None:
        came.append(number)

    def stop() -> None:
        if came:
            raise StoppedError

    before = {}
    if threading.current_thread() is threading.main_thread():  # no other may set what signals do
        ignored = {number for number in ENDING if signal.getsignal(number) in (signal.SIG_IGN, None)}
        before = {number: signal.signal(number, note) for number in ENDING if number not in ignored}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
