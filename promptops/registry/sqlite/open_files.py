"""The files that a connection has open, as others find them at their paths."""

import os
from pathlib import Path


class OpenFiles:
    """The files of a connection: whether they are still what others find at their paths."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._follow = Path(path).is_symlink()
        self._log_path = f"{os.path.realpath(path)}-wal"
        self._log: tuple[int, int] | None = None
        self._identity = self._identify(path)

    def is_there(self) -> bool:
        """Of the registry alone, whose log may not be there between transactions."""
        return self._identify(self._path) == self._identity

    def are_there(self) -> bool:
        """Asked within a transaction, so that the write-ahead log is there."""
        if self._identity is None:  # of a registry in memory
            return True
        if not self.is_there():
            return False
        log = self._identify(self._log_path, empty=True)  # as it is when all of it has been written back
        self._log = self._log or log
        return log == self._log

    def _identify(self, path: str, *, empty: bool = False) -> tuple[int, int] | None:
        try:
            found = os.stat(path, follow_symlinks=self._follow)  # noqa: PTH116 - half the time, before every commit
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found.st_size or empty else None
