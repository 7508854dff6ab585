"""What filters, tests, methods and operators of templates may be given, so that no single step is slow."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from sys import getsizeof
from types import MappingProxyType
from typing import Any

from promptops.prompt.render_budget import (
    LONGEST_ESCAPE,
    MAX_OUTPUT,
    SandboxError,
    check_number,
    check_value,
    current_budget,
    measure,
    text_length,
)

MAX_REPEAT = 100_000  # of a list, as for range()
_MAX_SPLIT = 2_000_000  # characters of a text that is taken apart
_MAX_LETTERS = 200_000  # of a text that is gone through letter by letter, each with a call
_MAX_PRETTY = 10_000  # items: pprint goes through all that is below once for each level
_MAX_WRAPPED = 100_000**2  # of the lengths of lines: a word is copied for each of its lines

_UNMETERED = frozenset({"length", "count", "first", "last", "default", "d"})
_ITERATING = frozenset(
    {
        "attr",
        "batch",
        "dictsort",
        "groupby",
        "items",
        "join",
        "list",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "reverse",
        "select",
        "selectattr",
        "slice",
        "sort",
        "sum",
        "unique",
    }
)
"""Filters that go through what has no text of its own, such as a generator."""

_LETTER_BY_LETTER = _ITERATING - {"attr", "reverse", "join"}
_TAKING_APART = {
    "rsplit",
    "split",
    "splitlines",
    "striptags",
    "title",
    "urlize",
    "wordcount",
    "wordwrap",
}
_WIDE_FIELD = re.compile(r"%[^a-zA-Z%]{0,40}\d{6}|\{[^{}:]*:[^{}]{0,40}\d{6}")
_LONG_FIELD = re.compile(r"%[-#0 +*.\d]{40}|\{[^{}:]*:[^{}]{40}")
_NESTED_FIELD = re.compile(r"%[-#0 +]*\*|%[^a-zA-Z%]{0,40}\.\*|\{[^{}]*\{")
_ESCAPING_FIELD = re.compile(r"%[^a-zA-Z%]{0,40}[ra]|%\([^)]*\)[^a-zA-Z%]{0,40}[ra]|![ra]")
_NUMBER = re.compile(r"\d{1,5}", re.ASCII)
_NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})


def metered_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    if name in _UNMETERED:
        return function
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        given = args[skipped:]
        _check_filter_arguments(name, given, kwargs)
        check_call(name, given, kwargs)
        if name == "join" and given and not isinstance(given[0], (str, list, tuple, dict)):
            args = (*args[:skipped], _checked_items(given[0]), *given[1:])
        return checked_result(function(*args, **kwargs))

    return guarded


def metered_test(function: Any) -> Callable[..., Any]:
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        for arg in (*args[skipped:], *kwargs.values()):
            measure(arg, printed=False)
            check_number(arg)
        return function(*args, **kwargs)

    return guarded


def _check_filter_arguments(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    for at, arg in enumerate((*args, *kwargs.values())):
        if at or name not in _ITERATING or isinstance(arg, (int, float)):
            check_value(arg)
    if name == "round" and args and not isinstance(args[0], (int, float)):
        raise SandboxError("`round` takes a number")  # and would repeat a text or a list so many times


def _checked_items(items: Iterable[Any]) -> Iterator[Any]:
    """What ``join`` puts together: each counts, since no one of them says how long the whole will be."""
    for item in items:
        check_value(item)
        current_budget().keep(item)
        yield item


def checked_result(value: Any) -> Any:
    check_number(value)
    if isinstance(value, str) and len(value) > MAX_OUTPUT:
        raise SandboxError("it builds a value that is too large")
    current_budget().keep(value)
    if isinstance(value, (list, tuple)):
        current_budget().allocate(sum(map(getsizeof, value)))  # its items may be new
    return value


def check_call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any] = _NO_ARGUMENTS) -> None:
    """Refuse a call of a filter or a method that would make too much, by what it is called with."""
    args = (*args, *kwargs.values())
    for arg in args:
        if isinstance(arg, (list, tuple, dict)) and measure(arg) > _MAX_PRETTY and name == "pprint":
            raise SandboxError(f"`pprint` of more than {_MAX_PRETTY:,} items")
    size = len(args[0]) if args and isinstance(args[0], str) else 0
    most = _MAX_LETTERS if name in _LETTER_BY_LETTER else _MAX_SPLIT if name in _TAKING_APART else MAX_OUTPUT
    if size > most:
        raise SandboxError(f"`{name}` of a text of more than {most:,} characters")
    if name in _GROWTH:
        size += _GROWTH[name](args)
    current_budget().expect(size)


def check_method(obj: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """The same for whatever a template calls: values given to functions are compared and hashed there."""
    method = getattr(obj, "__wrapped__", obj)
    owner = getattr(method, "__self__", None)
    if not isinstance(owner, (str, list, tuple, dict)):
        current_budget().keep(args)
        current_budget().keep(kwargs)
        for arg in (*args, *kwargs.values()):
            measure(arg, printed=False)
            check_number(arg)
        return
    for arg in (*args, *kwargs.values()):
        if isinstance(owner, str) and not hasattr(arg, "__iter__"):
            check_value(arg)
    check_call(method.__name__, (owner, *args), kwargs)


def _largest(args: Iterable[Any]) -> int:
    return max((abs(arg) for arg in args if isinstance(arg, int)), default=0)


def _longest(args: Iterable[Any]) -> int:
    return max((len(arg) for arg in args if isinstance(arg, str)), default=0)


def _lines(args: tuple[Any, ...]) -> int:
    return (str(args[0]).count("\n") + 1) * max(_largest(args[1:]), _longest(args[1:]))


def _replaced(args: tuple[Any, ...]) -> int:
    texts = [arg for arg in args if isinstance(arg, str)]
    return texts[0].count(texts[1]) * len(texts[2]) if len(texts) > 2 else 0


def _wrapped(args: tuple[Any, ...]) -> int:
    text = str(args[0])
    if sum(len(line) ** 2 for line in text.splitlines()) > _MAX_WRAPPED:
        return MAX_OUTPUT + 1
    width = min((arg for arg in args[1:] if type(arg) is int and arg > 0), default=79)
    return (len(text) // width + 1) * _longest(args[1:])


def _joined(args: tuple[Any, ...]) -> int:
    return (
        _length(args[0]) * _length(args[1]) if len(args) > 1 else 0
    )  # the filter, or the method of a separator


def _length(value: Any) -> int:
    if hasattr(value, "__len__"):
        return len(value)
    return MAX_REPEAT if hasattr(value, "__iter__") else 0


def _formatted(args: tuple[Any, ...]) -> int:
    """At most so many characters: each field may hold the longest value, or be as wide as any number says."""
    template, given = str(args[0]), args[1:]
    nested = _NESTED_FIELD.search(template) is not None
    taken = nested and (_largest(given) >= MAX_REPEAT or any(hasattr(arg, "__getitem__") for arg in given))
    if taken or _WIDE_FIELD.search(template) or _LONG_FIELD.search(template):
        return MAX_OUTPUT + 1
    escape = LONGEST_ESCAPE if _ESCAPING_FIELD.search(template) else 1
    longest = max((text_length(arg, escape) for arg in given), default=1)
    widest = max((int(found[0]) for found in _NUMBER.finditer(template)), default=0)
    fields = template.count("%") + template.count("{")
    return len(template) + fields * max(longest, widest, _largest(given) if nested else 0)


def _summed(args: tuple[Any, ...]) -> int:
    """Lists are added one by one, and each sum is a list of its own."""
    whole = [arg for arg in args[1:] if isinstance(arg, (list, tuple))]
    return _length(args[0]) ** 2 if whole else 0


def _flat(args: tuple[Any, ...]) -> int:
    return _largest(args[1:])


_GROWTH: Mapping[str, Callable[[tuple[Any, ...]], int]] = {
    "batch": _flat,
    "center": _flat,
    "format": _formatted,
    "format_map": _formatted,
    "indent": _lines,
    "join": _joined,
    "ljust": _flat,
    "replace": _replaced,
    "rjust": _flat,
    "round": lambda args: _largest(args[1:]) * 50_000,
    "slice": lambda args: _largest(args[1:]) * 200,
    "sum": _summed,
    "tojson": lambda args: _largest(args[1:]) * MAX_REPEAT,
    "wordwrap": _wrapped,
    "zfill": _flat,
}


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Refuse an operation of two values whose result would be too large, or too slow to compute."""
    if operator == "%" and isinstance(left, str):
        check_value(right)
        current_budget().expect(_formatted((left, *(right if isinstance(right, tuple) else (right,)))))
    elif isinstance(left, int) and isinstance(right, int):
        _check_numbers(operator, left, right)
    elif operator == "*":
        _check_repeat(*((left, right) if isinstance(left, int) else (right, left)))
    elif operator == "+" and isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        current_budget().expect((len(left) + len(right)) * (1 if isinstance(left, str) else 8))


def _check_repeat(count: Any, repeated: Any) -> None:
    if not isinstance(count, int):
        return
    if isinstance(repeated, (list, tuple)) and count * len(repeated) > MAX_REPEAT:
        raise SandboxError(f"a list of more than {MAX_REPEAT:,} items")
    if isinstance(repeated, str):
        current_budget().expect(max(count, 0) * len(repeated))


def _check_numbers(operator: str, left: int, right: int) -> None:
    check_number(int(left))
    check_number(int(right))
    bits = 0
    if operator == "**":
        bits = left.bit_length() * abs(right)
    elif operator == "*":
        bits = left.bit_length() + right.bit_length()
    if bits > 10_000:  # MAX_BITS, of the result
        raise SandboxError("a number of more than 3,000 digits")
