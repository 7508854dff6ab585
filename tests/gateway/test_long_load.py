"""Very many calls, with clients that hang up and processes that are killed: not one is lost or doubled.

``PROMPTOPS_GATEWAY_CALLS`` says how many; with ``-s`` the figures are shown.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.front_door import Repo
from support.gateway_client import serving_process
from support.gateway_load import GatewayLoad, NumberedProvider, happens, resident_mb, workers_of
from support.workspace_clients import states

CALLS = int(os.environ.get("PROMPTOPS_GATEWAY_CALLS", "3000"))
KILLS = 10  # in the first tenth of the calls, so that the memory of those that live on can be seen
MOST_GROWTH_MB = 12


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[NumberedProvider]:
    found = NumberedProvider()
    monkeypatch.setenv("OPENAI_BASE_URL", found.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    yield found
    found.listening.close()


@pytest.mark.thorough
@pytest.mark.parametrize("workers", [1, 2])
def test_counts_agree_to_the_call(
    live: Repo, provider: NumberedProvider, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        load = GatewayLoad(provider, free.getsockname()[1])
    options = ("--port", str(load.port), "--retries", "0", "--workers", str(workers))
    memory = asyncio.run(_play(load, live.path, options, workers))
    with capfd.disabled():
        seen = f"{len(load.answered)} answered, {len(load.hung_up)} hung up, {len(load.cut)} cut by a kill"
        print(f"\n{CALLS} calls, {workers} workers: {seen}")  # noqa: T201 - figures are what it is run for
        print(f"provider {len(provider.calls)}; registry {dict(states(live.path))}; MB {memory}")  # noqa: T201
    load.check(live.path, CALLS)
    assert len(load.killed) == KILLS
    assert memory[-1] - memory[0] <= MOST_GROWTH_MB * workers


async def _play(load: GatewayLoad, folder: Path, options: tuple[str, ...], workers: int) -> list[int]:
    answering = await load.provider.start()
    memory: list[int] = []
    with ExitStack() as stack:
        process, _ = await asyncio.to_thread(stack.enter_context, serving_process(folder, *options))
        playing = asyncio.create_task(load.play(CALLS))
        for turn in range(1, KILLS + 1):
            killed = process.pid if workers == 1 else workers_of(process.pid)[0]
            await load.kill_at(turn * CALLS // (10 * KILLS), killed)
            if workers == 1:
                stack.close()
                process, _ = await asyncio.to_thread(stack.enter_context, serving_process(folder, *options))
            else:
                await happens(lambda: len({*workers_of(process.pid)} - {killed}) == workers)  # noqa: B023 - this turn's
                await asyncio.sleep(1.5)  # one that lives for a moment only is not started again at once
        for tenth in range(2, 11):
            await happens(lambda: playing.done() or load.ended >= tenth * CALLS // 10, 3600)  # noqa: B023 - this one
            those = workers_of(process.pid) if workers > 1 else [process.pid]
            memory.append(round(sum(map(resident_mb, those))))
        await playing
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
    await answering.cleanup()
    return memory
