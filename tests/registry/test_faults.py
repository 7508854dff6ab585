"""What can go wrong with a registry: killed writers, damaged, foreign, locked, full and read-only files."""

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from promptops.errors import Invalid, PromptopsError, Unavailable
from promptops.registry import (
    CheckResult,
    RegistryDatabase,
    RunFilter,
    SearchResult,
    list_runs,
    recover_registry,
    search_runs,
)
from promptops.registry.queries.meta import read_meta
from promptops.registry.queries.versions import save_version
from promptops.registry.sqlite.migrations import MIGRATIONS
from promptops.registry.sqlite.store import open_registry
from support.forked_commands import ForkedPopen
from support.logged_runs import a_run, an_end
from support.paths import SUPPORT

HERE = str(SUPPORT.parent)


def unit_key_of(path: Path) -> str | None:
    with RegistryDatabase.open(path) as registry:
        return read_meta(registry, "unit_key")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def filled(path: Path) -> Path:
    with RegistryDatabase.open(path) as registry:
        registry.record([(a_run(inputs={"ticket": "x" * 2000}), an_end()) for _ in range(300)])
    return path


KILLS = 12
WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.logged_runs import a_run, an_end
from promptops.registry import RegistryDatabase
while True:
    with RegistryDatabase.open(Path(sys.argv[1])) as registry:
        for _ in range(5):
            run = a_run()
            registry.start(run)
            print("started", run.run_id, flush=True)
            registry.finish(run.run_id, an_end())
            print("finished", run.run_id, flush=True)
"""


def test_killed_writers_lose_nothing_that_was_acknowledged(path: Path) -> None:
    rng = random.Random(7)
    said: dict[str, str] = {}
    for _ in range(KILLS):
        for line in _killed_writer(path, rng.uniform(0.0, 0.06)):
            word, _, run_id = line.partition(" ")
            said[run_id] = word
    with RegistryDatabase.open(path) as registry:
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        states = {row["run_id"]: row["state"] for row in registry.read("SELECT run_id, state FROM runs")}
    assert sum(word == "finished" for word in said.values()) > KILLS
    for run_id, word in said.items():
        assert states[run_id] == "finished" or word == "started"
    assert set(states.values()) <= {"started", "finished"}


def _killed_writer(path: Path, after: float) -> list[str]:
    command = [sys.executable, "-c", WRITER, str(path), HERE]
    writer = ForkedPopen(command, stdout=subprocess.PIPE, encoding="utf-8")
    assert writer.stdout
    first = writer.stdout.readline()
    time.sleep(after)
    writer.send_signal(signal.SIGKILL)
    lines = [first, *writer.communicate()[0].splitlines(keepends=True)]
    return [line.rstrip("\n") for line in lines if re.fullmatch(r"(started|finished) \w{26}\n", line)]


def spoil(path: Path, first: int, step: int) -> None:
    """Overwrite the head of every such page."""
    with path.open("r+b") as file:
        for page in range(first, path.stat().st_size // 8192, step):
            file.seek(page * 8192)
            file.write(b"\xff" * 100)


def test_a_damaged_file_is_named_and_what_can_be_read_is_saved(filled: Path) -> None:
    spoil(filled, 71, 3)  # not the pages of the list of tables
    with pytest.raises(Invalid, match="is damaged") as caught, RegistryDatabase.open(filled) as registry:
        list_runs(registry, RunFilter(), limit=1000)
    assert str(filled) in caught.value.message
    assert "registry recover" in caught.value.hint
    new = filled.with_name("new.db")
    saved = recover_registry(filled, new)
    assert 150 < saved.runs <= 300
    assert 0 < saved.without_texts < saved.runs
    with RegistryDatabase.open(new) as registry:
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        assert registry.read("PRAGMA foreign_key_check") == []
        runs = list_runs(registry, RunFilter(), limit=1000)
        assert len(runs) == saved.runs
        assert sum(run["inputs"] is None for run in runs) == saved.without_texts
        assert registry.start(a_run()) > max(run["seq"] for run in runs)


@pytest.mark.parametrize("step", [3, 5, 7, 11])
def test_whatever_page_is_damaged_recovering_ends_well(filled: Path, step: int) -> None:
    with RegistryDatabase.open(filled) as registry, registry.write() as connection:
        rows = [("r", "m", n, "canary", 500, "") for n in range(2000)]
        columns = "rollout, metric, seq, arm, weight_bp, recorded_at"
        connection.executemany(f"INSERT INTO observations ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
    spoil(filled, 6, step)
    try:
        saved = recover_registry(filled, filled.with_name("new.db"))
    except Invalid as error:  # the list of tables does not fit one page any more
        if "its list of tables is lost" not in error.message:
            raise
        return
    with RegistryDatabase.open(filled.with_name("new.db")) as registry:
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        assert len(list_runs(registry, RunFilter(), limit=1000)) == saved.runs


def test_recovering_a_sound_file_copies_all_of_it(filled: Path) -> None:
    with RegistryDatabase.open(filled) as registry:
        run = a_run(metadata={"tags": ["vip"]})
        registry.record([(run, an_end(checks=(CheckResult(name="c", passed=True),)))])
        save_version(registry, "a", "0" * 64, "{}")
        search_runs(registry, "x", RunFilter(), limit=1)
        before = list_runs(registry, RunFilter(), limit=1000)
        key = registry.read_one("SELECT value FROM meta WHERE key = 'unit_key'")
    assert recover_registry(filled, filled.with_name("new.db")).runs == 301
    with RegistryDatabase.open(filled.with_name("new.db")) as registry:
        assert list_runs(registry, RunFilter(), limit=1000) == before
        assert registry.read_one("SELECT value FROM meta WHERE key = 'unit_key'") == key
        assert len(search_runs(registry, "parcel OR x*", RunFilter(), limit=1000).hits) == 301
        assert len(list_runs(registry, RunFilter(tag="vip"), limit=9)) == 1


def test_recovering_refuses_what_it_cannot_do(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="exists already"):
        recover_registry(filled, filled)
    with pytest.raises(Invalid, match="no registry at"):
        recover_registry(tmp_path / "none.db", tmp_path / "new.db")
    spoil(filled, 1, 1)
    with pytest.raises(Invalid, match="its list of tables is lost"):
        recover_registry(filled, tmp_path / "new.db")
    (tmp_path / "text.db").write_text("no database at all, whatever its name may say" * 9)
    with pytest.raises(Invalid, match="is not a promptops registry"):
        recover_registry(tmp_path / "text.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize(
    ("zeroed", "kept"), [((0, 100), 300), ((0, 8192), 300), ((18, 4), 300)], ids=["header", "page", "format"]
)
def test_a_file_without_its_header_is_read_all_the_same(
    filled: Path, zeroed: tuple[int, int], kept: int
) -> None:
    key = unit_key_of(filled)
    with filled.open("r+b") as file:
        file.seek(zeroed[0])
        file.write(bytes(zeroed[1]))
    new = filled.with_name("new.db")
    assert recover_registry(filled, new).runs == kept
    with RegistryDatabase.open(new) as registry:
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        assert len(list_runs(registry, RunFilter(), limit=1000)) == kept
    assert unit_key_of(new) == key
    assert [file.name for file in filled.parent.iterdir() if file.name.startswith(".")] == []


def test_what_is_in_the_log_only_is_saved_without_a_header_too(filled: Path) -> None:
    with RegistryDatabase.open(filled) as registry:
        registry.record([(a_run(), an_end()) for _ in range(50)])
        for end in ("", "-wal"):
            shutil.copyfile(f"{filled}{end}", filled.with_name(f"torn.db{end}"))
    torn = filled.with_name("torn.db")
    with torn.open("r+b") as file:
        file.write(bytes(100))
    assert recover_registry(torn, filled.with_name("new.db")).runs == 350


@pytest.mark.parametrize(("pages", "least"), [(90, 50), (115, 300)])
def test_of_a_cut_file_is_saved_what_is_left(filled: Path, pages: int, least: int) -> None:
    with filled.open("r+b") as file:
        file.truncate(8192 * pages)
    new = filled.with_name("new.db")
    saved = recover_registry(filled, new)
    assert least <= saved.runs
    assert saved.without_texts or not saved.runs
    with RegistryDatabase.open(new) as registry:
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        assert len(list_runs(registry, RunFilter(), limit=1000)) == saved.runs


def test_a_file_of_which_too_little_is_left_is_not_sent_back_to_recover(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.truncate(50)
    with pytest.raises(Invalid, match="its list of tables is lost") as caught:
        recover_registry(filled, filled.with_name("new.db"))
    assert "registry recover" not in caught.value.hint
    assert not filled.with_name("new.db").exists()


def test_rows_that_cannot_be_are_left_out(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE runs SET kind = 'dream' WHERE seq <= 10")
    connection.close()
    assert recover_registry(filled, filled.with_name("new.db")).runs == 290


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("just text, long enough to be taken for a header " * 10)
    with pytest.raises(Invalid, match="is not a promptops registry"):
        RegistryDatabase.open(path)
    assert path.read_text().startswith("just text")


def test_a_truncated_file(filled: Path) -> None:
    with filled.open("r+b") as file:
        file.truncate(8192 * 5)
    with (
        pytest.raises(Invalid, match=r"is damaged|not a promptops registry"),
        RegistryDatabase.open(filled) as registry,
    ):
        list_runs(registry, RunFilter(), limit=1000)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text TEXT)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(Invalid, match="another program's database"):
        RegistryDatabase.open(path)
    assert path.read_bytes() == before


def test_a_registry_of_a_newer_version(path: Path) -> None:
    RegistryDatabase.open(path).close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(
        Invalid, match=f"has schema 99, and this promptops knows schemas up to {len(MIGRATIONS)}"
    ) as caught:
        RegistryDatabase.open(path)
    assert "upgrade promptops" in caught.value.hint


def test_a_locked_registry_is_waited_for_and_then_given_up(path: Path) -> None:
    with RegistryDatabase.open(path) as holder, RegistryDatabase.open(path, busy_s=0.2) as waiting:
        with holder.write(), pytest.raises(Unavailable, match=r"locked by another process for 0\.2 s"):
            waiting.start(a_run())
        assert waiting.start(a_run()) == 1
        assert waiting.read_one("SELECT writer_counter FROM runs") == 2


def test_a_new_file_that_another_process_is_preparing_is_waited_for(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked by another process"):
        RegistryDatabase.open(path, busy_s=0.05)
    done = threading.Timer(0.1, other.execute, ["ROLLBACK"])
    done.start()
    with RegistryDatabase.open(path, busy_s=5) as registry:
        assert registry.start(a_run()) == 1
    done.join()
    other.close()


def test_readers_are_never_locked_out(filled: Path) -> None:
    with RegistryDatabase.open(filled) as holder, holder.write() as connection:
        connection.execute("DELETE FROM runs")
        with RegistryDatabase.open_existing(filled, busy_s=0.1) as reader:
            assert len(list_runs(reader, RunFilter(), limit=3)) == 3


def test_a_full_disk_loses_nothing_that_was_logged(filled: Path) -> None:
    with RegistryDatabase.open(filled) as registry:
        pages = registry.read_one("PRAGMA page_count")
        registry.command(f"PRAGMA max_page_count = {pages + 2}")
        run = a_run(inputs={"ticket": "x" * 100_000})
        with pytest.raises(Unavailable, match="no space left") as caught:
            registry.record([(run, an_end())])
        assert "nothing already logged is lost" in caught.value.hint
        assert registry.read_one("SELECT count(*) FROM runs") == 300
        registry.command("PRAGMA max_page_count = 100000")
        assert registry.start(run) == 301


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_disk(tiny_disk: Path) -> None:
    path = tiny_disk / "registry.db"
    logged = []
    full = pytest.raises(Unavailable, match=r"no space left|cannot be read or written")
    with RegistryDatabase.open(path) as registry, full:
        while True:
            run = a_run(inputs={"ticket": "x" * 10_000})
            registry.start(run)
            logged.append(run.run_id)
    with RegistryDatabase.open_existing(path) as registry:
        kept = [row["run_id"] for row in registry.read("SELECT run_id FROM runs ORDER BY seq")]
    assert logged
    assert kept == logged


@pytest.fixture
def closed(filled: Path, tmp_path: Path) -> Iterator[Path]:
    """The filled registry where it can be read and not written, by root neither."""
    view = tmp_path / "view"
    view.mkdir()
    store = filled.parent / "store"
    store.mkdir()
    shutil.copy(filled, store / "registry.db")
    if os.geteuid() != 0:
        (store / "registry.db").chmod(0o444)
        store.chmod(0o555)
        yield store / "registry.db"
        store.chmod(0o755)
        return
    if subprocess.run(
        ["mount", "--bind", str(store), str(view)], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the right to mount a folder read-only")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(view)], check=True)
    yield view / "registry.db"
    subprocess.run(["umount", str(view)], check=True)


def test_a_read_only_registry_can_be_read_and_searched(closed: Path) -> None:
    with RegistryDatabase.open(closed) as registry:
        assert not registry.writable
        assert len(list_runs(registry, RunFilter(), limit=5)) == 5
        found = search_runs(registry, 'deliv "xxx"', RunFilter(), limit=3)
        assert len(found.hits) == 3
        assert "read-only" in found.note
        assert search_runs(registry, "deliv_ %", RunFilter(), limit=3).hits == []
        for write in (lambda: registry.start(a_run()), lambda: registry.command("VACUUM")):
            with pytest.raises(Invalid, match="cannot be written here") as caught:
                write()
            assert "--no-log" in caught.value.hint


def test_a_read_only_view_of_a_registry_with_a_writer_at_work(closed: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount a folder read-only")
    with RegistryDatabase.open(closed.parents[1] / "store" / "registry.db") as writer:
        writer.start(a_run())
        with RegistryDatabase.open(closed) as registry:
            assert registry.read_one("SELECT count(*) FROM runs") == 301


def test_a_read_only_copy_without_its_index_says_so(closed: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount a folder read-only")
    store = closed.parents[1] / "store" / "registry.db"
    with RegistryDatabase.open(store) as writer:
        writer.start(a_run())
        shutil.copy(f"{store}-wal", f"{store}-kept")
    Path(f"{store}-kept").rename(f"{store}-wal")
    with pytest.raises(Invalid, match="cannot be opened"):
        RegistryDatabase.open(closed)


def test_a_folder_in_which_nothing_can_be_made(closed: Path) -> None:
    with pytest.raises(Invalid, match=r"new\.db cannot be opened"):
        RegistryDatabase.open(closed.with_name("new.db"))


def test_an_older_file_that_cannot_be_brought_up_to_date(closed: Path) -> None:
    known = len(MIGRATIONS)
    with pytest.raises(
        Invalid, match=f"has schema {known} and needs schema {2 * known}, but cannot be written"
    ):
        open_registry(closed, steps=(*MIGRATIONS, *MIGRATIONS))
    with pytest.raises(Invalid, match=f"has schema {known}, and this promptops knows schemas up to 0"):
        open_registry(closed, steps=())


@pytest.mark.parametrize(
    ("name", "what"), [("nowhere/registry.db", "No such file or directory"), (".", "Is a directory")]
)
def test_a_path_that_cannot_be_a_file(tmp_path: Path, name: str, what: str) -> None:
    with pytest.raises(Invalid, match=f"cannot be opened: {what}") as caught:
        RegistryDatabase.open(tmp_path / name)
    assert "--registry" in caught.value.hint


def test_every_fault_has_a_next_step(path: Path) -> None:
    from promptops.registry.sqlite.errors import translate_sqlite_error

    for name in ("CORRUPT", "NOTADB", "BUSY", "LOCKED", "FULL", "IOERR", "READONLY", "CANTOPEN"):
        error = sqlite3.OperationalError("words")
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
        explained = translate_sqlite_error(error, path, 1.0)
        assert isinstance(explained, PromptopsError)
        assert explained.hint
        assert "\n" not in explained.message
    bug = sqlite3.ProgrammingError("a bug of ours")
    assert translate_sqlite_error(bug, path, 1.0) is bug


@contextmanager
def writable(store: Path) -> Iterator[RegistryDatabase]:
    store.chmod(0o755)
    (store / "registry.db").chmod(0o644)
    with RegistryDatabase.open(store / "registry.db") as registry:
        yield registry
    (store / "registry.db").chmod(0o444)
    store.chmod(0o555)


SCRIPTS = {
    "ja": "東京都庁がABC",
    "ko": "가나다라",
    "zh": "退款到帐",
    "de": "Hauptstraße 1",
    "fr": "Café crème",
}


@pytest.mark.parametrize(
    ("words", "prompts"),
    [
        ("東京", ["ja"]),
        ("京", ["ja"]),
        ("東京都庁", ["ja"]),
        ("東 庁", ["ja"]),
        ("大阪", []),
        ("가나", ["ko"]),
        ("나다라", ["ko"]),
        ("款到", ["zh"]),
        ("退款 OR 東京", ["zh", "ja"]),
        ("(退款 OR 東京 OR 가나) NOT がABC", ["zh", "ko"]),
        ("\uff41\uff42\uff43", ["ja"]),
        ("output:京", []),
        ("inputs:京", ["ja"]),
        ("STRASSE", ["de"]),
        ("straße", ["de"]),
        ("ptstr", ["de"]),
        ("CAFE", ["fr"]),
        ("afé*", ["fr"]),
        ('"é c"', ["fr"]),
        ("が", ["ja"]),
        ("か", []),
        ('""', []),
    ],
)
def test_any_script_and_any_part_of_a_word_is_found_with_the_index_and_without(
    words: str, prompts: list[str], closed: Path
) -> None:
    store = closed.parent.with_name("store")
    with writable(store) as registry:
        registry.record(
            [(a_run(prompt=name, inputs={"x": text}), an_end(output="?")) for name, text in SCRIPTS.items()]
        )
        assert registry.writable
        found = search_runs(registry, words, RunFilter(), limit=9).hits
    assert [hit.run["prompt"] for hit in found] == prompts
    assert all("\x02" in hit.snippet for hit in found)
    with RegistryDatabase.open(closed) as registry:
        assert search_runs(registry, words, RunFilter(), limit=9) == SearchResult(found)
    with writable(store) as registry, registry.write() as connection:
        connection.execute("DROP TABLE run_search")
    with RegistryDatabase.open(closed) as registry:
        result = search_runs(registry, words, RunFilter(), limit=9)
    assert (result.hits, "read-only" in result.note) == (found, True)
