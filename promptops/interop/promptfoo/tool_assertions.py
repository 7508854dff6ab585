"""Assertions on tool calls, as the check on them and back."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.interop.promptfoo.conditions import CheckEntry, text_literal
from promptops.prompt import Check

VALID_CALLS = ("is-valid-function-call", "is-valid-openai-function-call", "is-valid-openai-tools-call")
NO_TOOLS = "no provider has tools that could be called"
FIRST_CALL = "all calls are looked at, not the first alone"
_OF_NAME = re.compile(r"\$(?:\[0\](?:\.function|\.functionCall|\['function'\])?)?\.name")
_OF_ARGUMENT = re.compile(
    r"(?:return\s+)?JSON\.parse\(\s*output(?:\[0\]\.function)?\.arguments\s*\)\.(\w+)\s*===?\s*"
    r"('(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\");?"
)


def tool_names(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(tool["function"]["name"]) for tool in tools if "function" in tool]


def wanted_tools(value: Any) -> list[str] | None:
    """The names of ``tool-call-f1``; None for what are none."""
    if isinstance(value, str):
        value = [] if "{{" in value else value.split(",")
    names = [str(each).strip() for each in value] if isinstance(value, list) else []
    return [name for name in names if name] or None


def called_tool(entry: CheckEntry) -> CheckEntry | None:
    """The check on the name of the first call, as one on all names; None where it looks at something else."""
    at = entry.get("json_path") if isinstance(entry, Mapping) else None
    if not isinstance(at, Mapping) or at.keys() != {"path", "equals"} or "not" in entry:
        return None
    if not _OF_NAME.fullmatch(at["path"]) or not isinstance(at["equals"], str):
        return None
    return {"tool_calls": [at["equals"]]}


def called_with(code: str, tools: Sequence[str]) -> CheckEntry | None:
    """The check on one argument of the first call, where there is just one tool that it can be of."""
    found = _OF_ARGUMENT.fullmatch(code.strip())
    if found is None or len(tools) != 1:
        return None
    return {"tool_calls": {"arguments": {tools[0]: {found[1]: text_literal(found[2])}}}}


def tool_assertion(check: Check) -> dict[str, Any] | None:
    """None for what promptfoo does not ask of calls."""
    demand = check.argument
    if demand is None:
        return {"type": "is-valid-openai-tools-call"}
    names = demand
    if isinstance(demand, Mapping):
        if not demand.keys() <= {"names", "order"} or demand.get("order", "any") != "any":
            return None
        names = demand.get("names")
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        return None
    made = {"type": "tool-call-f1", "value": listed}
    return made if check.threshold is None else {**made, "threshold": check.threshold}
