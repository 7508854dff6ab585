"""Two hosts with wrong clocks and slow commits give the verdicts of one.

They log to PostgreSQL while ``tick`` looks. What it has scored is then logged by one host into SQLite, in the
order of assignment and with the times that the calls had, and looked at once.
"""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promptops.config.clock import utc_seconds
from promptops.config.registry_location import PostgresLocation, RegistryLocation, postgres_location
from promptops.registry import Exposure, FinishedRun, RegistryDatabase, StartedRun, count_exposure
from promptops.registry.queries.rows import finished_run_from_row, started_run_from_row
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.greet_releases import go_live, ok
from support.greet_traffic import channel_state, ticked
from support.postgres import new_registry
from support.slow_commits import slow_commits

pytestmark = pytest.mark.slow

STATE = "promptops-state"
NAP = "IF random() < 0.2 THEN PERFORM pg_sleep(random() * 0.3); END IF;"
PLAN = """\
plans:
  two:
    eval: null
    quality: optional
    unit: session
    observe: {call_timeout: 60s}
    steps: [{weight: 50, min_canary: 60}]
    metrics:
      - {name: error_rate, kind: binary, source: run.error, worse: higher, role: guard, margin: 0.1}
      - {name: latency, kind: ratio, source: run.latency_ms, worse: higher, role: guard, margin: 1.5}
"""
HOST = """\
import json, random, sys, threading, time
right = time.time
wrong_by, call, seed, rate, folder, url = json.loads(sys.argv[1])
time.time = lambda: right() + wrong_by
time.time_ns = lambda: int(time.time() * 1e9)

from pathlib import Path
from promptops.config.clock import utc_now
from promptops.config.registry_location import postgres_location
from promptops.registry import FinishedRun, RegistryDatabase, StartedRun, new_run_id

def serve(thread):
    draw = random.Random(f"{seed} {thread}").random
    with RegistryDatabase.open(postgres_location(url, Path(folder))) as registry:
        for _ in range(60):
            unit = int(draw() * 300)
            arm = "canary" if unit % 2 else "stable"
            served = {**call, **call[arm], "arm": arm, "unit_hash": f"{unit:064x}"}
            fields = {key: value for key, value in served.items() if key not in ("stable", "canary")}
            run = StartedRun(run_id=new_run_id(), started_at=utc_now(), **fields)
            registry.start(run)
            time.sleep(2.0 if draw() < 0.03 else 0.01 * draw())
            failed = draw() < rate[arm]
            registry.finish(run.run_id, FinishedRun(
                finished_at=utc_now(), state="failed" if failed else "finished",
                error_type="timeout" if failed else None, latency_ms=50 + 100 * draw(),
            ))

threads = [threading.Thread(target=serve, args=(number,)) for number in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
"""


@pytest.fixture
def shared_log(tmp_path: Path) -> Iterator[PostgresLocation]:
    with new_registry() as url, slow_commits(url, NAP):
        yield postgres_location(url, tmp_path)


@dataclass(frozen=True)
class Kept:
    """What a registry keeps of a rollout: its observations in order, and who has met the canary."""

    watermark: int
    observations: list[tuple[Any, ...]]
    exposure: tuple[int, int, int, str | None]

    @classmethod
    def read(cls, location: RegistryLocation, rollout: str) -> "Kept":
        with RegistryDatabase.open(location) as registry:
            through = registry.read_one(WATERMARK, (rollout,))
            observations = [tuple(row) for row in registry.read(OBSERVATIONS, (rollout,))]
            seen = count_exposure(registry, rollout, Exposure(), through=through)
        return cls(through, observations, (seen.calls, seen.canary_calls, seen.canary_units, seen.first))


WATERMARK = "SELECT watermark FROM eprocesses WHERE rollout = ? AND name = 'state'"
OBSERVATIONS = (
    "SELECT o.metric, r.run_id, o.arm, o.weight_bp, o.loss FROM observations o JOIN runs r ON r.seq = o.seq "
    "WHERE o.rollout = ? ORDER BY o.metric, o.seq"
)
RUNS = (
    "SELECT r.*, t.parameters, t.overrides, t.metadata, t.inputs, t.output, t.tool_calls, t.attempts "
    "FROM runs r JOIN run_texts t ON t.seq = r.seq WHERE r.seq <= ? ORDER BY r.seq"
)


def logged_runs(location: RegistryLocation, through: int = 2**62) -> list[tuple[StartedRun, FinishedRun]]:
    """In the order of assignment."""
    with RegistryDatabase.open(location) as registry:
        rows = registry.read(RUNS, (through,))
    ended = [(started_run_from_row(row), finished_run_from_row(row, ())) for row in rows]
    return [(run, end) for run, end in ended if end]


def host(folder: Path, log: PostgresLocation, wrong_by: float, *, harmful: bool) -> ForkedPopen:
    """Serves the canary to every other unit; its clock is wrong by so many seconds."""
    state = channel_state()
    call = {
        "reference": "greet:production",
        "prompt": "greet",
        "channel": "production",
        "rollout": state.rollout.id,
        "weight_bp": state.rollout.weight_bp,
        "unit_key_id": "k" * 12,
        "request_model": "openai/gpt-4o-mini-2024-07-18",
        "messages_hash": "ab" * 32,
        "stable": {"digest": state.stable.digest, "version": state.stable.version},
        "canary": {"digest": state.rollout.canary.digest, "version": state.rollout.canary.version},
    }
    rate = {"stable": 0.05, "canary": 0.5 if harmful else 0.01}
    told = [wrong_by, call, wrong_by, rate, str(folder), log.url]
    program = folder / "host.py"
    program.write_text(HOST, "utf-8")
    return ForkedPopen([sys.executable, str(program), json.dumps(told)])


def evidence(repo: Repo) -> Any:
    """What the latest move rests on, without what only says where it was read."""
    (path,) = [
        line for line in repo.git("ls-tree", "-r", "--name-only", STATE).splitlines() if "evidence/" in line
    ]
    known = json.loads(repo.git("show", f"{STATE}:{path}"))
    return {key: value for key, value in known.items() if key not in ("registry", "watermark")}


@pytest.mark.parametrize("harmful", [True, False], ids=["harmful", "harmless"])
def test_two_hosts_with_wrong_clocks_and_slow_commits_give_the_verdicts_of_one(
    cli: Cli,
    repo: Repo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shared_log: PostgresLocation,
    *,
    harmful: bool,
) -> None:
    repo.write("promptops.yaml", PLAN)
    monkeypatch.setenv("PROMPTOPS_REGISTRY", shared_log.url)
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", "--plan", "two", "--yes"))
    rollout, alone = channel_state().rollout.id, Repo(tmp_path / "alone")
    shutil.copytree(repo.path, alone.path)
    began = time.time()
    hosts = [host(tmp_path, shared_log, wrong_by, harmful=harmful) for wrong_by in (90.0, -90.0)]
    looks = []
    while any(each.poll() is None for each in hosts):
        if not looks or looks[-1]["move"] is None:
            looks.append(ticked(cli))
    assert [each.returncode for each in hosts] == [0, 0]
    if looks[-1]["move"] is None:
        looks.append(ticked(cli))
    together, calls = Kept.read(shared_log, rollout), logged_runs(shared_log)
    assert looks[-1]["move"] == ("rollback" if harmful else "promote")
    assert len({look["calls"] for look in looks}) > 2
    assert all(began - 1 < utc_seconds(run.started_at) < time.time() + 1 for run, _ in calls)

    monkeypatch.setenv("PROMPTOPS_REGISTRY", str(alone.path / "registry.db"))
    monkeypatch.chdir(alone.path)
    with RegistryDatabase.open(alone.path / "registry.db") as registry:
        for call in logged_runs(shared_log, together.watermark):
            registry.record([call])
    assert {**ticked(cli), "commit": ""} == {**looks[-1], "commit": ""}
    one = Kept.read(alone.path / "registry.db", rollout)
    assert one.observations == together.observations
    assert one.exposure == together.exposure
    assert evidence(alone) == evidence(repo)
