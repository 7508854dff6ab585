"""Coverage traces tests and fixtures, not what pytest does around them, which would take three times as long.

It matters where Python calls a function for every line, which coverage no longer needs from 3.14 on.
"""

import importlib
import pkgutil
import sys
from collections.abc import Generator
from typing import Any

import pytest

import promptops

Around = Generator[None, Any, Any]


class TracedTests:
    """A plugin of pytest. Threads that run meanwhile are traced throughout."""

    _tracer: Any = None

    def _pause(self) -> None:
        self._tracer = sys.gettrace() or self._tracer
        sys.settrace(None)

    def _traced(self) -> Around:
        sys.settrace(sys.gettrace() or self._tracer)
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
    def pytest_fixture_setup(self) -> Around:
        return (yield from self._traced())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self) -> Around:
        return (yield from self._traced())

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Around:
        if pyfuncitem.get_closest_marker("no_cover"):
            return (yield)
        return (yield from self._traced())
