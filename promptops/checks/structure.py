"""Checks on an output that should be JSON."""

import json as jsonlib
from collections.abc import Mapping
from typing import Any

from promptops.canonical import compact_json
from promptops.checks.subject import Subject, Verdict
from promptops.errors import Invalid
from promptops.schema import explain, spell_path, validator_for


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
    except ValueError as failure:
        return f"not JSON: {failure}"
    found = next(validator_for(compact_json(schema)).iter_errors(value), None)
    return explain(found, spell_path(("output", *found.instance_path))) if found else ""


def parse(output: str) -> Any:
    """The JSON value of an output, as RFC 8259 has it: no NaN, no Infinity. Raises ValueError."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return jsonlib.loads(output, parse_constant=refuse)
