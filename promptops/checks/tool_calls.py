"""The check on the tools that an answer calls: declared ones, with arguments that fit, and those wanted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from promptops.checks.guard_arguments import TOOL_CALLS_SCHEMA
from promptops.checks.json import parse_json, schema_mismatch
from promptops.checks.types import CheckError, CheckSubject, CheckVerdict, truncate_line
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import answer_json, json_text, same_json
from promptops.prompt.cases import expected_json
from promptops.prompt.json_schema import (
    explain_schema_error,
    schema_problem,
    type_name,
    unknown_name_message,
    validator_for,
)

_MAX_PROBLEMS = 3  # that one message names
_SHAPE = "a tool, a list of tools, or a mapping"


class _ReadCall(NamedTuple):
    place: str  # ``call 2 (pay)``
    name: str
    arguments: Any
    problem: str


def tool_calls(subject: CheckSubject, argument: Any) -> CheckVerdict:
    """The value is the F1 of the names, where an argument has names whose order does not count."""
    if subject.tool_calls is None:
        raise CheckError(
            "which tools it calls is not known"
        )  # an input, or an answer that was reported as text
    demand = _demand(argument if argument is None else _checked(argument))
    calls = [_read(call, number) for number, call in enumerate(subject.tool_calls, 1)]
    names = [call.name for call in calls]
    problems = [*_faults(calls, subject.tools), *_unmet(demand, calls)]
    wanted = demand.get("names")
    if wanted is None:
        return CheckVerdict(not problems, _joined(problems))
    if demand.get("order") == "exact":
        if names != wanted:
            problems.append(f"called {_listed(names)}, and not {_listed(wanted)}")
        return CheckVerdict(not problems, _joined(problems))
    share, difference = _f1(set(wanted), set(names)), _difference(wanted, names)
    return CheckVerdict(False if problems else None, _joined([*problems, *difference]), share)


def tool_calls_problem(argument: Any) -> str:
    """What a JSON Schema cannot say against an argument."""
    demand = _demand(argument)
    for name, schema in _mapping(demand.get("schemas")).items():
        if found := schema_problem(schema):
            return f"`schemas.{name}`: {found[1]}"
    if demand.get("at_least", 0) > demand.get("at_most", demand.get("at_least", 0)):
        return "`at_least` is more than `at_most`"
    return (
        "" if "order" not in demand or "names" in demand else "`order` is that of `names`, which are missing"
    )


def unmeetable_demand(argument: Any, prompt: Prompt) -> tuple[str, str] | None:
    """Message and hint where no answer of a prompt can call what an argument asks for."""
    if prompt.takes_caller_tools:
        return None
    demand, declared = _demand(argument), _declared(prompt.tools)
    if not declared and demand.get("at_most") != 0:
        hint = "declare them under `tools`, or let callers add some: `caller_tools: allow`"
        return "the check tool_calls looks at calls of tools, and the prompt declares none", hint
    for name in _named(demand):
        if name not in declared and "{{" not in name:
            message, hint = unknown_name_message("tool", name, list(declared))
            return f"the check tool_calls: {message}", hint
    return None


def _demand(argument: Any) -> Mapping[str, Any]:
    """An argument in its long form."""
    if argument is None:
        return {"at_least": 1}
    if isinstance(argument, str):
        return {"names": [argument]}
    if isinstance(argument, list):
        return {"names": argument}
    return _mapping(argument)


def _checked(argument: Any) -> Any:
    """An argument with what a case expects in it. Raises CheckError where that makes none."""
    value = expected_json(argument)
    found = next(validator_for(json_text(TOOL_CALLS_SCHEMA)).iter_errors(value), None)
    if found:
        raise CheckError(f"it takes {_SHAPE}: {explain_schema_error(found, 'what is expected')}")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _named(demand: Mapping[str, Any]) -> Iterator[str]:
    for key in ("names", "never", "arguments", "schemas"):
        yield from demand.get(key, ())


def _declared(tools: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Definitions by name; what a provider knows by its type alone is not called by name."""
    found = [_mapping(tool.get(tool.get("type", "function"))) for tool in tools]
    return {str(each["name"]): each for each in found if "name" in each}


def _read(call: Mapping[str, Any], number: int) -> _ReadCall:
    kind = call.get("type") or "function"
    body = _mapping(call.get(kind) if isinstance(kind, str) else None)
    name = body.get("name")
    place = f"call {number}"
    if not isinstance(name, str) or not name:
        return _ReadCall(place, "", None, "names no tool")
    place = f"{place} ({truncate_line(name)})"
    if kind != "function":
        return _ReadCall(place, name, body.get("input"), "")
    try:
        arguments = _parsed(body.get("arguments"))
    except (ValueError, RecursionError) as error:
        return _ReadCall(place, name, None, f"its arguments are not JSON: {truncate_line(str(error), 100)}")
    if not isinstance(arguments, dict):
        return _ReadCall(place, name, None, f"its arguments must be a mapping, not {type_name(arguments)}")
    return _ReadCall(place, name, arguments, "")


def _parsed(arguments: Any) -> Any:
    """Empty where a function takes none, as some servers write it."""
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    return parse_json(arguments) if isinstance(arguments, str) else arguments


def _faults(calls: Sequence[_ReadCall], tools: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with a call whatever is asked of it."""
    declared = _declared(tools)
    for call in calls:
        if call.problem:
            yield f"{call.place}: {call.problem}"
        elif call.name not in declared:
            message, hint = unknown_name_message("tool", truncate_line(call.name), list(declared))
            yield f"{call.place}: {message}{f', {hint}' if hint else ''}"
        elif problem := schema_mismatch(
            call.arguments, declared[call.name].get("parameters") or True, "arguments"
        ):
            yield f"{call.place}: {problem}"


def _unmet(demand: Mapping[str, Any], calls: Sequence[_ReadCall]) -> Iterator[str]:
    count, least, most = len(calls), demand.get("at_least", 0), demand.get("at_most")
    if count < least:
        yield f"{_count(count)}, and at least {least} is needed" if count else "no tool is called"
    if most is not None and count > most:
        yield f"{_count(count)}, and at most {most} may be: {_listed([call.name for call in calls])}"
    never = demand.get("never", ())
    yield from (f"{call.place}: it must not be called" for call in calls if call.name in never)
    asked, schemas = demand.get("arguments", {}), demand.get("schemas", {})
    for name in dict.fromkeys((*asked, *schemas)):
        made = [call for call in calls if call.name == name]
        if not made:
            yield f"`{name}` is not called"
        for call in made:
            yield from (f"{call.place}: {each}" for each in _other_values(call, asked.get(name, {})))
            if problem := schema_mismatch(call.arguments, schemas.get(name, True), "arguments"):
                yield f"{call.place}: {problem}"


def _other_values(call: _ReadCall, wanted: Mapping[str, Any]) -> Iterator[str]:
    given = _mapping(call.arguments)
    for key, value in wanted.items():
        if key not in given:
            yield f"it lacks the argument `{key}`"
        elif not same_json(given[key], value):
            yield f"`{key}` must be {_shown(value)}, and is {_shown(given[key])}"


def _f1(wanted: set[str], called: set[str]) -> float:
    return 2 * len(wanted & called) / (len(wanted) + len(called))


def _difference(wanted: Sequence[str], called: Sequence[str]) -> list[str]:
    missing = [name for name in dict.fromkeys(wanted) if name not in called]
    more = [name for name in dict.fromkeys(called) if name not in wanted]
    return [
        *([f"not called: {_listed(missing)}"] if missing else []),
        *([f"called as well: {_listed(more)}"] if more else []),
    ]


def _joined(problems: Sequence[str]) -> str:
    more = len(problems) - _MAX_PROBLEMS
    return "; ".join([*problems[:_MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])])


def _count(calls: int) -> str:
    return "1 call is made" if calls == 1 else f"{calls} calls are made"


def _listed(names: Sequence[str]) -> str:
    return truncate_line(", ".join(names), 100) if names else "none"


def _shown(value: Any) -> str:
    return truncate_line(answer_json(value))
