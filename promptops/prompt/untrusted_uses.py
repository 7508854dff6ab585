"""What a template does with inputs that it may only print as they are."""

from collections.abc import Iterator

from jinja2 import nodes

from promptops.prompt.jinja_templates import parse_template

_CAPTURES = (nodes.FilterBlock, nodes.AssignBlock, nodes.CallBlock, nodes.Macro)  # what they print goes on
_CHOICES = (nodes.And, nodes.Or, nodes.Not, nodes.CondExpr)


def find_other_uses(template: str, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    """Line and name of each use that is neither ``{{ name }}`` nor ``{% if name %}``."""
    yield from _uses(parse_template(template), names, allowed=False, captured=False)


def _uses(
    node: nodes.Node, names: frozenset[str], *, allowed: bool, captured: bool
) -> Iterator[tuple[int, str]]:
    """``allowed``: what this node gives is printed whole, or only asked whether it is there."""
    captured = captured or isinstance(node, _CAPTURES)
    for child in node.iter_child_nodes():
        fits = not captured and (
            isinstance(node, nodes.Output)
            or (isinstance(node, nodes.If | nodes.CondExpr) and child is node.test)
            or (allowed and isinstance(node, _CHOICES))
        )
        if not isinstance(child, nodes.Name):
            yield from _uses(child, names, allowed=fits, captured=captured)
        elif child.name in names and not fits:
            yield child.lineno, child.name
