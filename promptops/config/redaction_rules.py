"""What is redacted before a run is logged: ``log: {redact: …}`` of promptops.yaml and of prompt files."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from promptops.config.patterns import pattern_problem
from promptops.config.project_function import function_path_problem
from promptops.errors import Invalid

REDACTION_KINDS = ("email", "phone", "card", "iban", "ip", "ssn", "secret", "url_token")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_PYTHON_KEYS = {"python", "name", "timeout"}
FUNCTION_SECONDS = 10.0
_MAX_SECONDS = 600

_REGEX_PROPERTIES = {
    "regex": {"type": "string", "description": "A regular expression; all of a match is redacted."},
    "name": {"type": "string", "description": "What stands there then."},
}
_FUNCTION = {"type": "string", "description": "package.module:function, which gives pairs (start, end)."}

_TIMEOUT = {
    "type": "number",
    "description": f"Seconds that it may take for a text. Default: {FUNCTION_SECONDS:g}.",
}


def redact_schema(*, python: bool) -> dict[str, Any]:
    """For editors; ``read_redaction_rule`` looks at each. A prompt file is data, so it names no function."""
    own = {**_REGEX_PROPERTIES, **({"python": _FUNCTION, "timeout": _TIMEOUT} if python else {})}
    return {
        "type": "array",
        "description": f"What is replaced before it is logged: {', '.join(REDACTION_KINDS)}, or yours.",
        "items": {"examples": list(REDACTION_KINDS), "properties": own},
    }


KEEP_SCHEMA: dict[str, Any] = {
    "type": "string",
    "enum": ["mask", "pseudonym"],
    "description": "What stands in place of a value: its kind, or also a keyed pseudonym. Default: mask.",
}


class RedactionRule(NamedTuple):
    """A kind that is built in, a ``pattern``, or a ``function`` of the project's.

    ``seconds`` are what the function may take for a text.
    """

    name: str
    pattern: str = ""
    function: str = ""
    seconds: float = FUNCTION_SECONDS


def read_redaction_rule(item: Any, *, python: bool) -> RedactionRule:
    """Raises Invalid with what is wrong."""
    if isinstance(item, str) and item in REDACTION_KINDS:
        return RedactionRule(item)
    if not isinstance(item, Mapping):
        raise Invalid(
            f"`{item!s:.60}` is not a kind of data to redact", hint=f"known: {', '.join(REDACTION_KINDS)}"
        )
    known = set(item) == {"regex", "name"} or {"python"} <= set(item) <= _PYTHON_KEYS
    if not known or not all(isinstance(item[key], str) for key in item if key != "timeout"):
        hint = "{regex: PATTERN, name: NAME}" + (", or {python: package.module:function}" if python else "")
        raise Invalid("a redaction of your own has other keys", hint=hint)
    if "regex" in item:
        if problem := pattern_problem(item["regex"]):
            raise Invalid(f"`regex` is not a regular expression: {problem}")
        return RedactionRule(_check_name(item["name"]), pattern=item["regex"])
    if not python:
        raise Invalid("`python` cannot stand in a prompt file", hint="name the function in promptops.yaml")
    if problem := function_path_problem(item["python"]):
        raise Invalid(problem)
    name = _check_name(item.get("name", "personal"))
    return RedactionRule(
        name, function=item["python"], seconds=_seconds(item.get("timeout", FUNCTION_SECONDS))
    )


def _seconds(timeout: Any) -> float:
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= _MAX_SECONDS:
        raise Invalid(f"`timeout` is a number of seconds, at most {_MAX_SECONDS}")
    return float(timeout)


def read_redaction_rules(items: Iterable[Any], *, python: bool = False) -> tuple[RedactionRule, ...]:
    return tuple(read_redaction_rule(item, python=python) for item in items)


def _check_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"`{name}` cannot be the name of a redaction", hint="lower-case letters, digits and `_`"
        )
    return name
