"""How values are bound and read: as SQLite takes and gives them.

PostgreSQL's text holds every character but NUL. In its place stand two characters, and the first of them,
of the area for private use, stands twice where it is meant itself; so a text comes back as it was.
"""

from collections.abc import Iterable
from typing import Any

from psycopg import Connection
from psycopg.adapt import Buffer, Loader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

_MARK = "\ue000"
_NUL, _ITSELF = f"{_MARK}0", f"{_MARK}1"
_MARK_BYTES = _MARK.encode()
_AS_THEY_ARE = frozenset({type(None), int, float})


def without_nuls(text: str) -> str:
    if _MARK in text:
        text = text.replace(_MARK, _ITSELF)
    return text.replace("\x00", _NUL)


def with_nuls(text: str) -> str:
    return text.replace(_NUL, "\x00").replace(_ITSELF, _MARK)


def bound(values: Iterable[Any]) -> list[Any]:
    """Values as they are bound. Done here, as dumpers of Python's take half the time that a run takes."""
    return [each if type(each) in _AS_THEY_ARE else _bound(each) for each in values]


def _bound(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else without_nuls(value)
    if isinstance(value, list):
        return bound(value)
    return int(value) if isinstance(value, bool) else value  # columns of yes and no are numbers


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        found = bytes(data)
        text = found.decode()
        return with_nuls(text) if _MARK_BYTES in found else text


class _NumericLoader(Loader):
    """Sums of whole numbers are `numeric` there, and whole numbers."""

    def load(self, data: Buffer) -> float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def register_values(connection: Connection[Any]) -> None:
    context = connection.adapters
    context.register_dumper(str, StrDumperUnknown)
    context.register_dumper(int, Int8Dumper)
    for name in ("text", "varchar", "bpchar", "name"):
        context.register_loader(name, _TextLoader)
    context.register_loader("numeric", _NumericLoader)
