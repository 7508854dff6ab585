"""``POST /v1/chat/completions``: what a request asks for. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from promptops.dataclass import dataclass
from promptops.gateway.access import Caller
from promptops.gateway.answering import ServedRequest
from promptops.gateway.body import (
    flag_in,
    metadata_in,
    object_in,
    objects_in,
    parse_bounded_json,
    text_in,
    wrong_type,
)
from promptops.gateway.caller_parameters import ignored_parameters, tools_in
from promptops.gateway.chat_wire import ChatWire
from promptops.gateway.errors import ApiError
from promptops.gateway.passthrough import PARAMETERS, Passthrough, model_call
from promptops.runner.retry import Limits
from promptops.service import CallRequest

UNIT_HEADER = "X-Promptops-Unit"
_MAX_UNIT = 512
MAX_NAME = 300  # of a model, or a prompt
_OWN = ("model", "messages", "metadata", "stream", "stream_options", "user", "safety_identifier")
_OF_PROMPTS = (*_OWN, "inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReader:
    """Reads requests by the settings of one project."""

    limits: Limits
    passthrough: Passthrough
    refuse_parameters: bool = False

    def read(self, body: Mapping[str, Any], headers: Mapping[str, str], caller: Caller) -> ServedRequest:
        """Raises ApiError, or NotFound for a model that is no served reference."""
        reference = text_in(body, "model", longest=MAX_NAME)
        if not reference:
            raise ApiError(400, "`model` is missing: NAME:CHANNEL or NAME@vN", "missing_parameter", "model")
        options = object_in(body, "stream_options") or {}
        call = call_of(body, headers, caller, self.limits, reference=reference)
        if model := self.passthrough.find(reference, caller):
            known, call = (*_OWN, *PARAMETERS), _model_call(call, model, body)
        else:
            caller.check_reference(reference)
            known, call = _OF_PROMPTS, _prompt_call(call, body)
        return ServedRequest(
            call=call,
            wire=partial(ChatWire, include_usage=flag_in(options, "include_usage")),
            stream=flag_in(body, "stream"),
            ignored=ignored_parameters(body, known, refuse=self.refuse_parameters),
        )


def call_of(
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    caller: Caller,
    limits: Limits,
    **asked: Any,
) -> CallRequest:
    """What a request says of its call whichever API it came by: for whom it is, and by which key."""
    asked.setdefault("inputs", {})
    return CallRequest(
        unit=unit_of(body, headers), limits=limits, tenant=caller.tenant, api_key=caller.key_id, **asked
    )


def _prompt_call(call: CallRequest, body: Mapping[str, Any]) -> CallRequest:
    inputs = _inputs(body)
    return replace(
        call,
        inputs=inputs or {},
        chat=_messages(body, optional=inputs is not None),
        chat_optional=True,  # frameworks cannot send none
        metadata=metadata_in(body, without="inputs"),
        caller_tools=tools_in(body),
    )


def _model_call(call: CallRequest, model: str, body: Mapping[str, Any]) -> CallRequest:
    sent = {name: body[name] for name in PARAMETERS if body.get(name) is not None}
    logged = replace(call, metadata=metadata_in(body))
    return model_call(logged, model, _messages(body, optional=False), sent, tools_in(body))


def unit_of(body: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    """Whom a call is for: the header, else what SDKs send."""
    given = headers.get(UNIT_HEADER)
    if given is not None and len(given) > _MAX_UNIT:
        raise ApiError(400, f"{UNIT_HEADER} is longer than {_MAX_UNIT} characters", "invalid_value")
    named = (text_in(body, key, longest=_MAX_UNIT) for key in ("safety_identifier", "user"))
    return given or next((unit for unit in named if unit), None)


def _inputs(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """``inputs``, or ``metadata.inputs``: an object, or one as JSON where an SDK takes strings alone."""
    if body.get("inputs") is not None:
        return object_in(body, "inputs")
    given = (object_in(body, "metadata") or {}).get("inputs")
    if isinstance(given, str):
        try:
            given = parse_bounded_json(given)
        except ValueError:
            raise wrong_type("metadata.inputs", "a JSON object") from None
    if given is not None and not isinstance(given, dict):
        raise wrong_type("metadata.inputs", "a JSON object")
    return given


def _messages(body: Mapping[str, Any], *, optional: bool) -> Sequence[Mapping[str, Any]]:
    messages = objects_in(body, "messages", "{} messages")
    if not messages and not optional:
        raise ApiError(
            400, "`messages` or `inputs` is missing: they are the inputs of the prompt", "missing_parameter"
        )
    return messages
