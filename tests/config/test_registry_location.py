"""A registry on a server: who may name it, and where what belongs to it is kept."""

import sys
from pathlib import Path

import pytest

from promptops import Workspace
from promptops.config.registry_location import (
    PostgresLocation,
    exact_text,
    has_password,
    hide_password,
    local_file,
    registry_location,
)
from promptops.config.settings import find_settings
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.postgres import new_registry

URL = "postgresql://ada@db.example.org:5433/runs?sslmode=verify-full"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (URL, URL),
        ("postgresql://ada:pw@h/x", "postgresql://ada@h/x"),
        (
            "postgresql://ada:p%40w@h1:1,h2:2/x?password=pw&sslmode=require",
            "postgresql://ada@h1:1,h2:2/x?sslmode=require",
        ),
        ("postgres://h/x?pass%77ord=pw", "postgres://h/x"),
        ("postgresql://[pw", "postgresql://…"),
        ("postgresql://ada:x@pw@h/x", "postgresql://…"),
        ("postgresql://ada:x/pw@h/x", "postgresql://…"),
        ("postgresql://ada:x?pw@h/x", "postgresql://…"),
        ("postgresql://ada:x#pw@h/x", "postgresql://…"),
        ("postgresql:///x?service=team", "postgresql:///x?service=team"),
        ("postgresql://", "postgresql://"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert hide_password(url) == shown
    location = registry_location(url, Path("/a"), Path("/b"))
    assert str(location) == shown
    assert "pw" not in f"{location!r}"
    assert exact_text(location) == url
    assert has_password(url) == (url != shown)


def test_what_belongs_to_a_database_has_a_place_of_its_own(tmp_path: Path) -> None:
    one, other = (registry_location(f"postgresql://h/{name}", tmp_path, tmp_path) for name in "ab")
    assert local_file(one) != local_file(other)
    assert {local_file(each).parent for each in (one, other)} == {tmp_path}
    assert local_file(one).name.startswith("registry.db-")  # as .gitignore has it
    with_password = registry_location("postgresql://:pw@h/a", tmp_path, tmp_path)
    assert local_file(with_password).name != local_file(other).name
    assert registry_location("runs.db", tmp_path, tmp_path) == tmp_path / "runs.db"


@pytest.mark.parametrize(
    "url", ["mysql://h/x", "sqlite:///runs.db", "POSTGRESQL://h/x", "postgresql+psycopg://ada:pw@h/x"]
)
def test_a_url_of_anything_else_is_not_taken_for_a_file(
    greeting: Repo, cli: Cli, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [cli("--registry", url, "runs", "list"), cli("registry", "copy", "registry.db", url)]
    monkeypatch.setenv("PROMPTOPS_REGISTRY", url)
    refused.append(cli("runs", "list"))
    for each in refused:
        assert each.code == 4
        assert "the registry is a file or a PostgreSQL database" in each.err
        assert ":pw" not in each.err
    monkeypatch.delenv("PROMPTOPS_REGISTRY")
    greeting.write("promptops.yaml", f"registry: {url}\n")
    assert "the registry is a file or a PostgreSQL database" in cli("runs", "list").err
    assert not list(greeting.path.glob(f"{url.partition(':')[0]}*"))


def test_a_branch_cannot_send_the_log_to_a_server(greeting: Repo, cli: Cli) -> None:
    greeting.write("promptops.yaml", f"registry: {URL}\n")
    refused = cli("runs", "list")
    assert refused.code == 4
    assert "this clone has not agreed to. If you trust it: git config promptops.registry" in refused.err
    greeting.git("config", "promptops.registry", URL)
    agreed = find_settings(greeting.path, {}).registry
    assert isinstance(agreed, PostgresLocation)
    assert agreed.url == URL
    greeting.write("promptops.yaml", f"registry: {URL}&sslmode=disable\n")
    with pytest.raises(Invalid, match="has not agreed to"):
        find_settings(greeting.path, {}).registry  # noqa: B018 - what is not the same is not agreed to
    greeting.write("promptops.yaml", "registry: postgresql://ada:pw@db.example.org/runs\n")
    greeting.git("config", "promptops.registry", "postgresql://ada:pw@db.example.org/runs")
    with pytest.raises(Invalid, match=r"has a password in promptops\.yaml"):
        find_settings(greeting.path, {}).registry  # noqa: B018


def test_runs_go_to_the_server_that_a_person_names(
    greeting: Repo, cli: Cli, provider: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_registry() as url:
        assert cli("--registry", url, "run", "greet", "-i", "name=Ada").code == 0
        monkeypatch.setenv("PROMPTOPS_REGISTRY", url)
        assert '"prompt": "greet"' in cli("runs", "list", "--json").out
        found = next(each for each in cli("doctor").out.splitlines() if "registry" in each)
        assert "1 run; PostgreSQL 1" in found
        assert "ms a question" in found
    assert not (greeting.path / "registry.db").exists()


def test_without_psycopg_the_extra_is_named(
    greeting: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:

    for name in [name for name in sys.modules if name.startswith(("psycopg", "promptops.registry.postgres"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    refused = cli("--registry", "postgresql://h/x", "runs", "list")
    assert refused.code == 4
    assert "pip install 'git-promptops[postgres]'" in refused.err


def test_a_workspace_takes_the_url_of_a_server(greeting: Repo, provider: object) -> None:
    with new_registry() as url:
        with Workspace.open(greeting.path, registry=url) as workspace:
            assert workspace.run("greet", {"name": "Ada"}).answer
        with RegistryDatabase.open(registry_location(url, greeting.path, greeting.path)) as registry:
            assert registry.read_one("SELECT count(*) FROM runs WHERE state = 'finished'") == 1
