"""Threads that work for a program, and how they end."""

import asyncio
import threading
from concurrent.futures import CancelledError, Future

import pytest

from promptops.errors import Invalid, Unavailable
from promptops.service.background_loop import BackgroundLoop, Worker


async def nothing() -> None: ...


def test_a_worker_does_all_it_was_handed_in_order_and_passes_errors_on() -> None:
    worker, gate, done = Worker("worker"), threading.Event(), list[int]()
    first = worker.submit(gate.wait)
    cancelled = worker.submit(done.append, 0)
    assert cancelled.cancel()
    rest = [worker.submit(done.append, number) for number in range(1, 20)]
    broken: Future[float] = worker.submit(lambda: 1 / 0)
    gate.set()
    worker.close()
    assert first.result() is True
    assert all(each.done() for each in rest)
    assert done == list(range(1, 20))
    with pytest.raises(ZeroDivisionError):
        broken.result()
    with pytest.raises(Unavailable, match="closed"):
        worker.submit(gate.wait)


def test_a_loop_refuses_to_wait_for_itself_and_is_closed_for_good() -> None:
    loop = BackgroundLoop("loop")

    async def wait_for_itself() -> None:
        loop.result(nothing())

    with pytest.raises(Invalid, match="waits for the event loop that it runs on"):
        loop.result(wait_for_itself())
    loop.close(nothing)
    with pytest.raises(Unavailable, match="closed"):
        loop.result(nothing())


def test_work_that_is_cancelled_before_the_loop_gets_to_it_never_begins() -> None:
    loop, gate, begun = BackgroundLoop("loop"), threading.Event(), list[str]()

    async def hold_up() -> None:
        gate.wait(5)

    async def work(name: str) -> str:
        begun.append(name)
        if name == "broken":
            raise KeyError(name)
        return name

    loop.submit(hold_up())
    given_up, kept, broken = (loop.submit(work(name)) for name in ("given up", "kept", "broken"))
    assert given_up.cancel()
    gate.set()
    assert kept.result(5) == "kept"
    with pytest.raises(KeyError, match="broken"):
        broken.result(5)
    assert begun == ["kept", "broken"]
    loop.close(nothing)


def test_closing_a_loop_lets_work_end_in_order() -> None:
    loop, ended = BackgroundLoop("loop"), list[str]()

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0.01)
            ended.append("work")

    async def last() -> None:
        ended.append("last")

    waiting = loop.submit(work())
    loop.result(nothing())
    loop.close(last)
    assert ended == ["work", "last"]
    with pytest.raises(CancelledError):
        waiting.result()
