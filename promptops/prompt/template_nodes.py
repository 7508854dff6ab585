"""What the nodes of a template say, where they say it plainly."""

from typing import Any

from jinja2 import nodes

TEXT_FILTERS = frozenset(
    [
        "capitalize",
        "center",
        "e",
        "escape",
        "forceescape",
        "format",
        "indent",
        "join",
        "lower",
        "replace",
        "safe",
        "string",
        "striptags",
        "title",
        "trim",
        "truncate",
        "upper",
        "urlencode",
        "urlize",
        "wordcount",
        "wordwrap",
        "xmlattr",
    ]
)
"""Filters that work on the text of a value."""


def constant_of(node: nodes.Node | None) -> Any:
    return node.value if isinstance(node, nodes.Const) else None


def name_of(node: nodes.Node | None) -> str:
    return node.name if isinstance(node, nodes.Name) else ""


def method_of(node: nodes.Call) -> str:
    return node.node.attr if isinstance(node.node, nodes.Getattr) else ""


def owner_of(node: nodes.Call) -> str:
    return name_of(node.node.node) if isinstance(node.node, nodes.Getattr) else ""


def call_arguments(node: nodes.Call | nodes.Filter) -> list[nodes.Expr]:
    return [*node.args, *(pair.value for pair in node.kwargs)]


def call_argument(node: nodes.Filter, place: int | None, name: str) -> nodes.Expr | None:
    if place is not None and place < len(node.args):
        return node.args[place]
    return next((pair.value for pair in node.kwargs if pair.key == name), None)
