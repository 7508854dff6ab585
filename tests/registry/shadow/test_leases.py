"""Jobs of a shadow that several hosts work on at once: each is done once, also where a host dies."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from promptops.config.registry_location import RegistryLocation, exact_text
from promptops.registry import (
    LiveShadowKey,
    RegistryDatabase,
    add_job,
    lease_jobs,
    next_live_shadow,
    read_shadow_counts,
)
from support.forked_commands import ForkedPopen

SHADOWING = LiveShadowKey("greet", "production", "0" * 64)
JOBS = 60
HOST = """\
import json, sys, time
from pathlib import Path
from promptops.config.registry_location import registry_location
from promptops.registry import LiveShadowKey, RegistryDatabase, finish_job, lease_jobs
text, folder, who, lease_s, pause_s, hosts = sys.argv[1:]
shadowing = LiveShadowKey("greet", "production", "0" * 64)
with RegistryDatabase.open(registry_location(text, Path(), Path(folder))) as registry:
    Path(folder, who).touch()
    while len([*Path(folder).glob("*:1:x")]) < int(hosts):
        time.sleep(0.001)
    while jobs := lease_jobs(registry, shadowing, who, most=3, seconds=float(lease_s)):
        print(json.dumps([job.id for job in jobs]), flush=True)
        time.sleep(float(pause_s))
        for job in jobs:
            finish_job(registry, job.id)
"""


@pytest.fixture
def filled(location: RegistryLocation) -> Iterator[RegistryDatabase]:
    with RegistryDatabase.open(location) as registry:
        for number in range(JOBS):
            add_job(registry, f"run{number}", SHADOWING)
        yield registry


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "host.py"
    file.write_text(HOST, "utf-8")
    return file


def host(
    program: Path, registry: RegistryDatabase, who: str, lease_s: float, pause_s: float, *, hosts: int = 1
) -> ForkedPopen:
    """One that begins where so many are there."""
    place = exact_text(registry.path), str(program.parent)
    command = [sys.executable, str(program), *place, who, str(lease_s), str(pause_s), str(hosts)]
    return ForkedPopen(command, stdout=subprocess.PIPE, text=True)


def taken(lines: Sequence[str]) -> list[int]:
    return [job for line in lines for job in json.loads(line)]


@pytest.mark.slow
def test_hosts_that_drain_at_once_never_do_one_job_twice(filled: RegistryDatabase, program: Path) -> None:
    hosts = [host(program, filled, f"{name}:1:x", 60, 0.002, hosts=3) for name in ("one", "other", "third")]
    shares = [taken(each.communicate(timeout=60)[0].splitlines()) for each in hosts]
    assert Counter(job for share in shares for job in share) == dict.fromkeys(range(1, JOBS + 1), 1)
    assert sum(bool(share) for share in shares) > 1
    assert read_shadow_counts(filled, SHADOWING).waiting == 0


@pytest.mark.slow
def test_the_lease_of_a_host_that_died_ends(filled: RegistryDatabase, program: Path) -> None:
    """Nobody here can know that it died: another host's processes cannot be asked after."""
    with host(program, filled, "dead:1:x", 600, 60) as dead:
        assert dead.stdout
        lost = json.loads(dead.stdout.readline())
        dead.send_signal(signal.SIGKILL)
    assert lost == [1, 2, 3]
    with host(program, filled, "alive:1:x", 60, 0) as alive:
        assert alive.stdout
        assert set(taken(alive.stdout.readlines())) == set(range(4, JOBS + 1))
    assert lease_jobs(filled, SHADOWING, "alive:1:x", most=9, seconds=60) == []
    assert next_live_shadow(filled) is None
    with filled.write() as connection:  # ten minutes later
        connection.execute("UPDATE jobs SET leased_until = '2026-01-01T00:00:00.000Z' WHERE done_at IS NULL")
    assert next_live_shadow(filled) == SHADOWING
    assert [job.id for job in lease_jobs(filled, SHADOWING, "alive:1:x", most=9, seconds=60)] == lost
