"""Checks on an output that should be JSON."""

import json as jsonlib
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from promptops.checks.subject import Subject, Verdict
from promptops.errors import Invalid


def json(subject: Subject, _: Any) -> Verdict:
    try:
        parse(subject.output)
    except ValueError as error:
        return Verdict(passed=False, message=f"not JSON: {error}")
    return Verdict(passed=True)


def json_schema(subject: Subject, schema: Mapping[str, Any] | None) -> Verdict:
    """Without a schema of its own, the check holds the output against the prompt's."""
    schema = subject.schema if schema is None else schema
    if schema is None:
        raise Invalid(
            "the check json_schema has no schema, and the prompt has no output schema",
            hint="give the prompt `output: {schema: …}` or the check a schema of its own",
        )
    problem = schema_problem(subject.output, schema)
    return Verdict(not problem, problem)


def schema_problem(output: str, schema: Mapping[str, Any]) -> str:
    """Why an output is not JSON of this schema, in one line; empty when it is."""
    try:
        value = parse(output)
    except ValueError as error:
        return f"not JSON: {error}"
    for error in jsonschema_rs.validator_for(dict(schema)).iter_errors(value):
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        return f"${where}: {error.message}"
    return ""


def parse(output: str) -> Any:
    """The JSON value of an output, as RFC 8259 has it: no NaN, no Infinity. Raises ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return jsonlib.loads(output, parse_constant=refuse)
