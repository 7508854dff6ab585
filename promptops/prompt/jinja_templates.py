"""Templates by Jinja2: what they include, what they name, and their text, every failure put at its line."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from jinja2 import ChainableUndefined, DictLoader, StrictUndefined, Template, Undefined, meta, nodes
from jinja2.exceptions import (
    SecurityError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
)

from promptops.escapes import shorten
from promptops.prompt.json_environment import JsonTemplateEnvironment
from promptops.prompt.json_schema import unknown_name_message
from promptops.prompt.python_words import jinja_hint, syntax_hint
from promptops.prompt.render_budget import SandboxError, render_budget
from promptops.prompt.sandbox import TemplateEnvironment
from promptops.prompt.template_types import Include, PartialTexts, TemplateFault

MAX_CODE = 100_000  # characters between {{ }} and {% %}: compiling takes a second for so many
_OPEN, _CLOSE = re.compile(r"\{[{%]"), re.compile(r"[%}]\}")
_BUILT_IN = frozenset({"range", "dict", "cycler", "joiner", "namespace"})
_INCLUDE_NODES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_UNDEFINED = re.compile(r"^'(.+)' is undefined$")
_NO_FILTER = re.compile(r"No (filter|test) named '(.+)'")
_UNREPEATABLE = "is not available: the same inputs must give the same messages"


class _EmptyUndefined(ChainableUndefined):
    """An input that has no value yet is an empty text; a name that the template misspells is one too."""


@lru_cache(maxsize=128)
def _environment(
    partials: PartialTexts, undefined: type[Undefined], *, json_values: bool = True
) -> TemplateEnvironment:
    kind = JsonTemplateEnvironment if json_values else TemplateEnvironment
    return kind(DictLoader(dict(partials)), undefined)


_DEFAULT_ENVIRONMENT = _environment((), StrictUndefined)


@contextmanager
def _template_errors(text: str) -> Iterator[None]:
    if _code_length(text) > MAX_CODE:
        raise TemplateFault(f"more than {MAX_CODE:,} characters of template code", 1)
    try:
        yield
    except TemplateSyntaxError as error:
        raise _syntax_fault(error) from None
    except (RecursionError, SyntaxError, MemoryError, ValueError):  # what Python has against generated code
        raise TemplateFault("the template is nested too deeply", 1) from None


def _code_length(text: str) -> int:
    """Characters between the signs that open and close code. Each is looked at once."""
    length = at = 0
    while (opened := _OPEN.search(text, at)) and (closed := _CLOSE.search(text, opened.end())):
        at = closed.end()
        length += at - opened.start()
    return length


@lru_cache(maxsize=64)
def parse_template(text: str) -> nodes.Template:
    """Give the tree of a template. It is kept for the next who asks, so that nobody may change it."""
    with _template_errors(text):
        return _DEFAULT_ENVIRONMENT.parse(text)


def jinja_includes(text: str) -> tuple[Include, ...]:
    """List the partials a template names itself. Raises TemplateFault when it is not a template."""
    with _template_errors(text):
        return tuple(_include(node) for node in parse_template(text).find_all(_INCLUDE_NODES))


def _include(node: nodes.Node) -> Include:
    name = node.template  # type: ignore[attr-defined]  # each of these kinds has one
    if not isinstance(name, nodes.Const) or not isinstance(name.value, str):
        hint = "name one file, so that the version says which text it holds"
        raise TemplateFault("the name of what is included must be a literal text", node.lineno, hint=hint)
    return Include(name.value, node.lineno, getattr(node, "ignore_missing", False))


def jinja_names(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Names a template takes from outside, and names that it sets. Finds unknown filters too."""
    with _template_errors(text):
        tree = parse_template(text)
        free = meta.find_undeclared_variables(tree)
        stored = {node.name for node in tree.find_all(nodes.Name) if node.ctx in ("store", "param")}
    return frozenset(free - _BUILT_IN), frozenset(stored)


@lru_cache(maxsize=1024)
def compile_jinja(
    text: str, partials: PartialTexts = (), *, missing_is_empty: bool = False, json_values: bool = True
) -> Template:
    undefined = _EmptyUndefined if missing_is_empty else StrictUndefined
    environment = _environment(partials, undefined, json_values=json_values)
    with _template_errors(text):
        template = environment.from_string(text)
    # Read in each render, and a plain dict is read several times as fast.
    template.globals = environment.globals
    return template


def static_pieces(template: str, partials: Mapping[str, str]) -> Iterator[str | None]:
    """The static pieces of a template from its start; None stands for the first that is not."""
    try:
        body = parse_template(template).body
    except TemplateFault:
        yield None
        return
    for node in body:
        if isinstance(node, nodes.Output):
            yield from (part.data if isinstance(part, nodes.TemplateData) else None for part in node.nodes)
        elif isinstance(node, nodes.Include) and isinstance(node.template, nodes.Const):
            yield from static_pieces(partials.get(node.template.value, ""), partials)
        elif not isinstance(node, nodes.Assign | nodes.Macro):
            yield None


def render_jinja(template: Template, values: Mapping[str, Any]) -> str:
    """Render within one budget. ``values`` are data: nothing in them is ever rendered."""
    try:
        with render_budget():
            return "".join(template.root_render_func(template.new_context(dict(values))))
    except Exception as error:  # noqa: BLE001 - a template can raise whatever Python can
        raise _fault(error, values) from None


def _fault(error: Exception, values: Mapping[str, Any]) -> TemplateFault:
    if isinstance(error, TemplateSyntaxError):
        return _syntax_fault(error)
    partial, line = _error_location(error)
    message, hint = _explain(error, values)
    return TemplateFault(message, line, partial, hint)


def _error_location(error: Exception) -> tuple[str, int]:
    """Find the innermost template on the stack."""
    place, trace = ("", 1), error.__traceback__
    while trace is not None:
        template = trace.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            place = (template.name or "", template.get_corresponding_lineno(trace.tb_lineno))
        trace = trace.tb_next
    return place


def _explain(error: Exception, values: Mapping[str, Any]) -> tuple[str, str]:
    text = shorten(" ".join(str(error).split()), 200)
    if isinstance(error, UndefinedError):
        return _explain_undefined(text, values)
    if isinstance(error, SandboxError):
        return f"the template is stopped: {text}", ""
    if isinstance(error, SecurityError):
        return (
            f"the sandbox forbids it: {text.rstrip('.')}",
            "templates see data, and methods that change nothing",
        )
    if isinstance(error, TemplateNotFound):
        return f"no partial `{text}`", "included files are named by their path below prompts/"
    if isinstance(error, RecursionError):
        return "the template is stopped: macros or loops call themselves too deeply", ""
    message, hint = _explain_syntax(text)
    return f"the template fails: {message or type(error).__name__}", hint


def _explain_undefined(text: str, values: Mapping[str, Any]) -> tuple[str, str]:
    found = _UNDEFINED.search(text)
    if not found:
        return f"the template fails: {text}", "`{{ x.y | default('') }}` allows for a member that is missing"
    if found[1] == "lipsum":
        return f"`lipsum` {_UNREPEATABLE}", ""
    message, hint = unknown_name_message("input", found[1], sorted(values))
    hint = jinja_hint(found[1]) or hint or f"declare it: inputs: {{{found[1]}: string}}"
    return f"the template names an {message}", hint


def _syntax_fault(error: TemplateSyntaxError) -> TemplateFault:
    text, hint = _explain_syntax(" ".join((error.message or "not a template").split()))
    return TemplateFault(f"template syntax: {text}", error.lineno or 1, error.name or "", hint)


def _explain_syntax(text: str) -> tuple[str, str]:
    found = _NO_FILTER.search(text)
    if not found:
        return text, syntax_hint(text)
    if found[2] == "random":
        return f"the filter `random` {_UNREPEATABLE}", ""
    names = _DEFAULT_ENVIRONMENT.filters if found[1] == "filter" else _DEFAULT_ENVIRONMENT.tests
    return unknown_name_message(found[1], found[2], sorted(name for name in names if name.isidentifier()))
