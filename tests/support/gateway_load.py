"""Many calls of a served prompt at once: some clients hang up, and processes of the gateway are killed.

Each call has a number, which the provider finds in the message, the registry in the inputs.
"""

import asyncio
import json
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from os import kill
from pathlib import Path

import aiohttp
from aiohttp import web

from support.provider import USAGE, chunk, events
from support.workspace_clients import rows

IN_FLIGHT = 32
HANGS_UP_EVERY = 20  # which ends a call in the middle of its answer
SECONDS_TO_LOG = 2.0  # a kill so near to a client's hanging up may come before the row


def hangs_up(number: int) -> bool:
    return number % HANGS_UP_EVERY == 0


class NumberedProvider:
    """Answers every call at once, but for those whose clients hang up: they wait until they are cut off."""

    def __init__(self) -> None:
        self.calls: Counter[int] = Counter()
        self.cut_off: set[int] = set()
        self._reached: dict[int, asyncio.Event] = {}
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.base_url = f"http://127.0.0.1:{self.listening.getsockname()[1]}/v1"

    def reached(self, number: int) -> asyncio.Event:
        return self._reached.setdefault(number, asyncio.Event())

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.SockSite(runner, self.listening).start()
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        found = re.search(r"Greet n(\d+)\.", body["messages"][-1]["content"])
        assert found, body
        number = int(found[1])
        self.calls[number] += 1
        if not body.get("stream"):
            if hangs_up(number):
                await self._wait(number)
            message = {"role": "assistant", "content": f"Hello n{number}"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({"id": "x", "model": "stub-1", "choices": [choice], "usage": USAGE})
        first, *rest = events(chunk({"content": f"Hello n{number}"}), chunk({}, "stop")).pieces
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(first)
        if hangs_up(number):
            await self._wait(number)
        await response.write(b"".join(rest))
        return response

    async def _wait(self, number: int) -> None:
        self.reached(number).set()
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            self.cut_off.add(number)
            raise


@dataclass
class GatewayLoad:
    """What became of each call, as its client saw it."""

    provider: NumberedProvider
    port: int
    answered: dict[int, str] = field(default_factory=dict)  # the ids of runs
    hung_up: dict[int, float] = field(default_factory=dict)  # when
    cut: set[int] = field(default_factory=set)  # sent, and its server was gone
    refused: list[tuple[int, int]] = field(default_factory=list)  # with a status that no call should have
    killed: list[float] = field(default_factory=list)

    @property
    def ended(self) -> int:
        return len(self.answered) + len(self.hung_up) + len(self.cut) + len(self.refused)

    async def play(self, calls: int) -> None:
        numbers = iter(range(calls))
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", connector=connector) as session:

            async def work() -> None:
                for number in numbers:
                    await self._call(session, number)

            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    async def _call(self, session: aiohttp.ClientSession, number: int) -> None:
        while True:
            try:
                await (self._hang_up if hangs_up(number) else self._hear)(session, number)
            except aiohttp.ClientConnectorError:  # nothing was sent: the server is not up again yet
                await asyncio.sleep(0.02)
            except (aiohttp.ClientError, ConnectionError):
                self.cut.add(number)
                return
            else:
                return

    async def _hear(self, session: aiohttp.ClientSession, number: int) -> None:
        async with self._post(session, number) as answer:
            text = await answer.text()
        if answer.status != 200:
            self.refused.append((number, answer.status))
            return
        assert f"Hello n{number}" in text
        if answer.content_type == "text/event-stream":
            assert text.endswith("data: [DONE]\n\n"), text
        self.answered[number] = answer.headers["X-Promptops-Run-Id"]

    async def _hang_up(self, session: aiohttp.ClientSession, number: int) -> None:
        asked = asyncio.ensure_future(self._post(session, number))
        reached = asyncio.ensure_future(self.provider.reached(number).wait())
        await asyncio.wait({asked, reached}, return_when=asyncio.FIRST_COMPLETED)
        if number % (2 * HANGS_UP_EVERY):  # whole: there is nothing to hear yet
            asked.cancel()
            await asyncio.wait([asked])
            if not asked.cancelled():
                (await asked).close()
        else:
            answer = await asked
            try:
                assert await answer.content.readany()
            finally:
                answer.close()  # also where the process was killed in the middle of it
        reached.cancel()
        self.hung_up[number] = time.monotonic()

    def _post(self, session: aiohttp.ClientSession, number: int) -> "aiohttp.client._RequestContextManager":
        body = {
            "model": "greet:production",
            "inputs": {"name": f"n{number}"},
            "stream": bool(number % 2) or number % (2 * HANGS_UP_EVERY) == 0,
        }
        return session.post("/v1/chat/completions", json=body)

    async def kill_at(self, ended: int, process: int) -> None:
        """Kill a process under load, when so many calls have ended."""
        await happens(lambda: self.ended >= ended, 600)
        kill(process, signal.SIGKILL)
        self.killed.append(time.monotonic())

    def check(self, folder: Path, calls: int) -> None:
        """The client, the provider and the registry agree about each call."""
        logged = [(int(json.loads(inputs)["name"][1:]), *rest) for inputs, *rest in run_rows(folder)]
        state = {number: state for number, _, state in logged}
        asked = self.provider.calls
        assert not self.refused
        assert self.ended == calls == len({*self.answered, *self.hung_up, *self.cut})
        assert len(logged) == len(state)  # none is doubled
        assert set(asked.values()) <= {1}
        assert asked.keys() <= state.keys()  # a row is there before the call
        assert state.keys() - asked.keys() <= self.cut
        assert {number: run_id for number, run_id, _ in logged if number in self.answered} == self.answered
        assert {state[number] for number in self.answered} <= {"finished"}  # none is lost
        doubtful = {number for number, when in self.hung_up.items() if self._was_killed_near(when)}
        sure = self.hung_up.keys() - doubtful
        assert not {number: state[number] for number in sure if state[number] != "interrupted"}
        assert sure <= self.provider.cut_off
        assert {number for number in state if state[number] == "started"} <= self.cut | doubtful
        assert len(asked) == len(self.answered) + len(self.hung_up) + len(self.cut & asked.keys())
        assert len(state) == len(self.answered) + len(self.hung_up) + len(self.cut & state.keys())

    def _was_killed_near(self, moment: float) -> bool:
        return any(abs(killed - moment) < SECONDS_TO_LOG for killed in self.killed)


def run_rows(folder: Path) -> list[tuple[str, str, str]]:
    return rows(folder, "(SELECT inputs FROM run_texts t WHERE t.seq = runs.seq), run_id, state")


def workers_of(process: int) -> list[int]:
    """Its children, the oldest first. Ids start again some day: they do not tell it."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return sorted(map(int, children.split()), key=_started)


def _started(process: int) -> int:
    """In ticks since the machine started."""
    after_name = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    return int(after_name.split()[19])


def resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def happens(true: Callable[[], object], seconds: float = 60.0) -> None:
    """``until``, on an event loop that has other things to do."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)
