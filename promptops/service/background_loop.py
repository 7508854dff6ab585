"""An event loop and workers on threads of their own, for a program that has its own ideas of both."""

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

from promptops.errors import Invalid, Unavailable

T = TypeVar("T")
P = ParamSpec("P")


class Worker:
    """One thread that does what it is handed, in order. A daemon: it never holds up the end of a program.

    No ThreadPoolExecutor: at exit the interpreter waits for an executor's threads, and lets it take no more
    work, before the functions of ``atexit`` run, in which a workspace logs what is still under way.
    """

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = True
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()

        def work() -> None:
            if not done.set_running_or_notify_cancel():
                return
            try:
                done.set_result(job(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - raised where the result is waited for
                done.set_exception(error)

        with self._lock:
            if not self._open:
                raise workspace_closed_error()
            self._jobs.put(work)
        return done

    def close(self, patience_s: float | None = None) -> None:
        """Return when everything handed over has been done, or patience has run out."""
        with self._lock:
            self._open = False
            self._jobs.put(None)
        self._thread.join(patience_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class BackgroundLoop:
    """One event loop on a thread of its own. Work may be handed over from any thread, and from any loop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._open = True
        self._handed_over: list[tuple[Coroutine[Any, Any, Any], Future[Any]]] = []
        self._last: Callable[[], Coroutine[Any, Any, None]] = _cancel_all
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Cancelling what comes back cancels the work.

        The loop is woken once for all that has come meanwhile: a wake-up costs more than a task.
        """
        done: Future[T] = Future()
        with self._lock:
            if self._open:
                self._handed_over.append((work, done))
                if len(self._handed_over) == 1:
                    self.loop.call_soon_threadsafe(self._start_all)
                return done
        work.close()
        raise workspace_closed_error()

    def _start_all(self) -> None:
        with self._lock:
            handed_over, self._handed_over = self._handed_over, []
        for work, done in handed_over:
            if done.cancelled():  # before it has begun
                work.close()
                continue
            task = self.loop.create_task(work)
            task.add_done_callback(partial(_pass_on, done))
            done.add_done_callback(partial(self._cancel, task))

    def _cancel(self, task: asyncio.Task[Any], done: Future[Any]) -> None:
        if done.cancelled() and not self.loop.is_closed():
            self.loop.call_soon_threadsafe(task.cancel)

    def result(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for the work; an interrupted wait, as by Ctrl-C, cancels it."""
        if threading.current_thread() is self._thread:
            work.close()
            raise Invalid(
                "this waits for the event loop that it runs on",
                hint="inside a check or a callback use another thread",
            )
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what is under way, and return when all of it and what is ``last`` to be done has ended."""
        with self._lock:
            self._open = False
        self._last = last
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(_cancel_all())
            self.loop.run_until_complete(self._last())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()


def _pass_on(done: Future[Any], task: asyncio.Task[Any]) -> None:
    """Give what came of a task to whoever waits for it on another thread."""
    if task.cancelled():
        done.cancel()
    if not done.set_running_or_notify_cancel():
        return
    if error := task.exception():
        done.set_exception(error)
    else:
        done.set_result(task.result())


async def _cancel_all() -> None:
    own = asyncio.current_task()
    while tasks := [task for task in asyncio.all_tasks() if task is not own]:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def workspace_closed_error() -> Unavailable:
    return Unavailable("this workspace is closed", hint="open another one with Workspace.open")
