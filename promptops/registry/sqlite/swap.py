"""Putting a recovered registry in the place of the damaged one: all of its files move together, or none.

A log of writes that is left beside a new file would be replayed onto it. So nobody has the damaged file open
meanwhile, its log moves aside with it, and the new file takes the name only where it is free.
"""

import os
import shutil
import time
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory

from promptops.config.locks import byte_range_lock
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.meta import count_runs
from promptops.registry.sqlite.recover import RegistryRecovery, recover_registry

_FIRST_LOCK_BYTE, _LOCK_BYTES = 0x40000000, 512  # where every program that has the file open holds a lock
_TIMEOUT_S = 5.0
_CHUNK = 1 << 20
_ENDS = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class RegistrySwap:
    saved: RegistryRecovery
    aside: Path  # the damaged file, its log beside it


def swap_registry(damaged: Path, *, timeout_s: float = _TIMEOUT_S) -> RegistrySwap:
    """Recover a registry into a new file, and give that its name. Nothing has moved when this raises."""
    damaged = Path(os.path.realpath(damaged))
    if not damaged.is_file():
        raise Invalid(f"no registry at {damaged}")
    with (
        byte_range_lock(damaged, _FIRST_LOCK_BYTE, _LOCK_BYTES, timeout_s) as source,
        TemporaryDirectory(prefix=f".{damaged.name}.", dir=damaged.parent) as folder,
    ):
        if source is None:
            raise Unavailable(
                f"another process has the registry {damaged} open",
                hint=f"end it and try again; `fuser '{damaged}'` names it",
            )
        saved = _recover(damaged, source, Path(folder))
        aside = _move_aside(damaged)
        _take_place(Path(folder) / "new.db", damaged, aside)
    return RegistrySwap(saved, aside)


def _recover(damaged: Path, source: int, folder: Path) -> RegistryRecovery:
    """Into ``new.db``, from a copy: SQLite would let go of the lock when it closes the file."""
    copy, new = folder / "copy.db", folder / "new.db"
    with copy.open("wb") as stream:
        while chunk := os.pread(source, _CHUNK, stream.tell()):
            stream.write(chunk)
    if (log := damaged.with_name(f"{damaged.name}-wal")).exists():
        shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
    saved = recover_registry(copy, new, called=damaged)
    with RegistryDatabase.open(new) as registry:
        if (damage := registry.find_damage()) or count_runs(registry) != saved.runs:
            raise Invalid(f"what was recovered is not a sound registry: {damage}", hint="nothing has moved")
    return saved


def _move_aside(damaged: Path) -> Path:
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (f"{damaged.name}-damaged-{moment}{more}" for more in chain([""], (f"-{n}" for n in count(2))))
    aside = next(path for name in names if not (path := damaged.with_name(name)).exists())
    for end in reversed(_ENDS):  # the file itself goes last: until then it can be opened with all that is its
        if (part := damaged.with_name(damaged.name + end)).exists():
            part.rename(aside.with_name(aside.name + end))
    return aside


def _take_place(new: Path, damaged: Path, aside: Path) -> None:
    try:
        os.link(new, damaged)
    except FileExistsError:
        kept = damaged.with_name(f"{damaged.name}-recovered")
        new.rename(kept)
        raise Unavailable(
            f"a new registry was begun at {damaged} meanwhile; what was recovered is {kept}",
            hint=f"the damaged one is {aside}",
        ) from None
    descriptor = os.open(damaged.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
