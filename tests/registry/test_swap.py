"""``registry recover --swap``: what was recovered takes the damaged registry's place, and nothing is lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from promptops.errors import Invalid, Unavailable
from promptops.registry import RegistryDatabase, count_runs, swap_registry
from support.forked_commands import ForkedPopen, run_forked
from support.logged_runs import a_run, an_end
from support.paths import SUPPORT

KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from promptops.registry import RegistryDatabase
from support.logged_runs import a_run, an_end
registry = RegistryDatabase.open(Path(sys.argv[1]))
registry.record([(a_run(), an_end()) for _ in range(40)])
os._exit(1)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with RegistryDatabase.open(tmp_path / "registry.db") as registry:
        registry.record([(a_run(inputs={"ticket": "x" * 2000}), an_end()) for _ in range(300)])
    return tmp_path / "registry.db"


def runs_in(path: Path) -> int:
    with RegistryDatabase.open(path) as registry:
        assert registry.read_one("PRAGMA integrity_check") == "ok"
        return count_runs(registry)


def killed_writer(path: Path) -> None:
    run_forked([sys.executable, "-c", KILLED, str(path), str(SUPPORT.parent)], check=False)


def test_the_old_log_of_writes_is_not_replayed_onto_the_new_file(path: Path) -> None:
    killed_writer(path)
    assert path.with_name("registry.db-wal").stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(100))
    swapped = swap_registry(path)
    assert swapped.saved.runs == 340
    assert runs_in(path) == 340
    assert swapped.aside.exists()
    assert swapped.aside.with_name(f"{swapped.aside.name}-wal").stat().st_size
    assert not path.with_name("registry.db-wal").exists()


def test_a_registry_that_somebody_has_open_is_left_alone(path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from promptops.registry import RegistryDatabase\n"
        "registry = RegistryDatabase.open(Path(sys.argv[1])); print('open', flush=True); time.sleep(60)"
    )
    before = path.read_bytes()
    with ForkedPopen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"open\n"
        with pytest.raises(Unavailable, match="another process has the registry") as caught:
            swap_registry(path, timeout_s=0.1)
        child.kill()
    assert "fuser" in caught.value.hint
    assert path.read_bytes() == before
    assert swap_registry(path).saved.runs == 300


def test_who_opens_it_meanwhile_waits_and_finds_the_new_one(path: Path) -> None:
    opener = (
        "import sys; from pathlib import Path; from promptops.registry import RegistryDatabase, count_runs\n"
        "for _ in range(40):\n"
        "    with RegistryDatabase.open(Path(sys.argv[1])) as registry: print(count_runs(registry))"
    )
    with ForkedPopen([sys.executable, "-c", opener, str(path)], stdout=subprocess.PIPE) as child:
        for _ in range(3):
            swap_registry(path, timeout_s=30)
        assert child.communicate()[0].split() == [b"300"] * 40
    assert sum(file.name.endswith(("Z", "-2", "-3")) for file in path.parent.glob("*-damaged-*")) == 3


def test_what_cannot_be_recovered_is_not_moved(path: Path) -> None:
    path.write_bytes(b"no database at all " * 100)
    with pytest.raises(Invalid, match="its list of tables is lost") as caught:
        swap_registry(path)
    assert str(path) in caught.value.message
    assert [*path.parent.iterdir()] == [path]


def test_where_there_is_none_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no registry at"):
        swap_registry(tmp_path / "registry.db")
    assert [*tmp_path.iterdir()] == []
