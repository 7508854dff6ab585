"""What one rendering may use up, and which values a template may hold.

A limit on the CPU time of the thread stands behind the counts, for many single steps that are slow. It cannot
stop one step, so that no value becomes large enough for one to be.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from sys import getsizeof
from time import thread_time
from typing import Any, NamedTuple

from jinja2 import Undefined
from jinja2.environment import TemplateModule
from markupsafe import Markup

MAX_ITERATIONS = 1_000_000
MAX_OUTPUT = 20_000_000  # characters of output, and of any one value
MAX_ALLOCATED = 200_000_000  # bytes of all values in between, as if each were kept
_PLACE, _ENTRY = 8, 100  # bytes: of a list or tuple, of a mapping
MAX_ITEMS = 1_000_000
MAX_DEPTH = 300  # of nested values
MAX_BITS = 10_000  # of a number
MAX_SECONDS = 2.0
LONGEST_ESCAPE = 10  # \U0001f600, where a list holds it
_LONGEST_SCALAR = 30  # characters of a float, with what stands between two values
_LONGEST_FLOAT = 310
_LARGE = 1_000  # from this size on, every value is followed by a look at the clock

_CONTAINERS = (list, tuple, dict)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_FLAT = frozenset({str, Markup, int, float, bool, type(None)})
_TEXTS = frozenset({str, Markup})


class SandboxError(Exception):
    """What a template may not do."""


class _Budget:
    """What one render has used up."""

    __slots__ = ("allocated", "checks", "iterations", "started", "written")

    def __init__(self) -> None:
        self.iterations = self.written = self.allocated = self.checks = 0
        self.started = thread_time()

    def count_iterations(self, iterations: int, characters: int) -> None:
        self.iterations += iterations
        if self.iterations > MAX_ITERATIONS:
            raise SandboxError(
                f"more than {MAX_ITERATIONS:,} iterations of its loops and calls: does it ever end?"
            )
        self.write(characters)

    def write(self, characters: int) -> None:
        self.written += characters
        if self.written > MAX_OUTPUT:
            raise SandboxError(f"more than {MAX_OUTPUT:,} characters of output")
        self.check_clock()

    def expect(self, size: int) -> None:
        """Refuse a value of this size before it is made."""
        if size > MAX_OUTPUT or self.allocated + size > MAX_ALLOCATED:
            raise SandboxError("it builds a value that is too large")
        self.check_clock(size)

    def allocate(self, size: int) -> None:
        self.allocated += size
        if self.allocated > MAX_ALLOCATED:
            raise SandboxError("it builds values that are too large together")
        self.check_clock(size)

    def keep(self, value: Any) -> None:
        """Count a value that was made, without what it holds."""
        if isinstance(value, str):
            self.allocate(getsizeof(value))
        elif isinstance(value, (list, tuple)):
            self.allocate(_PLACE * len(value))
        elif isinstance(value, dict):
            self.allocate(_ENTRY * len(value))

    def check_clock(self, size: int = 0) -> None:
        self.checks += 1
        if (size > _LARGE or not self.checks % 64) and thread_time() - self.started > MAX_SECONDS:
            raise SandboxError(f"more than {MAX_SECONDS:g} seconds of computing")


_BUDGET: ContextVar[_Budget] = ContextVar("budget")


@contextmanager
def render_budget() -> Iterator[None]:
    """Give the templates rendered inside one budget."""
    token = _BUDGET.set(_Budget())
    try:
        yield
    finally:
        _BUDGET.reset(token)


def current_budget() -> _Budget:
    return _BUDGET.get(None) or _Budget()  # for a template that is used outside any render


def measure(value: Any, *, printed: bool = True) -> int:
    """Count items and characters of nested data, however often they are shared; refuse too many.

    With ``printed`` all must be data that has a text of its own.
    """
    size = _size_of(value, {}, printed=printed)
    if size.items > MAX_ITEMS or size.characters > MAX_OUTPUT:
        raise SandboxError("it builds a value that is too large")
    current_budget().allocate(size.items + size.characters)
    return size.items


class _Size(NamedTuple):
    items: int
    characters: int


def _size_of(value: Any, known: dict[int, _Size], *, printed: bool, depth: int = 0) -> _Size:
    """What a value comes to when all is written out; each of its parts is looked at once."""
    if isinstance(value, str):
        return _Size(1, len(value))
    if not isinstance(value, (*_CONTAINERS, *_VIEWS)):
        if printed:
            _refuse_unprintable(value)
        return _Size(1, _digits(value))
    if id(value) not in known:
        if depth > MAX_DEPTH:
            raise SandboxError(f"a value nested more than {MAX_DEPTH} deep")
        parts = (value, value.values()) if isinstance(value, dict) else (value,)
        sizes = [_size_of_members(part, known, printed=printed, depth=depth + 1) for part in parts]
        known[id(value)] = _Size(
            1 + sum(size.items for size in sizes), sum(size.characters for size in sizes)
        )
    return known[id(value)]


def _size_of_members(members: Any, known: dict[int, _Size], *, printed: bool, depth: int) -> _Size:
    if len(members) > MAX_ITEMS:
        raise SandboxError("it builds a value that is too large")
    kinds = set(map(type, members))
    if kinds <= _FLAT:
        digits = 0
        if int in kinds:
            largest = max((item for item in members if type(item) is int), key=abs)
            check_number(largest)
            digits = _digits(largest) * len(members)
        if float in kinds:
            digits += max(_digits(item) for item in members)
        if kinds <= _TEXTS:
            return _Size(len(members), sum(map(len, members)))
        return _Size(len(members), digits + sum(len(item) for item in members if isinstance(item, str)))
    return _total([_size_of(item, known, printed=printed, depth=depth) for item in members])


def text_length(value: Any, escape: int = 1) -> int:
    """At most so many characters when it is written out; ``escape``: what one character may become."""
    size = _size_of(value, {}, printed=False)
    inner = LONGEST_ESCAPE if isinstance(value, _CONTAINERS) else escape
    return size.characters * inner + size.items * _LONGEST_SCALAR


def _digits(value: Any) -> int:
    """Of a number that is longer than most; of a float before its point."""
    if type(value) is float:
        return _LONGEST_FLOAT if abs(value) >= 10.0**_LONGEST_SCALAR else 0
    digits = value.bit_length() * 3 // 10 if type(value) is int else 0
    return digits if digits > _LONGEST_SCALAR else 0


def _total(sizes: list[_Size]) -> _Size:
    return _Size(sum(size.items for size in sizes), sum(size.characters for size in sizes))


def check_number(value: Any) -> None:
    """Refuse a whole number with which a single step could take for ever."""
    if type(value) is int and value.bit_length() > MAX_BITS:
        raise SandboxError("a number of more than 3,000 digits")


def text_of(value: Any) -> str:
    """The text of a value that has one: of data, and of what a partial wrote."""
    if isinstance(value, (*_CONTAINERS, *_VIEWS)):
        measure(value)
    elif not isinstance(value, TemplateModule):
        _refuse_unprintable(value)
    return str(value)


def check_value(value: Any) -> None:
    """Refuse what is too large, and what has no text but its address in memory."""
    if isinstance(value, (*_CONTAINERS, *_VIEWS)):
        measure(value)
    elif not isinstance(value, str):
        _refuse_unprintable(value)


def _refuse_unprintable(value: Any) -> None:
    check_number(value)
    if value is not None and not isinstance(value, (str, int, float, range, Undefined)):
        raise SandboxError(f"a {type(value).__name__} has no text: add `|list` or `|join`, or call it")
