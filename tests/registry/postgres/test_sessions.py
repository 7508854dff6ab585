"""What a role, a database or an administrator has set for the sessions of a server."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from promptops import Workspace
from promptops.config.registry_location import PostgresLocation, postgres_location
from promptops.errors import Invalid, Unavailable
from promptops.registry import RegistryDatabase, copy_registry, erase_person, get_run
from support.front_door import Repo
from support.logged_runs import a_run, an_end
from support.postgres import new_registry, stored_bytes, with_settings
from support.postgres_wires import SharedSession
from support.provider import Provider
from support.workspace_clients import until

NewLocation = Callable[..., PostgresLocation]
ODD = {
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "bytea_output": "escape",
    "DateStyle": "German",
    "IntervalStyle": "sql_standard",
    "timezone": "Pacific/Kiritimati",
    "extra_float_digits": "-8",
    "client_encoding": "LATIN1",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "array_nulls": "off",
}


@pytest.fixture
def url() -> Iterator[str]:
    with new_registry() as url:
        yield url


@pytest.fixture
def location(url: str, tmp_path: Path) -> NewLocation:
    """The registry by a URL with these settings, such as ``statement_timeout="300"``."""
    return lambda **settings: postgres_location(with_settings(url, **settings), tmp_path)


def test_values_come_back_whatever_a_session_has_set(location: NewLocation) -> None:
    text, number = "it's \\ 包裹 \0 \ue000", 1234.567890123456
    run = a_run(inputs={"ticket": text})
    with RegistryDatabase.open(location(**ODD)) as registry:
        registry.record([(run, an_end(output=text, latency_ms=number))])
        found = get_run(registry, run.run_id)
    with RegistryDatabase.open(location()) as plain:
        assert get_run(plain, run.run_id) == found
    assert (found["inputs"]["ticket"], found["output"], found["latency_ms"]) == (text, text, number)


def test_a_copy_is_the_same_whatever_a_session_has_set(location: NewLocation, tmp_path: Path) -> None:
    """There and back, by what was read again of each."""
    odd = location(**ODD, default_transaction_isolation="serializable")
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        text = "it's \\ 包裹 \0 \ue000"
        runs = [(a_run(inputs={"ticket": text}), an_end(output=text, latency_ms=n / 7)) for n in range(1_200)]
        registry.record(runs)
    there = copy_registry(tmp_path / "registry.db", odd)
    back = copy_registry(odd, tmp_path / "back.db")
    assert (there.runs, there.digest) == (1_200, back.digest)
    assert copy_registry(tmp_path / "registry.db", location()).written == 0


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_two_writers_in_turn_whatever_isolation_is_the_default(location: NewLocation, level: str) -> None:
    """A snapshot that is as old as the wait for the other would lose what the other wrote, or fail."""
    each = 20
    place = location(default_transaction_isolation=level)

    def write(registry: RegistryDatabase) -> None:
        for _ in range(each):
            with registry.write() as connection:
                count = int(connection.execute("SELECT value FROM meta WHERE key = 'n'").fetchone()[0])
                connection.execute("UPDATE meta SET value = ? WHERE key = 'n'", (str(count + 1),))
            run = a_run()
            registry.start(run)
            registry.finish(run.run_id, an_end())

    with RegistryDatabase.open(place) as one, RegistryDatabase.open(place) as two:
        with one.write() as connection:
            connection.execute("INSERT INTO meta VALUES ('n', '0')")
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, (one, two)))
        assert one.read_one("SELECT value FROM meta WHERE key = 'n'") == str(2 * each)
        assert one.read_one("SELECT count(*) FROM runs WHERE state = 'finished'") == 2 * each


class TestTimeouts:
    def test_of_a_statement(self, location: NewLocation) -> None:
        """Of the administrator: it ends a wait for others that promptops would go on with."""
        short = location(statement_timeout="1000")
        with RegistryDatabase.open(short) as registry, RegistryDatabase.open(location()) as other:
            with other.write(), pytest.raises(Unavailable, match="due to statement timeout") as ended:
                registry.start(a_run())
            assert "cannot be reached" not in str(ended.value)
            assert "statement_timeout" in (ended.value.hint or "")
            registry.start(a_run())

    def test_of_a_lock(self, location: NewLocation) -> None:
        """It is for how long promptops waits for others, and that is given to promptops itself."""
        place = location(lock_timeout="1")
        with RegistryDatabase.open(place) as registry, RegistryDatabase.open(location()) as other:
            with ThreadPoolExecutor(1) as pool, other.write():
                started = pool.submit(registry.start, a_run())
                time.sleep(0.3)
            assert started.result() == 1

    def test_of_a_transaction_in_which_nothing_is_asked(self, location: NewLocation) -> None:
        with RegistryDatabase.open(location(idle_in_transaction_session_timeout="700")) as registry:
            for block in (registry.write, registry.snapshot):
                with pytest.raises(Unavailable, match="idle-in-transaction timeout"), block() as connection:  # noqa: PT012
                    connection.execute("SELECT 1")
                    time.sleep(1.2)
                    connection.execute("SELECT 1")
            registry.start(a_run())  # on a new connection

    @pytest.mark.parametrize(
        "ask",
        [
            lambda registry: registry.temp_connection(),
            lambda registry: registry.waiting_at_most(1),
            lambda registry: registry.snapshot(),
            lambda registry: registry.write(),
        ],
        ids=["temp", "waiting", "snapshot", "write"],
    )
    def test_of_a_session_in_which_nothing_is_asked(self, location: NewLocation, ask: object) -> None:
        with RegistryDatabase.open(location(idle_session_timeout="100")) as registry:
            time.sleep(0.4)
            with ask(registry):  # type: ignore[operator]
                assert registry.read_one("SELECT 1") == 1


def test_of_two_that_wait_for_each_other_one_is_undone_whole(location: NewLocation, url: str) -> None:
    runs = [a_run(), a_run()]
    ends = [(run.run_id, an_end()) for run in runs]
    lock = "SELECT 1 FROM runs WHERE run_id = %s FOR UPDATE"
    with RegistryDatabase.open(location()) as registry, psycopg.connect(url) as other:
        registry.start_all(runs)
        other.execute("SET deadlock_timeout = '60s'")  # so that it is the other that finds out
        other.execute(lock, (runs[1].run_id,))
        with ThreadPoolExecutor(1) as pool:
            finishing = pool.submit(registry.finish_all, ends)
            time.sleep(0.3)
            other.execute(lock, (runs[0].run_id,))
            with pytest.raises(Unavailable, match="changed by another process at the same time"):
                finishing.result()
        other.rollback()
        assert registry.read_one("SELECT count(*) FROM runs WHERE state = 'started'") == 2
        registry.finish_all(ends)
        assert registry.read_one("SELECT count(*) FROM runs WHERE state = 'finished'") == 2


def test_a_deadlock_costs_nobody_the_answer(
    greeting: Repo, provider: Provider, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What of a run was undone is kept beside the registry and taken in by the next."""
    del provider

    def run() -> str:
        quick = with_settings(url, deadlock_timeout="200")
        with Workspace.open(greeting.path, registry=quick) as workspace:
            return workspace.run("greet", {"name": "Ada"}).answer

    run()
    with psycopg.connect(url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SET deadlock_timeout = '60s'")
        other.execute("LOCK TABLE run_texts IN EXCLUSIVE MODE")
        running = pool.submit(run)
        with psycopg.connect(url, autocommit=True) as watching:
            until(lambda: watching.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is not None)
        other.execute("LOCK TABLE runs IN EXCLUSIVE MODE")  # which the run has written to
        assert running.result()
        other.rollback()
    assert "changed by another process at the same time" in caplog.text
    run()
    with psycopg.connect(url) as other:
        assert other.execute("SELECT state, count(*) FROM runs GROUP BY 1").fetchall() == [("finished", 3)]


def test_a_session_that_clients_have_in_turn_is_refused(url: str, tmp_path: Path) -> None:
    """As of pgbouncer with ``pool_mode = transaction``: settings and prepared statements are another's."""
    with SharedSession(url) as pooler:
        location = postgres_location(pooler.url, tmp_path)
        RegistryDatabase.open(location).close()  # the first has it alone
        for opening in (RegistryDatabase.open, RegistryDatabase.open_existing):
            with pytest.raises(Invalid, match="behind a pooler") as refused:
                opening(location)
            assert "pool_mode = session" in (refused.value.hint or "")
    with SharedSession(url, reset=True) as pooler:  # as with ``pool_mode = session``
        for _ in range(2):
            RegistryDatabase.open(postgres_location(pooler.url, tmp_path)).close()


def test_an_erasure_waits_for_whoever_reads_an_earlier_moment(location: NewLocation, url: str) -> None:
    """What a transaction may still read is kept by a rewrite of its tables, also where it reads others."""
    secret = "the quiet quokka"
    with (
        RegistryDatabase.open(location()) as registry,
        psycopg.connect(url) as reader,
        ThreadPoolExecutor() as threads,
    ):
        run = a_run(inputs={"ticket": secret}, metadata={"tenant": "acme"})
        registry.record([(run, an_end(output=secret))])
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT 1")
        erasing = threads.submit(erase_person, registry, tenant="acme")
        with pytest.raises(TimeoutError):
            erasing.result(timeout=1)
        assert secret.encode() in stored_bytes(url)
        reader.rollback()
        assert erasing.result(timeout=20).waiting is False
    assert secret.encode() not in stored_bytes(url)
