"""What serving a channel costs a call in process: placed by its unit, resolved, rendered.

Beside it mlflow's own way, a prompt from its cache and formatted, where mlflow is installed: with the same
text in both. Best of several rounds; every call has another unit and other inputs.

Then the Python API, whole and logged durably: 64 threads on a stub that answers at once, in turn with a bare
``http.client`` script of as many threads. It needs gcc and the stub's source (``stub.c`` of the shared
tools).
"""

import http.client
import importlib.util
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench_batch import SHARED, stub
from pairs import show

from promptops import Workspace
from promptops.prompt.render import render_prompt
from promptops.runner.routing import GitSource, Router
from promptops.versions.references import parse_reference
from support.git_repositories import GitFolder, new_repository
from support.release_states import released, write_state

CALLS, ROUNDS = 20_000, 5
THREADS, API_CALLS, BARE_CALLS, API_ROUNDS = 64, 4_000, 10_000, 7
TARGET, AGAINST_MLFLOW = 20_000, 0.5
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {{ticket: string, language: {{type: string, enum: [en, de], default: en}}}}
messages:
  - {{role: system, content: "{text} Answer in {{{{ language }}}} with the name of one queue, nothing else."}}
  - {{role: user, content: "Ticket: {{{{ ticket }}}}"}}
"""


def main() -> None:
    _serving()
    _api()


def _serving() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = new_repository(Path(place))
        for number, text in enumerate(("You route support tickets.", "You sort support tickets."), 1):
            folder.commit(text, {"prompts/triage.yaml": PROMPT.format(text=text)}, day=number)
        stable, canary = (released(folder, "triage", rev, v) for rev, v in (("HEAD~1", "v1"), ("HEAD", "v2")))
        write_state(folder, "triage", stable, canary, weight_bp=1000)
        ours = _served(folder)
    print(f"place + resolve + render  {ours:>10,.0f} calls/s   to reach {TARGET:,}")
    if importlib.util.find_spec("mlflow") is None:
        print("mlflow is not installed: nothing to hold it against")
        return
    theirs = _mlflow()
    print(f"mlflow load + format      {theirs:>10,.0f} calls/s")
    print(f"ratio                     {ours / theirs:>10.2f}           to reach {AGAINST_MLFLOW}")


def _served(folder: GitFolder) -> float:
    settings = folder.settings()
    reference = parse_reference("triage:production", settings)
    with Router(GitSource(settings), settings.registry) as serving:

        def once(number: int) -> None:
            placed = serving.place(reference, f"user-{number}")
            render_prompt(placed.version.prompt, {"ticket": f"Where is order {number}?"})

        return _rate(once)


def _mlflow() -> float:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with tempfile.TemporaryDirectory() as place:
        import mlflow  # type: ignore[import-not-found]

        mlflow.set_tracking_uri(f"sqlite:///{place}/mlflow.db")
        template = [
            {
                "role": "system",
                "content": "You route support tickets. Answer in {{ language }} with one queue.",
            },
            {"role": "user", "content": "Ticket: {{ ticket }}"},
        ]
        mlflow.genai.register_prompt(name="triage", template=template)

        def once(number: int) -> None:
            prompt = mlflow.genai.load_prompt("prompts:/triage/1")
            prompt.format(ticket=f"Where is order {number}?", language="en")

        return _rate(once)


def _rate(once: Callable[[int], None]) -> float:
    """Calls a second in the best round."""
    best = float("inf")
    once(0)
    for _ in range(ROUNDS):
        clock = time.perf_counter()
        for number in range(CALLS):
            once(number)
        best = min(best, time.perf_counter() - clock)
    return CALLS / best


def _api() -> None:
    """Calls of many threads through a workspace, in turn with calls that are only made."""
    source = SHARED / "tools" / "stub.c"
    if not source.is_file() or not shutil.which("gcc"):
        print("  the API is left out: it needs gcc and stub.c")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-api-"))
    os.environ.update(OPENAI_API_KEY="k", XDG_CACHE_HOME=str(folder / "cache"))
    try:
        with stub(source, folder):
            os.environ["OPENAI_BASE_URL"] = os.environ["OPENAI_BASE_URL"].replace("/l50/", "/l0/")
            (folder / "project").mkdir()
            text = PROMPT.format(text="You route support tickets.")
            repository = new_repository(folder / "project")
            repository.commit("Route", {"prompts/triage.yaml": text}, day=1)
            with Workspace.open(folder / "project") as workspace:
                pairs = [_pair(workspace) for _ in range(API_ROUNDS + 1)][1:]
    finally:
        shutil.rmtree(folder)
    bare, ours, cost, bare_cost = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
    show(f"bare http.client, {THREADS} threads: calls a second", f"{bare:,.0f}", "")
    show(f"Workspace.run, {THREADS} threads, logged: calls a second", f"{ours:,.0f}", "")
    show("  ratio, pair by pair", f"{ratio:.2f}", "≥ 0.4")
    show("  processor time of a call, and of a bare one", f"{cost:.0f} and {bare_cost:.0f} µs", "")


def _pair(workspace: Workspace) -> tuple[float, float, float, float]:
    bare, bare_cost = _threads(_bare_call(), BARE_CALLS)
    ours, cost = _threads(lambda number: workspace.run("triage@HEAD", {"ticket": _ticket(number)}), API_CALLS)
    return bare, ours, cost, bare_cost


def _ticket(number: int) -> str:
    return f"case {number} " + "my card was charged twice " * 6


def _bare_call() -> Callable[[int], object]:
    address, own = urlsplit(os.environ["OPENAI_BASE_URL"]), threading.local()
    headers = {"Content-Type": "application/json", "Authorization": "Bearer k"}

    def call(number: int) -> object:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(address.netloc)
        messages = [
            {"role": "system", "content": "You route support tickets."},
            {"role": "user", "content": _ticket(number)},
        ]
        body = json.dumps({"model": "gpt-4o-mini-2024-07-18", "messages": messages})
        own.connection.request("POST", f"{address.path}/chat/completions", body, headers)
        return json.loads(own.connection.getresponse().read())["choices"][0]["message"]["content"]

    return call


def _threads(call: Callable[[int], object], count: int) -> tuple[float, float]:
    """Calls a second of all threads, and microseconds of processor time for each."""
    start, end = threading.Barrier(THREADS + 1), threading.Barrier(THREADS + 1)

    def work(first: int) -> None:
        call(first)
        start.wait()
        for number in range(first, count, THREADS):
            call(number)
        end.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    start.wait()
    clock, processor = time.perf_counter(), time.process_time()
    end.wait()
    seconds, busy = time.perf_counter() - clock, time.process_time() - processor
    for thread in threads:
        thread.join()
    return count / seconds, busy / count * 1e6
