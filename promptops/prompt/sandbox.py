"""The Jinja2 environment of every template: sandboxed, strict, repeatable, and bounded.

A template may go round loops a million times, write 20 million characters, and build no single
value larger than that. Loops, blocks and macros count themselves (a call to ``_count_iteration`` is compiled
into each body), so that an endless template ends within about a second; a limit on the CPU time of
the thread stands behind the counts, for single steps that are slow.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from time import thread_time
from typing import TYPE_CHECKING, Any

from jinja2 import BaseLoader, StrictUndefined, Undefined, nodes, pass_context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_ITERATIONS = 1_000_000
MAX_OUTPUT = 20_000_000  # characters of output, and of any one value
MAX_ALLOCATED = 1_000_000_000  # characters and items of all values in between
MAX_ITEMS = 1_000_000
MAX_REPEAT = 100_000  # of a list, as for range()
MAX_BITS = 10_000  # of a number
MAX_SECONDS = 2.0

_TURN, _SIZED = "count a turn", "bound a text"  # no template can name a filter with blanks
_UNMETERED = frozenset({"length", "count", "first", "last", "default", "d", _TURN})
_UNSAFE_METHODS = frozenset({"encode", "expandtabs", "maketrans", "to_bytes", "translate"})
_WIDE_FIELD = re.compile(r"%[^a-zA-Z%]*?\d{6,}|\{[^{}]*:[^{}]*?\d{6,}")
_NESTED_FIELD = re.compile(r"%[-#0 +]*\*|%[^a-zA-Z%]*\.\*|\{[^{}]*\{")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+>")


class SandboxError(Exception):
    """What a template may not do."""


class _Budget:
    """What one render has used up."""

    __slots__ = ("looks", "made", "started", "turns", "written")

    def __init__(self) -> None:
        self.turns = self.written = self.made = self.looks = 0
        self.started = thread_time()

    def turn(self, turns: int, characters: int) -> None:
        self.turns += turns
        if self.turns > MAX_ITERATIONS:
            raise SandboxError(
                f"more than {MAX_ITERATIONS:,} turns of its loops and calls: does it ever end?"
            )
        self.write(characters)

    def write(self, characters: int) -> None:
        self.written += characters
        if self.written > MAX_OUTPUT:
            raise SandboxError(f"more than {MAX_OUTPUT:,} characters of output")
        self.look()

    def make(self, size: int) -> None:
        self.made += size
        if size > MAX_OUTPUT or self.made > MAX_ALLOCATED:
            raise SandboxError("it builds a value that is too large")
        self.look()

    def look(self) -> None:
        self.looks += 1
        if not self.looks % 64 and thread_time() - self.started > MAX_SECONDS:
            raise SandboxError(f"more than {MAX_SECONDS:g} seconds of computing")


_BUDGET: ContextVar[_Budget] = ContextVar("budget")


@contextmanager
def render_budget() -> "Iterator[None]":
    """Give the templates rendered inside one budget."""
    token = _BUDGET.set(_Budget())
    try:
        yield
    finally:
        _BUDGET.reset(token)


def _budget() -> _Budget:
    return _BUDGET.get(None) or _Budget()  # constants are folded while compiling, outside any render


@pass_context
def _count_iteration(_context: Any, true: bool, turns: int, characters: int) -> bool:
    _budget().turn(turns, characters)
    return true


@pass_context
def _bounded_text(_context: Any, text: str) -> str:
    _budget().make(len(text))
    return text


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, loader: BaseLoader, undefined: type[Undefined] = StrictUndefined) -> None:
        super().__init__(loader=loader, undefined=undefined, finalize=_finalize, auto_reload=False)
        self.filters = {name: _metered(name, function) for name, function in self.filters.items()}
        del self.filters["random"], self.globals["lipsum"]  # the same inputs give the same messages
        self.filters |= {_TURN: _count_iteration, _SIZED: _bounded_text}

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Meter().visit(source), *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _UNSAFE_METHODS and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        method = getattr(obj, "__wrapped__", obj)
        owner = getattr(method, "__self__", None)
        if isinstance(owner, (str, list, tuple, dict)):
            _check_call(method.__name__, (owner, *args), kwargs)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        _check_operation(operator, left, right)
        return super().call_binop(context, operator, left, right)


class _Meter(NodeTransformer):
    """Makes every body that can run more than once count its turns and its own text."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        super().generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.For):
            characters = sum(map(_own_text, node.body))
            turn = _turn_call(node, 1, characters)
            if node.test is None:
                node.body.insert(0, _statement(turn))
            else:
                node.test = nodes.And(turn, node.test)  # items that the test passes over are turns too
        elif type(node) in _ITERATION_COST:
            _count(node, node.body, _ITERATION_COST[type(node)])  # type: ignore[attr-defined]
        if isinstance(node, (nodes.For, nodes.If)):
            _count(node, node.else_, 0)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        return _filter(self.generic_visit(node), _SIZED)


_ITERATION_COST: Mapping[type, int] = {
    nodes.If: 0,
    nodes.Block: 5,
    nodes.Macro: 5,
    nodes.CallBlock: 5,
    nodes.Template: 10,
}
_METERED_NODES = (nodes.For, *_ITERATION_COST)


def _own_text(node: nodes.Node) -> int:
    if isinstance(node, nodes.TemplateData):
        return len(node.data)
    return 0 if isinstance(node, _METERED_NODES) else sum(map(_own_text, node.iter_child_nodes()))


def _count(node: nodes.Node, body: list[nodes.Node], turns: int) -> None:
    characters = sum(map(_own_text, body))
    if turns or characters:
        body.insert(0, _statement(_turn_call(node, turns, characters)))


def _turn_call(node: nodes.Node, turns: int, characters: int) -> nodes.Expr:
    call = _filter(nodes.Const(True), _TURN, nodes.Const(turns), nodes.Const(characters))
    call.set_lineno(node.lineno or 1, override=True)
    return call


def _statement(call: nodes.Expr) -> nodes.Node:
    return nodes.ExprStmt(call).set_lineno(call.lineno)


def _filter(node: nodes.Node, name: str, *args: nodes.Node) -> nodes.Filter:
    call = nodes.Filter(node, name, list(args), [], None, None)
    call.set_lineno(node.lineno or 1)
    return call


def _finalize(value: Any) -> Any:
    """Write a value: what has no text of its own (a generator, a function) has no place in a prompt."""
    if isinstance(value, Undefined):
        return value  # complains when it is made a string
    if not isinstance(value, str):
        value = _text_of(value)
    _budget().write(len(value))
    return value


def _text_of(value: Any) -> str:
    if isinstance(value, (list, tuple, dict)):
        measure(value, printed=True)
    text = str(value)
    if not isinstance(value, (list, tuple, dict)):
        _refuse_address(value, text)
    return text


def _refuse_address(value: Any, text: str) -> None:
    if _ADDRESS.search(text):
        raise SandboxError(f"a {type(value).__name__} has no text: add `|list` or `|join`, or call it")


def measure(value: Any, *, printed: bool = False) -> int:
    """Count items and characters of nested data, however often they are shared; refuse too many."""
    waiting, items, characters = [value], 0, 0
    while waiting:
        item = waiting.pop()
        items += 1
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, dict):
            waiting.extend(item)
            waiting.extend(item.values())
        elif isinstance(item, (list, tuple)):
            waiting.extend(item)
        elif printed and not isinstance(item, (int, float, Undefined)):
            _refuse_address(item, str(item))
        if items > MAX_ITEMS or characters > MAX_OUTPUT or len(waiting) > 2 * MAX_ITEMS:
            raise SandboxError("it builds a value that is too large")
    _budget().make(items + characters)
    return items


def _metered(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        _check_call(name, args[first:], kwargs)
        return function(*args, **kwargs)

    return guarded if name not in _UNMETERED else function


def _check_call(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if name in _UNMETERED:
        return
    args = (*args, *kwargs.values())
    for arg in args:
        if isinstance(arg, (list, tuple, dict)):
            measure(arg)
    size = len(args[0]) if args and isinstance(args[0], str) else 0
    if name in _GROWTH:
        size += _GROWTH[name](args)
    _budget().make(size)


def _largest(args: Iterable[Any]) -> int:
    return max((arg for arg in args if isinstance(arg, int)), default=0)


def _longest(args: Iterable[Any]) -> int:
    return max((len(arg) for arg in args if isinstance(arg, str)), default=0)


def _lines(args: tuple[Any, ...]) -> int:
    return (str(args[0]).count("\n") + 1) * max(_largest(args[1:]), _longest(args[1:]))


def _replaced(args: tuple[Any, ...]) -> int:
    texts = [arg for arg in args if isinstance(arg, str)]
    return texts[0].count(texts[1]) * len(texts[2]) if len(texts) > 2 else 0  # noqa: PLR2004


def _wrapped(args: tuple[Any, ...]) -> int:
    width = min((arg for arg in args[1:] if type(arg) is int and arg > 0), default=79)
    return (len(str(args[0])) // width + 1) * _longest(args[1:])


def _joined(args: tuple[Any, ...]) -> int:
    return (
        _length(args[0]) * _length(args[1]) if len(args) > 1 else 0
    )  # the filter, or the method of a separator


def _length(value: Any) -> int:
    if hasattr(value, "__len__"):
        return len(value)
    return MAX_REPEAT if hasattr(value, "__iter__") else 0


def _formatted(args: tuple[Any, ...]) -> int:
    template = str(args[0])
    wide = _largest(args[1:]) >= MAX_REPEAT and _NESTED_FIELD.search(template)
    if wide or _WIDE_FIELD.search(template):
        return MAX_OUTPUT + 1
    return (template.count("%") + template.count("{")) * _longest(args[1:])


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
    "tojson": lambda args: _largest(args[1:]) * MAX_REPEAT,
    "wordwrap": _wrapped,
    "zfill": _flat,
}


def _check_operation(operator: str, left: Any, right: Any) -> None:
    if operator == "%":
        if isinstance(left, str):
            _budget().make(_formatted((left, *(right if isinstance(right, tuple) else (right,)))))
    elif isinstance(left, int) and isinstance(right, int):
        _check_numbers(operator, left, right)
    elif operator == "*":
        count, repeated = (left, right) if isinstance(left, int) else (right, left)
        if (
            isinstance(repeated, (list, tuple))
            and isinstance(count, int)
            and count * len(repeated) > MAX_REPEAT
        ):
            raise SandboxError(f"a list of more than {MAX_REPEAT:,} items")
        if isinstance(repeated, str) and isinstance(count, int):
            _budget().make(count * len(repeated))
    elif operator == "+" and isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
        _budget().make(len(left) + len(right))


def _check_numbers(operator: str, left: int, right: int) -> None:
    bits = 0
    if operator == "**":
        bits = left.bit_length() * abs(right)
    elif operator == "*":
        bits = left.bit_length() + right.bit_length()
    if bits > MAX_BITS:
        raise SandboxError("a number of more than 3,000 digits")
