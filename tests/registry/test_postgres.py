"""A server that is restarted, replaced, full or cut off; several hosts at once; numbers out of order."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from promptops.config.registry_location import PostgresLocation, postgres_location
from promptops.errors import Invalid, Unavailable
from promptops.registry import RegistryDatabase, first_open_run, get_run
from promptops.registry.errors import StaleRegistry
from promptops.registry.queries.release.observations import last_seq
from support.logged_runs import a_run, an_end
from support.postgres import SERVER, PrivateServer, new_registry, new_schema, private_server, require_server


@pytest.fixture
def location(tmp_path: Path) -> Iterator[PostgresLocation]:
    with new_registry() as url:
        yield postgres_location(url, tmp_path)


@pytest.fixture(scope="module")
def _server() -> Iterator[PrivateServer]:
    with private_server("max_connections=40") as server:
        yield server


@pytest.fixture
def server(_server: PrivateServer) -> PrivateServer:
    """A private server, running, with an empty database."""
    _server.stop()
    _server.start("max_connections=40")
    with psycopg.connect(_server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return _server


class TestSettledNumbers:
    def test_a_reader_stops_before_a_number_that_is_not_committed(self, location: PostgresLocation) -> None:
        slow, quick, reader = (RegistryDatabase.open(location) for _ in range(3))
        with slow, quick, reader:
            with slow._write_log():  # noqa: SLF001 - a commit that takes its time
                slow.start(a_run())
                quick.start(a_run())
                assert reader.read_one("SELECT max(seq) FROM runs") == 2  # what a reader would go on from
                assert reader.settled().seq == last_seq(reader) == 0
            assert reader.settled().seq == last_seq(reader) == 2

    def test_a_snapshot_knows_the_numbers_of_its_moment(self, location: PostgresLocation) -> None:
        with RegistryDatabase.open(location) as writer, RegistryDatabase.open(location) as reader:
            writer.start(a_run())
            with reader.snapshot():
                assert reader.read_one("SELECT max(seq) FROM runs") == 1
                writer.start(a_run())
                assert reader.settled().seq == 1
                assert reader.read_one("SELECT max(seq) FROM runs") == 1
            assert reader.settled().seq == 2

    def test_numbers_of_other_registries_do_not_hold_it_back(self, location: PostgresLocation) -> None:
        with (
            new_registry() as url,
            RegistryDatabase.open(postgres_location(url, location.local.parent)) as other,
            RegistryDatabase.open(location) as registry,
            other._write_log(),  # noqa: SLF001
        ):
            other.start(a_run())
            registry.start(a_run())
            assert registry.settled().seq == 1

    def test_rows_in_order_are_read_once_while_many_commit_late(self, location: PostgresLocation) -> None:
        """Each look takes what is new since the last one, as ticks do."""
        writers, each = 6, 25

        def write(number: int) -> None:
            with RegistryDatabase.open(location) as registry:
                for turn in range(each):
                    with registry._write_log():  # noqa: SLF001 - commits end in another order than they began
                        registry.start(a_run())
                        threading.Event().wait(0.004 * ((number * 7 + turn * 3) % 5))

        seen: list[int] = []
        naive: list[int] = []
        with RegistryDatabase.open(location) as reader, ThreadPoolExecutor(writers) as pool:
            busy = [pool.submit(write, number) for number in range(writers)]
            done = False
            while not done:
                done = all(each.done() for each in busy)
                bound = last_seq(reader)
                after = "SELECT seq FROM runs WHERE seq > ? ORDER BY seq"
                seen += [row[0] for row in reader.read(after, (max(seen, default=0),)) if row[0] <= bound]
                naive += [row[0] for row in reader.read(after, (max(naive, default=0),))]
            for each_done in busy:
                each_done.result()
        assert seen == list(range(1, 151))
        assert len(naive) < 150  # without the bound some are never seen


class TestServers:
    def test_an_idle_connection_outlives_a_restart(self, server: PrivateServer, tmp_path: Path) -> None:
        with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
            first = a_run()
            registry.start(first)
            server.stop("fast")
            with pytest.raises(Unavailable, match="cannot be reached"):
                registry.read("SELECT 1")
            with pytest.raises(Unavailable, match="cannot be reached"):
                registry.start(a_run())
            server.start()
            assert registry.schema_number() > 0
            server.stop("fast")
            server.start()
            registry.finish(first.run_id, an_end())
            assert get_run(registry, first.run_id)["output"] == "delivery"

    def test_a_transaction_that_is_cut_off_is_undone(self, server: PrivateServer, tmp_path: Path) -> None:
        with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
            with pytest.raises(Unavailable), registry.write() as connection:  # noqa: PT012 - a block
                connection.execute("DELETE FROM meta")
                server.stop()
                server.start()
                connection.execute("SELECT 1")
            assert registry.read_one("SELECT count(*) FROM meta") == 2

    def test_an_empty_replica_is_refused(self, server: PrivateServer, tmp_path: Path) -> None:
        location = postgres_location(server.url, tmp_path)
        with RegistryDatabase.open(location) as registry:
            registry.start(a_run())
            with psycopg.connect(server.url, autocommit=True) as connection:
                connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            server.stop()
            server.start()
            with pytest.raises(StaleRegistry, match="is not the one used before"):
                registry.start(a_run())
        for opening in (RegistryDatabase.open, RegistryDatabase.open_existing):
            with pytest.raises(StaleRegistry, match="is not the one used before"):
                opening(location)
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT to_regclass('runs')").fetchone() == (None,)
        RegistryDatabase.open(postgres_location(server.url, tmp_path / "elsewhere")).close()
        with pytest.raises(StaleRegistry, match="is not the one used before"):
            RegistryDatabase.open(location)
        location.local.with_name(f"{location.local.name}-id").unlink()
        RegistryDatabase.open(location).close()

    def test_a_read_only_server_is_read(self, server: PrivateServer, tmp_path: Path) -> None:
        location = postgres_location(server.url, tmp_path)
        run = a_run()
        with RegistryDatabase.open(location) as registry:
            registry.record([(run, an_end())])
        server.stop("fast")
        server.start("default_transaction_read_only=on")
        with RegistryDatabase.open(location) as registry:
            assert not registry.writable
            assert get_run(registry, run.run_id)["output"] == "delivery"
            with pytest.raises(Invalid, match="cannot be written here"):
                registry.start(a_run())

    def test_a_server_without_a_free_connection(self, server: PrivateServer, tmp_path: Path) -> None:
        location = postgres_location(server.url, tmp_path)
        RegistryDatabase.open(location).close()
        opened: list[RegistryDatabase] = []
        try:
            with pytest.raises(
                Unavailable, match=r"cannot be reached: .*(too many clients|connection slots)"
            ):
                opened.extend(RegistryDatabase.open(location) for _ in range(200))
        finally:
            for registry in opened:
                registry.close()

    def test_a_lost_answer_to_a_commit_is_asked_for(self, server: PrivateServer, tmp_path: Path) -> None:
        with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
            number = registry._begin(alone=False, waits=True)  # type: ignore[attr-defined]  # noqa: SLF001
            raw = registry._connection.raw  # type: ignore[attr-defined]  # noqa: SLF001
            raw.execute("COMMIT")
            raw.close()
            lost = psycopg.OperationalError("the server closed the connection")
            assert registry._was_committed(number, lost)  # type: ignore[attr-defined]  # noqa: SLF001
            number = registry._begin(alone=False, waits=True)  # type: ignore[attr-defined]  # noqa: SLF001
            registry._connection.raw.close()  # type: ignore[attr-defined]  # noqa: SLF001
            assert not registry._was_committed(number, lost)  # type: ignore[attr-defined]  # noqa: SLF001

    def test_what_is_in_doubt_is_written_once(self, location: PostgresLocation) -> None:
        """As after a commit that nobody could ask about: what was committed is tried again."""
        runs, whole = [a_run() for _ in range(3)], a_run()
        with RegistryDatabase.open(location) as registry:
            first = registry.log_group(runs[:2], [])
            registry.finish(runs[0].run_id, an_end())
            registry.record([(whole, an_end())])
            registry._doubtful.update(run.run_id for run in (*runs[:2], whole))  # type: ignore[union-attr]  # noqa: SLF001
            assert registry.log_group(runs, [(runs[0].run_id, an_end())])[:2] == first
            registry.finish_all([(runs[1].run_id, an_end()), (runs[2].run_id, an_end())])
            registry.record([(whole, an_end())])
            assert [tuple(row) for row in registry.read("SELECT state, count(*) FROM runs GROUP BY 1")] == [
                ("finished", 4)
            ]
            assert not registry._doubtful  # noqa: SLF001


class TestHosts:
    def test_eight_hosts_make_one_registry_at_once(self, tmp_path: Path) -> None:
        with new_schema() as url, ThreadPoolExecutor(8) as pool:

            def open_one(number: int) -> str:
                with RegistryDatabase.open(postgres_location(url, tmp_path / str(number))) as registry:
                    registry.record([(a_run(), an_end())])
                    return str(registry.read_one("SELECT value FROM meta WHERE key = 'registry_id'"))

            assert len(set(pool.map(open_one, range(8)))) == 1
            with RegistryDatabase.open(postgres_location(url, tmp_path)) as registry:
                assert registry.read_one("SELECT count(*) FROM runs") == 8

    def test_a_registry_of_a_later_version_is_refused(self, location: PostgresLocation) -> None:
        with RegistryDatabase.open(location) as registry, registry.write() as connection:
            connection.execute("INSERT INTO migrations VALUES (99, 'later', '')")
        try:
            with pytest.raises(Invalid, match="has schema 99, and this promptops knows schemas up to"):
                RegistryDatabase.open(location)
        finally:
            with psycopg.connect(location.url) as raw:
                raw.execute("DELETE FROM migrations WHERE number = 99")

    def test_tables_of_another_program_are_left_alone(self, tmp_path: Path) -> None:
        with new_schema() as url:
            with psycopg.connect(url) as raw:
                raw.execute("CREATE TABLE runs (marathon text)")
            with pytest.raises(Invalid, match="another program's tables"):
                RegistryDatabase.open(postgres_location(url, tmp_path))

    def test_a_schema_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with new_schema() as url, pytest.raises(Invalid, match="in a schema that does not exist"):
            RegistryDatabase.open(postgres_location(f"{url}_of_nobody", tmp_path))

    def test_a_database_that_cannot_hold_every_text_is_refused(
        self, server: PrivateServer, tmp_path: Path
    ) -> None:
        with psycopg.connect(server.url, autocommit=True) as raw:
            raw.execute("CREATE DATABASE old ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        url = server.url.replace("/postgres", "/old")
        with pytest.raises(Invalid, match="is in LATIN1"):
            RegistryDatabase.open(postgres_location(url, tmp_path))

    def test_logging_goes_on_beside_logging_and_waits_for_all_else(self, location: PostgresLocation) -> None:
        with RegistryDatabase.open(location) as one, RegistryDatabase.open(location, busy_s=0.2) as other:
            with one._write_log():  # noqa: SLF001
                other.start(a_run())
                with pytest.raises(Unavailable, match="locked by another process"), other.write():
                    pass
            with one.write():
                with pytest.raises(Unavailable, match=r"locked by another process for 0\.2 s"):
                    other.start(a_run())
                with pytest.raises(Unavailable, match="locked by another process"):
                    other.log_group([a_run()], [], waits=False)
                assert other.read_one("SELECT count(*) FROM runs") == 1


def test_text_that_postgresql_cannot_hold_comes_back(location: PostgresLocation) -> None:
    texts = ["a\0b", "\0", "\ue000", "\ue0000", "\ue0001\0\ue000", "plain"]
    runs = [a_run(inputs={"ticket": text}) for text in texts]
    with RegistryDatabase.open(location) as registry:
        registry.record([(run, an_end(output=text)) for run, text in zip(runs, texts, strict=True)])
        assert [get_run(registry, run.run_id)["output"] for run in runs] == texts
        assert [get_run(registry, run.run_id)["inputs"]["ticket"] for run in runs] == texts


def test_no_message_shows_a_password(tmp_path: Path) -> None:
    location = postgres_location("postgresql://ada:s3cret@127.0.0.1:1/x?password=s3cret", tmp_path)
    assert "s3cret" not in f"{location} {location!r}"
    with pytest.raises(Unavailable) as caught:
        RegistryDatabase.open(location)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    for broken in (
        "postgresql://a:s3cret@h/x?nonsense=1",
        "postgresql://a:s3cret%zz@h/x",
        "postgresql://[s3cret",
        "postgresql://a:x@s3cret@127.0.0.1:1/x",
        "postgresql://a:x/s3cret@127.0.0.1:1/x",
        "postgresql://a:x#s3cret@127.0.0.1:1/x",
    ):
        with pytest.raises((Invalid, Unavailable)) as failed:
            RegistryDatabase.open(postgres_location(broken, tmp_path))
        assert "s3cret" not in str(failed.value)


def test_what_is_missing_on_the_server_is_named(tmp_path: Path) -> None:
    require_server()
    where = f"{SERVER.partition('?')[0].rpartition('/')[0]}/no_such_database"
    with pytest.raises(Unavailable, match="no_such_database") as refused:
        RegistryDatabase.open(postgres_location(where, tmp_path))
    assert "createdb" in (refused.value.hint or "")


def test_a_registry_of_an_earlier_version_gets_what_it_lacks(location: PostgresLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        registry.start(a_run(prompt="waits", channel="production"))
        registry.command("DROP INDEX runs_open")
        registry.command("DELETE FROM migrations WHERE name = 'open runs'")
    with RegistryDatabase.open(location) as registry:
        registry.command("SET enable_seqscan = off")  # of so few rows all are read
        plan = registry.read("EXPLAIN SELECT min(seq) FROM runs WHERE prompt = 'waits' AND state = 'started'")
        assert "using runs_open" in " ".join(row[0] for row in plan)
        assert first_open_run(registry, "waits", "production", 0, "2000") == 1
