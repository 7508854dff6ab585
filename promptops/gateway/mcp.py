"""Released prompts in the Model Context Protocol: JSON-RPC, a message a line. Nothing is called or logged."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from promptops._version import __version__
from promptops.config.json_text import parse_strict_json
from promptops.dataclass import dataclass
from promptops.errors import NotFound, PromptopsError
from promptops.gateway.errors import message_for_clients
from promptops.gateway.references import check_served_reference
from promptops.prompt import Input
from promptops.service import CallRequest, Service
from promptops.versions.references import suggest_nearest
from promptops.versions.resolve import Version

PROTOCOL_VERSIONS = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")  # the newest first
_PARSE_ERROR, _INVALID_REQUEST, _NO_METHOD, _INVALID_PARAMS = -32700, -32600, -32601, -32602
_MAX_LINE_BYTES = 4_000_000
_MAX_COMPLETIONS = 100

Params = Mapping[str, Any]


class _RpcError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class McpServer:
    """Answers one client, whose lines come in and go out in order."""

    service: Service

    def serve(self, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        """Until there are no more lines; ``read`` gives one, of so many bytes at most."""
        while line := read(_MAX_LINE_BYTES + 1):
            if line.strip() and (answer := self._answer(line)) is not None:
                write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any] | None:
        """None for notifications, which nobody waits for."""
        try:
            message = _decode(line)
        except _RpcError as error:
            return _failure(None, error)
        number = message.get("id")
        if "method" not in message or ("id" not in message):
            return None
        try:
            result = self._result(str(message["method"]), message.get("params") or {})
        except _RpcError as error:
            return _failure(number, error)
        except PromptopsError as error:
            return _failure(number, _RpcError(_INVALID_PARAMS, message_for_clients(error)))
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def _result(self, method: str, params: Any) -> dict[str, Any]:
        methods: dict[str, Callable[[Params], dict[str, Any]]] = {
            "initialize": _initialize,
            "ping": lambda _: {},
            "prompts/list": self._list,
            "prompts/get": self._get,
            "completion/complete": self._complete,
        }
        if method not in methods:
            raise _RpcError(_NO_METHOD, f"no method {method[:60]}")
        if not isinstance(params, dict):
            raise _RpcError(_INVALID_PARAMS, "params must be an object")
        return methods[method](params)

    def _list(self, _: Params) -> dict[str, Any]:
        return {"prompts": [_describe(name, version) for name, version in sorted(self._served().items())]}

    def _get(self, params: Params) -> dict[str, Any]:
        name, given = _text(params, "name"), params.get("arguments") or {}
        version = self._version(name)
        if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
            raise _RpcError(_INVALID_PARAMS, "arguments must be texts by their names")
        inputs = {key: _value(version.prompt.inputs.get(key), key, text) for key, text in given.items()}
        call = self.service.ready(CallRequest(reference=name, inputs=inputs), called=False)
        messages = [_message(each) for each in call.prepared.rendered.messages]
        return {"description": version.prompt.description, "messages": messages}

    def _complete(self, params: Params) -> dict[str, Any]:
        """The values of an input that has few, and of references for a client that asks for them."""
        reference, argument = params.get("ref"), params.get("argument")
        if not isinstance(reference, dict) or not isinstance(argument, dict):
            raise _RpcError(_INVALID_PARAMS, "ref and argument must be objects")
        declared = self._version(_text(reference, "name")).prompt.inputs.get(_text(argument, "name"))
        values = [str(value) for value in (declared.schema.get("enum") or ())] if declared else []
        begun = [value for value in values if value.startswith(_text(argument, "value"))]
        shown = begun[:_MAX_COMPLETIONS]
        return {"completion": {"values": shown, "total": len(begun), "hasMore": len(begun) > len(shown)}}

    def _served(self) -> Mapping[str, Version]:
        return self.service.loop.result(self.service.serving())

    def _version(self, name: str) -> Version:
        """What a served name means now; NAME@vN need not be live. Raises NotFound."""
        served = self._served()
        if name in served:
            return served[name]
        if "@" in check_served_reference(name):
            return self.service.find(name)
        raise NotFound(f"nothing is served as `{name[:300]}`", hint=suggest_nearest(name, sorted(served), ""))


def _decode(line: bytes) -> dict[str, Any]:
    if len(line) > _MAX_LINE_BYTES:
        raise _RpcError(_INVALID_REQUEST, f"a message is longer than {_MAX_LINE_BYTES // 1_000_000} MB")
    try:
        message = parse_strict_json(line)
    except ValueError:
        raise _RpcError(_PARSE_ERROR, "not JSON") from None
    if not isinstance(message, dict):
        raise _RpcError(_INVALID_REQUEST, "not an object")
    if isinstance(message.get("id"), bool | list | dict):
        raise _RpcError(_INVALID_REQUEST, "id must be a text or a number")
    return message


def _initialize(params: Params) -> dict[str, Any]:
    asked = params.get("protocolVersion")
    return {
        "protocolVersion": asked if asked in PROTOCOL_VERSIONS else PROTOCOL_VERSIONS[0],
        "capabilities": {"prompts": {"listChanged": False}, "completions": {}},
        "serverInfo": {"name": "promptops", "version": __version__},
    }


def _describe(name: str, version: Version) -> dict[str, Any]:
    prompt = version.prompt
    arguments = [
        {"name": each.name, "description": str(each.schema.get("description", "")), "required": each.required}
        for each in prompt.inputs.values()
    ]
    return {"name": name, "description": prompt.description, "arguments": arguments}


def _value(declared: Input | None, name: str, text: str) -> Any:
    """An argument is a text: of an input that takes none it is JSON."""
    if declared is None or declared.accepts_text or declared.kind == "image":
        return text
    try:
        return parse_strict_json(text)
    except ValueError:
        raise _RpcError(_INVALID_PARAMS, f"the argument `{name}` must be JSON") from None


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """The protocol knows users and assistants: what is for the system is a user's."""
    role = "assistant" if message["role"] == "assistant" else "user"
    return {"role": role, "content": _content(message.get("content"))}


def _content(content: Any) -> dict[str, Any]:
    """One part: a text, or an image that stands alone. Others are told as JSON."""
    if content is None or isinstance(content, str):
        return {"type": "text", "text": content or ""}
    parts = [part for part in content if isinstance(part, Mapping)]
    if len(parts) == 1 and parts[0].get("type") == "image_url":
        kind, _, data = str(parts[0]["image_url"]["url"]).removeprefix("data:").partition(";base64,")
        return {"type": "image", "data": data, "mimeType": kind}
    if all(part.get("type") == "text" for part in parts):
        return {"type": "text", "text": "\n".join(str(part["text"]) for part in parts)}
    return {"type": "text", "text": json.dumps(parts, ensure_ascii=False)}


def _text(params: Params, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise _RpcError(_INVALID_PARAMS, f"{name} must be a text")
    return value


def _failure(number: Any, error: _RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": str(error)}}
