"""What an output must satisfy: a table of named functions, the same for every verb that looks at outputs."""

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptops.checks import json as structure
from promptops.checks import model_graded as judged
from promptops.checks import python_function as code
from promptops.checks.builtin import CHECK_KINDS
from promptops.checks.types import (
    METRICS_INSTALL_HINT,
    CheckError,
    CheckFunction,
    CheckKind,
    CheckSubject,
    CheckVerdict,
    GraderCall,
    GraderClient,
    GraderReply,
    truncate_line,
)
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, PromptopsError
from promptops.prompt import Check
from promptops.prompt.canonical_json import json_text
from promptops.prompt.cases import EXPECTED_NULL
from promptops.prompt.json_schema import explain_schema_error, schema_problem, validator_for
from promptops.prompt.render import render_text

if TYPE_CHECKING:
    from promptops.registry import CheckResult

_MAX_MESSAGE = 200  # characters of what an error says
_SINGLE_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class CompiledCheck:
    """A check whose kind and argument are known to be sound."""

    check: Check
    function: CheckFunction | None  # None where it takes further calls

    @property
    def needs_model(self) -> bool:
        return self.function is None


def compile_checks(
    checks: Iterable[Check], where: str, root: Path | None = None
) -> tuple[CompiledCheck, ...]:
    """Look every check up. Raises Invalid, naming the nearest known kind or what the argument should be.

    With the project's root they are made ready to run: what ``python:`` names is imported, and libraries that
    are not installed are asked for, before anything is called.
    """
    return tuple(_compile(check, where, root) for check in checks)


def _compile(check: Check, where: str, root: Path | None) -> CompiledCheck:
    kind = CHECK_KINDS.get(check.kind)
    if kind is None:
        nearest = get_close_matches(check.kind, CHECK_KINDS, 1)
        raise Invalid(
            f"{where}: no such check: {check.kind}" + (f" (did you mean {nearest[0]}?)" if nearest else ""),
            hint=CHECK_KINDS[nearest[0]].summary if nearest else f"checks are {', '.join(CHECK_KINDS)}",
        )
    if check.argument is None:
        if not kind.optional:
            raise Invalid(f"{where}: the check {check.kind} needs an argument", hint=kind.summary)
    elif problem := _argument_problem(check, kind):
        raise Invalid(f"{where}: the check {check.kind}: {problem}", hint=kind.summary)
    if root is not None:
        _require_modules(check, kind)
        if check.kind == "python":
            return CompiledCheck(check, code.bind_function(check.argument, root))
    return CompiledCheck(check, None if _needs_model(check, kind) else kind.function)


def _argument_problem(check: Check, kind: CheckKind) -> str:
    schema = kind.argument() if callable(kind.argument) else kind.argument
    found = next(validator_for(json_text(schema)).iter_errors(check.argument), None)
    if found and kind.optional and check.argument is True:
        return f"it takes no `true`: write `{check.kind}` alone"
    if found:
        return explain_schema_error(found, "its argument")
    if check.kind == "json_schema":
        problem = schema_problem(check.argument)
        return problem[1] if problem else ""
    return kind.problem(check.argument) if kind.problem else ""


def _require_modules(check: Check, kind: CheckKind) -> None:
    for module in kind.required_modules(check.argument) if kind.required_modules else ():
        if importlib.util.find_spec(module) is None:
            raise Invalid(
                f"the check {check.kind} needs {module.replace('_', '-')}", hint=METRICS_INSTALL_HINT
            )


def _needs_model(check: Check, kind: CheckKind) -> bool:
    return kind.graded_function is not None and (kind.needs_model is None or kind.needs_model(check.argument))


def judge_reference(check: Check) -> str | None:
    """The prompt that a check asks as its judge; None for one that asks none."""
    kind = CHECK_KINDS[check.kind]
    if kind.judge is None or not _needs_model(check, kind):
        return None
    given = kind.judge(check.argument)
    return str(given if isinstance(given, str) else given["prompt"])


def validate_checks(
    compiled: Sequence[CompiledCheck], schema: Mapping[str, Any] | None, grader: GraderClient | None
) -> None:
    """Raise Invalid for what would fail in every case: a missing schema, a judge that does not fit."""
    for each in compiled:
        if each.check.kind == "json_schema" and each.check.argument is None and schema is None:
            raise Invalid(structure.NO_SCHEMA_MESSAGE, hint=structure.NO_SCHEMA_HINT)
        if grader is not None and each.needs_model:
            _validate_judge(each.check, grader)


def _validate_judge(check: Check, grader: GraderClient) -> None:
    judge = CHECK_KINDS[check.kind].judge
    if judge is None:
        return
    argument = judge(check.argument)
    try:
        judged.judge_for_check(replace(check, argument=argument), grader)
    except NotFound as error:
        from promptops.checks import shipped_judges as shipped

        if check.kind == "judge" or argument["prompt"] != shipped.judge_prompt(check.kind):
            raise
        hint = f"promptops new {argument['prompt']} --judge {check.kind} writes the one that is shipped"
        raise Invalid(
            f"the check {check.name} asks a judge that is not there: {error.message}", hint=hint
        ) from None


def run_checks(compiled: Sequence[CompiledCheck], subject: CheckSubject) -> "tuple[CheckResult, ...]":
    """All that need no further calls; the others are absent."""
    validate_checks(compiled, subject.schema, None)
    return tuple(_result(each, each.function, subject) for each in compiled if each.function is not None)


async def run_all_checks(
    compiled: Sequence[CompiledCheck], subject: CheckSubject, grader: GraderClient
) -> "tuple[CheckResult, ...]":
    """All checks in their order, ``grader`` making the calls that some of them need."""
    found = (*run_checks(compiled, subject), *await run_graded_checks(compiled, subject, grader))
    by_name = {each.name: each for each in found}
    return tuple(by_name[each.check.name] for each in compiled)


async def run_graded_checks(
    compiled: Sequence[CompiledCheck], subject: CheckSubject, grader: GraderClient
) -> "tuple[CheckResult, ...]":
    """Those that ``run_checks`` leaves out."""
    return tuple([await _graded_result(each, subject, grader) for each in compiled if each.needs_model])


async def _graded_result(
    compiled: CompiledCheck, subject: CheckSubject, grader: GraderClient
) -> "CheckResult":
    check, ask = compiled.check, CHECK_KINDS[compiled.check.kind].graded_function
    assert ask is not None  # noqa: S101 - what takes further calls says how
    try:
        verdict = await ask(subject, check_argument(check, subject), check.name, grader)
    except Exception as error:  # noqa: BLE001 - whatever a check raises is this case's error
        return _error(check, error)
    return _to_check_result(check, verdict)


def _result(compiled: CompiledCheck, function: CheckFunction, subject: CheckSubject) -> "CheckResult":
    try:
        verdict = function(subject, check_argument(compiled.check, subject))
    except Exception as error:  # noqa: BLE001 - same
        return _error(compiled.check, error)
    return _to_check_result(compiled.check, verdict)


def _error(check: Check, error: Exception) -> "CheckResult":
    from promptops.registry import CheckResult  # lint only asks which checks there are

    text = error.message if isinstance(error, PromptopsError) else f"{type(error).__name__}: {error}"
    message = truncate_line(text, _MAX_MESSAGE)
    return CheckResult(name=check.name, passed=False, error=True, message=message, weight=check.weight)


def _to_check_result(check: Check, verdict: CheckVerdict) -> "CheckResult":
    from promptops.registry import CheckResult

    shown = partial(
        CheckResult,
        name=check.name,
        value=verdict.value,
        asked=verdict.asked,
        failed=verdict.failed,
        weight=check.weight,
    )
    if verdict.passed is None and verdict.value is None:
        return shown(passed=False, error=True, message=truncate_line(verdict.message, _MAX_MESSAGE))
    message = verdict.message
    held = verdict.passed
    if held is None:
        least = CHECK_KINDS[check.kind].threshold if check.threshold is None else check.threshold
        held = _meets_threshold(verdict.value, least)
        about = f": {message}" if message else ""
        message = f"{verdict.value:.3g}, and at least {least:g} is needed{about}"
    passed = held != check.negate
    return shown(
        passed=passed, message="" if passed else f"must not hold: {check.kind}" if check.negate else message
    )


def _meets_threshold(value: float | None, least: float | None) -> bool:
    return value is not None and least is not None and value >= least - 1e-9


def check_argument(check: Check, subject: CheckSubject) -> Any:
    """The argument of a check for one output, what it takes of the inputs filled in."""
    kind = CHECK_KINDS[check.kind]
    if check.argument is None and kind.default is not None:
        return kind.default(subject)
    if kind.verbatim or check.argument is None:
        return check.argument
    filled = _fill_argument(check.argument, subject, typed=kind.typed)
    return EXPECTED_NULL if filled is None else filled


def _fill_argument(argument: Any, subject: CheckSubject, *, typed: bool) -> Any:
    """The argument with ``{{ expected }}`` and the inputs filled in.

    ``typed``: a variable that stands alone is the value itself; elsewhere it is the text of it.
    """
    if isinstance(argument, str) and "{{" in argument:
        values = {**subject.inputs, "expected": subject.expected_value}
        alone = _SINGLE_VARIABLE.fullmatch(argument.strip())
        if typed and alone and alone[1] in values:
            return values[alone[1]]
        return render_text(argument, values)
    if isinstance(argument, list):
        return [_fill_argument(item, subject, typed=typed) for item in argument]
    if isinstance(argument, dict):
        return {key: _fill_argument(value, subject, typed=typed) for key, value in argument.items()}
    return argument


__all__ = [
    "CHECK_KINDS",
    "CheckError",
    "CheckKind",
    "CheckSubject",
    "CheckVerdict",
    "CompiledCheck",
    "GraderCall",
    "GraderClient",
    "GraderReply",
    "check_argument",
    "compile_checks",
    "judge_reference",
    "run_all_checks",
    "run_checks",
    "run_graded_checks",
    "validate_checks",
]
