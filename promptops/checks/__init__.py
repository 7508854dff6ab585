"""What an output must satisfy: a table of named functions, the same for every verb that looks at outputs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from promptops.canonical import compact_json
from promptops.checks import structure, text
from promptops.checks.subject import CheckFunction, CheckKind, Subject, Verdict
from promptops.errors import Invalid
from promptops.prompt import Check
from promptops.registry.records import CheckResult
from promptops.render import render_text
from promptops.schema import explain, schema_problem, validator_for

STRING: Mapping[str, Any] = {"type": "string"}
KINDS: Mapping[str, CheckKind] = {
    "equals": CheckKind(text.equals, {}, "the output, without outer white space, is this", optional=True),
    "contains": CheckKind(text.contains, STRING, "the output contains this text"),
    "starts_with": CheckKind(text.starts_with, STRING, "the output starts with this text"),
    "regex": CheckKind(text.regex, STRING, "a Python regular expression matches"),
    "one_of": CheckKind(text.one_of, {"type": "array", "minItems": 1}, "the output is one of these texts"),
    "max_chars": CheckKind(text.max_chars, {"type": "integer", "minimum": 0}, "at most so many characters"),
    "json": CheckKind(structure.json, {"type": "null"}, "the output is JSON", optional=True),
    "json_schema": CheckKind(
        structure.json_schema,
        {"type": "object"},
        "the output is JSON of this schema, or of the prompt's",
        optional=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Compiled:
    """A check whose kind and argument are known to be sound."""

    check: Check
    function: CheckFunction


def compile_checks(checks: Iterable[Check], where: str) -> tuple[Compiled, ...]:
    """Look every check up. Raises Invalid, naming the nearest known kind or what the argument should be."""
    return tuple(_compile(check, where) for check in checks)


def _compile(check: Check, where: str) -> Compiled:
    kind = KINDS.get(check.kind)
    if kind is None:
        nearest = get_close_matches(check.kind, KINDS, 1)
        raise Invalid(
            f"{where}: no such check: {check.kind}" + (f" (did you mean {nearest[0]}?)" if nearest else ""),
            hint=f"checks are {', '.join(KINDS)}",
        )
    if check.argument is None:
        if not kind.optional:
            raise Invalid(f"{where}: the check {check.kind} needs an argument", hint=kind.summary)
        return Compiled(check, kind.function)
    problem = _argument_problem(check, kind)
    if problem:
        raise Invalid(f"{where}: the check {check.kind}: {problem}", hint=kind.summary)
    return Compiled(check, kind.function)


def _argument_problem(check: Check, kind: CheckKind) -> str:
    found = next(validator_for(compact_json(kind.argument)).iter_errors(check.argument), None)
    if found:
        return explain(found, "its argument")
    if check.kind == "json_schema":
        problem = schema_problem(check.argument)
        return problem[1] if problem else ""
    if check.kind == "regex":
        try:
            re.compile(check.argument)
        except re.error as error:
            return str(error)
    return ""


def run_checks(compiled: Sequence[Compiled], subject: Subject) -> tuple[CheckResult, ...]:
    return tuple(_result(each, subject) for each in compiled)


def _result(compiled: Compiled, subject: Subject) -> CheckResult:
    check = compiled.check
    verdict = compiled.function(subject, _filled(check.argument, subject))
    passed = verdict.passed != check.negate
    message = "" if passed else f"must not hold: {check.kind}" if check.negate else verdict.message
    return CheckResult(name=check.name, passed=passed, value=verdict.value, message=message)


def _filled(argument: Any, subject: Subject) -> Any:
    """The argument with ``{{ expected }}`` and the inputs filled in."""
    if isinstance(argument, str) and "{{" in argument:
        return render_text(argument, {**subject.inputs, "expected": subject.expected})
    if isinstance(argument, list):
        return [_filled(each, subject) for each in argument]
    return argument


__all__ = ["KINDS", "CheckKind", "Compiled", "Subject", "Verdict", "compile_checks", "run_checks"]
