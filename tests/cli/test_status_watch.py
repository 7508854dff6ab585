"""``promptops status --watch``: what a tick would find now, of one moment, and nothing is kept of it."""

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from promptops.registry import RegistryDatabase
from promptops.registry.queries.copy import OTHER_TABLES, RUN_TABLES
from support.front_door import Cli, Finished, Repo
from support.greet_releases import QUICK, go_live, ok, told
from support.greet_traffic import traffic

Watch = Callable[[], Finished]


@pytest.fixture
def canary(cli: Cli, repo: Repo) -> Repo:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 40)
    ok(cli("tick"))
    return repo


def watched(cli: Cli) -> Any:
    """What one refresh shows; then Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.5)
    try:
        done = cli("status", "--watch", "--json")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert done.code == 130
    (found,) = json.JSONDecoder().raw_decode(done.out[done.out.index("[") :])[0]
    return found


def stored(repo: Repo) -> tuple[str, dict[str, list[tuple[Any, ...]]]]:
    """The state branch, and every table of the registry."""
    with RegistryDatabase.open(repo.registry) as registry:
        names = [*RUN_TABLES, *OTHER_TABLES]
        tables = {name: [tuple(row) for row in registry.read(f"SELECT * FROM {name}")] for name in names}
    assert {"observations", "eprocesses", "runs", "meta"} <= tables.keys()
    return repo.git("rev-parse", "promptops-state"), tables


def test_a_watch_scores_what_no_tick_has_seen_and_keeps_nothing(cli: Cli, canary: Repo) -> None:
    traffic(canary, 300, failing=True)
    before = stored(canary)
    found = watched(cli)
    assert found["findings"]["harm"] == ["error_rate"]
    assert found["decision"]["transition"]["move"] == "rollback"
    assert (found["findings"]["calls"], found["exposure"]["calls"]) == (340, 340)
    assert found["exposure"]["uncounted"] == 0
    assert stored(canary) == before
    assert json.loads(cli("tick", "--json").out)["move"] == "rollback"


def test_counts_and_verdicts_of_a_status_are_those_of_the_last_tick(cli: Cli, canary: Repo) -> None:
    traffic(canary, 300, failing=True)
    (found,) = told(cli, "status")
    assert (found["findings"]["calls"], found["exposure"]["calls"]) == (40, 40)
    assert found["exposure"]["uncounted"] == 300
    assert "20 of 40 calls (50.0 %)" in " ".join(ok(cli("status")).out.split())
    assert "300 more calls wait for a tick" in " ".join(ok(cli("status")).out.split())


@pytest.mark.sqlite  # elsewhere tests/registry/postgres/test_rights.py
def test_a_watch_before_the_first_tick_and_where_nothing_can_be_written(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    assert watched(cli)["findings"]["calls"] == 0
    traffic(repo, 300, failing=True)
    file = repo.path / "registry.db"
    file.chmod(0o444)
    try:
        assert watched(cli)["findings"]["harm"] == ["error_rate"]
    finally:
        file.chmod(0o644)
