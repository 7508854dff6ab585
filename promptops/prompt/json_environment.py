"""Templates of format 2: true, null, lists and mappings are written as JSON wherever they become text.

That is in ``{{ }}``, on either side of ``~``, in filters that work on texts, and in what ``%`` and ``format``
fill in. Texts and numbers are written as they are in format 1.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper, wraps
from typing import Any

from jinja2 import BaseLoader, StrictUndefined, Undefined, nodes, pass_context
from jinja2.filters import make_attrgetter
from jinja2.visitor import NodeTransformer

from promptops.prompt.canonical_json import json_text
from promptops.prompt.render_budget import current_budget, measure, text_of
from promptops.prompt.sandbox import TemplateEnvironment
from promptops.prompt.template_nodes import TEXT_FILTERS

_TO_TEXT, _METHOD = "make a text", "find a method"  # no template can name a filter with blanks
_VIEWS: tuple[type[Iterable[Any]], ...] = (type({}.keys()), type({}.values()), type({}.items()), range)
_CONTAINERS: tuple[type[Iterable[Any]], ...] = (dict, list, tuple, *_VIEWS)
_TEXT_ARGUMENTS = {"replace": 3}  # how many arguments are texts, the value among them; else the value alone


class JsonTemplateEnvironment(TemplateEnvironment):
    def __init__(self, loader: BaseLoader, undefined: type[Undefined] = StrictUndefined) -> None:
        super().__init__(loader, undefined)
        self.finalize = _finalize
        python = self.filters
        self.filters = python | {name: _on_texts(name, python[name]) for name in TEXT_FILTERS}
        self.filters |= {"format": _on_values(python["format"]), "join": _on_items(python["join"])}
        self.filters |= {
            "urlencode": _on_pairs(python["urlencode"]),
            "xmlattr": _on_attributes(python["xmlattr"]),
        }
        self.filters |= {_TO_TEXT: _to_text, _METHOD: self._method}

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        return super()._generate(_Texts().visit(source), *args, **kwargs)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a mapping goes before a method of its name, as ``items``; a call finds the method."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def _method(self, obj: Any, attribute: str) -> Any:
        return super().getattr(obj, attribute)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        bounded = super().wrap_str_format(value)
        if bounded is None:
            return None

        def formatted(*args: Any, **kwargs: Any) -> str:
            if value.__name__ == "format_map":
                return bounded(*map(_printable_members, args), **kwargs)
            return bounded(*map(_printable, args), **_printable_members(kwargs))

        return update_wrapper(formatted, value)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            right = tuple(map(_printable, right)) if isinstance(right, tuple) else _printable(right)
        return super().call_binop(context, operator, left, right)


class _Texts(NodeTransformer):
    """Makes texts of what ``~`` joins, and looks for a method where one is called."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        node.nodes = [_filter(part, _TO_TEXT) for part in node.nodes]
        return node

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self.generic_visit(node)
        if isinstance(node.node, nodes.Getattr):
            node.node = _filter(node.node.node, _METHOD, nodes.Const(node.node.attr))
        return node


def _filter(part: nodes.Expr, name: str, *args: nodes.Expr) -> nodes.Expr:
    call = nodes.Filter(part, name, list(args), [], None, None)
    call.set_lineno(part.lineno)
    return call


@pass_context
def _finalize(_context: Any, value: Any) -> Any:
    if isinstance(value, Undefined):
        return value  # complains when it is made a string
    text = _to_text(value)
    if not isinstance(text, str):
        text = text_of(text)
    current_budget().write(len(text))
    return text


def _to_text(value: Any) -> Any:
    """What JSON writes otherwise, as JSON; everything else as it is."""
    if isinstance(value, _CONTAINERS):
        measure(value)
        return json_text(value, _plain_data)
    return json_text(value) if value is None or isinstance(value, bool) else value


def _plain_data(value: Any) -> Any:
    """What a list or mapping may hold that is not JSON data: what has a text was measured before."""
    return list(value) if isinstance(value, _VIEWS) else str(value)


def _on_texts(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    first = 1 if hasattr(function, "jinja_pass_arg") else 0
    last = first + _TEXT_ARGUMENTS.get(name, 1)

    @wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        return function(*args[:first], *map(_to_text, args[first:last]), *args[last:], **kwargs)

    return filtered


def _on_values(function: Callable[..., Any]) -> Callable[..., Any]:
    """For ``format``, which may take members of its arguments."""

    @wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        return function(*map(_printable, args), **_printable_members(kwargs))

    return filtered


def _on_items(function: Callable[..., Any]) -> Callable[..., Any]:
    """For ``join``."""

    @wraps(function)
    def filtered(context: Any, value: Any, d: Any = "", attribute: str | int | None = None) -> Any:
        items = value if attribute is None else map(make_attrgetter(context.environment, attribute), value)
        return function(context, map(_to_text, items), _to_text(d))

    return filtered


def _on_pairs(function: Callable[..., Any]) -> Callable[..., Any]:
    """For ``urlencode``, which makes a query of a mapping or of pairs."""

    @wraps(function)
    def filtered(value: Any) -> Any:
        if isinstance(value, dict):
            value = list(value.items())
        if not isinstance(value, list | tuple):
            return function(_to_text(value))
        return function([list(map(_to_text, pair)) for pair in value])

    return filtered


def _on_attributes(function: Callable[..., Any]) -> Callable[..., Any]:
    """For ``xmlattr``, which leaves out what is null."""

    @wraps(function)
    def filtered(context: Any, values: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        texts = {key: _to_text(value) for key, value in values.items() if value is not None}
        return function(context, texts, *args, **kwargs)

    return filtered


class _JsonMapping(dict[Any, Any]):
    def __getitem__(self, key: Any) -> Any:
        return _printable(super().__getitem__(key))

    def __str__(self) -> str:
        return json_text(self, _plain_data)

    __repr__ = __str__


class _JsonList(list[Any]):
    def __getitem__(self, index: Any) -> Any:
        return _printable(super().__getitem__(index))

    def __str__(self) -> str:
        return json_text(self, _plain_data)

    __repr__ = __str__


class _JsonBoolean(int):
    def __str__(self) -> str:
        return "true" if self else "false"

    __repr__ = __str__


def _printable(value: Any) -> Any:
    """A value that Python's own formatting writes as JSON, and its members too."""
    if isinstance(value, _CONTAINERS):
        measure(value)
        return _JsonMapping(value) if isinstance(value, dict) else _JsonList(value)
    if value is None:
        return "null"
    return _JsonBoolean(value) if isinstance(value, bool) else value


def _printable_members(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _printable(item) for key, item in values.items()}
