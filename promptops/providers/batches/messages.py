"""Anthropic's Messages format: requests through litellm's translation, replies as completions.

Direct calls of Anthropic's models go through litellm, so that its translation writes the requests of a batch
as well: the two ways give the same body. Replies are read here, each part of them bounded and checked.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from promptops.providers.batches.translation import require_litellm, translated_body
from promptops.providers.openai.response import as_list, as_mapping, as_text, completion_from_payload
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.providers.types import Completion

_JSON_TOOL = "json_tool_call"  # litellm's, by which models without structured outputs are asked for JSON
_CALLS = frozenset({"tool_use", "server_tool_use"})
_STOPS = {"refusal": "content_filter"}  # as direct calls have it: a classifier stopped the answer


class MessagesWriter:
    """Writes requests; ``betas`` collects the names of trial features that they need as a header."""

    def __init__(self, model: str) -> None:
        """``model`` is Anthropic's name. Raises ModelError where litellm is not installed."""
        require_litellm(f"anthropic/{model}")
        self._model = model
        self.betas: set[str] = set()

    def params(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The ``params`` of a request, from what litellm would be called with. Raises ModelError."""
        given = dict(arguments)
        metadata = given.pop("metadata", None)

        def finish(litellm: Any, messages: list[Any], optional: dict[str, Any]) -> dict[str, Any]:
            return self._body(litellm, messages, optional, dict(metadata or {}))

        return translated_body("anthropic", self._model, given, finish)

    def _body(
        self, litellm: Any, messages: list[Any], optional: dict[str, Any], metadata: dict[str, Any]
    ) -> dict[str, Any]:
        settings: dict[str, Any] = {"metadata": metadata, "drop_params": False}
        config = litellm.AnthropicConfig()
        headers = config.validate_environment(
            headers={},
            model=self._model,
            messages=messages,
            optional_params=optional,
            litellm_params={},
            api_key="not-sent",
        )
        body: dict[str, Any] = config.transform_request(
            model=self._model,
            messages=messages,
            optional_params=optional,
            litellm_params=settings,
            headers=headers,
        )
        if any("reverse_map" in name for name in settings):
            raise ModelError("bad_request", "a tool's name has characters that Anthropic refuses")
        named = str(headers.get("anthropic-beta") or "").split(",")
        self.betas |= {name.strip() for name in named if name.strip()}
        return body


def completion_from_message(message: Mapping[str, Any], model: str) -> Completion:
    """The completion in a reply of the Messages API. Raises ModelError, as for a reply of OpenAI's."""
    if not isinstance(message.get("content"), list):
        raise ModelError("malformed_reply", "the reply holds no content")
    parts = [as_mapping(part) for part in as_list(message["content"])]
    calls = [part for part in parts if part.get("type") in _CALLS and part.get("name") != _JSON_TOOL]
    answers = [part for part in parts if part.get("name") == _JSON_TOOL]
    stop = message.get("stop_reason")
    if answers and not calls and stop == "tool_use":
        stop = "end_turn"
    content = [part for part in parts if part.get("type") not in _CALLS and not _is_tool_result(part)]
    payload = {
        "id": message.get("id"),
        "model": message.get("model"),
        "choices": [
            {
                "message": {
                    "content": content + [_answer(part) for part in answers],
                    "tool_calls": [_call(part) for part in calls],
                },
                "finish_reason": _STOPS.get(stop, stop) if isinstance(stop, str) else stop,
            }
        ],
        "usage": _usage(as_mapping(message.get("usage"))),
    }
    return completion_from_payload(payload, model)


def _is_tool_result(part: Mapping[str, Any]) -> bool:
    """What a tool on the provider's side has found: no part of the answer."""
    return str(part.get("type")).endswith("_tool_result")


def _answer(part: Mapping[str, Any]) -> dict[str, Any]:
    """JSON that was asked for as the arguments of a call."""
    given = part.get("input")
    values = as_mapping(given).get("values", given)
    return {"type": "text", "text": json.dumps(values, ensure_ascii=False)}


def _call(part: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(part.get("input") or {}, ensure_ascii=False)
    function = {"name": as_text(part.get("name")), "arguments": arguments}
    return {"id": part.get("id"), "type": "function", "function": function}


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """With thinking tokens under the name that the others use."""
    details = as_mapping(usage.get("output_tokens_details"))
    if "thinking_tokens" not in details:
        return dict(usage)
    return {**usage, "output_tokens_details": {**details, "reasoning_tokens": details["thinking_tokens"]}}
