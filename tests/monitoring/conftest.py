"""A log over three weeks and what is known of it, made once; tests add what has changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from promptops.monitoring.check import LookRequest, check_target
from promptops.monitoring.look import ServedVersion
from promptops.registry import RegistryDatabase
from support.front_door import Repo
from support.logged_rows import put_log
from support.logged_runs import DIGEST
from support.watched_logs import WatchedLog, shared_today, today


@pytest.fixture
def steady_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 nights of 90 runs, up to five days ago, looked at once."""

    def fill(registry: RegistryDatabase) -> None:
        WatchedLog(registry).add(range(28, 4, -1), 90)
        request = LookRequest(now=today() - 4 * 86_400)
        check_target(registry, "support/triage", "production", ServedVersion(DIGEST), request)

    return shared_today(tmp_path_factory.getbasetemp(), "steady", fill)


@pytest.fixture
def watched(repo: Repo, steady_log: Path) -> Iterator[WatchedLog]:
    """In the registry of a repository."""
    put_log(steady_log, repo)
    with RegistryDatabase.open(repo.registry) as registry:
        yield WatchedLog(registry)
