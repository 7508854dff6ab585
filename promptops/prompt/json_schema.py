"""JSON Schemas: compiled once, never fetched, and their findings put into words."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NoReturn, Protocol

import jsonschema_rs

from promptops.config.yaml import Document, Problem, YamlPath
from promptops.errors import Invalid
from promptops.escapes import shorten

_SUBJECT = "the value"  # stands in messages for a value that may be long or private
_SHOWN = 40
_MAX_STEPS = 100_000  # back and forth of one pattern on one text
_MAX_SQUARES = 10_000**2  # of the lengths of texts, where each start of a match can run to the end
_UNRESOLVED = re.compile(r"(?:Resource|Unknown meta-schema:) ('[^']*')")
_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "null",
}


class Validator(Protocol):
    def is_valid(self, instance: Any) -> bool: ...
    def iter_errors(self, instance: Any) -> Iterator[Any]: ...


@lru_cache(maxsize=1024)
def validator_for(schema: str) -> Validator:
    """Compile a schema given as JSON text. Raises ValueError (see schema_problem) when it is none."""
    return _compile(json.loads(schema), mask=_SUBJECT)


def _compile(schema: Any, mask: str | None = None) -> Validator:
    """With patterns matched in linear time; where one looks around or back, with its steps bounded."""
    try:
        return _validator(schema, mask, jsonschema_rs.RegexOptions())
    except ValueError:
        return BoundedValidator(_validator(schema, mask, jsonschema_rs.FancyRegexOptions(_MAX_STEPS)))


def _validator(schema: Any, mask: str | None, engine: Any) -> Validator:
    return jsonschema_rs.validator_for(schema, mask=mask, retriever=_refuse_retrieval, pattern_options=engine)


class BoundedValidator:
    """For patterns whose time grows with the square of a text: raises Invalid for texts that are too long."""

    def __init__(self, validator: Validator) -> None:
        self._validator = validator

    def is_valid(self, instance: Any) -> bool:
        _check_text_lengths(instance)
        return self._validator.is_valid(instance)

    def iter_errors(self, instance: Any) -> Iterator[Any]:
        _check_text_lengths(instance)
        return self._validator.iter_errors(instance)


def _check_text_lengths(instance: Any) -> None:
    waiting, steps = [instance], 0
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            steps += len(item) ** 2
        elif isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
        if steps > _MAX_SQUARES:
            raise Invalid(
                f"it has more than {math.isqrt(_MAX_SQUARES):,} characters, which is too long for a schema "
                "with a pattern that looks around or back",
                hint="write the pattern without (?=, (?!, (?<= and \\1, or limit the text by maxLength",
            )


def _refuse_retrieval(uri: str) -> NoReturn:
    raise ValueError(f"`{uri}` is not part of this schema, and nothing is fetched")


def schema_problem(schema: Any) -> tuple[YamlPath, str] | None:
    """Say where and why something is not a JSON Schema that can be used; None when it is one."""
    if not isinstance(schema, (dict, bool)):
        return (), f"a JSON Schema is a mapping, not {type_name(schema)}"
    try:
        _compile(schema)
    except jsonschema_rs.ValidationError as error:
        if isinstance(error.instance, str) and "object" in getattr(error.kind, "types", ()):
            kind = shorten(error.instance, _SHOWN)
            return tuple(
                error.instance_path
            ), f"a schema is a mapping, such as {{type: {kind}}}, not a string"
        found = _UNRESOLVED.match(error.message)
        message = f"it refers to {found[1]}, and nothing is fetched" if found else _first_line(error.message)
        return tuple(error.instance_path), f"not a JSON Schema: {message}"
    except ValueError as error:
        return (), f"not a JSON Schema: {_first_line(str(error))}"
    return None


def _first_line(message: str) -> str:
    return shorten(message.split("\n", 1)[0], 160)


def document_problems(document: Document, schema: Mapping[str, Any], validator: Validator) -> list[Problem]:
    """All that a schema has against a file: unknown keys first, as they explain the missing ones."""
    found = [
        problem
        for error in validator.iter_errors(document.data)
        for problem in _problems(document, schema, error)
    ]
    return sorted(found, key=_problem_sort_key)


def _problem_sort_key(problem: Problem) -> tuple[int, int, int]:
    rank = {"unknown-key": 0, "missing-key": 2}.get(problem.rule, 1)
    return rank, problem.position.line, problem.position.column


def _problems(document: Document, schema: Mapping[str, Any], error: Any) -> Iterator[Problem]:
    path: YamlPath = tuple(error.instance_path)
    if error.kind.name == "additionalProperties":
        known = sorted(_subschema(schema, error.schema_path[:-1]).get("properties", ()))
        for key in error.kind.unexpected:
            message, hint = unknown_name_message("key", key, known)
            yield document.problem("unknown-key", (*path, key), message, hint)
    elif error.kind.name == "propertyNames":
        key, message = explain_key_error(error)
        yield document.problem("value", (*path, key), message)
    elif error.kind.name == "required":
        where = f" in {format_path(path)}" if path else ""
        yield document.problem("missing-key", path, f"the key `{error.kind.property}` is missing{where}")
    elif not path and error.kind.name == "type":
        message = "the file is empty" if document.data is None else explain_schema_error(error, "the file")
        keys = " and ".join(f"`{key}`" for key in schema.get("required", ()))
        yield document.problem("value", path, message, f"it needs the keys {keys}" if keys else "")
    else:
        yield document.problem("value", path, explain_schema_error(error, format_path(path) or "the file"))


def explain_key_error(error: Any) -> tuple[str, str]:
    """The key that a schema's propertyNames refuses, and why."""
    inner = error.kind.error
    if inner.kind.name == "not":
        return inner.instance, f"the key `{inner.instance}` cannot stand here: it has a place of its own"
    return inner.instance, explain_schema_error(inner, f"the key `{inner.instance}`")


def _subschema(schema: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        schema = schema[step]
    return schema


def unknown_name_message(what: str, word: str, known: Sequence[str]) -> tuple[str, str]:
    """Message and hint for a word that is not among those known, with the one it resembles."""
    near = get_close_matches(word, known, n=1)
    if near:
        return f"unknown {what} `{word}` (did you mean `{near[0]}`?)", ""
    return f"unknown {what} `{word}`", f"known: {', '.join(known)}" if known else ""


def format_path(path: YamlPath) -> str:
    """``("messages", 0, "role")`` as `messages[0].role`."""
    spelled = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"`{spelled.lstrip('.')}`" if spelled else ""


def explain_schema_error(error: Any, subject: str) -> str:
    """One line on what a schema demands of ``subject``, which a long or private value does not get into."""
    kind, instance = error.kind, error.instance
    if kind.name == "type":
        wanted = " or ".join(_TYPES.get(name, name) for name in kind.types)
        return f"{subject} must be {wanted}, not {type_name(instance)}"
    if kind.name == "enum":
        return f"{subject} must be one of {_listed(kind.options)}, not {_shown(instance)}"
    if kind.name in ("maxLength", "minLength"):
        bound = "at most" if kind.name == "maxLength" else "at least"
        return f"{subject} must be {bound} {kind.limit} characters long, and has {len(instance)}"
    if kind.name == "required":
        return f"{subject} lacks `{kind.property}`"
    message = _first_line(error.message)
    given = f" (it is {_shown(instance)})" if isinstance(instance, (str, int, float)) else ""
    if message.startswith(_SUBJECT):
        return f"{subject}{message.removeprefix(_SUBJECT)}{given}"
    return f"{subject}: {message}{given}"


def type_name(value: Any) -> str:
    """Name a value's type as people who write YAML do."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    for kind, name in ((str, "string"), ((int, float), "number"), (dict, "object"), (list, "array")):
        if isinstance(value, kind):
            return _TYPES[name]
    return f"a {type(value).__name__}"


def _listed(options: Sequence[Any]) -> str:
    return ", ".join(_shown(option) for option in options)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{shorten(text, _SHOWN)}`".replace("\n", "\\n")
