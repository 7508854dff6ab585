"""The names and values of OpenTelemetry's semantic conventions for generative AI.

Source: https://github.com/open-telemetry/semantic-conventions-genai. In 2026-11 they were
in development there.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from promptops.escapes import shorten
from promptops.telemetry.call import CallContent, CheckScore, ObservedCall

AttributeValue = str | bool | int | float | Sequence[str]
EVALUATION_EVENT = "gen_ai.evaluation.result"

_MAX_NAME = 200  # characters of what a provider says that it is
_MAX_CONTENT = 65_536  # characters of one attribute: two thousand spans may wait to be sent
_TEXT_LIMITS = (_MAX_CONTENT, 8_192, 512, 32)  # characters of each text in it, tried in turn

_PROVIDERS = {  # ours -> theirs, where the names differ
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_NUMBERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
_INTEGERS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}


def provider_and_model(model: str) -> tuple[str, str]:
    """``openai/gpt-5.4-mini`` in the conventions' words."""
    provider, slash, name = model.partition("/")
    return (_PROVIDERS.get(provider, provider), name) if slash else ("openai", model)


def metric_attributes(call: ObservedCall) -> dict[str, AttributeValue]:
    """What a metric is told apart by: few values each, so no ids, texts or users."""
    provider, model = provider_and_model(call.request_model)
    found: dict[str, AttributeValue | None] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.response.model": _name(call.response_model),
        "gen_ai.prompt.name": call.prompt,
        "gen_ai.prompt.version": call.version,
        "promptops.channel": call.facts.get("promptops.channel"),
        "promptops.arm": call.facts.get("promptops.arm"),
        "error.type": call.error_type,
    }
    return {name: value for name, value in found.items() if value is not None}


def span_attributes(call: ObservedCall) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue | None] = {
        **metric_attributes(call),
        "gen_ai.response.id": _name(call.response_id),
        "gen_ai.response.finish_reasons": [shorten(call.finish_reason, _MAX_NAME)]
        if call.finish_reason
        else None,
        "gen_ai.output.type": "json" if call.wants_json else "text",
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens,
        "promptops.first_token_ms": call.first_token_ms,
        "promptops.cost_usd": call.cost_usd,
        **dict(_parameters(call.parameters)),
        **call.facts,
        **(_content(call.content, call.finish_reason) if call.content else {}),
    }
    return {name: value for name, value in found.items() if value is not None}


def evaluation_attributes(check: CheckScore, call: ObservedCall) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue | None] = {
        "gen_ai.evaluation.name": check.name,
        "gen_ai.evaluation.score.label": "pass" if check.passed else "fail",
        "gen_ai.evaluation.score.value": float(check.passed) if check.value is None else check.value,
        "gen_ai.evaluation.explanation": check.explanation,
        "gen_ai.response.id": _name(call.response_id),
    }
    return {name: value for name, value in found.items() if value is not None}


def _parameters(parameters: Mapping[str, Any]) -> Iterator[tuple[str, AttributeValue]]:
    for own, theirs in _NUMBERS.items():
        if isinstance(value := parameters.get(own), int | float):
            yield theirs, float(value)
    for own, theirs in _INTEGERS.items():
        if isinstance(value := parameters.get(own), int):
            yield theirs, value
    stop = parameters.get("stop")
    stops = [stop] if isinstance(stop, str) else stop
    if stops and isinstance(stops, list):
        yield "gen_ai.request.stop_sequences", [str(one) for one in stops]


def _name(text: str | None) -> str | None:
    return text and shorten(text, _MAX_NAME)


def _content(content: CallContent, finish_reason: str | None) -> dict[str, AttributeValue]:
    """Texts in the conventions' own JSON; a system message at the head is the instructions."""
    messages = list(content.messages)
    found: dict[str, AttributeValue] = {}
    if messages and messages[0].get("role") in ("system", "developer"):
        head = messages.pop(0)
        found["gen_ai.system_instructions"] = _json(lambda limit: _parts(head, limit))
    found["gen_ai.input.messages"] = _json(lambda limit: [_message(each, limit) for each in messages])
    if content.output is not None or content.tool_calls:
        answer = {"role": "assistant", "content": content.output, "tool_calls": content.tool_calls}
        reason = shorten(finish_reason or "stop", _MAX_NAME)
        found["gen_ai.output.messages"] = _json(
            lambda limit: [{**_message(answer, limit), "finish_reason": reason}]
        )
    return found


def _message(message: Mapping[str, Any], limit: int) -> dict[str, Any]:
    return {"role": message.get("role", "user"), "parts": _parts(message, limit)}


def _parts(message: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    content = message.get("content")
    texts = [content] if isinstance(content, str) else [part.get("text") for part in content or ()]
    if message.get("role") == "tool":
        said = "\n".join(text for text in texts if isinstance(text, str))
        of = message.get("tool_call_id")
        return [{"type": "tool_call_response", "id": of, "response": shorten(said, limit)}]
    parts: list[dict[str, Any]] = [
        {"type": "text", "content": shorten(text, limit)} for text in texts if isinstance(text, str) and text
    ]
    parts += [
        {"type": "media"} for text in texts if not isinstance(text, str)
    ]  # which was sent, and is not told
    for call in message.get("tool_calls") or ():
        function = call.get("function")
        if not isinstance(function, Mapping):
            function = {}
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function.get("name", ""),
                "arguments": _arguments(function.get("arguments"), limit),
            }
        )
    return parts


def _arguments(text: Any, limit: int) -> Any:
    if isinstance(text, str) and len(text) > limit:
        return shorten(text, limit)
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text


def _json(parts: Callable[[int], list[dict[str, Any]]]) -> str:
    """With texts as long as fit; nothing where there are too many of them."""
    for limit in _TEXT_LIMITS:
        text = json.dumps(parts(limit), ensure_ascii=False)
        if len(text) <= _MAX_CONTENT:
            return text
    return "[]"
