"""Plain conditions in JavaScript or Python on an answer, read as checks. Nothing is ever run.

``output.length < 500``, ``JSON.parse(output).color === 'red' && output.includes('rose')`` and their like
compare an answer with literals, which checks do as well. Whatever is more than that is left alone.
"""

import json
import re
from collections.abc import Callable
from typing import Any

CheckEntry = str | dict[str, Any]

_TEXT = r"""('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`[^`$\\]*`)"""
_NUMBER = r"(-?\d+(?:\.\d+)?)"
_LITERAL = rf"(?:{_TEXT}|{_NUMBER}|(true|false|null|True|False|None))"
_PATH = (
    r"(?:(?:JSON\.parse|json\.loads)\(\s*output\s*\)|output)"
    r"((?:\??\.(?!length\b)[A-Za-z_$][\w$]*(?!\s*\()|\[\d+\]|\[(?:'[^'\\\]]*'|\"[^\"\\\]]*\")\])*)"
)
_LOWER = r"((?:\.(?:toLowerCase|trim|lower|strip)\(\s*\))*)"
_OPERATOR = r"(<=|>=|<|>)"


def read_condition(code: str) -> list[CheckEntry] | None:
    """The checks that a condition amounts to; None where it is more than a condition of this kind."""
    code = re.sub(r"(?m)^\s*//.*$", "", code).strip()
    code = re.sub(r"^return\b\s*", "", code).rstrip("; \n")
    if not code or "\n\n" in code:
        return None
    found = [_term(term.strip()) for term in _terms(code)]
    return [entry for entry in found if entry is not None] if None not in found else None


def json_path_of(transform: str) -> str | None:
    """The JSONPath that a transform such as ``JSON.parse(output).x`` takes; "" for the answer itself."""
    code = re.sub(r"^return\b\s*", "", transform.strip()).rstrip("; \n")
    if re.fullmatch(r"output(?:\.(?:trim|strip)\(\s*\))?", code):
        return ""
    found = re.fullmatch(_PATH, code)
    return _json_path(found[1]) if found else None


def _terms(code: str) -> list[str]:
    """What ``&&`` or ``and`` joins, outside of texts and brackets."""
    terms, start, depth = [], 0, 0
    for token in re.finditer(rf"{_TEXT}|[([{{]|[)\]}}]|&&|\band\b", code):
        if token[0] in "([{":
            depth += 1
        elif token[0] in ")]}":
            depth -= 1
        elif token[0] in ("&&", "and") and not depth:
            terms.append(code[start : token.start()])
            start = token.end()
    return [*terms, code[start:]]


def _term(code: str) -> CheckEntry | None:
    if (inside := _in_brackets(code)) is not None:
        return _term(inside.strip()) if len(_terms(inside)) == 1 else None
    if (inner := re.fullmatch(r"(?:!|not\s+)(?!=)(.+)", code, re.DOTALL)) and " " not in inner[1].split("(")[
        0
    ]:
        entry = _term(inner[1].strip())
        return _negated(entry) if entry is not None else None
    for pattern, make in _FORMS:
        if found := re.fullmatch(pattern, code, re.DOTALL):
            return make(found)
    return None


def _in_brackets(code: str) -> str | None:
    """What stands between a bracket at the start and its own at the end; None where there are none."""
    depth = 0
    for token in re.finditer(rf"{_TEXT}|[()]", code):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if not depth:
            whole = code.startswith("(") and token.end() == len(code)
            return code[1:-1] if whole else None
    return None


def _negated(entry: CheckEntry) -> CheckEntry | None:
    if isinstance(entry, str) or "not" in entry:
        return None
    return {**entry, "not": True}


def _length(found: re.Match[str]) -> CheckEntry | None:
    return _bounded("chars", found[1], found[2])


def _words(found: re.Match[str]) -> CheckEntry | None:
    return _bounded("words", found[1], found[2])


def _bounded(what: str, operator: str, number: str) -> CheckEntry | None:
    limit = int(float(number))
    if limit != float(number) or limit < (operator == "<"):
        return None
    if operator in ("<", "<="):
        return {f"max_{what}": limit - (operator == "<")}
    return {f"min_{what}": limit + (operator == ">")}


def _holds(found: re.Match[str]) -> CheckEntry | None:
    lower, wanted = found[1], text_literal(found[2])
    if "ower" not in lower:
        return {"contains": wanted}
    return {"icontains": wanted} if wanted == wanted.lower() else None


def _held(found: re.Match[str]) -> CheckEntry | None:
    wanted, negated, lower = text_literal(found[1]), bool(found[2]), found[3]
    entry: CheckEntry = {"icontains" if "ower" in lower else "contains": wanted}
    return _negated(entry) if negated else entry


def _start_or_end(found: re.Match[str]) -> CheckEntry | None:
    if "ower" in found[1]:
        return None
    return {f"{found[2].lower()}s_with".replace("ss_", "s_"): text_literal(found[3])}


def _equal(found: re.Match[str]) -> CheckEntry | None:
    path, wanted = _json_path(found[1]), _literal(found[3] or found[4] or found[5])
    entry: dict[str, Any] = (
        {"json_path": {"path": path, "equals": wanted}} if found[1] else {"equals": wanted}
    )
    if not found[1] and not isinstance(wanted, str):
        return None
    return _negated(entry) if found[2].startswith("!") else entry


def _compared(found: re.Match[str]) -> CheckEntry | None:
    if not found[1]:
        return None
    bound = {"<=": "maximum", ">=": "minimum", "<": "exclusiveMaximum", ">": "exclusiveMinimum"}[found[2]]
    return _at_path(found[1], {"type": "number", bound: number_of(found[3])})


def _path_length(found: re.Match[str]) -> CheckEntry | None:
    limit = int(float(found[3]))
    if not found[1] or limit < 0:
        return None
    side = "max" if found[2] in ("<", "<=") else "min"
    limit += {"<": -1, ">": 1}.get(found[2], 0)
    text, items = {"type": "string", f"{side}Length": limit}, {"type": "array", f"{side}Items": limit}
    return _at_path(found[1], {"anyOf": [text, items]})


def _path_holds(found: re.Match[str]) -> CheckEntry | None:
    wanted = _literal(found[2] or found[3] or found[4])
    return _at_path(found[1], holding_schema([wanted])) if found[1] else None


def _path_is(found: re.Match[str]) -> CheckEntry | None:
    kind = found[2] if found.re.groups > 1 and found[2] else "array"
    return _at_path(found[1], {"type": kind}) if found[1] else None


def _equal_lower(found: re.Match[str]) -> CheckEntry | None:
    return {"iequals": text_literal(found[2])} if "ower" in found[1] else {"equals": text_literal(found[2])}


def _one_of(found: re.Match[str]) -> CheckEntry:
    return {"one_of": [text_literal(each[0]) for each in re.finditer(_TEXT, found[1])]}


def _some_or_every(found: re.Match[str]) -> CheckEntry | None:
    """``.some(each => each.a === 'b')``: what one item, or each, has."""
    written, which, item, own, key, equal, part = found.groups()
    if item != own or not written:
        return None
    held: dict[str, Any] = {"const": _literal(equal)} if equal else _holding_pattern(part)
    schema = {"type": "object", "required": [key], "properties": {key: held}}
    return _at_path(written, {"type": "array", "contains" if which == "some" else "items": schema})


def _holding_pattern(part: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"(?i:{re.escape(text_literal(part))})"}


def _tested(found: re.Match[str]) -> CheckEntry | None:
    flags = "".join(sorted({*found[2]} & {*"ims"}))
    return {"regex": (f"(?{flags})" if flags else "") + python_pattern(found[1])}


_FORMS: tuple[tuple[str, Callable[[re.Match[str]], CheckEntry | None]], ...] = (
    (rf"output\.length\s*{_OPERATOR}\s*{_NUMBER}", _length),
    (rf"len\(\s*output\s*\)\s*{_OPERATOR}\s*{_NUMBER}", _length),
    (rf"output(?:\.trim\(\))?\.split\((?:' '|\" \"|/\\s\+/)\)\.length\s*{_OPERATOR}\s*{_NUMBER}", _words),
    (rf"len\(\s*output\.split\(\s*\)\s*\)\s*{_OPERATOR}\s*{_NUMBER}", _words),
    (rf"output{_LOWER}\.includes\(\s*{_TEXT}\s*\)", _holds),
    (rf"{_TEXT}\s+(not\s+)?in\s+output{_LOWER}", _held),
    (rf"output{_LOWER}\.(start|end)s[Ww]ith\(\s*{_TEXT}\s*\)", _start_or_end),
    (rf"output((?:\.(?:toLowerCase|trim|lower|strip)\(\s*\))+)\s*===?\s*{_TEXT}", _equal_lower),
    (rf"\[(\s*{_TEXT}(?:\s*,\s*{_TEXT})*)\s*\]\.includes\(\s*output(?:\.trim\(\s*\))?\s*\)", _one_of),
    (rf"{_PATH}\s*([!=]==?)\s*{_LITERAL}", _equal),
    (rf"{_PATH}\s*{_OPERATOR}\s*{_NUMBER}", _compared),
    (rf"{_PATH}\.length\s*{_OPERATOR}\s*{_NUMBER}", _path_length),
    (rf"{_PATH}\.includes\(\s*{_LITERAL}\s*\)", _path_holds),
    (
        (
            rf"{_PATH}\.(some|every)\(\s*\(?(\w+)\)?\s*=>\s*(\w+)\.(\w+)"
            r"(?:\s*===?\s*('[^'\\]*'|\"[^\"\\]*\"|-?\d+(?:\.\d+)?|true|false)"
            r"|\.toLowerCase\(\)\.includes\(\s*('[^'A-Z\\]*'|\"[^\"A-Z\\]*\")\s*\))\s*\)"
        ),
        _some_or_every,
    ),
    (rf"typeof\s+{_PATH}\s*={{2,3}}\s*['\"](string|number|boolean)['\"]", _path_is),
    (rf"Array\.isArray\(\s*{_PATH}\s*\)", _path_is),
    (r"/((?:\\.|[^/\\\n])+)/([a-z]*)\.test\(\s*output\s*\)", _tested),
)


def holding_schema(wanted: list[Any], *, ignore_case: bool = False) -> dict[str, Any]:
    """What a text or a list holds, at least one of some values: as JSON Schema."""
    texts = "|".join(re.escape(str(each)) for each in wanted)
    pattern = f"(?i:{texts})" if ignore_case else f"(?:{texts})"
    return {
        "anyOf": [{"type": "string", "pattern": pattern}, {"type": "array", "contains": {"enum": wanted}}]
    }


def at_json_path(path: str, schema: dict[str, Any]) -> CheckEntry:
    return {"json_path": {"path": path, "schema": schema}}


def _at_path(written: str, schema: dict[str, Any]) -> CheckEntry:
    return at_json_path(_json_path(written), schema)


def _json_path(written: str) -> str:
    """``.a[0]['b c']`` as JSONPath."""
    return "$" + written.replace("?.", ".")


def python_pattern(pattern: str) -> str:
    """A pattern of JavaScript's as Python writes it."""
    pattern = re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern)
    return pattern.replace("\\/", "/")


def text_literal(written: str) -> str:
    """The text in quotes."""
    inner = re.sub(r"\\(['`])", r"\1", written[1:-1])
    if written[0] != '"':
        inner = re.sub(r'(?<!\\)"', r'\\"', inner)
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError:
        return written[1:-1]


def number_of(written: str) -> int | float:
    number = float(written)
    return int(number) if number.is_integer() else number


def _literal(written: str) -> Any:
    words = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
    if written in words:
        return words[written]
    return text_literal(written) if written[0] in "'\"`" else number_of(written)
