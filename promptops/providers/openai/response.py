"""Whole replies of OpenAI's chat completions as completions (pure)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.providers.errors import error_from_payload, excerpt, looks_like_html
from promptops.providers.json_body import decode_json
from promptops.providers.openai.outcome import (
    canonical_finish,
    ended_well,
    raise_reported,
    with_completion,
)
from promptops.providers.openai.thinking import ThinkingSplitter
from promptops.providers.types import REFUSAL, Completion, ModelError

_BASE_HINT = "the base URL usually ends in /v1; check the variable that sets it"
_MAX_COUNT = 2**53  # tokens: a larger number is none
_MAX_USD = 1e6  # for one call: a larger number is none


def completion_from_body(body: bytes, model: str) -> Completion:
    """The completion in a whole reply; ``model`` stands in where the reply names none."""
    return completion_from_payload(_load(body), model)


def completion_from_payload(payload: Mapping[str, Any], model: str) -> Completion:
    choice = _first_choice(payload)
    message = as_mapping(choice.get("message"))
    split = ThinkingSplitter()
    content = content_text(message)
    text = split.feed(content) + split.end()
    refusal = as_text(message.get("refusal"))
    completion = Completion(
        text=text or refusal or "",
        response_model=as_text(payload.get("model")) or model,
        finish_reason=_finish(choice, refusal=bool(refusal and not text)),
        tool_calls=whole_calls(message),
        response_id=as_text(payload.get("id")),
        reasoning=_reasoning(reasoning_text(message), split.thoughts),
        service_tier=answered_tier(payload),
        **token_usage(payload),
    )
    raise_reported(payload, completion)
    raise_reported(choice, completion)
    if error := message_error(choice.get("message")):
        ended_well(completion)  # why there is none says more
        raise with_completion(error, completion)
    return ended_well(completion)


def _load(body: bytes) -> Mapping[str, Any]:
    if looks_like_html(body):
        raise ModelError("malformed_reply", "the endpoint answered with an HTML page", hint=_BASE_HINT)
    try:
        payload = decode_json(body)
    except ValueError:
        what = f"the endpoint did not answer with JSON: {excerpt(body) or 'nothing'}"
        raise ModelError("malformed_reply", what) from None
    if isinstance(payload, list) and payload and isinstance(payload[0], Mapping):
        raise_reported(payload[0])
    if not isinstance(payload, Mapping):
        raise ModelError(
            "malformed_reply", f"the reply is not a JSON object: {excerpt(body)}", hint=_BASE_HINT
        )
    return payload


def _first_choice(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = as_list(payload.get("choices"))
    if not choices:
        raise_reported(payload)
        if payload.get("message") or payload.get("detail"):
            raise error_from_payload(payload)
    if not choices or not isinstance(choices[0], Mapping):
        raise ModelError(
            "malformed_reply", "the reply holds no choices", hint="the provider returned no answer"
        )
    return choices[0]


def _finish(choice: Mapping[str, Any], *, refusal: bool) -> str | None:
    reason = canonical_finish(choice.get("finish_reason"))
    return REFUSAL if refusal and reason in {"stop", None} else reason


def content_text(message: Mapping[str, Any]) -> str:
    """Content as text: a string, or a list of parts, of which the text ones are joined."""
    content = message.get("content")
    parts = [part if isinstance(part, str) else as_mapping(part).get("text") for part in as_list(content)]
    return "".join(as_text(part) or "" for part in parts) or as_text(content) or ""


def message_error(message: Any) -> ModelError | None:
    """Of a message whose content is in no known form: it is not taken for an empty answer."""
    if not isinstance(message, Mapping | None):
        return ModelError("malformed_reply", "the message of the reply is not an object")
    content = as_mapping(message).get("content")
    parts = content if isinstance(content, list) else [content]
    if all(isinstance(part, str | Mapping | None) for part in parts) and not isinstance(content, Mapping):
        return None
    shown = excerpt(json.dumps(content, ensure_ascii=False).encode(errors="replace"))
    return ModelError("malformed_reply", f"the content of the reply is not a text: {shown}")


def reasoning_text(message: Mapping[str, Any]) -> str:
    """What providers send beside the answer; the same is often sent under both names."""
    return as_text(message.get("reasoning_content")) or as_text(message.get("reasoning")) or ""


def _reasoning(*parts: str) -> str | None:
    return "\n".join(part for part in parts if part) or None


def whole_calls(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    given = message.get("tool_calls")
    some = [given] if isinstance(given, Mapping) and given.get("function") else as_list(given)
    calls = [call for call in some if isinstance(call, Mapping)]
    old = message.get("function_call")
    if not calls and isinstance(old, Mapping) and old.get("name"):
        calls = [{"type": "function", "function": dict(old)}]
    return tuple(calls)


def token_usage(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts and what was billed under Completion's names; None where the provider does not say."""
    usage = as_mapping(payload.get("usage")) or as_mapping(as_mapping(payload.get("x_groq")).get("usage"))
    sent = as_mapping(usage.get("prompt_tokens_details"))
    answered = as_mapping(usage.get("completion_tokens_details"))
    written = as_mapping(sent.get("cache_creation_token_details"))
    return {
        "input_tokens": _count(usage.get("prompt_tokens")),
        "output_tokens": _output_tokens(usage, _count(answered.get("reasoning_tokens"))),
        "cached_tokens": _count(sent.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))),
        "cache_write_tokens": _count(sent.get("cache_write_tokens", sent.get("cache_creation_tokens"))),
        "cache_write_1h_tokens": _count(written.get("ephemeral_1h_input_tokens")),
        "reasoning_tokens": _count(answered.get("reasoning_tokens")),
        "input_audio_tokens": _count(sent.get("audio_tokens")),
        "input_image_tokens": _count(sent.get("image_tokens")),
        "output_audio_tokens": _count(answered.get("audio_tokens")),
        "output_image_tokens": _count(answered.get("image_tokens")),
        "cost_usd": _billed(usage),
    }


def answered_tier(payload: Mapping[str, Any]) -> str | None:
    """The service tier that answered; some providers say it among the counts of tokens."""
    usage = as_mapping(payload.get("usage"))
    return as_text(payload.get("service_tier")) or as_text(usage.get("service_tier"))


def _billed(usage: Mapping[str, Any]) -> float | None:
    """Dollars that the provider says it has billed, with what one's own key at its provider has cost."""
    cost = usage.get("cost")
    billed = _dollars(as_mapping(cost).get("total_cost") if isinstance(cost, Mapping) else cost)
    if billed is None or not usage.get("is_byok"):
        return billed
    own = _dollars(as_mapping(usage.get("cost_details")).get("upstream_inference_cost"))
    return None if own is None else billed + own


def _dollars(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MAX_USD else None


def _output_tokens(usage: Mapping[str, Any], reasoning: int | None) -> int | None:
    """Completion tokens, with the reasoning tokens that some providers count beside and not among them."""
    sent, answered = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if None in (sent, answered) or not reasoning:
        return answered
    beside = usage.get("total_tokens") == (sent or 0) + (answered or 0) + reasoning
    return (answered or 0) + reasoning if beside else answered


def arguments_text(value: Any) -> str:
    """Arguments of a call as text, which some servers send as an object."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else as_text(value) or ""


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def as_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT
    return value if whole else None
