"""Checks on an output that should be JSON."""

import json as jsonlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from promptops.checks.json_path import find_values, jsonpath_problem
from promptops.checks.types import CheckError, CheckSubject, CheckVerdict, to_text, truncate_line
from promptops.errors import Invalid
from promptops.prompt.canonical_json import answer_json, compact_json, same_json
from promptops.prompt.json_schema import explain_schema_error, format_path, validator_for
from promptops.providers.json_body import MAX_DEPTH, is_deeper

NO_SCHEMA_MESSAGE = "the check json_schema has no schema, and the prompt has no output schema"
NO_SCHEMA_HINT = "give the prompt `output: {schema: …}` or the check a schema of its own"
JSON_PATH_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "object"],
    "properties": {
        "path": {"type": "string"},
        "equals": {},
        "one_of": {"type": "array", "minItems": 1},
        "schema": {"type": ["object", "boolean"]},
    },
    "required": ["path"],
    "additionalProperties": False,
}


def is_json(subject: CheckSubject, _: Any) -> CheckVerdict:
    try:
        parse_json(subject.output)
    except ValueError as error:
        return CheckVerdict(passed=False, message=f"not JSON: {error}")
    return CheckVerdict(passed=True)


def matches_schema(subject: CheckSubject, schema: Mapping[str, Any] | None) -> CheckVerdict:
    """Without a schema of its own, the check holds the output against the prompt's."""
    schema = subject.schema if schema is None else schema
    if schema is None:
        raise CheckError(NO_SCHEMA_MESSAGE, hint=NO_SCHEMA_HINT)
    problem = output_schema_problem(subject.output, schema)
    return CheckVerdict(not problem, problem)


def output_schema_problem(output: str, schema: Mapping[str, Any]) -> str:
    """Why an output is not JSON of this schema, in one line; empty when it is."""
    try:
        value = parse_json(output)
    except ValueError as failure:
        return f"not JSON: {failure}"
    return schema_mismatch(value, schema, "output")


def schema_mismatch(value: Any, schema: Mapping[str, Any] | bool, subject: str) -> str:
    """What a schema has against a value, which the line calls ``subject``; empty when nothing."""
    try:
        found = next(validator_for(compact_json(schema)).iter_errors(value), None)
    except Invalid as failure:
        return f"`{subject}`: {failure.message}"
    return explain_schema_error(found, format_path((subject, *found.instance_path))) if found else ""


def parse_json(output: str) -> Any:
    """The JSON value of an output, as RFC 8259 has it: no NaN, no Infinity. Raises ValueError.

    What is nested deeper than a reply may be is none: schemas are not held against that.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    with suppress(RecursionError):
        value = jsonlib.loads(output, parse_constant=refuse)
        if output.count("[") + output.count("{") <= MAX_DEPTH or not is_deeper(value, MAX_DEPTH):
            return value
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def json_path(subject: CheckSubject, wanted: str | Mapping[str, Any]) -> CheckVerdict:
    """What an RFC 9535 path finds is there and, as the argument says, equal, among some or of a schema."""
    demand = {"path": wanted} if isinstance(wanted, str) else wanted
    try:
        value = parse_json(subject.output)
    except ValueError as error:
        return CheckVerdict(passed=False, message=f"not JSON: {error}")
    found = find_values(demand["path"], value)
    if not found:
        return CheckVerdict(passed=False, message=f"nothing at {demand['path']}")
    problem = next((problem for each in found if (problem := _mismatch(each, demand))), "")
    return CheckVerdict(not problem, f"{demand['path']}: {problem}")


def _mismatch(value: Any, demand: Mapping[str, Any]) -> str:
    shown = truncate_line(answer_json(value))
    if "equals" in demand and not _same(value, demand["equals"]):
        return f"expected {truncate_line(to_text(demand['equals']))}, got {shown}"
    if "one_of" in demand and not any(_same(value, each) for each in demand["one_of"]):
        return f"{shown} is none of {truncate_line(compact_json(demand['one_of']))}"
    if "schema" in demand:
        found = next(validator_for(compact_json(demand["schema"])).iter_errors(value), None)
        return explain_schema_error(found, "it") if found else ""
    return ""


def output_equals(output: str, wanted: Any, *, structured: bool = False) -> bool:
    """Whether an output says a value: a text word for word, everything else as JSON.

    ``structured``: the output has a schema, so that a text may be JSON as well, as cells of CSV are.
    """
    if isinstance(wanted, str) and output.strip() == wanted.strip():
        return True
    if isinstance(wanted, str) and not structured:
        return False
    try:
        value = parse_json(output)
        return _same(value, wanted) or (isinstance(wanted, str) and _same(value, parse_json(wanted)))
    except (ValueError, RecursionError):
        return False


def holds_json(output: str, wanted: Any) -> bool:
    """Whether a value stands anywhere in an output that is JSON."""
    try:
        waiting = [parse_json(output)]
    except (ValueError, RecursionError):
        return False
    while waiting:
        value = waiting.pop()
        if type(value) is type(wanted) and same_json(value, wanted):
            return True
        if isinstance(value, dict | list):
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return False


def _same(value: Any, wanted: Any) -> bool:
    """Equal, or equal to what a filled-in text says: `{{ expected }}` is a text even where 42 is meant."""
    if type(value) is type(wanted) or not isinstance(wanted, str):
        return same_json(value, wanted)
    if not isinstance(value, dict | list):
        return answer_json(value) == wanted.strip()
    try:
        return same_json(value, parse_json(wanted))
    except ValueError:
        return False


def json_path_problem(wanted: str | Mapping[str, Any]) -> str:
    path = wanted if isinstance(wanted, str) else wanted["path"]
    if not path.startswith("$"):
        return f"`{path}` is not a JSONPath: it starts with $, as $.items[0].name"
    if "{{" in path:
        return ""
    return jsonpath_problem(path)
