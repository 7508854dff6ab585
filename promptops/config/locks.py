"""Locks between processes. An open file holds one, so that it ends with the process, however that ends."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from promptops.errors import Unavailable

LOCK_TIMEOUT_S = 30.0  # with another process of ours, that takes milliseconds
_POLL_INTERVAL_S = 0.003
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


@contextmanager
def file_lock(path: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[int]:
    """Hold the lock of a file, which is made where it is missing, or of a folder; gives the open descriptor.

    Raises Unavailable when another process keeps it, and OSError where there can be no such file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC if path.is_dir() else _FLAGS, 0o666)
    try:
        if not wait_for_lock(descriptor, timeout_s):
            raise lock_timeout_error(str(path), path, timeout_s)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def lock_attempt(path: Path, timeout_s: float | None = 0.0) -> Iterator[bool]:
    """Whether the lock of a file can be had within this time (None: however long it takes), and hold it."""
    descriptor = os.open(path, _FLAGS, 0o666)
    try:
        yield wait_for_lock(descriptor, timeout_s)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Whether an open file has the lock now; until it is closed. ``shared``: with others that share it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_process_alive(pid: int) -> bool:
    """Whether a process of this machine runs; also one of somebody else."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # the second for a number that no process has
        return False
    except OSError:
        return True
    return True


def wait_for_lock(descriptor: int, timeout_s: float | None, step_s: float = _POLL_INTERVAL_S) -> bool:
    """Whether an open file got the lock within this time (None: however long it takes), until it is closed.

    The lock is tried again after ``step_s``, then after twice as long, up to some milliseconds.
    """
    until = None if timeout_s is None else time.monotonic() + timeout_s
    while not (held := try_lock(descriptor)) and (until is None or time.monotonic() < until):
        time.sleep(step_s)
        step_s = min(2 * step_s, _POLL_INTERVAL_S)
    return held


def unlock(descriptor: int) -> None:
    """Let go of the lock before the file is closed."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def lock_timeout_error(what: str, path: Path, timeout_s: float) -> Unavailable:
    return Unavailable(
        f"{what} has been locked by another process for {timeout_s:g} s",
        hint=f"try again; `fuser '{path}'` names the process",
    )


@contextmanager
def byte_range_lock(path: Path, start: int, length: int, timeout_s: float) -> Iterator[int | None]:
    """Hold the lock of these bytes of a file; the open file, or None where another process keeps them locked.

    Another kind of lock than the others here: it is lost when this process closes the file anywhere else.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        until = time.monotonic() + timeout_s
        while not (held := _try_range(descriptor, start, length)) and time.monotonic() < until:
            time.sleep(_POLL_INTERVAL_S)
        yield descriptor if held else None
    finally:
        os.close(descriptor)


def _try_range(descriptor: int, start: int, length: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except (BlockingIOError, PermissionError):
        return False
    return True
