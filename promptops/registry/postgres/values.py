"""How values are bound and read: as SQLite takes and gives them.

PostgreSQL's text holds every character but NUL. In its place stand two characters, and the first of them,
of the area for private use, stands twice where it is meant itself; so a text comes back as it was.
"""

from typing import Any

from psycopg import Connection
from psycopg.adapt import Buffer, Loader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

_MARK = "\ue000"
_NUL, _ITSELF = f"{_MARK}0", f"{_MARK}1"
_MARK_BYTES = _MARK.encode()


def without_nuls(text: str) -> str:
    if _MARK in text:
        text = text.replace(_MARK, _ITSELF)
    return text.replace("\x00", _NUL)


def with_nuls(text: str) -> str:
    return text.replace(_NUL, "\x00").replace(_ITSELF, _MARK)


class _TextDumper(StrDumperUnknown):
    def dump(self, obj: str) -> Any:
        if not obj.isascii() or "\x00" in obj:
            obj = without_nuls(obj)
        return super().dump(obj)


class _TextLoader(Loader):
    def load(self, data: Buffer) -> str:
        found = bytes(data)
        text = found.decode()
        return with_nuls(text) if _MARK_BYTES in found else text


class _BooleanDumper(Int8Dumper):
    """Columns of yes and no are numbers."""

    def dump(self, obj: Any) -> Any:
        return b"1" if obj else b"0"


class _NumericLoader(Loader):
    """Sums of whole numbers are `numeric` there, and whole numbers."""

    def load(self, data: Buffer) -> float:
        text = bytes(data)
        return int(text) if text.lstrip(b"-").isdigit() else float(text)


def register_values(connection: Connection[Any]) -> None:
    context = connection.adapters
    context.register_dumper(str, _TextDumper)
    context.register_dumper(int, Int8Dumper)
    context.register_dumper(bool, _BooleanDumper)
    for name in ("text", "varchar", "bpchar", "name"):
        context.register_loader(name, _TextLoader)
    context.register_loader("numeric", _NumericLoader)
