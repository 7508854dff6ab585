"""Commands of a Python that has Ray. ``PROMPTOPS_RAY_PYTHON`` names it where this one has none."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import promptops
from support.front_door import Finished, Repo
from support.paths import ROOT
from support.provider import Provider

MARK = "PROMPTOPS_TEST_RAY"  # in the environment of all that one test starts
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}  # of clusters that tests share with the commands they start


def ray_python() -> str:
    if python := os.environ.get("PROMPTOPS_RAY_PYTHON"):
        return python
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs PROMPTOPS_RAY_PYTHON, a Python with the extra 'ray'")
    return sys.executable


def own_environment() -> dict[str, str]:
    """Of a source tree its folder; an installed package is that of the Python with Ray."""
    source = Path(promptops.__file__).parents[1]
    path = {"PYTHONPATH": str(source)} if source == ROOT else {}
    return {**os.environ, **QUIET, **path}


@dataclass
class RayCommands:
    """Command lines with ``--on`` in one repository; ``mark`` tells their processes from those of others."""

    repo: Repo
    python: str
    mark: str
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        token = {} if "ray" in words else NO_TOKEN
        return subprocess.Popen(
            [self.python, "-m", "promptops", *words],
            cwd=self.repo.path,
            env={**own_environment(), **token, MARK: self.mark, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *words: str) -> Finished:
        child = self.start(*words)
        try:
            out, err = child.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        return Finished(child.returncode, out, err)


def marked(mark: str, command: str = "") -> list[int]:
    """Processes that have this mark, and a command line that begins so."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            has_mark = f"{MARK}={mark}\0".encode() in (folder / "environ").read_bytes()
            if has_mark and (folder / "cmdline").read_bytes().startswith(command.encode()):
                found.append(int(folder.name))
    return found


def wait_until_gone(mark: str) -> None:
    until = time.monotonic() + 60
    while left := marked(mark):
        assert time.monotonic() < until, [Path(f"/proc/{pid}/cmdline").read_bytes()[:80] for pid in left]
        time.sleep(0.1)


@contextmanager
def ray_cluster(environments: Sequence[dict[str, str]]) -> Iterator[str]:
    """The address of a cluster with so many nodes, each with this in its environment."""
    script = ROOT / "tests/support/ray_cluster.py"
    with subprocess.Popen(
        [ray_python(), str(script), json.dumps(list(environments))],
        env={**own_environment(), **NO_TOKEN},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(60)


@dataclass
class TwoNodes:
    """A cluster of two nodes. Each calls a path of its own of ``provider``, with a key of its own."""

    address: str
    provider: Provider

    def asked_by_node(self) -> dict[str, int]:
        paths = [request.path.split("/")[1] for request in self.provider.requests]
        return {node: paths.count(node) for node in ("one", "two")}
