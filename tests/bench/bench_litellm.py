"""The gateway beside LiteLLM's proxy and a client that needs neither, in turn, many calls in flight.

It needs gcc, the stub's source (``stub.c`` of the shared tools) and the proxy in an environment of its own:

    python -m venv /tmp/proxy && /tmp/proxy/bin/pip install 'litellm[proxy]'
    LITELLM=/tmp/proxy/bin/litellm python tests/bench litellm

Each has one process. The proxy logs nothing; the gateway logs every call durably.
"""

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from bench_batch import SHARED, free_port, stub
from bench_gateway import MESSAGES, SINGLE_CALLS, client, gateway, gateway_body, prepare, rate, resident_mb
from pairs import show

ROUNDS, PROXY_CALLS = 5, 300
START_S = 120.0
_NO_KEY = "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY"  # the gateway has none here either
CONFIG = """\
model_list:
  - model_name: triage
    litellm_params: {{model: openai/gpt-4o-mini-2024-07-18, api_base: "{base}", api_key: k}}
"""


def main() -> None:
    source, program = SHARED / "tools" / "stub.c", os.environ.get("LITELLM")
    if not program or not source.is_file() or not shutil.which("gcc"):
        print("  left out: it needs LITELLM, gcc and stub.c")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-litellm-"))
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"))
    try:
        with stub(source, folder):
            base = os.environ["OPENAI_BASE_URL"]
            prepare(folder / "project")
            _many(folder, base.replace("/l50/", "/l20/"), program)
            _single(folder, base.replace("/l50/", "/l0/"), program)
    finally:
        shutil.rmtree(folder)


def _many(folder: Path, direct: str, program: str) -> None:
    asked = {"model": "triage", "messages": MESSAGES}
    with gateway(folder, direct) as (ours, process), _proxy(folder, direct, program) as (theirs, other):
        rows = [
            (
                asyncio.run(rate(direct, asked)),
                asyncio.run(rate(ours, gateway_body())),
                asyncio.run(rate(theirs, asked, PROXY_CALLS)),
            )
            for _ in range(ROUNDS + 1)
        ][1:]
        memory, its_memory = resident_mb(process), resident_mb(other)
    for name, column in zip(("direct", "gateway", "LiteLLM's proxy"), zip(*rows, strict=True), strict=True):
        show(f"{name}, 64 in flight at 20 ms: calls a second", f"{statistics.median(column):,.0f}", "")
    times = statistics.median(ours / theirs for _, ours, theirs in rows)
    show("  gateway beside the proxy, round by round", f"{times:.1f}", "≥ 11")
    show("memory of the gateway, and of the proxy", f"{memory:.0f} and {its_memory:.0f} MB", "≤ 120 MB")


def _single(folder: Path, direct: str, program: str) -> None:
    asked = {"model": "triage", "messages": MESSAGES}
    with gateway(folder, direct) as (ours, _), _proxy(folder, direct, program) as (theirs, _):
        calls = {
            "direct": client(direct, asked),
            "gateway": client(ours, gateway_body()),
            "LiteLLM's proxy": client(theirs, asked),
        }
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(SINGLE_CALLS):
            for name, call in calls.items():
                clock = time.perf_counter()
                call()
                times[name].append((time.perf_counter() - clock) * 1000)
    direct_ms = statistics.median(times.pop("direct"))
    for name, values in times.items():
        show(f"{name} adds, 1 in flight: p50", f"{statistics.median(values) - direct_ms:.2f} ms", "")


@contextmanager
def _proxy(folder: Path, stub_url: str, program: str) -> Iterator[tuple[str, int]]:
    """Its base URL and the id of its process."""
    config, port = folder / "proxy.yaml", free_port()
    config.write_text(CONFIG.format(base=stub_url), encoding="utf-8")
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "true", _NO_KEY: "true"}
    environment.pop("PYTHONPATH", None)
    command = [
        program,
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--telemetry",
        "False",
    ]
    with (folder / "proxy.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        base = f"http://127.0.0.1:{port}"
        if not _starts(f"{base}/health/liveliness", process):
            raise SystemExit((folder / "proxy.log").read_text(encoding="utf-8")[-2_000:])
        yield f"{base}/v1", process.pid
    finally:
        process.terminate()
        process.wait()


def _starts(address: str, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < until:
        try:
            with urlopen(address, timeout=1):  # noqa: S310 - of this machine
                return True
        except (URLError, OSError):
            time.sleep(0.5)
    return False
