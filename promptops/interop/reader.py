"""Source files, read within limits: regular ones, inside the folder of the file that was named, never run."""

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promptops.config.containment import open_unlinked
from promptops.config.json_text import parse_strict_json
from promptops.config.text import decode_input, decode_text
from promptops.config.yaml import MAX_DEPTH, Document, parse_yaml
from promptops.errors import Invalid, NotFound
from promptops.escapes import escape_line
from promptops.prompt.csv_rows import CsvRow, read_csv_rows

MAX_TEXT = 1_000_000  # bytes of a configuration or a text
MAX_TABLE = 20_000_000  # bytes of a CSV or JSONL file
MAX_FILES = 1_000  # that one source may name
MAX_ENTRIES = 20_000  # of folders that are looked through
_SKIPPED = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__"})


class SourceFolder:
    """The folder of a source. Paths are below it, with `/`, also written as ``file://path``."""

    def __init__(self, folder: Path) -> None:
        self._real = os.path.realpath(folder)
        self._shown = os.path.relpath(folder)
        self._read = 0
        self._entries: list[str] | None = None

    def shown(self, path: str) -> str:
        """As messages call a file."""
        return os.path.normpath(f"{self._shown}/{plain_path(path)}")

    def exists(self, path: str) -> bool:
        try:
            return Path(self._inside(path)).is_file()
        except Invalid:
            return False

    def read(self, path: str, *, max_bytes: int = MAX_TEXT) -> bytes:
        """Raises NotFound, or Invalid for what lies elsewhere, is no regular file, or is too large."""
        shown = self.shown(path)
        found = self._inside(path)
        self._read += 1
        if self._read > MAX_FILES:
            raise Invalid(f"{shown}: more than {MAX_FILES:,} files are named", hint="import a part of them")
        try:
            with open(found, "rb", opener=_open_waiting_for_nobody) as file:
                facts = os.fstat(file.fileno())
                if not stat.S_ISREG(facts.st_mode):
                    raise Invalid(f"{shown} is not a regular file", hint="put a file there")
                data = file.read(max_bytes + 1)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"no file {shown}", hint="paths are looked up beside the source") from None
        except OSError as error:
            raise Invalid(
                f"cannot read {shown}: {error.strerror}", hint="check the path and its permissions"
            ) from None
        if len(data) > max_bytes:
            raise Invalid(f"{shown} is too large: at most {max_bytes:,} bytes are read", hint="split it")
        return data

    def _inside(self, path: str) -> str:
        named = plain_path(path)
        if "\0" in named:
            raise Invalid("a path holds a NUL character", hint="remove it")
        real = os.path.realpath(Path(self._real) / named)
        if not real.startswith(self._real.rstrip(os.sep) + os.sep):
            raise Invalid(
                f"{named} is outside of {self._shown}, the folder of the source",
                hint="copy the file beside the source; nothing outside is read",
            )
        return real

    def text(self, path: str, *, max_bytes: int = MAX_TEXT) -> str:
        """Its text, whatever the line ends and the byte order mark."""
        shown = self.shown(path)
        text = decode_input(self.read(path, max_bytes=max_bytes), shown)
        return (
            decode_text(text.encode(), shown, max_bytes=4 * max_bytes)
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )

    def yaml(self, path: str) -> Document:
        return _yaml(self.read(path), self.shown(path))

    def json(self, path: str) -> Any:
        return parse_source_json(self.text(path), self.shown(path))

    def json_lines(self, path: str) -> Iterator[tuple[int, Any]]:
        """The values of a JSONL file with their lines, from 1."""
        for number, line in enumerate(self.text(path, max_bytes=MAX_TABLE).split("\n"), 1):
            if line.strip():
                yield number, parse_source_json(line, f"{self.shown(path)}:{number}")

    def rows(self, path: str) -> Iterator[CsvRow]:
        data = self.read(path, max_bytes=MAX_TABLE).rstrip() + b"\n"  # blanks behind the last cell's quote
        return read_csv_rows(self.shown(path), data.splitlines(keepends=True))

    def find(self, pattern: str) -> list[str]:
        """Files that a pattern with ``*``, ``**``, ``?`` and ``[…]`` names; no link is followed."""
        wanted = _pattern(plain_path(pattern).removeprefix("./"))
        return [path for path in self._all_files() if wanted.fullmatch(path)]

    def _all_files(self) -> list[str]:
        if self._entries is None:
            self._entries = sorted(walk_files(Path(self._real)))
        return self._entries


class SourceFile:
    """The file that was named, and the folder that it may name others of."""

    def __init__(self, path: Path) -> None:
        self.folder = SourceFolder(path.parent)
        self.name = path.name
        self.shown = os.path.relpath(path)
        self.data = self.folder.read(path.name, max_bytes=MAX_TEXT)

    @property
    def stem(self) -> str:
        """The name without its endings."""
        return self.name.partition(".")[0] or self.name

    def text(self) -> str:
        return self.folder.text(self.name)

    def yaml(self) -> Document:
        return _yaml(self.data, self.shown)

    def json(self) -> Any:
        return parse_source_json(self.text(), self.shown)


def _yaml(data: bytes, shown: str) -> Document:
    """Also with a byte order mark and in UTF-16, as Windows writes it."""
    return parse_yaml(decode_input(data, shown).encode(), shown, merge_keys=True)


def _open_waiting_for_nobody(path: str, flags: int) -> int:
    """As for a file whose links were followed and looked at; a pipe is opened though nobody writes to it."""
    return open_unlinked(path, flags | os.O_NONBLOCK)


def plain_path(path: str) -> str:
    return path.removeprefix("file://")


def walk_files(top: Path) -> Iterator[str]:
    """Files below a folder, with `/`. Raises Invalid where there are too many, or a folder cannot be read."""
    seen = 0
    for where, folders, files in os.walk(top, onerror=_refuse_folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        seen += len(folders) + len(files)
        if seen > MAX_ENTRIES:
            raise Invalid(
                f"{os.path.relpath(top)} holds more than {MAX_ENTRIES:,} files and folders",
                hint="name the files themselves",
            )
        below = os.path.relpath(where, top)
        yield from (name if below == "." else f"{below}/{name}" for name in files)


def _refuse_folder(error: OSError) -> None:
    """What is in it would be left out in silence."""
    shown = escape_line(os.path.relpath(str(error.filename)), 100)
    hint = "make it readable, or name the files themselves"
    raise Invalid(f"cannot look into the folder {shown}: {error.strerror}", hint=hint)


def parse_source_json(text: str, shown: str) -> Any:
    """Raises Invalid for what is not JSON, has one key twice, or is nested more deeply than YAML may be."""
    try:
        value = parse_strict_json(text)
    except ValueError as error:
        raise Invalid(f"{shown}: not JSON: {error}", hint="look at the line that it names") from None
    if _is_deeper(value, MAX_DEPTH):
        raise Invalid(f"{shown}: nested deeper than {MAX_DEPTH} levels")
    return value


def _is_deeper(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit + 1):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _pattern(pattern: str) -> re.Pattern[str]:
    parts = []
    for segment in pattern.split("/"):
        if segment == "**":
            parts.append("(?:[^/]+/)*")
        else:
            one = fnmatch.translate(segment).removeprefix("(?s:").removesuffix(")\\Z")
            parts.append(one.replace(".*", "[^/]*") + "/")
    return re.compile("".join(parts).removesuffix("/"))
