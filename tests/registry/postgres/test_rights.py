"""Who may only read, or may not make tables; sessions that are read-only; a server that follows another."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from promptops import Workspace
from promptops.config.registry_location import postgres_location
from promptops.config.settings import current_settings
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, copy_registry, get_run
from promptops.registry.postgres.months import SPAN
from promptops.release.context import open_release_context
from promptops.release.status import statuses_of
from support.front_door import Cli, Repo
from support.greet_releases import QUICK, go_live, ok, told
from support.greet_traffic import TARGET, traffic
from support.logged_runs import a_run, an_end
from support.postgres import PrivateServer, private_server, with_settings
from support.provider import Provider

READER = """
CREATE ROLE reader LOGIN;
GRANT USAGE ON SCHEMA public TO reader;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader;
"""
WRITER = """
CREATE ROLE writer LOGIN;
GRANT USAGE ON SCHEMA public TO writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer;
GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO writer;
"""
READ_ONLY = "ALTER ROLE tester SET default_transaction_read_only"
READING = "?options=-cdefault_transaction_read_only%3Don"
_OF_ICU = """
CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'
"""
LOOKS = (
    ("runs", "list", "--json"),
    ("runs", "stats", "--json"),
    ("runs", "search", "parcel", "--json"),
    ("runs", "stats", "--by", "model", "--json"),
    ("runs", "export", "--format", "jsonl"),
    ("history", "greet", "--json"),
    ("release", "verify", "--json"),
    ("review", "status", "greet", "--json"),
    ("keys", "list", "--json"),
    ("cache", "stats", "--json"),
    ("jobs", "list", "--json"),
    ("shadow", "list", "--json"),
)


_AS_BEFORE = """
DROP SCHEMA IF EXISTS closed; DROP SCHEMA public CASCADE; CREATE SCHEMA public;
DROP ROLE IF EXISTS reader, writer, eve; ALTER ROLE tester RESET ALL
"""


@pytest.fixture(scope="module")
def _server() -> Iterator[PrivateServer]:
    with private_server() as server:
        yield server


@pytest.fixture
def server(_server: PrivateServer) -> Iterator[PrivateServer]:
    """Of each test alone, with an empty database."""
    yield _server
    if (follows := _follows(_server)).exists():
        _server.stop("fast")
        follows.unlink()
        _server.start()
    as_admin(_server, "DROP DATABASE IF EXISTS icu")
    as_admin(_server, _AS_BEFORE)


def _follows(server: PrivateServer) -> Path:
    """Where this is a server is in recovery, as one that follows another; here it has nobody to follow."""
    return server.folder / "data" / "standby.signal"


def as_admin(server: PrivateServer, script: str) -> None:
    url = with_settings(f"{server.url}?options=", default_transaction_read_only="off")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(script)  # type: ignore[arg-type]


def by(user: str, server: PrivateServer) -> str:
    return server.url.replace("tester", user)


def reading(session: str, server: PrivateServer) -> str:
    """The URL of who may only read there."""
    if session == "reader":
        as_admin(server, READER)
        return by("reader", server)
    if session == "read-only":
        return server.url + READING
    server.stop("fast")
    _follows(server).touch()
    server.start()
    return server.url


def canary_under_way(cli: Cli, repo: Repo) -> None:
    """Looked at once, and with calls that no tick has seen."""
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 40)
    ok(cli("tick"))
    traffic(repo, 120, failing=True)


def looks(cli: Cli) -> list[Any]:
    return [(found.code, found.out) for found in (cli(*words) for words in LOOKS)]


@pytest.mark.parametrize("session", ["reader", "read-only", "standby"])
def test_whoever_may_only_read_sees_what_others_see(
    cli: Cli, repo: Repo, server: PrivateServer, monkeypatch: pytest.MonkeyPatch, session: str
) -> None:
    monkeypatch.setenv("PROMPTOPS_REGISTRY", server.url)
    canary_under_way(cli, repo)
    seen, (status,) = looks(cli), told(cli, "status")
    monkeypatch.setenv("PROMPTOPS_REGISTRY", reading(session, server))
    assert looks(cli) == seen
    (found,) = told(cli, "status")
    assert (found["findings"], found["exposure"]) == (status["findings"], status["exposure"])
    with open_release_context(current_settings(), now=time.time(), local=True) as context:
        (watched,) = statuses_of(context, [TARGET], recompute=True)
    assert watched.findings
    assert watched.findings.calls == (40 if session == "standby" else 160)
    refused = cli("keys", "new", "acme")
    assert refused.code == 4
    assert "cannot be written here" in refused.err


def test_a_database_of_another_collation_says_the_same(
    cli: Cli, repo: Repo, server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ICU, which puts `a` before `B`."""
    as_admin(server, _OF_ICU)
    other = server.url.replace("/postgres", "/icu")
    monkeypatch.setenv("PROMPTOPS_REGISTRY", server.url)
    canary_under_way(cli, repo)
    tagged = [(a_run(metadata={"tags": [tag]}), an_end(output=tag)) for tag in ("a", "B", "ä", "Z", "-a")]
    with RegistryDatabase.open(postgres_location(server.url, repo.path)) as registry:
        registry.record(tagged)
    ok(cli("registry", "copy", server.url, other))
    seen = looks(cli)
    monkeypatch.setenv("PROMPTOPS_REGISTRY", other)
    assert looks(cli) == seen
    assert cli("tick", "greet").code == 1  # rolled back


@pytest.mark.parametrize(
    ("user", "take", "give"),
    [
        ("reader", READER, WRITER.replace("CREATE ROLE writer LOGIN;", "").replace("writer", "reader")),
        ("tester", f"{READ_ONLY} = on", f"{READ_ONLY} = off"),
    ],
    ids=["reader", "read-only"],
)
def test_what_a_reader_runs_waits_until_it_may_be_written(
    greeting: Repo, provider: Provider, server: PrivateServer, user: str, take: str, give: str
) -> None:
    del provider
    with Workspace.open(greeting.path, registry=server.url) as workspace:
        workspace.run("greet", {"name": "first"})
    for name, script in (("second", take), ("third", give)):
        as_admin(server, script)
        with Workspace.open(greeting.path, registry=by(user, server)) as workspace:
            assert workspace.run("greet", {"name": name}).answer
    with psycopg.connect(server.url) as connection:
        states = connection.execute("SELECT state, count(*) FROM runs GROUP BY 1").fetchall()
    assert states == [("finished", 3)]


def test_a_right_that_is_taken_away_meanwhile_costs_nobody_the_answer(
    greeting: Repo, provider: Provider, server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    del provider
    RegistryDatabase.open(postgres_location(server.url, greeting.path)).close()
    as_admin(server, WRITER)
    with Workspace.open(greeting.path, registry=by("writer", server)) as workspace:
        workspace.run("greet", {"name": "first"})
        as_admin(server, "REVOKE INSERT ON runs FROM writer")
        assert workspace.run("greet", {"name": "second"}).answer
    assert "permission denied for table runs" in caplog.text


def test_who_does_not_own_the_tables_logs_on_when_a_month_begins(
    server: PrivateServer, tmp_path: Path
) -> None:
    """Its runs are of the month before, until a month is begun by the owner."""
    with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
        registry.start(a_run())
        with registry.write() as connection:
            connection.execute("UPDATE months SET month = '2000-01'")
    as_admin(server, WRITER)
    with RegistryDatabase.open(postgres_location(by("writer", server), tmp_path)) as registry:
        assert registry.start_all([a_run(), a_run()]) == [2, 3]
    with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
        assert registry.start(a_run()) > SPAN


def test_who_may_not_make_tables_is_refused_where_there_are_none(
    server: PrivateServer, tmp_path: Path
) -> None:
    as_admin(server, "CREATE ROLE eve LOGIN; CREATE SCHEMA closed")
    for url in (by("eve", server), with_settings(f"{by('eve', server)}?options=", search_path="closed")):
        with pytest.raises(Invalid, match=r"permission denied for schema|in a schema that does not exist"):
            RegistryDatabase.open(postgres_location(url, tmp_path))


def test_a_schema_that_is_not_there_is_no_empty_log(
    cli: Cli, greeting: Repo, server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del greeting
    missing = with_settings(f"{server.url}?options=", search_path="nowhere")
    monkeypatch.setenv("PROMPTOPS_REGISTRY", missing)
    for words in (("runs", "list"), ("runs", "stats"), ("status",), ("jobs", "list"), ("shadow", "list")):
        refused = cli(*words)
        assert refused.code == 4, words
        assert "in a schema that does not exist" in refused.err
    monkeypatch.setenv("PROMPTOPS_REGISTRY", server.url)  # where nothing is logged yet
    assert cli("runs", "list").code == 0


@pytest.mark.parametrize("session", ["reader", "read-only", "standby"])
def test_a_copy_is_made_of_what_may_only_be_read(server: PrivateServer, tmp_path: Path, session: str) -> None:
    runs = [a_run() for _ in range(20)]
    with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
        registry.record([(run, an_end()) for run in runs])
    source = postgres_location(reading(session, server), tmp_path)
    assert copy_registry(source, tmp_path / "copy.db").runs == 20
    with RegistryDatabase.open(tmp_path / "copy.db") as registry:
        assert [get_run(registry, run.run_id)["output"] for run in runs] == ["delivery"] * 20
