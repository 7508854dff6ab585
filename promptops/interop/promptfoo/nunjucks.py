"""Nunjucks templates as Jinja2 templates: the few differences are rewritten, the rest is refused by line.

Both have the same delimiters, filters and control structures. Nunjucks is JavaScript underneath: ``===``,
``x.length``, methods of JavaScript's texts, and mappings that are iterated as they are.
"""

import re
from collections.abc import Callable, Collection

from promptops.dataclass import dataclass
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.templates import free_names

_TAG = re.compile(r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_RAW = re.compile(r"\{%-?\s*raw\b")
_LITERAL = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)
_STATEMENT = re.compile(r"\{%-?\s*(\w+)")
_REFUSED_STATEMENTS = {
    "asyncAll": "asynchronous loops",
    "asyncEach": "asynchronous loops",
    "case": "switch",
    "extends": "templates that extend others",
    "from": "imports of macros",
    "ifAsync": "asynchronous conditions",
    "import": "imports of macros",
    "include": "other templates",
    "switch": "switch",
}
_MAPPING_METHODS = "clear|copy|fromkeys|get|items|keys|pop|popitem|setdefault|update|values"
_METHODS = {
    "endsWith": "endswith",
    "indexOf": "find",
    "split": "split",
    "startsWith": "startswith",
    "toLowerCase": "lower",
    "toUpperCase": "upper",
    "trim": "strip",
}
_JINJA_METHODS = frozenset({*_METHODS.values(), "title", "format", "items", "keys", "values", "get"})
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"==="), "=="),
    (re.compile(r"!=="), "!="),
    (re.compile(r"(?<=[\w\])])\s*\|\s*safe\b(?!\s*\()"), ""),
    (re.compile(r"\bnull\b"), "none"),
    (re.compile(r"([A-Za-z_][\w.]*)\.length\b"), r"(\1|length)"),
    (re.compile(rf"\.({_MAPPING_METHODS})\b(?!\s*\()"), r'["\1"]'),
    (re.compile(r"\|\s*dump\s*\(\s*(\d+)\s*\)"), r"| tojson(indent=\1)"),
    (re.compile(r"\|\s*dump\b(?:\s*\(\s*\))?"), "| tojson"),
)
_REFUSED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"=>"), "functions of JavaScript have no counterpart"),
    (re.compile(r"\br/"), "regular expressions in templates have no counterpart"),
    (
        re.compile(r"\bundefined\b(?<!is undefined)(?<!is not undefined)"),
        "`undefined` has no counterpart; write `is defined`",
    ),
    (
        re.compile(r"\|\s*random\b"),
        "the filter `random` is not there: the same inputs give the same messages",
    ),
)
_INPUT_WORDS = re.compile(
    r"(?<![\w.])(assert|async|await|break|class|continue|def|del|except|finally|global|lambda|nonlocal|pass|raise|"
    r"return|try|while|yield)(?![\w(])"
)
"""Names that no input may have; ``values.input_name`` puts an underscore behind them."""

_METHOD = re.compile(r"\.\s*([A-Za-z_]\w*)\s*\(")
_PAIRS = re.compile(r"(\{%-?\s*for\s+\w+\s*,\s*\w+\s+in\s+)(\w+)(\s*-?%\})")
_LOAD = re.compile(r"\b([A-Za-z_]\w*)\s*\|\s*load\b(?:\s*\(\s*\))?")
_LOADED_ALONE = re.compile(r"\(\s*([A-Za-z_]\w*)\s*\|\s*load\s*\)")
_DUMPED_ALONE = re.compile(
    r"(\{\{-?)\s*([A-Za-z_][\w.]*(?:\[[^\[\]{}|]*\])*(?:\s*\|\s*[A-Za-z]\w*(?:\([^(){}|]*\))?)*?"
    r"|\{[^{}|]*\}|\[[^\[\]|]*\])\s*\|\s*dump(?:\(\s*\))?\s*(-?\}\})"
)

_AS_JSON = '([{}] ~ "")[1:-1]'


@dataclass(frozen=True, slots=True)
class JinjaText:
    """A template in Jinja2. ``parsed``: names of texts that it reads as JSON, here inputs of that kind."""

    text: str
    names: frozenset[str]
    parsed: frozenset[str] = frozenset()


class UntranslatableTemplate(Exception):
    """A template that Jinja2 does not have; the message names the line."""


def to_jinja(template: str, mappings: Collection[str] = (), containers: Collection[str] = ()) -> JinjaText:
    """``mappings``: names whose values are mappings; ``containers``: those that are lists or mappings."""
    parsed = frozenset(found[1] for found in _LOAD.finditer(template))
    pieces, end = [], 0
    for tag in _TAG.finditer(template):
        line = template.count("\n", 0, tag.start()) + 1
        pieces += [template[end : tag.start()], _tag(tag[0], line, {*mappings, *parsed}, containers)]
        end = tag.end()
    text = "".join([*pieces, template[end:]])
    try:
        names = free_names(text)[0]
    except TemplateFault as fault:
        raise UntranslatableTemplate(f"line {fault.line}: {fault.message}") from None
    return JinjaText(text, names, parsed)


def _tag(tag: str, line: int, mappings: Collection[str], containers: Collection[str]) -> str:
    if tag.startswith("{#") or _RAW.match(tag):
        return tag
    statement = _STATEMENT.match(tag)
    if statement and (what := _REFUSED_STATEMENTS.get(statement[1])):
        raise UntranslatableTemplate(f"line {line}: Nunjucks' {what} have no counterpart")
    if alone := _DUMPED_ALONE.fullmatch(tag):
        begin, value, end = alone.groups()
        # a list or a mapping becomes JSON by itself, as JavaScript writes it; `tojson` escapes more
        written = value if value in containers else _AS_JSON.format(value)
        tag = f"{begin} {written} {end}"
    tag = _PAIRS.sub(lambda found: _pairs(found, mappings), tag)
    tag = re.sub(r"^(\{%-?\s*)elseif\b", r"\1elif", tag)
    tag = _LOAD.sub(r"\1", _LOADED_ALONE.sub(r"\1", tag))
    return _outside_literals(tag, lambda code: _code(code, line))


def _pairs(found: re.Match[str], mappings: Collection[str]) -> str:
    return f"{found[1]}{found[2]}{'.items()' if found[2] in mappings else ''}{found[3]}"


def _outside_literals(tag: str, rewrite: Callable[[str], str]) -> str:
    pieces, end = [], 0
    for literal in _LITERAL.finditer(tag):
        pieces += [rewrite(tag[end : literal.start()]), literal[0]]
        end = literal.end()
    return "".join([*pieces, rewrite(tag[end:])])


def _code(code: str, line: int) -> str:
    for pattern, what in _REFUSED:
        if pattern.search(code):
            raise UntranslatableTemplate(f"line {line}: {what}")
    code = _INPUT_WORDS.sub(r"\1_", code)
    code = _METHOD.sub(lambda found: _method(found[1], line), code)
    for pattern, instead in _REWRITES:
        code = pattern.sub(instead, code)
    return code


def _method(name: str, line: int) -> str:
    if name in _METHODS:
        return f".{_METHODS[name]}("
    if name in _JINJA_METHODS:
        return f".{name}("
    raise UntranslatableTemplate(f"line {line}: the method `{name}` of JavaScript has no counterpart")
