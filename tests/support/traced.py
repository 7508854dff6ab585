"""Coverage traces tests and fixtures, not what pytest does around them, which would take three times as long.

Tests marked no_cover are not traced either, nor are their fixtures: they would take twice as long. Nor are
further cases of a test whose cases have taken a second: they are much of the same, while those with a line of
code each take little.

It matters where Python calls a function for every line, which coverage no longer needs from 3.14 on.
"""

import importlib
import pkgutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

import promptops

Around = Generator[None, Any, Any]

_SECONDS_OF_A_TEST = 1


def _set_trace(tracer: Any) -> None:
    while True:
        try:
            sys.settrace(tracer)
        except RuntimeError:  # a thread that starts is about to set its own
            time.sleep(0.001)
        else:
            return


class _ForThreads:
    """``sys`` as threads see it: as one sets its trace, the main thread may be about to set its own."""

    settrace = staticmethod(_set_trace)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)


class TracedTests:
    """A plugin of pytest. Threads that run meanwhile are traced throughout."""

    _tracer: Any = None
    _wanted = True  # of the test that runs

    def __init__(self) -> None:
        threading._sys = _ForThreads()  # type: ignore[attr-defined] # noqa: SLF001 - what a thread begins with
        self._taken: Counter[str] = Counter()  # seconds of this process, by test

    def _pause(self) -> None:
        self._tracer = sys.gettrace() or self._tracer
        _set_trace(None)

    def _traced(self) -> Around:
        if not self._wanted:
            return (yield)
        _set_trace(sys.gettrace() or self._tracer)
        try:
            return (yield)
        finally:
            self._pause()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Around:
        if not session.config.pluginmanager.hasplugin("dsession"):  # which collects nothing itself
            for each in pkgutil.walk_packages(promptops.__path__, "promptops."):
                if not each.name.endswith("__main__"):
                    importlib.import_module(each.name)
        self._pause()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Around:
        test = item.nodeid.partition("[")[0]
        self._wanted = item.get_closest_marker("no_cover") is None and self._taken[test] < _SECONDS_OF_A_TEST
        started = time.process_time()
        try:
            return (yield)
        finally:
            self._taken[test] += time.process_time() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self) -> Around:
        return (yield from self._traced())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Around:
        return (yield from self._traced())

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Around:
        return (yield from self._traced())
