"""Tools of a Prompty file: functions become tools in OpenAI's form; others are Prompty's own to call."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.interop.accounts import KeyAccounts
from promptops.interop.prompty.model_keys import NO_COUNTERPART
from promptops.interop.prompty.properties import named_properties, object_schema
from promptops.interop.tool_names import is_tool_name


class ToolReader:
    def __init__(self, accounts: KeyAccounts) -> None:
        self.accounts = accounts

    def read(self, written: Any, parameters: Any) -> list[dict[str, Any]]:
        """``parameters``: what the first format has among the model's parameters."""
        tools = list(self.first(parameters))
        listed = enumerate(written if isinstance(written, list) else ())
        items = written.items() if isinstance(written, Mapping) else listed
        for key, each in items:
            tool = {"name": key, **each} if isinstance(key, str) and isinstance(each, Mapping) else each
            is_function = isinstance(tool, Mapping) and tool.get("kind") == "function"
            if is_function and is_tool_name(tool.get("name")):
                tools.append({"type": "function", "function": self.function(("tools", key), tool)})
            else:
                why = "not a function with a name that providers accept: only Prompty can call it"
                self.accounts.lose(("tools", key), why)
        return tools

    def first(self, written: Any) -> Iterator[dict[str, Any]]:
        """Of the first format, which has them among the parameters, in OpenAI's form."""
        path = ("model", "parameters", "tools")
        for index, tool in enumerate(written or ()):
            function = tool.get("function") if isinstance(tool, Mapping) else None
            if isinstance(function, Mapping) and is_tool_name(function.get("name")):
                yield {"type": "function", **tool}
            else:
                self.accounts.lose((*path, index), "not a tool in OpenAI's form")

    def function(self, path: YamlPath, tool: Mapping[str, Any]) -> dict[str, Any]:
        self.accounts.change(path, "a tool in OpenAI's form")
        function: dict[str, Any] = {"name": tool["name"]}
        if isinstance(tool.get("description"), str):
            function["description"] = tool["description"]
        strict = tool.get("strict") is True
        bound = self.bound(path, tool)
        if tool.get("parameters"):
            given = [
                {**each, "name": name}
                for _, name, each in named_properties(tool["parameters"])
                if name not in bound
            ]
            schema = object_schema(given, strict=strict, closed=True)
            function["parameters"] = (
                schema if strict else {key: schema[key] for key in schema if key != "additionalProperties"}
            )
        for key in tool.keys() - {"name", "kind", "description", "parameters", "strict", "bindings"}:
            self.accounts.lose((*path, key), NO_COUNTERPART)
        return {**function, "strict": True} if strict else function

    def bound(self, path: YamlPath, tool: Mapping[str, Any]) -> set[str]:
        """Arguments that Prompty fills in itself: the model is not asked for them."""
        bindings = tool.get("bindings")
        if not bindings:
            return set()
        self.accounts.lose(
            (*path, "bindings"), "your program fills these arguments in; the model is not asked"
        )
        if isinstance(bindings, Mapping):
            return set(bindings)
        return {str(each.get("name")) for each in bindings if isinstance(each, Mapping)}
