"""A server for the tests, and a schema of its own for each of them."""

import atexit
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from promptops.config.registry_location import postgres_location
from promptops.registry import RegistryDatabase

SERVER = os.environ.get("PROMPTOPS_TEST_POSTGRES", "postgresql://127.0.0.1:5432/test")
_NAMES = (f"t{os.getpid()}_{number}" for number in itertools.count())
_MADE: list[str] = []  # schemas with a registry that no test uses now


@cache
def missing_server() -> str:
    """Why there is none; empty where there is one."""
    try:
        psycopg.connect(SERVER, connect_timeout=2).close()
    except psycopg.Error as error:
        return f"needs PostgreSQL, see PROMPTOPS_TEST_POSTGRES: {str(error).splitlines()[0]}"
    return ""


def require_server() -> None:
    """Skip the test where there is no server; in CI that is an error."""
    if reason := missing_server():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


def schema_url(schema: str) -> str:
    return f"{SERVER}{'&' if '?' in SERVER else '?'}options=-csearch_path%3D{schema}"


def with_settings(url: str, **settings: str) -> str:
    """The URL of ``schema_url`` with further settings of the session."""
    words = (f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())
    return url + "".join(quote(f" {word}") for word in words)


@contextmanager
def new_schema() -> Iterator[str]:
    """The URL of an empty schema, which is dropped afterwards."""
    require_server()
    name = next(_NAMES)
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
        try:
            yield schema_url(name)
        finally:
            _drop(connection, name)


@contextmanager
def new_registry() -> Iterator[str]:
    """The URL of a schema with an empty registry. It is used again: to make one takes half a second."""
    require_server()
    name = _MADE.pop() if _MADE else _make_registry()
    try:
        yield schema_url(name)
    finally:
        with psycopg.connect(schema_url(name), autocommit=True) as connection:
            connection.execute(_EMPTY)
        _MADE.append(name)


def _make_registry() -> str:
    name = next(_NAMES)
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    atexit.register(_drop_made, name)
    with tempfile.TemporaryDirectory() as beside:
        RegistryDatabase.open(postgres_location(schema_url(name), Path(beside))).close()
    return name


def _drop_made(name: str) -> None:
    if name.partition("_")[0] == f"t{os.getpid()}":  # not at the end of a fork
        with psycopg.connect(SERVER, autocommit=True) as connection:
            _drop(connection, name)


def _drop(connection: "psycopg.Connection[Any]", name: str) -> None:
    connection.execute(f"SET client_min_messages = warning; DROP SCHEMA IF EXISTS {name} CASCADE")


def stored_bytes(url: str) -> bytes:
    """What the server has on its disk of all tables of a schema. Needs the rights of a superuser."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        return b"".join(row[0] for row in connection.execute(_STORED))


_STORED = """
SELECT pg_read_binary_file(pg_relation_filepath(oid)) FROM pg_class
WHERE relkind IN ('r', 't', 'i') AND (relnamespace = current_schema()::regnamespace OR oid IN (
  SELECT reltoastrelid FROM pg_class WHERE relnamespace = current_schema()::regnamespace
))
"""


_EMPTY = """
DO $$
DECLARE
  name text;
  filled boolean;
  tables text[] := '{}';
BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', name) INTO filled;
    IF filled AND name NOT IN ('migrations', 'meta') THEN tables := tables || quote_ident(name); END IF;
  END LOOP;
  IF tables <> '{}' THEN
    EXECUTE 'TRUNCATE ' || array_to_string(tables, ', ') || ' CASCADE';
  END IF;
  FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema() LOOP
    PERFORM setval(name, 1, false);
  END LOOP;
  DELETE FROM meta WHERE key NOT IN ('registry_id', 'unit_key');
  UPDATE meta SET value = left(encode(sha256((value || clock_timestamp())::bytea), 'hex'), length(value));
END
$$
"""


class PrivateServer:
    """A server of a test's own, which may be restarted, filled and cut off."""

    def __init__(self, folder: Path) -> None:
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not (programs or shutil.which("initdb")):
            pytest.skip("needs initdb, of the server's package")
        self._programs = programs[-1] if programs else Path(str(shutil.which("initdb"))).parent
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        self._user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
        folder.mkdir(exist_ok=True)
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")

    def start(self, *settings: str) -> None:
        given = [f"-c {setting}" for setting in ("fsync=off", "listen_addresses=127.0.0.1", *settings)]
        options = f"-p {self.port} -k {self.folder} {' '.join(given)}"
        self._run("pg_ctl", "-w", "-s", "-l", f"{self.folder}/log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate``: as a crash. One that is not running is left alone."""
        self._run("pg_ctl", "-w", "-s", "-m", mode, "stop", check=False)

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(
            command,
            user=self._user,
            cwd="/",
            check=check,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def private_server(*settings: str) -> Iterator[PrivateServer]:
    with tempfile.TemporaryDirectory(prefix="promptops-postgres-") as folder:
        server = PrivateServer(Path(folder))
        try:
            server.start(*settings)
            yield server
        finally:
            server.stop()
