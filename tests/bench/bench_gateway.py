"""What the gateway adds to a call, in turn with a client that calls the stub itself; all runs logged durably.

One call in flight on a stub that answers at once, beside what the disk takes for two syncs; many in flight on
a stub that takes 20 ms; the first text of a stream; the memory of the process. It needs gcc and the stub's
source (``stub.c`` of the shared tools). Client, gateway and stub share the machine: only ratios count.
"""

import asyncio
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench_batch import SHARED, stub
from bench_serving import PROMPT
from pairs import show

from support.git_repositories import new_repository

IN_FLIGHT, ROUNDS, CALLS = 64, 5, 1_500
SINGLE_CALLS = 300
EARLY_CALLS, MANY_CALLS = 10_000, 100_000  # between which the memory must not grow
TICKET = "my card was charged twice " * 6
MESSAGES = [
    {"role": "system", "content": "You route support tickets."},
    {"role": "user", "content": f"Ticket: {TICKET}"},
]


def main() -> None:
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc"):
        print("  left out: it needs gcc and stub.c")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-gateway-"))
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"))
    try:
        with stub(source, folder):
            base = os.environ["OPENAI_BASE_URL"]
            prepare(folder / "project")
            _single(folder, base.replace("/l50/", "/l0/"))
            _many(folder, base.replace("/l50/", "/l20/"))
            _memory(folder, base.replace("/l50/", "/l0/"))
    finally:
        shutil.rmtree(folder)


def prepare(folder: Path) -> None:
    folder.mkdir()
    repository = new_repository(folder)
    repository.commit("Route", {"prompts/triage.yaml": PROMPT.format(text="You route tickets.")}, day=1)
    subprocess.run(
        [sys.executable, "-m", "promptops", "promote", "triage@HEAD", "--yes"],
        cwd=folder,
        check=True,
        capture_output=True,
    )


@contextmanager
def gateway(folder: Path, stub_url: str) -> Iterator[tuple[str, int]]:
    """Its base URL and the id of its process."""
    command = [sys.executable, "-m", "promptops", "serve", "--port", "0"]
    environment = {**os.environ, "OPENAI_BASE_URL": stub_url}
    with subprocess.Popen(
        command, cwd=folder / "project", env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            yield process.stderr.readline().split()[-1], process.pid
        finally:
            process.terminate()


def _single(folder: Path, direct: str) -> None:
    with gateway(folder, direct) as (url, _):
        times: dict[str, list[float]] = {
            "direct": [],
            "gateway": [],
            "stream": [],
            "direct stream": [],
            "disk": [],
        }
        calls = {
            "direct": client(direct, {"model": "m", "messages": MESSAGES}),
            "gateway": client(url, gateway_body()),
            "stream": client(url, {**gateway_body(), "stream": True}),
            "direct stream": client(direct, {"model": "m", "messages": MESSAGES, "stream": True}),
            "disk": _two_syncs(folder / "project" / "probe"),
        }
        for _ in range(SINGLE_CALLS):
            for name, call in calls.items():
                clock = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - clock) * 1000)
    at = {name: statistics.quantiles(values[20:], n=100) for name, values in times.items()}
    p50, p99 = (at["gateway"][q] - at["direct"][q] for q in (49, 98))
    disk50, disk99 = at["disk"][49], at["disk"][98]
    show("added to a call, 1 in flight: p50", f"{p50:.2f} ms", f"≤ 0.6 + {disk50:.2f} (two syncs)")
    show("added to a call, 1 in flight: p99", f"{p99:.2f} ms", f"≤ 3 + {disk99:.2f}")
    first = at["stream"][49] - at["direct stream"][49]
    show("added to the first text of a stream: p50", f"{first:.2f} ms", f"≤ 1 + {disk50:.2f}")


def gateway_body() -> dict[str, object]:
    return {"model": "triage:production", "messages": [], "inputs": {"ticket": TICKET}, "user": "u1"}


def client(base: str, body: dict[str, object]) -> Callable[[], object]:
    """One call over a kept connection; of a stream, until its first text."""
    address, data = urlsplit(base), json.dumps(body).encode()
    connection = http.client.HTTPConnection(address.netloc)
    headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}

    def call() -> object:
        connection.request("POST", f"{address.path}/chat/completions", data, headers)
        answer = connection.getresponse()
        if "stream" in body:
            first = answer.readline()
            connection.close()  # the rest is not what is measured
            return first
        return json.loads(answer.read())["choices"][0]

    return call


def _two_syncs(file: Path) -> Callable[[], object]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def sync() -> None:
        for _ in range(2):
            os.write(handle, b"x" * 4096)
            os.fdatasync(handle)

    return sync


def _many(folder: Path, direct: str) -> None:
    with gateway(folder, direct) as (url, _):
        pairs = [
            (
                asyncio.run(rate(direct, {"model": "m", "messages": MESSAGES})),
                asyncio.run(rate(url, gateway_body())),
            )
            for _ in range(ROUNDS + 1)
        ][1:]
    ours, theirs = (statistics.median(column) for column in ((b for _, b in pairs), (a for a, _ in pairs)))
    share = statistics.median(b / a for a, b in pairs)
    show(f"direct, {IN_FLIGHT} in flight at 20 ms: calls a second", f"{theirs:,.0f}", "")
    show(f"through the gateway, {IN_FLIGHT} in flight: calls a second", f"{ours:,.0f}", "")
    show("  ratio, pair by pair", f"{share:.2f}", "≥ 0.5")


def _memory(folder: Path, direct: str) -> None:
    with gateway(folder, direct) as (url, process):
        asyncio.run(rate(url, gateway_body(), EARLY_CALLS))
        early = resident_mb(process)
        asyncio.run(rate(url, gateway_body(), MANY_CALLS - EARLY_CALLS))
        late = resident_mb(process)
    what = f"memory after {EARLY_CALLS:,} and {MANY_CALLS:,} calls"
    show(what, f"{early:.0f} and {late:.0f} MB", "≤ 120 MB, and flat")


async def rate(base: str, body: dict[str, object], calls: int = CALLS) -> float:
    """Calls a second, many in flight."""
    import aiohttp

    data, left = json.dumps(body).encode(), iter(range(calls))
    headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def work() -> None:
            for _ in left:
                async with session.post(f"{base}/chat/completions", data=data) as answer:
                    assert answer.status == 200, await answer.text()
                    await answer.read()

        clock = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return calls / (time.perf_counter() - clock)


def resident_mb(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
