"""Whole replies of OpenAI's chat completions as completions (pure)."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from promptops.providers.errors import error_from_payload, excerpt, looks_like_html
from promptops.providers.json_body import decode_json
from promptops.providers.openai.outcome import (
    canonical_finish,
    ended_well,
    is_message,
    raise_reported,
    with_completion,
)
from promptops.providers.openai.thinking import ThinkingSplitter, split_unopened
from promptops.providers.types import REFUSAL, Completion, ModelError

_BASE_HINT = "the base URL usually ends in /v1; check the variable that sets it"
_MAX_COUNT = 2**53  # tokens: a larger number is none
_MAX_USD = 1e6  # for one call: a larger number is none
_TICKS = 10**10  # of a dollar, in which xAI bills
_NUMBER = re.compile(r"\d{1,16}(?:\.\d{1,20})?(?:[eE]-?\d{1,2})?", re.ASCII)
_BILLED = ("cost", "estimated_cost")  # OpenRouter and Perplexity, DeepInfra
_CACHED = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
_TEXT_PARTS = ("text", "output_text", None)
_THOUGHT_PARTS = ("thinking", "reasoning", "redacted_thinking")
_THOUGHT_NAMES = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
_THOUGHT_KEYS = ("text", "summary", "thinking", "reasoning", "content")


def completion_from_body(body: bytes, model: str) -> Completion:
    """The completion in a whole reply; ``model`` stands in where the reply names none."""
    return completion_from_payload(_load(body), model)


def completion_from_payload(payload: Mapping[str, Any], model: str) -> Completion:
    choice = _first_choice(payload)
    message = answer_message(choice)
    split = ThinkingSplitter()
    content = content_text(message)
    unopened, text = split_unopened(split.feed(content) + split.end())
    refusal = refusal_text(message)
    completion = Completion(
        text=text or refusal,
        response_model=as_text(payload.get("model")) or model,
        finish_reason=refused_finish(canonical_finish(choice.get("finish_reason")), refusal),
        tool_calls=whole_calls(message),
        response_id=as_text(payload.get("id")),
        system_fingerprint=as_text(payload.get("system_fingerprint")),
        reasoning="\n".join(filter(None, (reasoning_text(message), split.thoughts, unopened))) or None,
        service_tier=answered_tier(payload),
        **token_usage(payload),
    )
    completion = without_false_zeros(completion)
    raise_reported(payload, completion)
    raise_reported(choice, completion)
    came = completion.text or completion.tool_calls or completion.reasoning
    if error := message_error(choice.get("message")) or (None if came else _unread(choice)):
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
    if not is_mapping(payload):
        raise ModelError(
            "malformed_reply", f"the reply is not a JSON object: {excerpt(body)}", hint=_BASE_HINT
        )
    return payload


def _first_choice(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = as_list(payload.get("choices"))
    if not choices:
        raise_reported(payload)
        if is_message(payload):
            raise error_from_payload(payload)
    if not choices or not is_mapping(choices[0]):
        raise ModelError(
            "malformed_reply", "the reply holds no choices", hint="the provider returned no answer"
        )
    return choices[0]


def answer_message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice; that of plain completions is a text beside it, and some call it a delta."""
    message, text = choice.get("message"), as_text(choice.get("text"))
    if message is None:
        return {"content": text} if text else as_mapping(choice.get("delta"))
    return as_mapping(message)


def refused_finish(reason: str | None, refusal: str) -> str | None:
    return REFUSAL if refusal and reason in {"stop", None} else reason


def content_text(message: Mapping[str, Any]) -> str:
    """Content as text: a string, or a list of parts, of which the text ones are joined."""
    content = message.get("content")
    if isinstance(content, str):  # as in nearly all
        return content
    parts = [part if isinstance(part, str) else _part_text(as_mapping(part)) for part in as_list(content)]
    return "".join(as_text(part) or "" for part in parts) or as_text(content) or ""


def _part_text(part: Mapping[str, Any]) -> Any:
    return part.get("text") if part.get("type", "text") in _TEXT_PARTS else None


def refusal_text(message: Mapping[str, Any]) -> str:
    """What the model says in place of an answer, beside the content or as a part of it."""
    parts = (as_mapping(part).get("refusal") for part in as_list(message.get("content")))
    return as_text(message.get("refusal")) or "".join([as_text(part) or "" for part in parts])


def _unread(choice: Mapping[str, Any]) -> ModelError | None:
    if not choice.keys() & {"message", "text", "delta"}:
        return ModelError("malformed_reply", "the reply holds a choice without a message")
    return unread_part(answer_message(choice))


def message_error(message: Any) -> ModelError | None:
    """Of a message whose content is in no known form: it is not taken for an empty answer."""
    if message is not None and not is_mapping(message):
        return ModelError("malformed_reply", "the message of the reply is not an object")
    content = as_mapping(message).get("content")
    if content is None or isinstance(content, str):
        return None
    parts = content if isinstance(content, list) else [content]
    if all(isinstance(part, str | Mapping | None) for part in parts) and not isinstance(content, Mapping):
        return None
    return _no_text(content)


def unread_part(message: Mapping[str, Any]) -> ModelError | None:
    """Of content in parts that are not read here, such as an image: where nothing else comes, none came."""
    parts = as_list(message.get("content"))
    known = (*_TEXT_PARTS, *_THOUGHT_PARTS, "refusal")
    return None if all(as_mapping(part).get("type") in known for part in parts) else _no_text(parts)


def _no_text(content: Any) -> ModelError:
    shown = excerpt(json.dumps(content, ensure_ascii=False).encode(errors="replace"))
    return ModelError("malformed_reply", f"the content of the reply is not a text: {shown}")


def reasoning_text(message: Mapping[str, Any]) -> str:
    """What providers send beside the answer; the same is often sent under several names."""
    for name in _THOUGHT_NAMES:
        if (value := message.get(name)) is not None and (thought := _thought(value)):
            return thought
    parts = as_list(message.get("content"))
    return "".join([_thought(part) for part in parts if as_mapping(part).get("type") in _THOUGHT_PARTS])


def _thought(value: Any) -> str:
    """Thoughts as text, as parts, or as an object of either."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return next(filter(None, (_thought(value.get(key)) for key in _THOUGHT_KEYS)), "")
    return "".join(map(_thought, as_list(value))) or as_text(value) or ""


def whole_calls(message: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    given = message.get("tool_calls")
    some = [given] if is_mapping(given) and given.get("function") else as_list(given)
    calls = [call for call in some if is_mapping(call)]
    return tuple(map(_plain_call, calls or old_call(message)))


def old_call(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The one call of the form before tool calls; in a stream, a piece of it."""
    old = as_mapping(message.get("function_call"))
    return [{"type": "function", "function": dict(old)}] if any(old.values()) else ()


def _plain_call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """A call whose id and arguments are the texts that they are meant to be."""
    function, number = call.get("function"), call.get("id")
    plain = {**call, "id": call_id(number)} if number is not None else dict(call)
    if isinstance(function, Mapping):
        plain["function"] = {**function, "arguments": arguments_text(function.get("arguments"))}
    return plain


def call_id(value: Any) -> str | None:
    return as_text(str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def token_usage(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts and what was billed under Completion's names; None where the provider does not say."""
    usage = as_mapping(payload.get("usage")) or as_mapping(as_mapping(payload.get("x_groq")).get("usage"))
    sent = as_mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    answered = as_mapping(usage.get("completion_tokens_details") or usage.get("output_tokens_details"))
    written = as_mapping(sent.get("cache_creation_token_details") or usage.get("cache_creation"))
    cached = _first_count(sent.get("cached_tokens"), *map(usage.get, _CACHED))
    cache_write = _first_count(
        sent.get("cache_write_tokens"),
        sent.get("cache_creation_tokens"),
        usage.get("cache_creation_input_tokens"),
    )
    reasoning = _first_count(answered.get("reasoning_tokens"), usage.get("reasoning_tokens"))
    return {
        "input_tokens": _input_tokens(usage) or None,  # no request has none
        "output_tokens": _output_tokens(usage, reasoning, cached or cache_write or 0),
        "cached_tokens": cached,
        "cache_write_tokens": cache_write,
        "cache_write_1h_tokens": as_count(written.get("ephemeral_1h_input_tokens")),
        "reasoning_tokens": reasoning,
        "input_audio_tokens": as_count(sent.get("audio_tokens")),
        "input_image_tokens": as_count(sent.get("image_tokens")),
        "output_audio_tokens": as_count(answered.get("audio_tokens")),
        "output_image_tokens": as_count(answered.get("image_tokens")),
        "cost_usd": _billed(usage),
    }


def answered_tier(payload: Mapping[str, Any]) -> str | None:
    """The service tier that answered; some providers say it among the counts of tokens."""
    usage = as_mapping(payload.get("usage"))
    return as_text(payload.get("service_tier")) or as_text(usage.get("service_tier"))


def _billed(usage: Mapping[str, Any]) -> float | None:
    """Dollars that the provider says it has billed, with what one's own key at its provider has cost."""
    cost = next((usage[key] for key in _BILLED if usage.get(key) is not None), None)
    billed = _dollars(as_mapping(cost).get("total_cost") if isinstance(cost, Mapping) else cost)
    if billed is None and (ticks := as_count(usage.get("cost_in_usd_ticks"))) is not None:
        billed = _dollars(ticks / _TICKS)
    if billed is None or not usage.get("is_byok"):
        return billed
    own = _dollars(as_mapping(usage.get("cost_details")).get("upstream_inference_cost"))
    return None if own is None else billed + own


def _dollars(value: Any) -> float | None:
    found = _number(value)
    return None if found is None or found > _MAX_USD else float(found)


def _number(value: Any) -> int | float | None:
    """A number of at least 0, or the decimal digits of one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return value if fits else None


def _input_tokens(usage: Mapping[str, Any]) -> int | None:
    """Of both spellings; what the second counts beside its input is input, too."""
    counted = as_count(usage.get("prompt_tokens"))
    if counted is not None or (counted := as_count(usage.get("input_tokens"))) is None:
        return counted
    return counted + sum(
        as_count(usage.get(f"cache_{kind}_input_tokens")) or 0 for kind in ("read", "creation")
    )


def _output_tokens(usage: Mapping[str, Any], reasoning: int | None, cached: int) -> int | None:
    """Completion tokens, with the reasoning tokens that some providers count beside and not among them.

    Google's endpoint names them nowhere, but in the total.
    """
    sent, answered = (
        _input_tokens(usage),
        _first_count(*map(usage.get, ("completion_tokens", "output_tokens"))),
    )
    total = as_count(usage.get("total_tokens"))
    if sent is None or answered is None or total is None:
        return answered
    beside = total - sent - answered
    thought = beside == reasoning if reasoning else beside > 0 and not cached
    return answered + beside if thought else answered


def without_false_zeros(completion: Completion) -> Completion:
    """An answer that has no tokens was not counted."""
    if completion.output_tokens == 0 and (completion.text or completion.tool_calls):
        return replace(completion, output_tokens=None)
    return completion


def arguments_text(value: Any) -> str:
    """Arguments of a call as text, which some servers send as JSON."""
    plain = isinstance(value, str | None)
    return as_text(value) or "" if plain else json.dumps(value, ensure_ascii=False)


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if is_mapping(value) else {}


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return type(value) is dict or (value is not None and isinstance(value, Mapping))  # the second is slow


def as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def as_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def as_count(value: Any) -> int | None:
    if value is None or type(value) is int:  # as nearly all are
        return value if value is not None and 0 <= value < _MAX_COUNT else None
    found = _number(value)
    whole = found is not None and found < _MAX_COUNT and found == int(found)
    return int(found) if found is not None and whole else None


def _first_count(*values: Any) -> int | None:
    for value in values:
        if value is not None and (found := as_count(value)) is not None:
            return found
    return None
