"""Speed of releases on a large registry: fifty prompts with a canary each, and all of the log theirs.

Run from the repository's root; it needs about 4 GB below the folder for temporary files and ten minutes:

    python tests/bench/bench_release.py [--rows 1000000] [--registry postgresql://…]
"""

import argparse
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_registry import PROMPTS, Row, logged, process, show, timed
from lean import lean_python

from promptops.cli.main import main as promptops
from promptops.config.clock import utc_text
from promptops.config.registry_location import RegistryLocation
from promptops.config.settings import find_settings
from promptops.git.repo import GitRepo
from promptops.registry import FinishedRun, RegistryDatabase, StartedRun
from promptops.stats.eprocess import Hypothesis
from promptops.stats.two_arm import two_arm_test
from promptops.versions.release_reader import find_state_commit, read_release_states
from promptops.versions.release_state import ChannelState
from support.git_repositories import GitFolder, new_repository, prompt_text

# nothing is decided: the margin is too narrow for these calls, and harm is not there
PLAN = """\
plans:
  narrow:
    eval: null
    quality: optional
    unit: session
    steps: [{weight: 50, min_canary: 100}]
    alpha: {rollback: 0.000001, promote: 0.05, srm: 0.000001}
    metrics:
      - {name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.0001}
      - {name: latency, kind: ratio, source: run.latency_ms, worse: higher, role: guard, margin: 1.20}
      - {name: cost, kind: ratio, source: run.cost_list_usd, worse: higher, role: signal, margin: 1.25}
"""
SPAN_S = 3 * 86_400.0  # of the log
_CHUNK = 5_000
_NEW = 200


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--registry", help="an empty one on PostgreSQL, in place of SQLite's file")
    asked = parser.parse_args(arguments)
    if asked.registry:
        os.environ["PROMPTOPS_REGISTRY"] = asked.registry
    place = Path(tempfile.mkdtemp(prefix="bench-release-"))
    try:
        show([("measured", "figure", "target")])
        show(engine())
        with chdir(place):
            for row in releases(released(place), asked.rows):
                show([row])
    finally:
        shutil.rmtree(place)
    return 0


def engine() -> list[Row]:
    draw = random.Random(1)
    calls = [(draw.random() < 0.1, 0.1, float(draw.random() < 0.02)) for _ in range(20_000)]
    best = math.inf
    for question, margin in ((Hypothesis.WORSE, 0.0), (Hypothesis.NOT_WORSE, 0.02)) * 3:
        test = two_arm_test(question, margin)
        best = min(best, timed(lambda test=test: [test.update(*call) for call in calls]))
    return [
        ("one update of the engine", f"{best / len(calls) * 1e6:.1f} µs", "<= 10 µs"),
        ("20,000 calls recomputed", f"{best:.2f} s", "<= 0.2 s"),
    ]


def released(place: Path) -> GitFolder:
    """Fifty prompts in two versions, the first of them stable and the second its canary."""
    folder = new_repository(place)
    files = {f"prompts/{name}.yaml": prompt_text() for name in PROMPTS}
    folder.commit("First", {"promptops.yaml": PLAN, ".gitignore": "registry.db*\n", **files})
    folder.commit("Second", {path: prompt_text("Good day") for path in files})
    for name in PROMPTS:
        verb("promote", f"{name}@HEAD~1", "--yes")
        verb("canary", f"{name}@HEAD", "--plan", "narrow", "--yes")
    return folder


def verb(*arguments: str) -> None:
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
        code = promptops(arguments)
    if code:
        raise SystemExit(f"promptops {' '.join(arguments)}: {said.getvalue()}")


def releases(folder: GitFolder, rows: int) -> Iterator[Row]:
    channels, one = live(folder), PROMPTS[7]
    place = find_settings(folder.path, os.environ).registry
    built = timed(lambda: fill(place, channels, 0, rows, rows))
    yield f"built: {rows:,} runs{_size(place)}", f"{rows / built:,.0f} rows/s", ""
    yield whole("tick --all, the first: everything is scored", ["tick", "--all"], "")
    yield whole("status, all prompts", ["status"], "<= 1 s", times=5)
    yield whole("status of one prompt", ["status", one], "", times=5)
    yield whole("status --format html", ["status", "--format", "html"], "", times=3)
    fill(place, {one: channels[one]}, rows, _NEW, rows)
    yield whole(f"tick of one prompt, {_NEW} new calls", ["tick", one], "")
    yield whole("tick --all, nothing new", ["tick", "--all"], "")
    yield whole("rollback", ["rollback", one], "<= 1 s")
    yield whole("release verify", ["release", "verify"], "")
    yield "python -c pass", f"{process(['-c', 'pass']):.3f} s", ""


def _size(place: RegistryLocation) -> str:
    return f", {place.stat().st_size / 1e9:.2f} GB" if isinstance(place, Path) else " on PostgreSQL"


def live(folder: GitFolder) -> Mapping[str, ChannelState]:
    with GitRepo(folder.settings()) as repo:
        return {
            name: state.channels["production"]
            for name, state in read_release_states(repo, str(find_state_commit(repo))).items()
        }


def whole(what: str, arguments: Sequence[str], target: str, *, times: int = 1) -> Row:
    """The best of so many whole processes."""
    command = [lean_python(), "-m", "promptops", *arguments]
    best = min(timed(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(times))
    return f"promptops {what}", f"{best:.3f} s", target


def fill(
    place: RegistryLocation, channels: Mapping[str, ChannelState], first: int, count: int, rows: int
) -> None:
    """Log calls of these channels, half of them the canary's; ``rows`` of them make up the whole time."""
    words = [f"w{random.Random(n).randrange(10**6):06}" for n in range(4_000)]
    names = sorted(channels)
    with RegistryDatabase.open(place) as registry:
        for start in range(first, first + count, _CHUNK):
            numbers = range(start, min(start + _CHUNK, first + count))
            registry.record([call(n, words, names, channels, rows) for n in numbers])


def call(
    number: int, words: Sequence[str], names: Sequence[str], channels: Mapping[str, ChannelState], rows: int
) -> tuple[StartedRun, FinishedRun]:
    rng = random.Random(number)
    run, end = logged(number, words)
    name = rng.choice(names)
    state = channels[name]
    canary = rng.random() < 0.5
    assert state.rollout
    assert state.stable
    moment = utc_text(time.time() - 600 - SPAN_S * max(0, rows - number) / rows)
    served = state.rollout.canary if canary else state.stable
    placed = replace(
        run,
        started_at=moment,
        prompt=name,
        reference=f"{name}:production",
        digest=served.digest,
        version=served.version,
        channel="production",
        rollout=state.rollout.id,
        arm="canary" if canary else "stable",
        weight_bp=state.rollout.weight_bp,
        unit_hash=f"{number:064x}",
        unit_key_id="k" * 12,
    )
    return placed, replace(end, finished_at=moment)


if __name__ == "__main__":
    sys.exit(main())
