"""A registry on PostgreSQL against one in a file on the same disk: logged calls, and runs put in at once.

The server is the one of the tests (PROMPTOPS_TEST_POSTGRES). The calls are made by 64 threads on a stub that
answers after 20 ms, in turn on each engine; it needs gcc and the stub's source (``stub.c`` of the shared
tools).
"""

import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from bench_batch import SHARED, stub
from bench_serving import PROMPT, _threads, _ticket
from pairs import show

from promptops import Workspace
from promptops.config.registry_location import postgres_location
from promptops.registry import RegistryDatabase
from support.git_repositories import new_repository
from support.logged_runs import a_run, an_end
from support.postgres import missing_server, new_schema

CALLS, PAIRS, BULK, GROUP = 1_500, 7, 20_000, 2_048


def main() -> None:
    if reason := missing_server():
        print(f"  left out: it {reason}")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-postgres-", dir="/var/tmp"))
    try:
        with new_schema() as url:
            _bulk(url, folder)
        with new_schema() as url:
            _calls(url, folder)
    finally:
        shutil.rmtree(folder)


def _bulk(url: str, folder: Path) -> None:
    runs = [(a_run(), an_end()) for _ in range(BULK)]
    with RegistryDatabase.open(postgres_location(url, folder)) as registry:
        clock = time.perf_counter()
        for start in range(0, BULK, GROUP):
            registry.record(runs[start : start + GROUP])
        show("runs put in at once, a second", f"{BULK / (time.perf_counter() - clock):,.0f}", "≥ 10,000")


def _calls(url: str, folder: Path) -> None:
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc"):
        print("  calls are left out: they need gcc and stub.c")
        return
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"))
    with stub(source, folder):
        os.environ["OPENAI_BASE_URL"] = os.environ["OPENAI_BASE_URL"].replace("/l50/", "/l20/")
        project = folder / "project"
        project.mkdir()
        text = PROMPT.format(text="You route support tickets.")
        new_repository(project).commit("Route", {"prompts/triage.yaml": text}, day=1)
        with Workspace.open(project) as file, Workspace.open(project, registry=url) as server:
            pairs = [(_rate(file), _rate(server)) for _ in range(PAIRS + 1)][1:]
    here, there = (statistics.median(column) for column in zip(*pairs, strict=True))
    show("64 in flight, logged to a file: calls a second", f"{here:,.0f}", "")
    show("64 in flight, logged to PostgreSQL: calls a second", f"{there:,.0f}", "")
    show("  ratio, pair by pair", f"{statistics.median(pair[1] / pair[0] for pair in pairs):.2f}", "≥ 0.8")


def _rate(workspace: Workspace) -> float:
    rate, _ = _threads(lambda number: workspace.run("triage@HEAD", {"ticket": _ticket(number)}), CALLS)
    return rate


if __name__ == "__main__":
    main()
