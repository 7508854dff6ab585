"""Writing where a branch has a say: no link is followed that was planted on the way, before or meanwhile.

A path's links are resolved and looked at once. Its folder is then opened step by step, none of which may be
a link, and files are made and replaced in the open folder, wherever its path may lead by then.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self, TextIO

from promptops.config.containment import resolve_inside, resolve_output
from promptops.dataclass import dataclass
from promptops.errors import Invalid, disk_full_error, is_disk_full

_NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | _NO_LINK  # it need not be readable


@dataclass(frozen=True, slots=True)
class WriteTarget:
    """A file to write: as it was named, and without links. ``top``: what is above it and cannot be a link."""

    path: Path
    real: Path
    top: Path | None = None
    makes_folders: bool = True

    @classmethod
    def inside(cls, path: Path, top: Path) -> Self:
        """A file of the work tree. Raises Invalid where a link leads out of it."""
        return cls(path, resolve_inside(path, top), Path(os.path.realpath(top)))

    @classmethod
    def output(cls, path: Path) -> Self:
        """A file that a person has named. Raises Invalid where a link of a branch leads it elsewhere."""
        return cls(path, *resolve_output(path), makes_folders=False)

    @contextmanager
    def folder(self) -> Iterator[int]:
        """Hold the file's folder open."""
        start = self.top or self.real.parent
        with self._explained():
            if self.top is None and self.makes_folders:
                start.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(start, _FOLDER)
        try:
            for name in self.real.parent.relative_to(start).parts:
                with self._explained():
                    below = self._step_into(name, descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    def _step_into(self, name: str, folder: int) -> int:
        if self.makes_folders:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
        return os.open(name, _FOLDER, dir_fd=folder)

    def open(self, flags: int) -> int:
        """Open the file itself. Raises OSError, also where it has become a link."""
        with self.folder() as folder:
            return os.open(self.real.name, flags | _NO_LINK, 0o666, dir_fd=folder)

    def read(self) -> bytes:
        """What the file holds; nothing where there is none."""
        with self._explained():
            try:
                descriptor = self.open(os.O_RDONLY | os.O_NONBLOCK)
            except FileNotFoundError:
                return b""
            with os.fdopen(descriptor, "rb") as stream:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise self._irregular()
                return stream.read()

    def write(self, data: bytes, *, new: bool = False) -> None:
        """Write the file whole or not at all. ``new``: raises Invalid where there is one."""
        with self.replacing(new=new) as stream:
            stream.buffer.write(data)

    @contextmanager
    def replacing(self, mode: int | None = None, *, new: bool = False) -> Iterator[TextIO]:
        """A text file that takes its place when all of it is on disk; a device or pipe is written as it is.

        ``mode``: of the file; None: that of the one in its place, or of any new file.
        """
        with self._explained(), self.folder() as folder:
            facts = self._facts(folder)
            if facts and not stat.S_ISREG(facts.st_mode) and not stat.S_ISLNK(facts.st_mode):
                if self.makes_folders:
                    raise self._irregular()
                device = self.open(os.O_WRONLY) if self.top else os.open(self.path, os.O_WRONLY)
                with _text_stream(device) as stream:
                    yield stream
                return
            if mode is None and facts and stat.S_ISREG(facts.st_mode):
                mode = stat.S_IMODE(facts.st_mode)
            yield from self._replace(folder, mode, new=new)

    def _facts(self, folder: int) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            if self.top is None:
                return self.path.stat()
            return os.stat(self.real.name, dir_fd=folder, follow_symlinks=False)
        return None

    def _replace(self, folder: int, mode: int | None, *, new: bool) -> Iterator[TextIO]:
        fresh = f".promptops-{os.urandom(8).hex()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666, dir_fd=folder)
        try:
            with _text_stream(descriptor) as stream:
                if mode is not None:
                    os.fchmod(descriptor, mode)
                yield stream
                stream.flush()
                os.fsync(descriptor)
            place = os.link if new else os.replace  # a link is not made where there is a file
            place(fresh, self.real.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=folder)

    def _irregular(self) -> Invalid:
        return Invalid(f"{self.path} is not a regular file", hint="put a file there, or nothing")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if is_disk_full(error):
                raise disk_full_error(f"for {self.path}") from None
            reason = error.strerror or str(error)
            hint = "choose a place that can be written, or make it so"
            if isinstance(error, FileNotFoundError):
                import shlex  # no writer that succeeds waits for it

                hint = f"make its folder first: mkdir -p {shlex.quote(str(self.path.parent))}"
            raise Invalid(f"cannot write {self.path}: {reason}", hint=hint) from None


def _text_stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding="utf-8", newline="")
