"""Calls at 50 ms on workers of Ray beside the same calls of one process, in pairs; two nodes beside one.

It needs gcc, the stub's source (``stub.c`` of the shared tools) and the extra ``ray``. Rates are of the calls
alone: what the start of a cluster takes is shown by itself.
"""

import asyncio
import importlib.util
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench_batch import SHARED, repository, stub, tickets
from pairs import show

from promptops.config.settings import current_settings
from promptops.runner.batch import BatchEngine, BatchItem, BatchOptions
from promptops.versions.resolve import resolve_version

LIMIT = 16  # calls at once that the provider takes from one node, in the measurement of two
PAIRS = int(os.environ.get("PROMPTOPS_BENCH_PAIRS", "5"))


def main() -> None:
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc") or importlib.util.find_spec("ray") is None:
        print("  left out: it needs gcc, stub.c and the extra 'ray'")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-ray-"))
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"), RAY_USAGE_STATS_ENABLED="0")
    try:
        with stub(source, folder):
            repository(folder)
            one_node()
            two_nodes()
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


def one_node() -> None:
    plain, workers = [], []
    for _ in range(PAIRS):
        plain.append(measured(10_000, 128))
        workers.append(measured(10_000, 128, "local"))
    show("load of this machine, at the end", f"{os.getloadavg()[0]:.1f}", "")
    show("start of a cluster of one node", f"{statistics.median(each.start for each in workers):.1f} s", "")
    show("calls a second, one process", f"{statistics.median(each.rate for each in plain):,.0f}", "")
    ratio = statistics.median(there.rate / here.rate for here, there in zip(plain, workers, strict=True))
    show("rate on one worker by that of one process", f"{ratio:.2f}", "≥ 0.8")
    cpu = statistics.median(there.cpu / here.cpu for here, there in zip(plain, workers, strict=True))
    show("  processor time of the command, likewise", f"{cpu:.2f}", "")


def two_nodes() -> None:
    """Each node may have so many calls under way at its provider, and no more."""
    from ray.cluster_utils import Cluster

    ratios = []
    for _ in range(PAIRS):
        rates = []
        for nodes in (1, 2):
            cluster = Cluster()
            for _ in range(nodes):
                cluster.add_node(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)
            rates.append(measured(4_000, LIMIT * nodes, cluster.address).rate)
            cluster.shutdown()
        ratios.append(rates[1] / rates[0])
    show(
        "rate of two nodes by that of one, the provider being the limit",
        f"{statistics.median(ratios):.2f}",
        "≥ 1.6",
    )


class Measured:
    def __init__(self, start: float, rate: float, cpu: float) -> None:
        self.start, self.rate, self.cpu = start, rate, cpu  # s, calls/s, s


def measured(count: int, jobs: int, on: str | None = None) -> Measured:
    return asyncio.run(_measured(count, jobs, on))


async def _measured(count: int, jobs: int, on: str | None) -> Measured:
    for file in Path.cwd().glob("registry.db*"):
        if file.is_file():
            file.unlink()
    version = resolve_version("route", current_settings())
    clock = time.perf_counter()
    options = BatchOptions(concurrency=jobs, cache="refresh", on=on)
    async with BatchEngine(current_settings(), options) as many:
        warm = (BatchItem(version=version, inputs={"ticket": f"warm {n}"}) for n in range(jobs))
        async for _ in many.runs(warm):
            pass
        start, cpu, clock = time.perf_counter() - clock, time.process_time(), time.perf_counter()
        async for run in many.runs(BatchItem(version=version, inputs=each) for each in tickets(count)):
            assert run.passed
        return Measured(start, count / (time.perf_counter() - clock), time.process_time() - cpu)
