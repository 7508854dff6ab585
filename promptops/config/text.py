"""Text files as people write them: decoded, and what is wrong in them named with its place."""

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping

from promptops.dataclass import dataclass
from promptops.errors import Invalid

MAX_BYTES = 1_000_000
_MAX_DIGITS = 15

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_LINE_END = re.compile(r"\r\n?|\n")
_MARKS = {  # the longer ones first: one begins with the other
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ZEROS: Mapping[tuple[bool, ...], str] = {  # among the first four bytes
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")


def whole_number(text: str) -> int | None:
    """Of plain digits, no more of them than a counter has; None for anything else, as `²` is a digit, too."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


@dataclass(frozen=True, slots=True)
class Position:
    """Both numbers count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place in a file. ``rule`` names the kind of problem in one word."""

    rule: str
    message: str
    path: str
    position: Position
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.position.line}:{self.position.column}: {self.message}"


class InvalidAt(Invalid):
    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem), hint=problem.hint)
        self.problem = problem


def refuse_lfs_pointer(data: bytes, path: str) -> None:
    """Raise InvalidAt for what git-lfs keeps in a file's place."""
    if data.startswith(_LFS_POINTER):
        message = f"{path} is a pointer of git LFS, not the file itself: git has no more of it"
        hint = f"keep it in git itself: git lfs untrack {path}, then git add --renormalize {path}"
        raise InvalidAt(Problem("file", message, path, Position(1, 1), hint))


def wide_encoding(first: bytes, second: bytes = b"") -> str | None:
    """The encoding of a file that is UTF-16 or UTF-32, by its first lines.

    By the byte order mark, or by where the zeros stand beside first letters of ASCII, or a line's end.
    """
    for mark, name in _MARKS.items():
        if first.startswith(mark):
            return name
    if wide := _ZEROS.get(tuple(byte == 0 for byte in first[:4])):
        return wide
    if first.endswith(b"\0\n") and not len(first) % 2:
        return "utf-16-be"
    return "utf-16-le" if first.endswith(b"\n") and len(first) % 2 and second.startswith(b"\0") else None


def encoding_name(encoding: str) -> str:
    """As people call it: UTF-16, whichever byte comes first."""
    return encoding[:6].upper()


def decode_input(data: bytes, path: str) -> str:
    """The text of a file of any size, without byte order mark, in UTF-8 or as Windows writes it, UTF-16."""
    first, end, rest = data.partition(b"\n")
    encoding = wide_encoding(first + end, rest[:1])
    try:
        return data.decode(encoding or "utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        message = f"{path}: not {encoding_name(encoding or 'utf-8')} (byte {error.start + 1})"
        raise Invalid(message, hint="save the file as UTF-8") from None


def utf8_lines(path: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines themselves. Raises InvalidAt where the file is UTF-16, which ends its lines elsewhere."""
    for number, line in enumerate(lines):
        if not number and (encoding := wide_encoding(line)):
            raise _wide_error(encoding, path)
        yield line


def _wide_error(encoding: str, path: str) -> InvalidAt:
    message = f"the file is {encoding_name(encoding)}, not UTF-8"
    return InvalidAt(Problem("encoding", message, path, Position(1, 1), "save the file as UTF-8"))


def decode_text(text: bytes, path: str, *, max_bytes: int = MAX_BYTES) -> str:
    """Accept UTF-8 without byte order mark or control characters, of a sane size."""
    refuse_lfs_pointer(text, path)
    if len(text) > max_bytes:
        size = f"{len(text):,} bytes, and at most {max_bytes:,} are read"
        raise InvalidAt(Problem("size", f"the file is too large: {size}", path, Position(1, 1)))
    if encoding := wide_encoding(text[: text.find(b"\n") + 1 or None]):
        raise _wide_error(encoding, path)
    try:
        source = text.decode()
    except UnicodeDecodeError as error:
        position = find_position(text[: error.start].decode(), error.start)
        message = f"not UTF-8: byte 0x{text[error.start]:02x}"
        raise InvalidAt(Problem("encoding", message, path, position, "save the file as UTF-8")) from None
    _refuse_unreadable(source, path)
    return source


def _refuse_unreadable(source: str, path: str) -> None:
    found = _UNREADABLE.search(source)
    if source.startswith("\ufeff"):
        what, hint, index = "the file starts with a byte order mark", "save the file as UTF-8 without BOM", 0
    elif found and found[0] == "\0":
        what, hint, index = "a NUL character in the text", "remove it", found.start()
    elif found:
        code = f"{ord(found[0]):04x}"
        what, index = f"the control character U+{code.upper()} in the text", found.start()
        hint = f'remove it; YAML has "\\u{code}" in double quotes'
    else:
        return
    raise InvalidAt(Problem("encoding", what, path, find_position(source, index), hint))


def find_position(source: str, index: int) -> Position:
    *before, last = split_lines(source[:index])
    return Position(len(before) + 1, len(last) + 1)


def find_index(source: str, position: Position) -> int:
    """Where a position is, from 0."""
    starts = [0, *(end.end() for end in _LINE_END.finditer(source))]
    return starts[position.line - 1] + position.column - 1


def split_lines(source: str) -> list[str]:
    """Lines as YAML counts them: CR alone ends one too."""
    return _LINE_END.split(source)


def without_lfs_pointer(path: str, lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines themselves. Raises InvalidAt where git LFS keeps the file."""
    for number, line in enumerate(lines):
        if not number:
            refuse_lfs_pointer(line, path)
        yield line
