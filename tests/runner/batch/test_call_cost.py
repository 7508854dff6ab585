"""What a call of a batch costs the event loop, counted in Python functions: no machine is too slow."""

import asyncio
import sys
from contextlib import aclosing
from types import FrameType

import pytest

from promptops.config.settings import current_settings
from promptops.runner.batch import BatchEngine, BatchItem, BatchOptions
from promptops.versions.resolve import resolve_version

MOST = 700  # functions for one call, aiohttp's and those of the event loop among them
CALLS = 20


@pytest.mark.usefixtures("greeting", "provider")
def test_a_call_that_goes_well_is_cheap_in_a_large_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        monkeypatch.setenv(f"LARGE_{number}", "https://example.org/?a=b")

    assert asyncio.run(_functions_of_a_call()) < MOST


async def _functions_of_a_call() -> float:
    version = resolve_version("greet", current_settings())
    async with BatchEngine(current_settings(), BatchOptions(concurrency=4, cache="refresh")) as engine:

        async def make(count: int) -> None:
            items = (
                BatchItem(version=version, inputs={"name": f"person {number}"}) for number in range(count)
            )
            async with aclosing(engine.runs(items)) as runs:
                assert all([run.passed async for run in runs])

        await make(8)  # what is done once
        functions = 0

        def count(_: FrameType, event: str, __: object) -> None:
            nonlocal functions
            functions += event == "call"

        sys.setprofile(count)
        try:
            await make(CALLS)
        finally:
            sys.setprofile(None)
    return functions / CALLS
