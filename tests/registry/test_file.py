"""The registry file: made, migrated, created by several processes at once."""

import json
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from promptops.registry import RegistryDatabase
from promptops.registry.sqlite.migrations import MIGRATIONS, split_statements
from promptops.registry.sqlite.store import open_registry
from support.forked_commands import ForkedPopen
from support.logged_runs import a_run, an_end
from support.paths import SUPPORT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


def raw(path: Path, sql: str) -> list[tuple[object, ...]]:
    """What another program reads from the file."""
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_a_new_file_is_private_durable_and_can_shrink(path: Path) -> None:
    with RegistryDatabase.open(path) as registry:
        registry.start(a_run())
        files = [path, *path.parent.glob("registry.db-*")]
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        assert registry.read_one("PRAGMA journal_mode") == "wal"
        assert registry.read_one("PRAGMA synchronous") == 2
        assert registry.read_one("PRAGMA auto_vacuum") == 2
        assert registry.read_one("PRAGMA foreign_keys") == 1
    names = [name for name, _ in MIGRATIONS]
    assert raw(path, "SELECT number, name FROM migrations") == [*enumerate(names, 1)]
    assert len(raw(path, "SELECT value FROM meta WHERE key = 'unit_key'")[0][0]) == 64  # type: ignore[arg-type]


def test_later_steps_bring_an_older_file_up_to_date_with_its_rows(path: Path) -> None:
    with RegistryDatabase.open(path) as registry:
        registry.record([(a_run(), an_end())])

    def add_mood(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE runs ADD COLUMN mood TEXT DEFAULT 'calm'")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("DROP VIEW run_log")
        raise sqlite3.OperationalError("no")

    with pytest.raises(sqlite3.OperationalError):
        open_registry(path, steps=(*MIGRATIONS, ("mood", fail)))
    for _ in range(2):
        with open_registry(path, steps=(*MIGRATIONS, ("mood", add_mood))) as registry:
            assert [
                tuple(row)
                for row in registry.read(
                    "SELECT prompt, mood FROM runs r JOIN run_log USING (run_id, prompt)"
                )
            ]
    assert raw(path, "SELECT number, name FROM migrations") == [
        *((number, name) for number, (name, _) in enumerate(MIGRATIONS, 1)),
        (len(MIGRATIONS) + 1, "mood"),
    ]


def test_statements_are_split_where_they_end() -> None:
    script = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;\nSELECT ';';\n"
    assert [statement.strip() for statement in split_statements(script)] == script.strip().split("\n")


CREATE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.logged_runs import a_run, an_end
from promptops.registry import RegistryDatabase
sys.stdin.readline()
for path in sys.argv[3:]:
    with RegistryDatabase.open(Path(path)) as registry:
        run = a_run()
        registry.start(run)
        registry.finish(run.run_id, an_end())
"""


def test_eight_processes_create_one_registry_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.db" for n in range(60)]
    command = [sys.executable, "-c", CREATE, "-", str(SUPPORT.parent), *map(str, paths)]
    writers = [ForkedPopen(command, stdin=subprocess.PIPE, encoding="utf-8") for _ in range(8)]
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [_wait(writer) for writer in writers] == [0] * 8
    counts = [raw(path, "SELECT count(*) FROM runs WHERE state = 'finished'")[0][0] for path in paths]
    assert counts == [8] * 60
    assert {raw(path, "PRAGMA auto_vacuum")[0][0] for path in paths} == {2}


def _wait(writer: "subprocess.Popen[str]") -> int:
    assert writer.stdin
    writer.stdin.close()
    return writer.wait()


def test_opening_and_logging_loads_nothing_heavy() -> None:
    code = "import sys, json, promptops.registry.sqlite.store; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    loaded = set(json.loads(done.stdout))
    assert not loaded & {"sqlite_utils", "asyncio", "git", "yaml", "jinja2", "typer"}
