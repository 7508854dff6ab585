"""The Jinja2 environment of every template: sandboxed, strict, repeatable, and bounded.

The loops of a template may run a million times, write 20 million characters, build no single value larger
than that, and 200 MB in all. Loops, blocks and macros count themselves (a call to ``_count_iteration`` is
compiled into each body), so that an endless template ends within about a second. What is compared, looked
up or put together is measured first, as it may hold itself many times over. Nothing is computed while
compiling.
"""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, Undefined, nodes, pass_context
from jinja2.runtime import BlockReference, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEscapeFormatter, SandboxedFormatter
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from promptops.prompt.render_budget import check_value, current_budget, measure, text_of
from promptops.prompt.value_limits import (
    check_method,
    check_operation,
    checked_result,
    metered_filter,
    metered_test,
)

_ITERATION, _KEPT = "count an iteration", "count a value"  # no template can name a filter with blanks
_COMPARED, _PRINTED, _JOINED = "measure a value", "measure a text", "count a part"
_FEW = 8  # items of a list that is written out
_UNSAFE_METHODS = frozenset({"encode", "expandtabs", "from_bytes", "maketrans", "to_bytes", "translate"})


@pass_context
def _count_iteration(_context: Any, true: bool, iterations: int, characters: int) -> bool:
    current_budget().count_iterations(iterations, characters)
    return true


@pass_context
def _kept(_context: Any, value: Any) -> Any:
    current_budget().keep(value)
    return value


@pass_context
def _compared(_context: Any, value: Any) -> Any:
    if isinstance(value, (list, tuple, dict)):
        measure(value, printed=False)
    return value


@pass_context
def _printed(_context: Any, value: Any) -> Any:
    if not isinstance(value, str):
        check_value(value)
    return value


@pass_context
def _joined(context: Any, value: Any) -> Any:
    if isinstance(value, str):
        current_budget().allocate(len(value))
    return _printed(context, value)


class _CheckedFormatter(SandboxedFormatter):
    """Puts in only what has a text: a field can name a method of a value."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> tuple[Any, str]:
        value, first = super().get_field(field_name, args, kwargs)
        check_value(value)
        return value, first


class _EscapingFormatter(_CheckedFormatter, SandboxedEscapeFormatter):
    pass


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self, loader: BaseLoader, undefined: type[Undefined] = StrictUndefined) -> None:
        super().__init__(
            loader=loader, undefined=undefined, finalize=_finalize, auto_reload=False, optimized=False
        )
        self.filters = {name: metered_filter(name, function) for name, function in self.filters.items()}
        self.tests = {name: metered_test(function) for name, function in self.tests.items()}
        del self.filters["random"], self.globals["lipsum"]  # the same inputs give the same messages
        self.filters |= {
            _ITERATION: _count_iteration,
            _KEPT: _kept,
            _COMPARED: _compared,
            _PRINTED: _printed,
            _JOINED: _joined,
        }

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Meter().visit(source), *args, **kwargs)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _UNSAFE_METHODS and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        if super().wrap_str_format(value) is None:
            return None
        text = value.__self__
        escape = {"escape": text.escape} if isinstance(text, Markup) else {}
        kind = _EscapingFormatter if escape else _CheckedFormatter
        vformat = kind(self, **escape).vformat

        def formatted(*args: Any, **kwargs: Any) -> str:
            if value.__name__ == "format_map":
                (fields,), args = args, ()
                kwargs = {**fields, **kwargs}
            written: str = type(text)(vformat(text, args, kwargs))
            return written

        return update_wrapper(formatted, value)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(obj, (Macro, BlockReference, LoopContext)):
            check_method(obj, args, kwargs)
        return checked_result(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        check_operation(operator, left, right)
        result = super().call_binop(context, operator, left, right)
        current_budget().keep(result)
        return result


class _Meter(NodeTransformer):
    """Makes every body that can run more than once count its iterations and its own text."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        super().generic_visit(node, *args, **kwargs)
        if isinstance(node, nodes.For):
            characters = sum(map(_own_text, node.body))
            call = _iteration_call(node, 1, characters)
            if node.test is None:
                node.body.insert(0, _statement(call))
            else:
                node.test = nodes.And(call, node.test)  # items that the test skips count too
        elif type(node) in _ITERATION_COST:
            _count(node, node.body, _ITERATION_COST[type(node)])  # type: ignore[attr-defined]  # each has one
        if isinstance(node, (nodes.For, nodes.If)):
            _count(node, node.else_, 0)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        node.nodes = [_measured(part, _JOINED) for part in node.nodes]
        return _filter(node, _KEPT)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        node.expr = _measured(node.expr, _COMPARED)
        for operand in node.ops:
            operand.expr = _measured(operand.expr, _COMPARED)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _filter(node, _KEPT)
        node.arg = _measured(node.arg, _PRINTED)
        return node

    def visit_List(self, node: nodes.List | nodes.Tuple | nodes.Dict) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        return _filter(node, _KEPT) if len(node.items) > _FEW else node

    visit_Dict = visit_List  # noqa: N815 - same

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        return self.visit_List(node) if node.ctx == "load" else self.generic_visit(node)

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        node.key = _measured(node.key, _PRINTED)
        return node


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


def _count(node: nodes.Node, body: list[nodes.Node], iterations: int) -> None:
    characters = sum(map(_own_text, body))
    if iterations or characters:
        body.insert(0, _statement(_iteration_call(node, iterations, characters)))


def _iteration_call(node: nodes.Node, iterations: int, characters: int) -> nodes.Expr:
    call = _filter(nodes.Const(True), _ITERATION, nodes.Const(iterations), nodes.Const(characters))
    call.set_lineno(node.lineno or 1, override=True)
    return call


def _statement(call: nodes.Expr) -> nodes.Node:
    return nodes.ExprStmt(call).set_lineno(call.lineno)


def _measured(node: nodes.Expr, name: str) -> nodes.Expr:
    return node if isinstance(node, nodes.Const) else _filter(node, name)


def _filter(node: nodes.Node, name: str, *args: nodes.Node) -> nodes.Filter:
    call = nodes.Filter(node, name, list(args), [], None, None)
    call.set_lineno(node.lineno or 1)
    return call


@pass_context
def _finalize(_context: Any, value: Any) -> Any:
    """Write a value: what has no text of its own (a generator, a function) has no place in a prompt.

    It takes a context so that Jinja2 does not call it, and what it writes, while compiling.
    """
    if isinstance(value, Undefined):
        return value  # complains when it is made a string
    if not isinstance(value, str):
        value = text_of(value)
    current_budget().write(len(value))
    return value
