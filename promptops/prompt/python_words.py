"""What people who move a prompt out of Python write, and how the same is written in a prompt file."""

import re
from collections.abc import Mapping

INPUT_TYPES: Mapping[str, str] = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "float": "number",
    "decimal": "number",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
    "set": "array",
    "dict": "object",
    "any": "string",
    "date": "string",
    "datetime": "string",
}
_EXPRESSIONS: Mapping[str, str] = {
    "len": "{{ x | length }}",
    "str": "{{ x }}",
    "int": "{{ x | int }}",
    "float": "{{ x | float }}",
    "round": "{{ x | round(2) }}",
    "abs": "{{ x | abs }}",
    "min": "{{ x | min }}",
    "max": "{{ x | max }}",
    "sum": "{{ x | sum }}",
    "list": "{{ x | list }}",
    "sorted": "{% for y in x | sort %}",
    "reversed": "{% for y in x | reverse %}",
    "enumerate": "{% for y in x %}{{ loop.index }}",
    "zip": "{% for y in x %}{{ other[loop.index0] }}",
    "json": "{{ x | tojson }}",
    "repr": "{{ x | tojson }}",
    "format": "{{ '%.2f' | format(x) }}",
}
_FORMAT = r":(?:[^{}\n]?[<>=^])?[-+ ]?#?0?\d*[,_]?(?:\.\d+)?[bcdeEfFgGnosxX%]?|:%[^{}\n]*"  # numbers, times
_SINGLE_BRACES = re.compile(
    rf"(?<![{{}}$\\\w])\{{([A-Za-z_]\w*)(?:(?:\.\w|\[)[^{{}}\n]*)?(?:![rsa])?(?:{_FORMAT})?\}}(?!\}})"
)
_JINJA = re.compile(r"\{#.*?#\}|\{%[-+]?\s*raw\b.*?\bendraw\s*[-+]?%\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_FORMAT_ERROR, _CONVERSION_ERROR = "end of print statement', got ':'", "unexpected char '!'"


def jinja_hint(name: str) -> str:
    """How Jinja2 writes what Python does with ``name``; empty where it is no function of Python."""
    written = _EXPRESSIONS.get(name)
    return f"a template has no functions of Python: `{written}`" if written else ""


def syntax_hint(message: str) -> str:
    """What stands instead of an f-string's format or conversion, if that is what Jinja2 cannot read."""
    if _CONVERSION_ERROR in message:
        return "a conversion such as `!r` is a filter: `{{ x | tojson }}`"
    return "a format is a filter: `{{ '%.2f' | format(x) }}`" if _FORMAT_ERROR in message else ""


def find_single_braces(template: str, names: Mapping[str, object]) -> list[tuple[str, int]]:
    """Inputs that stand in one pair of braces, as in an f-string, each with its line."""
    plain = _JINJA.sub(lambda found: "~" + "\n" * found[0].count("\n"), template)
    return [
        (match[1], plain.count("\n", 0, match.start()) + 1)
        for match in _SINGLE_BRACES.finditer(plain)
        if match[1] in names
    ]
