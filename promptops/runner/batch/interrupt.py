"""Ctrl-C during many runs."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from promptops.log import PackageLogger
from promptops.runner.batch.engine import BatchEngine

_LOG = PackageLogger("promptops.runner")
Result = TypeVar("Result")


def run_interruptibly(work: Coroutine[Any, Any, Result]) -> Result:
    """As ``asyncio.run``, where the second Ctrl-C of ``interruptible`` cancels: KeyboardInterrupt."""
    try:
        return asyncio.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class InterruptFlag(Protocol):
    interrupted: bool


@contextmanager
def interruptible(engine: BatchEngine, report: InterruptFlag) -> Iterator[None]:
    """The first Ctrl-C lets what is under way finish; the second leaves at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        if report.interrupted and task is not None:
            task.cancel()
            return
        report.interrupted = True
        count = engine.stop()
        _LOG.info(f"finishing the {count} calls under way; Ctrl-C again leaves at once")

    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # not the main thread
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
