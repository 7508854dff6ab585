"""Many calls at 50 ms: rate beside the ideal, what logging costs, memory of 50,000 lines, a cached re-run.

It needs gcc and the stub's source (``stub.c`` of the shared tools); with PROMPTFOO naming that program it is
measured beside:

    PROMPTFOO=.../node_modules/.bin/promptfoo python tests/bench batch
"""

import asyncio
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pairs import PROMPTOPS, show

from promptops.cli.main import collect_seldom
from promptops.config.settings import current_settings
from promptops.providers.http.network import parse_address
from promptops.providers.http.transport import HttpReply, HttpRequest, OnLine
from promptops.runner.batch import BatchEngine, BatchItem, BatchOptions
from promptops.versions.resolve import resolve_version

SHARED = Path(os.environ.get("PROMPTOPS_SHARED", Path(__file__).parents[3] / "shared"))
LATENCY_S = 0.05
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 256}
inputs: {ticket: string}
messages:
  - {role: system, content: You route support tickets. Answer with one word.}
  - {role: user, content: "{{ ticket }}"}
checks:
  - contains: lorem
"""
PROMPTFOO = """\
prompts: ["You route support tickets. Answer with one word. {{ticket}}"]
providers:
  - id: openai:chat:gpt-4o-mini-2024-07-18
    config: {temperature: 0, max_tokens: 256}
tests: file://%s
defaultTest: {assert: [{type: contains, value: lorem}]}
"""


def main() -> None:
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc"):
        print("  left out: it needs gcc and stub.c")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-batch-"))
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"))
    try:
        with stub(source, folder):
            repository(folder)
            collect_seldom()
            engine()
            bare_sockets()
            lines(folder)
            if program := os.environ.get("PROMPTFOO"):
                peer(folder, program)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def stub(source: Path, folder: Path) -> Iterator[None]:
    subprocess.run(["gcc", "-O2", "-w", "-o", folder / "stub", source], check=True)
    port = free_port()
    server = subprocess.Popen([folder / "stub", str(port)])
    os.environ["OPENAI_BASE_URL"] = f"http://127.0.0.1:{port}/l50/v1"
    time.sleep(0.3)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def repository(folder: Path) -> None:
    os.chdir(folder)
    (folder / "prompts").mkdir()
    (folder / "prompts" / "route.yaml").write_text(PROMPT)
    subprocess.run(["git", "init", "-q", "-b", "main"], check=True)


def tickets(count: int, name: str = "case") -> Iterator[dict[str, str]]:
    return ({"ticket": f"{name} {number} " + "my card was charged twice " * 6} for number in range(count))


def engine() -> None:
    """The loop alone: calls, checks, rows on disk."""
    for jobs, count in ((128, 1_000), (32, 1_000)):
        shares = [count / jobs * LATENCY_S / asyncio.run(loop(count, jobs)) for _ in range(9)]
        rate = statistics.median(shares) * jobs / LATENCY_S
        target = "≥ 80 %" if jobs == 128 else "≥ 92 %"
        show(
            f"share of the ideal, {count:,} calls, {jobs} at once", f"{statistics.median(shares):.0%}", target
        )
        show("  calls a second", f"{rate:,.0f}", f"≥ {8 if jobs == 128 else 4.8} × promptfoo's")
    pairs = [(asyncio.run(loop(2_000, 128)), asyncio.run(loop(2_000, 128, log=False))) for _ in range(9)]
    costs = statistics.median(logged / bare - 1 for logged, bare in pairs)
    show("what logging adds to the loop, 128 at once", f"{costs:+.0%}", "≤ 20 %")


def bare_sockets() -> None:
    """What a client of one's own could gain over aiohttp at most: whole batches, in pairs."""
    for jobs in (128, 32):
        pairs = [
            (asyncio.run(loop(1_000, jobs)), asyncio.run(loop(1_000, jobs, bare=True))) for _ in range(9)
        ]
        gain = statistics.median(ours / bare for ours, bare in pairs)
        show(f"aiohttp's time by that of bare sockets, {jobs} at once", f"{gain:.2f}", "< 1.5, or write one")


async def loop(count: int, jobs: int, *, log: bool = True, bare: bool = False) -> float:
    for file in Path.cwd().glob("registry.db*"):
        if file.is_file():
            file.unlink()
    version = resolve_version("route", current_settings())
    async with BatchEngine(current_settings(), BatchOptions(concurrency=jobs, cache="refresh")) as many:
        if not log:
            many._runner = replace(many._runner, journal=Nowhere())  # noqa: SLF001 - there is no such option
            await many._journal.close()  # noqa: SLF001 - nothing public shows it
            many._journal = Nowhere()  # type: ignore[assignment]  # noqa: SLF001 - nothing public shows it
        if bare:
            many._adapter(version.prompt.model)._transport = Bare()  # type: ignore[attr-defined]  # noqa: SLF001 - same
        async for _ in many.runs([BatchItem(version=version, inputs={"ticket": "warm"})]):
            pass
        clock = time.perf_counter()
        async for run in many.runs(BatchItem(version=version, inputs=each) for each in tickets(count)):
            assert run.passed
        return time.perf_counter() - clock


class Bare:
    """The least that HTTP can be: replies of a known length, on connections that are never given up."""

    def __init__(self) -> None:
        self._idle: list[Link] = []

    async def send(self, request: HttpRequest, _: OnLine | None = None) -> HttpReply:
        address = parse_address(request.url)
        link = self._idle.pop() if self._idle else await self._connect(address.host, address.port)
        link.reply = asyncio.get_running_loop().create_future()
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        first = f"POST {address.target} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        link.transport.write(
            f"{first}{head}Content-Length: {len(request.body)}\r\n\r\n".encode() + request.body
        )
        body = await link.reply
        self._idle.append(link)
        return HttpReply(200, {}, body)

    async def _connect(self, host: str, port: int) -> "Link":
        return (await asyncio.get_running_loop().create_connection(Link, host, port))[1]

    async def aclose(self) -> None:
        for link in self._idle:
            link.transport.abort()


class Link(asyncio.Protocol):
    reply: asyncio.Future[bytes]
    transport: asyncio.Transport

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of a stream, as it says

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, _, body = self._data.partition(b"\r\n\r\n")
        if body and len(body) == int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0]):
            self._data = b""
            self.reply.set_result(body)


class Nowhere:
    def start(self, *_: Any) -> None: ...
    def finish(self, *_: Any) -> None: ...
    def written(self, _: str) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def close(self) -> None: ...


def lines(folder: Path) -> None:
    """The verb, whole process."""
    figures = {}
    for count in (1_000, 50_000):
        write_lines(folder / f"{count}.jsonl", count)
        seconds, memory = measured(
            [*PROMPTOPS, "batch", "route", f"{count}.jsonl", "--out", "out", "-j", "128"]
        )
        figures[count] = loop_rate(count), memory
        show(f"{count:,} lines: peak memory, whole process", f"{memory:.0f} MB, {seconds:.1f} s", "")
    show("  memory of 50,000 by that of 1,000", f"{figures[50_000][1] / figures[1_000][1]:.2f}", "≤ 1.3")
    show(
        "  calls a second of 50,000 by those of 1,000",
        f"{figures[50_000][0] / figures[1_000][0]:.2f}",
        "≥ 0.9",
    )
    again = [*PROMPTOPS, "batch", "route", "1000.jsonl", "--out", "out", "-j", "128"]
    seconds = statistics.median(measured(again)[0] for _ in range(7))
    show("1,000 lines from the cache, whole process", f"{seconds:.2f} s", "≤ 1.5 s")


def loop_rate(count: int) -> float:
    """From the first call's start to the last row, as logged."""
    import sqlite3

    sql = (
        "SELECT (julianday(max(finished_at)) - julianday(min(started_at))) * 86400 FROM runs "
        "WHERE batch_id = (SELECT max(batch_id) FROM batches)"
    )
    with sqlite3.connect("registry.db") as connection:
        return float(count / connection.execute(sql).fetchone()[0])


def write_lines(file: Path, count: int) -> None:
    with file.open("w") as stream:
        # no line of one file is answered by what the log kept of another
        stream.writelines(json.dumps({"inputs": each}) + "\n" for each in tickets(count, f"of {count}"))


_MEASURE = """
import resource, subprocess, sys, time
clock = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - clock, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measured(command: list[str], **options: Any) -> tuple[float, float]:
    """Seconds, and the peak memory of the process in MB.

    A small process starts it: what a process had at its peak before ``exec`` counts as its own.
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", _MEASURE, *command],
        check=True,
        capture_output=True,
        text=True,
        **options,
    )
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak / (1024 if sys.platform == "linux" else 1024**2)


def peer(folder: Path, program: str) -> None:
    """Measure promptfoo on the same stub: what a thousand calls add to a run of ten, its start left out."""
    quiet = {
        **os.environ,
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "PROMPTFOO_DISABLE_UPDATE": "1",
        "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo"),
        "OPENAI_BASE_URL": os.environ["OPENAI_BASE_URL"],
    }

    def run(count: int, jobs: int, *more: str) -> tuple[float, float]:
        cases = folder / f"foo{count}.json"
        cases.write_text(json.dumps([{"vars": each} for each in tickets(count)]))
        config = folder / f"foo{count}.yaml"
        config.write_text(PROMPTFOO % cases)
        command = [
            program,
            "eval",
            "-c",
            str(config),
            "-j",
            str(jobs),
            "--no-table",
            "--no-progress-bar",
            *more,
        ]
        return measured(command, env=quiet)

    small = statistics.median(run(10, 128, "--no-cache")[0] for _ in range(3))
    for jobs in (128, 32):
        seconds = statistics.median(run(1_000, jobs, "--no-cache")[0] for _ in range(3)) - small
        show(f"promptfoo: calls a second, {jobs} at once", f"{990 / seconds:,.0f}", "")
    _, memory = run(5_000, 128, "--no-cache")
    show("promptfoo: peak memory of 5,000", f"{memory:.0f} MB", "")
    run(1_000, 128)
    show("promptfoo: 1,000 from its cache, whole process", f"{run(1_000, 128)[0]:.2f} s", "")
