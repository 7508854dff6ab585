"""How a generation ended: an allow-list of the good ends, and what every other one means."""

import re
from collections.abc import Mapping
from typing import Any

from promptops.providers.errors import error_from_payload, error_hint, sanitize_line
from promptops.providers.types import REFUSAL, Completion, ErrorType, ModelError

_GOOD = {
    "stop": "stop eos eos_token eos_found endoftext end_turn end_of_turn stop_sequence stop_sequence_reached "
    "stop_string_found stop_token complete completed normal",
    "length": "length max_length max_len max_tokens max_new_tokens max_output_tokens model_length "
    "token_limit max_predicted_tokens_reached",
    "tool_calls": "tool_calls tool_call tool_use",
    "function_call": "function_call",
    REFUSAL: REFUSAL,
}
GOOD_FINISHES = tuple(word for words in _GOOD.values() for word in words.split())
"""In lower case, words joined by ``_``, without a ``finish_reason`` in front."""
_CANONICAL = {spelling: reason for reason, spellings in _GOOD.items() for spelling in spellings.split()}
_FILTERED = (
    "content_filter",
    "content_filtered",
    "safety",
    "recitation",
    "blocklist",
    "blacklist",
    "prohibited_content",
    "spii",
    "model_armor",
    "error_toxic",
    "sensitive",
    "guardrail",
    "guardrail_intervened",
    "moderation",
)
_FULL = (
    "context_length_exceeded",
    "context_window_exceeded",
    "model_context_window_exceeded",
    "context_length",
    "context_length_reached",
    "error_limit",
)
_PREFIX = re.compile(r"^(?:(?:finish_)?reason[_.])?(?:image_(?=safety|recitation|prohibited))?")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def canonical_finish(reason: Any) -> str | None:
    """OpenAI's word for a good end, in whatever spelling; another reason stays as it is, be it no word."""
    if reason is None or reason in ("", "null"):
        return None
    word = reason if isinstance(reason, str) else repr(reason)
    return _CANONICAL.get(word) or _CANONICAL.get(_plain(word), word)


def ended_well(completion: Completion) -> Completion:
    """The completion itself. Raises ModelError where the generation did not end well."""
    if error := _finish_error(completion.finish_reason):
        raise with_completion(error, completion)
    if problem := _missing_part(completion):
        raise with_completion(ModelError("malformed_reply", problem), completion)
    return completion


def _missing_part(completion: Completion) -> str:
    """What an answer lacks to be one; "" where it is whole."""
    calls, nothing = completion.tool_calls, not completion.text and not completion.tool_calls
    if completion.finish_reason is None and nothing:
        return "the reply holds neither an answer nor why there is none"
    if completion.finish_reason in ("tool_calls", "function_call") and nothing:
        return f"the reply ends with {completion.finish_reason}, and holds no call"
    if not all(map(_has_name, calls)):
        return "the reply holds a tool call without a name"
    return ""


def _has_name(call: Mapping[str, Any]) -> bool:
    function = call.get("function")
    return call.get("type", "function") != "function" or (
        isinstance(function, Mapping) and isinstance(function.get("name"), str) and bool(function["name"])
    )


def with_completion(error: ModelError, completion: Completion) -> ModelError:
    """The error of a generation that came, whatever it was worth."""
    error.completion = completion
    error.partial = error.partial or completion.text
    return error


def is_good_finish(reason: str) -> bool:
    return reason in _CANONICAL or _plain(reason) in _CANONICAL


def _finish_error(reason: str | None) -> ModelError | None:
    if reason is None or is_good_finish(reason):
        return None
    kind, message = _meaning(_plain(reason))
    return ModelError(kind, f"{message} (finish_reason: {sanitize_line(reason)})", hint=error_hint(kind, {}))


def reported_error(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The payload where it reports an error, whatever its status; an error of no content is none."""
    error = payload.get("error")
    if error is not None and isinstance(error, Mapping):
        return payload if any(error.values()) else None
    if error or (payload.get("errors") and not payload.get("choices")):
        return payload
    if isinstance(groq := payload.get("x_groq"), Mapping) and groq.get("error"):
        return {"error": groq["error"]}
    if isinstance(state := payload.get("base_resp"), Mapping) and state.get("status_code"):  # MiniMax
        return {"error": {"message": state.get("status_msg"), "code": state["status_code"]}}
    return payload if payload.get("object") == "error" or payload.get("type") == "error" else None


def is_message(payload: Mapping[str, Any]) -> bool:
    """Whether a server says something in place of an answer."""
    return not payload.get("choices") and any(map(payload.get, ("message", "detail", "msg")))


def raise_reported(payload: Mapping[str, Any], completion: Completion | None = None) -> None:
    if (found := reported_error(payload)) is not None:
        error = error_from_payload(found)
        raise with_completion(error, completion) if completion else error


def _meaning(reason: str) -> tuple[ErrorType, str]:
    if any(reason == word or reason.startswith((f"{word}:", f"{word} ")) for word in _FILTERED):
        return "content_filter", "the provider's content filter stopped the answer"
    if reason in _FULL:
        return "context_exceeded", "the model's context window is full"
    return "server", "the provider did not finish the answer"


def _plain(reason: str) -> str:
    return _PREFIX.sub("", _CAMEL.sub("_", reason.strip()).lower().replace("-", "_"))
