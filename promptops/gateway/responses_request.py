"""``POST /v1/responses``: what a request asks for, in the shape of OpenAI's reusable prompts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.gateway.access import Caller
from promptops.gateway.answering import ServedRequest
from promptops.gateway.body import flag_in, metadata_in, object_in, objects_in, text_in, wrong_type
from promptops.gateway.caller_parameters import ignored_parameters, tools_in
from promptops.gateway.chat_request import MAX_NAME, call_of
from promptops.gateway.errors import ApiError
from promptops.gateway.passthrough import Passthrough, model_call
from promptops.gateway.responses_wire import ResponsesWire
from promptops.runner.retry import Limits

_OWN = ("prompt", "input", "metadata", "stream", "user", "safety_identifier")
_MAX_INSTRUCTIONS = 1_000_000
_PARAMETERS = ("temperature", "top_p", "max_output_tokens", "reasoning", "text")
_ID_OF_OPENAI = "pmpt_"
_DEFAULT_CHANNEL = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponsesReader:
    """Reads requests by the settings of one project. ``aliases``: prompts by the ids that code has."""

    limits: Limits
    passthrough: Passthrough
    aliases: Mapping[str, str] = field(default_factory=dict)
    refuse_parameters: bool = False

    def read(self, body: Mapping[str, Any], headers: Mapping[str, str], caller: Caller) -> ServedRequest:
        """Raises ApiError, or NotFound for a prompt that is not served."""
        prompt = object_in(body, "prompt")
        own = _OWN if prompt is not None else (*_OWN, "model")
        reference = self._reference(prompt) if prompt is not None else _model(body)
        chat = tuple(_chat(body))
        inputs = _variables(prompt or {})
        if prompt is None and not chat:
            raise ApiError(400, "`input` is missing: what the prompt takes", "missing_parameter", "input")
        asked = {"reference": reference, "inputs": inputs, "chat": chat, "metadata": metadata_in(body)}
        call = call_of(body, headers, caller, self.limits, **asked)
        model = self.passthrough.find(reference, caller) if prompt is None else None
        if model:
            own = (*own, "instructions", *_PARAMETERS)
            call = model_call(call, model, _instructed(body, chat), _parameters(body, model), tools_in(body))
        else:
            caller.check_reference(reference)
            call = replace(call, caller_tools=tools_in(body))
        return ServedRequest(
            call=call,
            wire=ResponsesWire,
            stream=flag_in(body, "stream"),
            ignored=ignored_parameters(body, own, refuse=self.refuse_parameters),
        )

    def _reference(self, prompt: Mapping[str, Any]) -> str:
        """``{id, version}``: a number is a released version, another word a channel, none is production."""
        name, version = (
            text_in(prompt, "id", longest=MAX_NAME),
            text_in(prompt, "version", longest=MAX_NAME),
        )
        if not name:
            raise ApiError(400, "`prompt.id` is missing: the name of a prompt", "missing_parameter", "prompt")
        if name.startswith(_ID_OF_OPENAI) and name not in self.aliases:
            hint = f"promptops.yaml names it, before serve starts: serve: {{aliases: {{{name[:80]}: NAME}}}}"
            raise NotFound(f"`{name}` is an id of OpenAI's, and no prompt here is mapped to it", hint=hint)
        name = self.aliases.get(name, name)
        if version is None:
            return f"{name}:{_DEFAULT_CHANNEL}"
        digits = version.removeprefix("v")
        return f"{name}@v{digits}" if digits.isascii() and digits.isdecimal() else f"{name}:{version}"


def _model(body: Mapping[str, Any]) -> str:
    reference = text_in(body, "model", longest=MAX_NAME)
    if not reference:
        raise ApiError(400, "`prompt` is missing: {id, version, variables}", "missing_parameter", "prompt")
    return reference


def _instructed(body: Mapping[str, Any], chat: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    instructions = text_in(body, "instructions", longest=_MAX_INSTRUCTIONS)
    return [*([{"role": "system", "content": instructions}] if instructions else []), *chat]


def _parameters(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Those of the Responses API as the chat API names them."""
    text, reasoning = object_in(body, "text") or {}, object_in(body, "reasoning") or {}
    longest = "max_completion_tokens" if model.startswith("openai/") else "max_tokens"
    tool = tools_in(body).parameters
    found = {
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        longest: body.get("max_output_tokens"),
        "reasoning_effort": reasoning.get("effort"),
        "verbosity": text.get("verbosity"),
        "response_format": _format(object_in(text, "format")),
        **tool,
    }
    return {name: value for name, value in found.items() if value is not None}


def _format(asked: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if asked is None or asked.get("type") == "text":
        return None
    if asked.get("type") != "json_schema":
        return dict(asked)
    return {"type": "json_schema", "json_schema": {key: asked[key] for key in asked if key != "type"}}


def _variables(prompt: Mapping[str, Any]) -> dict[str, Any]:
    given = object_in(prompt, "variables") or {}
    return {name: _variable(name, value) for name, value in given.items()}


def _variable(name: str, value: Any) -> Any:
    """Any JSON value, or a part of OpenAI's that is text or an image in itself."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "input_text" and isinstance(value.get("text"), str):
        return value["text"]
    if kind == "input_image" and isinstance(value.get("image_url"), str):
        return value["image_url"]
    if kind in ("input_image", "input_file"):
        raise wrong_type(f"prompt.variables.{name[:60]}", "a text, or an image as a data: URL")
    return value


def _chat(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Items of the Responses API as messages of a chat; tool calls in a row are one message's."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    chat: list[dict[str, Any]] = []
    for message in map(_message, objects_in(body, "input", "a text, or {} items")):
        calls = message.get("tool_calls")
        if calls and chat and chat[-1]["role"] == "assistant":
            chat[-1] = {**chat[-1], "tool_calls": [*chat[-1].get("tool_calls", ()), *calls]}
        else:
            chat.append(message)
    return chat


def _message(item: Mapping[str, Any]) -> dict[str, Any]:
    kind = item.get("type", "message")
    if kind == "function_call":
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}
    if kind == "function_call_output":
        return {"role": "tool", "tool_call_id": item.get("call_id"), "content": item.get("output")}
    if kind != "message":
        raise ApiError(400, f"items of type `{str(kind)[:60]}` are not taken", "invalid_value", "input")
    role, content = item.get("role"), item.get("content")
    if isinstance(content, list):
        content = [_part(part) for part in content]
    return {"role": "system" if role == "developer" else role, "content": content}


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("input_text", "output_text", "text"):
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    raise ApiError(400, f"parts of type `{str(kind)[:60]}` are not taken", "invalid_value", "input")
