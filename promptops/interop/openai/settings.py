"""Parameters, tools and the format of the answer, as requests of OpenAI's have them."""

from collections.abc import Mapping
from typing import Any, Protocol

from promptops.interop.accounts import KeyAccounts
from promptops.interop.openai.literals import Expression, Value, expressions_in
from promptops.interop.schema_names import titled_schema

_PARAMETERS = (
    *("temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "frequency_penalty"),
    *("presence_penalty", "logit_bias", "logprobs", "top_logprobs", "n", "reasoning_effort", "verbosity"),
    *("modalities", "prediction", "service_tier", "prompt_cache_key", "prompt_cache_retention"),
    *("web_search_options", "tool_choice", "parallel_tool_calls"),
)
_OF_TOOLS = ("tool_choice", "parallel_tool_calls")
_ECHOED: Mapping[str, Any] = {  # what a response says where nothing was asked for
    "temperature": 1,
    "top_p": 1,
    "top_logprobs": 0,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "service_tier": "default",
    "frequency_penalty": 0,
    "presence_penalty": 0,
}
CALL_KEYS = frozenset(
    {
        *("stream", "stream_options", "store", "metadata", "user", "safety_identifier", "background"),
        *("previous_response_id", "conversation", "conversation_id", "include", "truncation"),
        *("timeout", "extra_headers", "extra_query", "extra_body"),
    }
)
ANSWER_KEYS = frozenset(
    {
        *(
            "id",
            "object",
            "created",
            "created_at",
            "completed_at",
            "status",
            "output",
            "output_text",
            "usage",
        ),
        *("error", "incomplete_details", "billing", "moderation", "store", "background", "truncation"),
        *("metadata", "user", "safety_identifier", "previous_response_id", "conversation", "max_tool_calls"),
        "content_filters",
    }
)


class RequestAccount(Protocol):
    """What the reader of a request offers to those of its parts."""

    keys: KeyAccounts
    logged: bool

    def take(self, key: str) -> Value: ...

    def lose(self, path: tuple[str | int, ...], why: str, value: Value = None) -> None: ...


def read_parameters(
    body: Mapping[str, Value], model: str, account: RequestAccount, *, tools: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in _PARAMETERS:
        value = account.take(key) if key in body else None
        if value is None:
            if key in body:
                account.keys.change((key,), "it is empty")
        elif (account.logged and value == _ECHOED.get(key)) or (key in _OF_TOOLS and not tools):
            account.keys.change((key,), "the default")
        else:
            _add(found, key, value, (key,), account)
    longest = "max_completion_tokens" if model.startswith("openai/") else "max_tokens"
    for path, name in ((("max_output_tokens",), longest), (("reasoning", "effort"), "reasoning_effort")):
        _add(found, name, _inner(body, path, account), path, account)
    _add(
        found,
        "verbosity",
        _inner(body, ("text", "verbosity"), account),
        ("text", "verbosity"),
        account,
    )
    if isinstance(found.get("tool_choice"), Mapping) and "name" in found["tool_choice"]:
        found["tool_choice"] = {"type": "function", "function": {"name": found["tool_choice"]["name"]}}
    return found


def _inner(body: Mapping[str, Value], path: tuple[str, ...], account: RequestAccount) -> Value:
    value: Value = body
    if path[0] in body:
        account.take(path[0])
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    given = body.get(path[0])
    if isinstance(given, Mapping) and all(item is None for item in given.values()):
        account.keys.change(path[:1], "it is empty")
    if account.logged and path == ("text", "verbosity") and value == "medium":
        account.keys.change(path, "the default")
        return None
    return value


def _add(
    found: dict[str, Any], name: str, value: Value, path: tuple[str, ...], account: RequestAccount
) -> None:
    if value is None:
        return
    late = next(expressions_in(value), None)
    if late is not None:
        account.lose(
            path, f"line {late.line}: `{late.source}` is known only when the code runs: write its value down"
        )
    elif name == path[-1]:
        found[name] = value
        account.keys.keep(*path)
    else:
        found[name] = value
        account.keys.change(path, f"parameters.{name}")


def read_tools(given: Value, account: RequestAccount) -> list[dict[str, Any]]:
    tools = []
    if given == []:
        account.keys.keep("tools")
    if isinstance(given, Expression):
        account.lose(
            ("tools",), f"line {given.line}: `{given.source}` is known only when the code runs", given
        )
    for index, tool in enumerate(given if isinstance(given, list) else ()):
        late = next(expressions_in(tool), None)
        kind = tool.get("type") if isinstance(tool, Mapping) else None
        if late is not None:
            account.lose(
                ("tools", index), f"line {late.line}: `{late.source}` is known only when the code runs", tool
            )
        elif kind == "function":
            account.keys.keep("tools", index)
            function = tool.get("function", {key: tool[key] for key in tool if key != "type"})
            tools.append({"type": "function", "function": function})
        else:
            account.lose(
                ("tools", index), f"a tool that OpenAI runs ({kind}) is not sent: functions are", tool
            )
    return tools


def read_schema(
    body: Mapping[str, Value], parameters: dict[str, Any], account: RequestAccount
) -> Mapping[str, Any] | None:
    """The schema of `text.format` or `response_format`; JSON without one becomes a parameter."""
    text = body.get("text")
    if isinstance(text, Mapping) and "format" in text:
        account.take("text")
        return _schema(text["format"], ("text", "format"), parameters, account)
    if "response_format" in body:
        return _schema(account.take("response_format"), ("response_format",), parameters, account)
    return None


def _schema(
    form: Value, path: tuple[str, ...], parameters: dict[str, Any], account: RequestAccount
) -> Mapping[str, Any] | None:
    late = next(expressions_in(form), None)
    kind = form.get("type") if isinstance(form, Mapping) else None
    if late is not None:
        account.lose(
            path, f"line {late.line}: `{late.source}` is known only when the code runs: write it down", form
        )
    elif kind == "json_object":
        parameters["response_format"] = {"type": "json_object"}
        account.keys.change(path, "parameters.response_format")
    elif kind == "json_schema":
        holder = form.get("json_schema", form)
        schema, name = holder.get("schema"), holder.get("name")
        if isinstance(schema, Mapping):
            account.keys.change(path, "output.schema, named by its title; strict where the schema allows it")
            return titled_schema(name, schema)
        account.lose(path, "there is no schema in it", form)
    elif kind == "text":
        account.keys.keep(*path)
    else:
        account.lose(path, "an unknown format", form)
    return None
