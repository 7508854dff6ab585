"""What a shadow costs a user: calls of the Python API and of the terminal, with it and without, in turn.

The provider is a stub on the loopback in a process of its own.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pairs import PROMPTOPS, show

from promptops import Workspace
from promptops.evaluation.shadow.live.lock import exclusive_lock
from promptops.registry import RegistryDatabase
from support.greet_releases import SALUTE

ROUNDS, CALLS = 40, 50
RUNS = 25
GREETING = "prompts/greet.yaml"
RUN = [*PROMPTOPS, "run", "greet:production", "-i", "name=Ada"]
STUB = """
import sys, time
sys.path[:0] = {path!r}
from support.provider import Provider, slow, text
with Provider(slow({wait}, text("Hello Ada."))) as provider:
    print(provider.base_url, flush=True)
    sys.stdin.read()
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        stub = subprocess.Popen(
            [sys.executable, "-c", STUB.format(path=sys.path[:2], wait=0.005)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert stub.stdout
            os.environ.update(OPENAI_BASE_URL=stub.stdout.readline().strip(), OPENAI_API_KEY="k")
            os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
            without, shadowed = (project(folder / name, shadow=name == "on") for name in ("off", "on"))
            for share in ("0.1", "1"):
                put_on(shadowed, share)
                in_process(without, shadowed, share)
            in_terminal(without, shadowed)
        finally:
            stub.communicate()


def project(folder: Path, *, shadow: bool) -> Path:
    """v1 of ``greet`` in production, and v2 committed."""
    (folder / "prompts").mkdir(parents=True)
    for arguments in (["init", "-q"], ["config", "user.name", "Ada"], ["config", "user.email", "a@b.c"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    for text in (SALUTE.replace("Salute", "Greet"), SALUTE):
        (folder / GREETING).write_text(text)
        subprocess.run(["git", "add", GREETING], cwd=folder, check=True)
        subprocess.run(["git", "commit", "-qm", "change"], cwd=folder, check=True)
    promptops(folder, "promote", "greet@HEAD~1", "--yes")
    return folder


def put_on(folder: Path, share: str) -> None:
    promptops(
        folder, "shadow", "on", "greet:production", "--version", "HEAD", "--sample", share, "--max-usd", "99"
    )


def promptops(folder: Path, *arguments: str) -> None:
    subprocess.run([*PROMPTOPS, *arguments], cwd=folder, check=True, capture_output=True)


def in_process(without: Path, shadowed: Path, share: str) -> None:
    """Rounds of calls one after another, as a user's request makes them, in turn on both."""
    with Workspace.open(without) as off, Workspace.open(shadowed) as on:
        took: dict[Workspace, list[float]] = {off: [], on: []}
        for _ in range(3):
            for workspace in took:
                once(workspace)
        time.sleep(1)
        for number in range(ROUNDS):
            for workspace in (off, on) if number % 2 else (on, off):
                took[workspace] += [once(workspace) for _ in range(CALLS)]
                time.sleep(0.05)  # what one has left behind is not the other's
    plain, with_it = ([quantile(took[each], part) * 1000 for part in (0.5, 0.99)] for each in (off, on))
    show("API without a shadow, median and p99", "{:.2f}, {:.2f} ms".format(*plain), "–")
    what = f"API, {float(share):.0%} of {len(took[on]):,} calls, added"
    show(f"{what} at the median", f"{with_it[0] - plain[0]:+.2f} ms", "≤ 1 ms")
    show(f"{what} at p99", f"{with_it[1] - plain[1]:+.2f} ms", "≤ 5 ms")


def once(workspace: Workspace) -> float:
    clock = time.perf_counter()
    workspace.run("greet:production", {"name": "Ada"})
    return time.perf_counter() - clock


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def in_terminal(without: Path, shadowed: Path) -> None:
    """Until the answer is read, and until the program has ended; every call is drawn. Beside it, noise."""
    pairs = []
    for number in range(RUNS + 1):
        first, second = (shadowed, without) if number % 2 else (without, shadowed)
        took = {first: run(first), second: run(second)}
        pairs.append((took[shadowed], took[without]))
    for place, what in enumerate(("to the answer", "to the end of the program")):
        added = [(on[place] - off[place]) * 1000 for on, off in pairs[1:]]
        low, middle, high = statistics.quantiles(added, n=4)
        base = statistics.median(off[place] for _, off in pairs[1:]) * 1000
        show(f"terminal, {what} ({base:.0f} ms without)", f"{middle:+.1f} ({low:+.0f} … {high:+.0f}) ms", "0")


def run(folder: Path) -> tuple[float, float]:
    clock = time.perf_counter()
    with subprocess.Popen(RUN, cwd=folder, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        answered = time.perf_counter() - clock
        child.wait()
        ended = time.perf_counter() - clock
    settle(folder)
    return answered, ended


def settle(folder: Path) -> None:
    """Wait for the drain: it takes its part of the machine, which is not what is measured."""
    with RegistryDatabase.open(folder / "registry.db") as registry:
        while registry.read_one("SELECT count(*) FROM jobs WHERE done_at IS NULL"):
            time.sleep(0.05)
    with exclusive_lock(folder / "registry.db", None):
        time.sleep(0.3)
