"""What the address of a page asks for: read within bounds."""

from collections.abc import Collection, Mapping
from urllib.parse import urlencode

from aiohttp import web

from promptops.errors import Invalid
from promptops.registry import parse_time

_MAX_LENGTH = 1_000  # characters of a value
_MOST = 1_000_000


def read_query(request: web.Request, names: Collection[str]) -> dict[str, str]:
    """The values that are given and not empty, of these names; others are left alone. Raises Invalid."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in names or not value.strip():
            continue
        if name in found:
            raise Invalid(f"the address says {name} twice")
        if len(value) > _MAX_LENGTH or "\0" in value:
            raise Invalid(f"{name} in the address is too long, or no text")
        found[name] = value.strip()
    return found


def read_choice(query: Mapping[str, str], name: str, choices: Collection[str], otherwise: str) -> str:
    value = query.get(name, otherwise)
    if value not in choices:
        raise Invalid(f"{name}: {value!r:.80} cannot be", hint=f"one of {', '.join(choices)}")
    return value


def read_moment(query: Mapping[str, str], name: str, otherwise: str | None = None) -> str | None:
    """A span back from now or a date, as UTC text. Raises Invalid."""
    text = query.get(name, otherwise)
    if text is None:
        return None
    return parse_time(text, name)


def read_number(query: Mapping[str, str], name: str, least: int = 0) -> int:
    """A whole number from ``least``, which it is where none is given. Raises Invalid."""
    text = query.get(name, str(least))
    if not (text.isascii() and text.isdecimal() and len(text) <= 7 and least <= int(text) <= _MOST):
        raise Invalid(f"{name}: {text!r:.80} is not a number from {least} to {_MOST:,}")
    return int(text)


def address(base: str, path: str, query: Mapping[str, str | None]) -> str:
    """A page with what it is asked for."""
    given = {name: value for name, value in query.items() if value}
    return f"{base}{path}" + (f"?{urlencode(given)}" if given else "")
