"""Who is connected to, as whom and how: TLS, passwords, services; each refusal names its next step."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from promptops.config.registry_location import postgres_location
from promptops.errors import PromptopsError, Unavailable
from promptops.registry import RegistryDatabase, copy_registry
from support.postgres import PrivateServer, private_server
from support.provider import make_certificate

USERS = "CREATE ROLE ada LOGIN PASSWORD 's3cret'; CREATE DATABASE kept OWNER ada"


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateServer]:
    """One with TLS, that asks everybody but its maker for a password."""
    with private_server() as server:
        cert, key = make_certificate(server.folder, "DNS:localhost")
        if os.getuid() == 0:
            for file in (cert, key):
                shutil.chown(file, "postgres")
        key.chmod(0o600)
        with psycopg.connect(server.url, autocommit=True) as admin:
            for statement in USERS.split(";"):
                admin.execute(statement)  # type: ignore[arg-type]
        rules = server.folder / "data" / "pg_hba.conf"
        rules.write_text("host all tester all trust\nhost kept ada all scram-sha-256\n")
        server.stop("fast")
        server.start("ssl=on", f"ssl_cert_file={cert}", f"ssl_key_file={key}")
        yield server


@pytest.fixture(scope="module")
def plain() -> Iterator[PrivateServer]:
    with private_server() as server:
        yield server


def encrypted(url: str, folder: Path) -> bool:
    with RegistryDatabase.open(postgres_location(url, folder)) as registry:
        return bool(registry.read_one("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))


def refusal(url: str, folder: Path) -> PromptopsError:
    with pytest.raises(Unavailable, match="cannot be reached") as refused:
        RegistryDatabase.open(postgres_location(url, folder))
    return refused.value


class TestTls:
    def test_modes_are_honoured(self, server: PrivateServer, plain: PrivateServer, tmp_path: Path) -> None:
        root = f"sslrootcert={server.folder}/cert.pem"
        by_name = server.url.replace("127.0.0.1", "localhost")
        assert encrypted(f"{server.url}?sslmode=require", tmp_path)
        assert encrypted(f"{by_name}?sslmode=verify-full&{root}", tmp_path)
        assert not encrypted(f"{server.url}?sslmode=disable", tmp_path)
        assert not encrypted(plain.url, tmp_path)

    def test_each_refusal_says_what_to_do(
        self, server: PrivateServer, plain: PrivateServer, tmp_path: Path
    ) -> None:
        (tmp_path / "other").mkdir()
        other, _ = make_certificate(tmp_path / "other")
        for url, said, hint in (
            (f"{plain.url}?sslmode=require", "does not support SSL", "ssl = on"),
            (f"{server.url}?sslmode=verify-full", "root.crt", "sslrootcert=FILE"),
            (f"{server.url}?sslmode=verify-ca&sslrootcert={other}", "verify failed", "sslrootcert=FILE"),
            (
                f"{server.url}?sslmode=verify-full&sslrootcert={server.folder}/cert.pem",
                "does not match host name",
                "as the certificate has it",
            ),
            (f"{server.url}?sslmode=nonsense", "invalid sslmode", "libpq-connect.html"),
        ):
            error = refusal(url, tmp_path)
            assert said in error.message
            assert hint in (error.hint or ""), url
            assert "createdb" not in (error.hint or "")


class TestUsers:
    def test_a_password_is_taken_from_where_libpq_takes_it(
        self, server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at = f"127.0.0.1:{server.port}"
        url = f"postgresql://ada@{at}/kept"
        for said, hint in (
            ("no password supplied", "PGPASSWORD"),
            ("authentication failed", "check the user"),
        ):
            error = refusal(url, tmp_path)
            assert said in error.message
            assert hint in (error.hint or "")
            monkeypatch.setenv("PGPASSWORD", "wrong-1")
        assert "wrong-1" not in error.message
        monkeypatch.setenv("PGPASSWORD", "s3cret")
        assert encrypted(url, tmp_path)
        monkeypatch.delenv("PGPASSWORD")
        for file in (Path.home() / ".pgpass", tmp_path / "passwords"):
            file.write_text(f"{at}:kept:ada:s3cret\n")
            file.chmod(0o600)
            monkeypatch.setenv("PGPASSFILE", str(file))
            if file.parent == Path.home():
                monkeypatch.delenv("PGPASSFILE")
            assert encrypted(url, tmp_path)
            file.unlink()

    def test_a_service_names_server_and_user(
        self, server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = f"[mine]\nhost=127.0.0.1\nport={server.port}\nuser=ada\ndbname=kept\npassword=s3cret\n"
        (Path.home() / ".pg_service.conf").write_text(lines)
        assert encrypted("postgresql://?service=mine", tmp_path)
        assert "PGSERVICE" in (refusal("postgresql://?service=other", tmp_path).hint or "")
        monkeypatch.setenv("PGSERVICE", "mine")
        assert encrypted("postgresql://", tmp_path)
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "none"))
        assert "PGSERVICEFILE" in (refusal("postgresql://", tmp_path).hint or "")

    def test_who_may_not_come_in_is_said(self, server: PrivateServer, tmp_path: Path) -> None:
        at = f"127.0.0.1:{server.port}"
        for url, said, hint in (
            (f"postgresql://eve@{at}/kept", "no pg_hba.conf entry", "pg_hba.conf"),
            (f"postgresql://tester@{at}/none", 'database "none" does not exist', "createdb"),
            (f"postgresql://tester@none.invalid:{server.port}/kept", "resolve host", "host"),
        ):
            error = refusal(url, tmp_path)
            assert said in error.message
            assert hint in (error.hint or "")

    def test_a_user_that_is_not_there_is_no_missing_database(
        self, plain: PrivateServer, tmp_path: Path
    ) -> None:
        error = refusal(plain.url.replace("tester", "eve"), tmp_path)
        assert 'role "eve" does not exist' in error.message
        assert "createuser" in (error.hint or "")


def test_the_server_sees_a_name_that_the_environment_may_change(
    server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGAPPNAME", "nightly")
    with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
        assert registry.read_one("SHOW application_name") == "nightly"
    monkeypatch.delenv("PGAPPNAME")
    with RegistryDatabase.open(postgres_location(server.url, tmp_path)) as registry:
        assert registry.read_one("SHOW application_name") == "promptops"


def test_a_url_that_is_none_is_not_shown_by_a_copy(tmp_path: Path) -> None:
    RegistryDatabase.open(tmp_path / "registry.db").close()
    for broken in ("postgresql://a:s3cret@h/x?nonsense=1", "postgresql://a:x@s3cret@127.0.0.1:1/x"):
        with pytest.raises(PromptopsError) as failed:
            copy_registry(tmp_path / "registry.db", postgres_location(broken, tmp_path))
        assert "s3cret" not in f"{failed.value} {failed.value.hint}"
