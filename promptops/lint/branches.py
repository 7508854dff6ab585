"""Which branches of a prompt's templates its cases reach.

Each body of an ``if``, ``elif``, ``else`` or ``for``, and each side of an inline ``if``, is compiled
with a mark in front of it; rendering a case sets the marks of what was rendered.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import DictLoader, StrictUndefined, Template, nodes, pass_context
from jinja2.exceptions import TemplateError
from jinja2.visitor import NodeTransformer

from promptops.prompt import Prompt, Text, texts_of
from promptops.sandbox import Environment
from promptops.templates import TemplateFault, render_template

_MARK = "mark a branch"  # no template can name a filter with blanks


@dataclass(frozen=True, slots=True)
class Branch:
    """``file`` is "" for the prompt file, else the path of a partial."""

    file: str
    line: int
    what: str  # if, elif, else, for


@dataclass(frozen=True, slots=True)
class Coverage:
    branches: tuple[Branch, ...] = ()
    reached: frozenset[int] = frozenset()

    @property
    def missed(self) -> Sequence[Branch]:
        return [branch for number, branch in enumerate(self.branches) if number not in self.reached]

    def __str__(self) -> str:
        return f"{len(self.reached)} of {len(self.branches)} branches"


class Traced:
    """The templates of one prompt, compiled with marks; nothing is compiled where nothing branches."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._reached: set[int] = set()
        self._branches: list[Branch] = []
        self._templates: list[Template] = []
        texts = texts_of(prompt)
        if any(_branches(text) for text in (*(text.template for text in texts), *prompt.partials.values())):
            self._compile(texts)

    def _compile(self, texts: Sequence[Text]) -> None:
        environment = _Marking(self._prompt, self._branch, self._reached.add)
        try:
            self._templates = [environment.from_text(text) for text in texts]
            for path in self._prompt.partials:
                environment.get_template(path)
        except (TemplateError, RecursionError, SyntaxError, MemoryError, ValueError):
            self._templates, self._branches = [], []  # other rules say what is wrong with them

    def _branch(self, branch: Branch) -> int:
        self._branches.append(branch)
        return len(self._branches) - 1

    def follow(self, inputs: Mapping[str, Any]) -> None:
        """Render with a case's inputs; where a template fails, what it reached until then counts."""
        if not self._branches:
            return
        values = {name: value for name, value in inputs.items() if self._prompt.inputs[name].kind != "image"}
        for template in self._templates:
            try:
                render_template(template, values)
            except TemplateFault:
                continue

    def coverage(self) -> Coverage:
        return Coverage(tuple(self._branches), frozenset(self._reached))


def _branches(template: str) -> bool:
    return "{%" in template or (" if " in template and "{{" in template)


class _Marking(Environment):
    def __init__(
        self, prompt: Prompt, branch: Callable[[Branch], int], reach: Callable[[int], object]
    ) -> None:
        super().__init__(DictLoader(dict(prompt.partials)), StrictUndefined)
        self._place: Callable[[str | None, int], tuple[str, int]] = lambda name, line: (name or "", line)
        self._prompt = prompt
        self._branch = branch

        @pass_context  # also keeps the mark from being folded away as a constant
        def mark(_context: Any, value: Any, number: int) -> Any:
            reach(number)
            return value

        self.filters[_MARK] = mark

    def from_text(self, text: Text) -> Template:
        self._place = lambda name, line: (
            (name, line) if name else ("", self._prompt.document.line_of(text.path, line))
        )
        return self.from_string(text.template)

    def _generate(self, source: nodes.Template, name: str | None, *args: Any, **kwargs: Any) -> str:
        def branch(what: str, line: int) -> int:
            return self._branch(Branch(*self._place(name, line), what))

        return super()._generate(_Marker(branch).visit(source), name, *args, **kwargs)


class _Marker(NodeTransformer):
    def __init__(self, branch: Callable[[str, int], int]) -> None:
        self._branch = branch
        self._elifs: set[int] = set()

    def visit_If(self, node: nodes.If) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self._body(node.body, "elif" if id(node) in self._elifs else "if", node.lineno)
        self._elifs |= {id(other) for other in node.elif_}
        self.generic_visit(node)
        self._else(node.else_)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        self._body(node.body, "for", node.lineno)
        self.generic_visit(node)
        self._else(node.else_)
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        node.expr1 = self._value(node.expr1, "if", node.lineno)
        if node.expr2 is not None:
            node.expr2 = self._value(node.expr2, "else", node.lineno)
        return self.generic_visit(node)

    def _else(self, body: list[nodes.Node]) -> None:
        if body:
            self._body(body, "else", body[0].lineno)

    def _body(self, body: list[nodes.Node], what: str, line: int) -> None:
        mark = self._value(nodes.Const(True), what, line)
        body.insert(0, nodes.ExprStmt(mark).set_lineno(line))

    def _value(self, value: nodes.Expr, what: str, line: int) -> nodes.Expr:
        number = nodes.Const(self._branch(what, line))
        marked = nodes.Filter(value, _MARK, [number], [], None, None)
        marked.set_lineno(line)
        return marked
