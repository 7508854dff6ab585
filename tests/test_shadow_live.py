"""The shadow of a channel: put on, drawn, answered in the background, and never in anybody's way."""

import json
import sqlite3
import time
from typing import Any

import pytest
from conftest import Cli, Repo
from greet_releases import SALUTE, go_live, ok, told
from provider import Provider, Received, echo, malformed, reply, slow, status, text

RUN = ("run", "greet:production", "-i", "name=Ada")


def rows(repo: Repo, sql: str = "SELECT * FROM runs ORDER BY seq") -> list[dict[str, Any]]:
    with sqlite3.connect(repo.path / "registry.db") as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def shadows(repo: Repo) -> list[dict[str, Any]]:
    return [row for row in rows(repo) if row["kind"] == "shadow"]


def jobs(repo: Repo, where: str = "1") -> list[dict[str, Any]]:
    return rows(repo, f"SELECT * FROM jobs WHERE {where} ORDER BY id")  # noqa: S608


def until(true: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def put_on(cli: Cli, *more: str, sample: str = "1", usd: str = "1") -> None:
    ok(
        cli(
            "shadow",
            "on",
            "greet:production",
            "--version",
            "HEAD",
            "--sample",
            sample,
            "--max-usd",
            usd,
            *more,
        )
    )


@pytest.fixture
def live(repo: Repo, cli: Cli) -> Repo:
    """v1 greets in production, v2 salutes in its shadow."""
    go_live(cli, repo)
    put_on(cli)
    return repo


def test_the_shadow_answers_after_the_user_has_the_answer(live: Repo, cli: Cli, provider: Provider) -> None:
    done = cli(*RUN)
    assert (done.code, done.out, done.err) == (0, "Greet Ada.\n", "")
    until(lambda: jobs(live, "done_at IS NOT NULL"))
    primary, shadow = rows(live)
    assert (primary["kind"], primary["version"], primary["shadow_of"]) == ("run", "v1", None)
    assert shadow["shadow_of"] == primary["run_id"]
    assert (shadow["kind"], shadow["arm"], shadow["version"], shadow["channel"], shadow["state"]) == (
        "shadow",
        "candidate",
        "v2",
        "production",
        "finished",
    )
    (job,) = jobs(live)
    assert (job["run_id"], job["error_message"]) == (primary["run_id"], None)
