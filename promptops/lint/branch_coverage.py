"""Which branches of a prompt's templates its cases reach.

Each body of an ``if``, ``elif``, ``else`` or ``for``, and each side of an inline ``if``, is compiled
with a mark in front of it; rendering a case sets the marks of what was rendered.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import DictLoader, StrictUndefined, Template, nodes, pass_context
from jinja2.exceptions import TemplateError
from jinja2.visitor import NodeTransformer

from promptops.config.yaml import YamlPath
from promptops.lint.branch_types import BranchCoverage, TemplateBranch
from promptops.prompt import Prompt, Text, text_parts
from promptops.prompt.jinja_templates import parse_template, render_jinja
from promptops.prompt.sandbox import TemplateEnvironment
from promptops.prompt.template_types import TemplateFault

_MARK = "mark a branch"  # no template can name a filter with blanks
_BRANCH_NODES = (nodes.If, nodes.For, nodes.CondExpr)


def jinja_branches(template: str) -> Iterator[tuple[str, int]]:
    tree = parse_template(template)
    elifs = {id(other) for node in tree.find_all(nodes.If) for other in node.elif_}
    for node in tree.find_all(_BRANCH_NODES):
        yield "for" if isinstance(node, nodes.For) else "elif" if id(node) in elifs else "if", node.lineno
        if isinstance(node, nodes.CondExpr):
            if node.expr2 is not None:
                yield "else", node.lineno
        elif isinstance(node, (nodes.If, nodes.For)) and node.else_:
            yield "else", node.else_[0].lineno


class BranchTracer:
    """The templates of one prompt, compiled with marks."""

    def __init__(self, prompt: Prompt) -> None:
        """Raises TemplateFault for a template that can be read and not compiled."""
        self._prompt = prompt
        self._reached: set[int] = set()
        self._branches: list[TemplateBranch] = []
        environment = _base_environment().of(prompt, self._branch, self._reached.add)
        try:
            self._templates = {text.path: environment.from_text(text) for text in text_parts(prompt)}
            for path in prompt.partials:
                environment.get_template(path)
        except (TemplateError, RecursionError, SyntaxError, MemoryError, ValueError):
            raise TemplateFault("the template is nested too deeply", 1) from None

    def _branch(self, branch: TemplateBranch) -> int:
        self._branches.append(branch)
        return len(self._branches) - 1

    def render(self, text: Text, values: Mapping[str, Any]) -> str:
        """Render one text with a case's inputs; raises TemplateFault, and what was reached counts."""
        return render_jinja(self._templates[text.path], values)

    def coverage(self) -> BranchCoverage:
        return BranchCoverage(tuple(self._branches), frozenset(self._reached))


@cache
def _base_environment() -> "_TracingEnvironment":
    return _TracingEnvironment(DictLoader({}), StrictUndefined)


class _TracingEnvironment(TemplateEnvironment):
    """Compiles marks into templates. One is made; those of single prompts are laid over it."""

    branch: Callable[[str | None, str, int], int]
    text: YamlPath

    def of(
        self, prompt: Prompt, branch: Callable[[TemplateBranch], int], reach: Callable[[int], object]
    ) -> "_TracingEnvironment":
        def numbered(name: str | None, what: str, line: int) -> int:
            at = line if name else prompt.document.line_of(over.text, line)
            return branch(TemplateBranch(name or "", at, what))

        @pass_context  # also keeps the mark from being folded away as a constant
        def mark(_context: Any, value: Any, number: int) -> Any:
            reach(number)
            return value

        over: _TracingEnvironment = self.overlay(loader=DictLoader(dict(prompt.partials)))
        over.filters = {**self.filters, _MARK: mark}
        over.branch = numbered
        return over

    def from_text(self, text: Text) -> Template:
        self.text = text.path
        return self.from_string(text.template)

    def _generate(self, source: nodes.Template, name: str | None, *args: Any, **kwargs: Any) -> str:
        marker = _BranchMarker(lambda what, line: self.branch(name, what, line))
        return super()._generate(marker.visit(source), name, *args, **kwargs)


class _BranchMarker(NodeTransformer):
    def __init__(self, branch: Callable[[str, int], int]) -> None:
        self._branch = branch
        self._elifs: set[int] = set()

    def visit_If(self, node: nodes.If) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self._body(node.body, "elif" if id(node) in self._elifs else "if", node.lineno)
        self._elifs |= {id(other) for other in node.elif_}
        return self._rest(node)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        self._body(node.body, "for", node.lineno)
        return self._rest(node)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802 - the name Jinja2 looks for
        node.expr1 = self._value(node.expr1, "if", node.lineno)
        if node.expr2 is not None:
            node.expr2 = self._value(node.expr2, "else", node.lineno)
        return self.generic_visit(node)

    def _rest(self, node: nodes.If | nodes.For) -> nodes.Node:
        self.generic_visit(node)
        if node.else_:
            self._body(node.else_, "else", node.else_[0].lineno)
        return node

    def _body(self, body: list[nodes.Node], what: str, line: int) -> None:
        mark = self._value(nodes.Const(True), what, line)
        body.insert(0, nodes.ExprStmt(mark).set_lineno(line))

    def _value(self, value: nodes.Expr, what: str, line: int) -> nodes.Expr:
        marked = nodes.Filter(value, _MARK, [nodes.Const(self._branch(what, line))], [], None, None)
        marked.set_lineno(line)
        return marked
