"""What a template does with each name that it takes from outside."""

from collections.abc import Iterator
from typing import Any

from jinja2 import nodes

from promptops.interop.prompty.template_parts import BodyFault
from promptops.prompt.jinja_templates import parse_template
from promptops.prompt.template_nodes import constant_of, name_of
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.templates import free_names

_ELSEWHERE = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)


class NameUse:
    """``defaults``: what stands for the name where it is missing; ``count``: how often it is named."""

    __slots__ = ("asked", "count", "defaults", "iterated", "members", "printed")

    def __init__(self) -> None:
        self.printed = self.iterated = self.members = self.asked = False
        self.defaults: list[Any] = []
        self.count = 0

    @property
    def only_default(self) -> Any:
        """The one text that stands for the name wherever it is used; None for none."""
        same = len(self.defaults) == self.count and all(each == self.defaults[0] for each in self.defaults)
        return self.defaults[0] if self.defaults and same and isinstance(self.defaults[0], str) else None

    @property
    def tells_missing(self) -> bool:
        """Whether a template does something else where the name is missing than where it is empty."""
        return self.asked or bool(self.defaults)


def name_uses(source: str) -> dict[str, NameUse]:
    """In the order of the text. Raises BodyFault for a template that cannot be rendered here."""
    try:
        names = free_names(source)[0]
        tree = parse_template(source)
        return _uses(tree, names)
    except TemplateFault as fault:
        raise BodyFault(fault.line, fault.message, fault.hint) from None
    except RecursionError:
        raise BodyFault(1, "the template is nested too deeply") from None


def _uses(tree: nodes.Template, names: frozenset[str]) -> dict[str, NameUse]:
    for node in tree.find_all((*_ELSEWHERE, nodes.Block)):
        raise BodyFault(node.lineno, "the template is made of several files")
    uses: dict[str, NameUse] = {}
    for each in tree.find_all(nodes.Name):
        if each.name in names:
            uses.setdefault(each.name, NameUse()).count += 1
    for name, kind, default in _contexts(tree):
        if name in uses:
            if kind == "default":
                uses[name].defaults.append(default)
            else:
                setattr(uses[name], kind, True)
    return uses


def _contexts(tree: nodes.Template) -> Iterator[tuple[str, str, Any]]:
    for output in tree.find_all(nodes.Output):
        yield from ((name_of(each), "printed", None) for each in output.nodes)
    for loop in tree.find_all(nodes.For):
        yield name_of(loop.iter), "iterated", None
    for member in tree.find_all((nodes.Getattr, nodes.Getitem)):
        yield name_of(member.node), "members", None  # type: ignore[attr-defined]  # both have one
    for test in tree.find_all(nodes.Test):
        if test.name in ("defined", "undefined"):
            yield name_of(test.node), "asked", None
    for filtered in tree.find_all(nodes.Filter):
        if filtered.name in ("default", "d") and filtered.node is not None:
            yield name_of(filtered.node), "default", constant_of(filtered.args[0] if filtered.args else None)
