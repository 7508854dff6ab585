"""The settings of a provider as parameters, tools and output of a prompt file."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.accounts import SourceNode
from promptops.interop.promptfoo.reading import ConfigReading, is_reference
from promptops.prompt.json_schema import schema_problem
from promptops.providers.parameters import sendable_parameters

_RENAMED = {
    "candidateCount": "n",
    "frequencyPenalty": "frequency_penalty",
    "maxOutputTokens": "max_tokens",
    "maxTokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "presencePenalty": "presence_penalty",
    "stopSequences": "stop",
    "stop_sequences": "stop",
    "toolChoice": "tool_choice",
    "topK": "top_k",
    "topP": "top_p",
}
_ELSEWHERE = {  # keys that say where a call goes and who pays: the environment says so here
    **dict.fromkeys(
        ("apiBaseUrl", "apiHost", "api_base", "baseUrl", "workspaceUrl", "basePath"),
        "where a call goes is said by the environment, as OPENAI_API_BASE does",
    ),
    **dict.fromkeys(
        ("apiKey", "apiKeyEnvar", "apiKeyRequired", "organization", "headers"),
        "keys and headers come from the environment alone",
    ),
    **dict.fromkeys(("region", "projectId", "apiVersion"), "the environment says so, as AWS_REGION does"),
}
_TYPES = frozenset(["ARRAY", "BOOLEAN", "INTEGER", "NULL", "NUMBER", "OBJECT", "STRING"])


@dataclass(slots=True)
class ProviderSettings:
    """What a provider's ``config`` says, in the words of a prompt file."""

    parameters: dict[str, Any] = field(default_factory=dict)
    tools: list[dict[str, Any]] = field(default_factory=list)
    output: dict[str, Any] = field(default_factory=dict)
    system: str = ""
    prefix: str = ""
    suffix: str = ""


class SettingsReader:
    def __init__(self, reading: ConfigReading) -> None:
        self.reading = reading
        self.settings = ProviderSettings()
        self._known = sendable_parameters(direct=True) | sendable_parameters(direct=False)
        self._readers: dict[str, Callable[[SourceNode], None]] = {
            "function_call": self._tool_choice,
            "functions": self._tools,
            "generationConfig": self.read,
            "passthrough": self.read,
            "prompt": self._around,
            "prompt_template": self._template,
            "reasoning": self._reasoning,
            "responseSchema": self._schema,
            "response_format": self._response_format,
            "response_mime_type": self._mime_type,
            "responseMimeType": self._mime_type,
            "response_schema": self._schema,
            "systemInstruction": self._system,
            "systemPrompt": self._system,
            "system_prompt": self._system,
            "text": self._text,
            "thinkingConfig": self._thinking,
            "tool_config": self._tool_config,
            "tools": self._tools,
        }

    def read(self, config: SourceNode) -> None:
        """Take a mapping of settings; accounts for every key in it."""
        for key, node in config.members():
            if key in self._readers:
                self._readers[key](node)
            elif key in _ELSEWHERE:
                node.lose(_ELSEWHERE[key])
            else:
                self._parameter(_RENAMED.get(key, key), node)

    def _parameter(self, name: str, node: SourceNode) -> None:
        if name not in self._known:
            node.lose("no parameter that is sent to a model")
        elif isinstance(node.value, str) and "{{" in node.value:
            node.lose("parameters are no templates")
        else:
            self.settings.parameters[name] = node.value
            node.keep()

    def _tools(self, node: SourceNode) -> None:
        found = self.reading.lookup(node)
        if found is None:
            return
        tools = [tool for each in _listed(found.value) for tool in tools_of(each)]
        problem = next((one for one in map(tool_fault, tools) if one), "")
        if not tools or problem:
            node.lose(problem or "no tools that a prompt file can have")
            return
        self.settings.tools += tools
        node.keep()
        found.keep()

    def _tool_choice(self, node: SourceNode) -> None:
        value = node.value
        if isinstance(value, Mapping) and "name" in value:
            value = {"type": "function", "function": {"name": value["name"]}}
        self.settings.parameters["tool_choice"] = value
        node.keep()

    def _tool_config(self, node: SourceNode) -> None:
        calling = node.value.get("function_calling_config", {}) if isinstance(node.value, dict) else {}
        choice = {"auto": "auto", "any": "required", "none": "none"}.get(str(calling.get("mode", "")).lower())
        if choice is None or calling.keys() != {"mode"}:
            node.lose("no choice of tools that OpenAI's form has")
            return
        self.settings.parameters["tool_choice"] = choice
        node.keep()

    def _response_format(self, node: SourceNode) -> None:
        found = self.reading.lookup(node)
        if found is None:
            return
        form = found.value if isinstance(found.value, dict) else {}
        schema = form.get("json_schema", {}).get("schema") if form.get("type") == "json_schema" else None
        schema = schema or (form.get("schema") if form.get("type") == "json_schema" else None)
        if isinstance(schema, str) and is_reference(schema):
            inner = found["json_schema"]["schema"] if "json_schema" in form else found["schema"]
            loaded = self.reading.lookup(inner)
            schema = loaded.value if loaded else None
            if loaded:
                loaded.keep()
        if isinstance(schema, dict):
            self._set_schema(found, schema)
        elif form.get("type") in ("json_object", "text"):
            self.settings.parameters["response_format"] = dict(form)
        else:
            node.lose("no format of an answer that a prompt file can have")
            return
        node.keep()
        found.keep()

    def _schema(self, node: SourceNode) -> None:
        found = self.reading.lookup(node)
        if found and isinstance(found.value, dict):
            self._set_schema(node, lower_types(found.value))
            found.keep()

    def _set_schema(self, node: SourceNode, schema: dict[str, Any]) -> None:
        if found := schema_problem(schema):
            node.lose(f"no JSON Schema: {found[1]}")
        else:
            self.settings.output["schema"] = schema
            node.keep()

    def _mime_type(self, node: SourceNode) -> None:
        if node.value == "application/json":
            self.settings.output.setdefault("extract", "json")
        node.keep()

    def _thinking(self, node: SourceNode) -> None:
        for key, each in node.members():
            if key in ("thinkingBudget", "thinking_budget"):
                self.settings.parameters["thinking"] = {"type": "enabled", "budget_tokens": each.value}
                each.keep()
            elif key in ("thinkingLevel", "thinking_level"):
                self.settings.parameters["reasoning_effort"] = str(each.value).lower()
                each.keep()

    def _reasoning(self, node: SourceNode) -> None:
        if isinstance(node.value, dict) and node.value.keys() == {"effort"}:
            self.settings.parameters["reasoning_effort"] = node.value["effort"]
            node.keep()
        else:
            self._parameter("reasoning", node)

    def _text(self, node: SourceNode) -> None:
        for key, each in node.members():
            if key == "verbosity":
                self._parameter(key, each)
            elif key == "format":
                self._response_format(each)

    def _system(self, node: SourceNode) -> None:
        value = node.value
        if isinstance(value, dict) and isinstance(value.get("parts"), list):
            value = "\n".join(str(part.get("text", "")) for part in value["parts"] if isinstance(part, dict))
            self.settings.system = value
            node.keep()
        elif isinstance(value, str) and (text := self.reading.text(node)) is not None:
            self.settings.system = text.strip()
            node.keep()

    def _around(self, node: SourceNode) -> None:
        """What stands before and behind each prompt."""
        for key, each in node.members():
            if key in ("prefix", "suffix") and isinstance(each.value, str):
                setattr(self.settings, key, each.value)
                each.keep()

    def _template(self, node: SourceNode) -> None:
        before, mark, after = str(node.value).partition("{prompt}")
        if mark:
            self.settings.prefix, self.settings.suffix = before, after
            node.keep()


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def tools_of(data: Any) -> list[dict[str, Any]]:
    """Tools in OpenAI's form, of that of OpenAI, Anthropic or Google."""
    if not isinstance(data, Mapping):
        return []
    for key in ("functionDeclarations", "function_declarations"):
        if isinstance(data.get(key), list):
            return [tool for each in data[key] for tool in tools_of(each)]
    if isinstance(data.get("function"), Mapping):
        return [{"type": "function", **data}]
    if "name" not in data:
        return [dict(data)] if "type" in data else []
    function = {key: data[key] for key in ("name", "description", "strict") if data.get(key) is not None}
    schema = data.get("parameters", data.get("input_schema"))
    if isinstance(schema, Mapping):
        function["parameters"] = lower_types(schema)
    return [{"type": "function", "function": function}]


def tool_fault(tool: Mapping[str, Any]) -> str:
    found = schema_problem(tool.get("function", {}).get("parameters", {}))
    return f"the parameters of a tool are no JSON Schema: {found[1]}" if found else ""


def lower_types(schema: Any) -> Any:
    """A schema with Google's names of types as JSON Schema has them."""
    if isinstance(schema, Mapping):
        return {
            key: value.lower()
            if key == "type" and isinstance(value, str) and value in _TYPES
            else lower_types(value)
            for key, value in schema.items()
        }
    return [lower_types(each) for each in schema] if isinstance(schema, list) else schema


def read_settings(config: SourceNode | None, reading: ConfigReading) -> ProviderSettings:
    """What a provider's or a prompt's ``config`` says. Raises Invalid for what is no mapping."""
    reader = SettingsReader(reading)
    if config is not None:
        if not isinstance(config.value, Mapping):
            raise Invalid(f"{config.where}: `config` is a mapping")
        reader.read(config)
    return reader.settings
