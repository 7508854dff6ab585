"""What a caller adds: tools where the prompt says ``caller_tools: allow``; to plain models parameters."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import compact_json, json_data_problem
from promptops.prompt.json_schema import explain_schema_error, format_path, schema_problem, validator_for
from promptops.providers.parameters import check_tools
from promptops.providers.types import CompletionRequest

MAX_TOOLS = 128
_TOOL_JSON = compact_json(
    {
        "type": "object",
        "properties": {
            "type": {"const": "function"},
            "function": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"},
                    "description": {"type": ["string", "null"]},
                    "parameters": {"type": ["object", "null"]},
                    "strict": {"type": ["boolean", "null"]},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "required": ["type", "function"],
        "additionalProperties": False,
    }
)


class CallerToolsRefused(Invalid):
    """Tools that a call may not bring."""


@dataclass(frozen=True, slots=True)
class CallerTools:
    """Functions in OpenAI's form, and parameters: those that belong to them, such as ``tool_choice``."""

    tools: tuple[Mapping[str, Any], ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises CallerToolsRefused where they are no functions."""
        if len(self.tools) > MAX_TOOLS:
            raise CallerToolsRefused(f"more than {MAX_TOOLS} tools are not sent")
        for tool in self.tools:
            if problem := _tool_problem(tool):
                raise CallerToolsRefused(f"a tool is not a function that can be sent: {problem}")
        if problem := json_data_problem(dict(self.parameters)):
            raise CallerToolsRefused(f"a parameter cannot be used: {problem}")
        check_tools(self.tools)

    def __bool__(self) -> bool:
        return bool(self.tools or self.parameters)

    @property
    def names(self) -> list[str]:
        return [str(tool["function"]["name"]) for tool in self.tools]

    def check(self, prompt: Prompt) -> None:
        """Raises CallerToolsRefused where the prompt takes none, or has one of that name."""
        if not self.tools:
            return
        if not prompt.takes_caller_tools:
            raise CallerToolsRefused(
                f"`tools` belongs to the released version, and `{prompt.name}` takes none of a caller",
                hint="write `caller_tools: allow` in the prompt file",
            )
        own = {tool.get("function", {}).get("name") for tool in prompt.tools}
        if taken := own.intersection(self.names):
            raise CallerToolsRefused(f"the prompt has a tool `{min(taken)}` of its own")

    def added_to(self, request: CompletionRequest) -> CompletionRequest:
        if not self:
            return request
        parameters = {**request.parameters, **self.parameters}
        return replace(request, tools=(*request.tools, *self.tools), parameters=parameters)


NO_TOOLS = CallerTools()


def _tool_problem(tool: Any) -> str:
    if problem := json_data_problem(tool):  # before it is looked at by what knows Unicode alone
        return problem
    validator = validator_for(_TOOL_JSON)
    for error in validator.iter_errors(tool):
        return explain_schema_error(error, format_path(("tools", *error.instance_path)))
    found = schema_problem(tool["function"].get("parameters") or {})
    return f"parameters: {found[1]}" if found else ""
