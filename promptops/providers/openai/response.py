"""Replies and event streams of OpenAI's chat completions as completions (pure, but for the clock)."""

import time
from collections.abc import Mapping
from typing import Any

from promptops.providers.errors import error_from_payload, excerpt, looks_like_html
from promptops.providers.http.transport import HttpReply
from promptops.providers.json_body import decode_json
from promptops.providers.types import Completion, ModelError, OnText

_MAX_EVENT_LINES = 64  # of one event; more of them that are no JSON yet will not become it
_MAX_PENDING = 1024 * 1024
_BASE_HINT = "the base URL usually ends in /v1; check the variable that sets it"


def parse_reply(reply: HttpReply, model: str) -> Completion:
    """The completion in a whole reply; ``model`` stands in where the reply names none."""
    return completion_from_payload(_load(reply.body), model)


def completion_from_payload(payload: Mapping[str, Any], model: str) -> Completion:
    choice = _first_choice(payload)
    message = _mapping(choice.get("message"))
    return check_not_filtered(
        Completion(
            text=message_text(message),
            response_model=_string(payload.get("model")) or model,
            finish_reason=_string(choice.get("finish_reason")),
            tool_calls=tuple(call for call in message.get("tool_calls") or () if isinstance(call, Mapping)),
            response_id=_string(payload.get("id")),
            **token_usage(payload),
        )
    )


def _load(body: bytes) -> Mapping[str, Any]:
    if looks_like_html(body):
        raise ModelError("malformed_reply", "the endpoint answered with an HTML page", hint=_BASE_HINT)
    try:
        payload = decode_json(body)
    except ValueError:
        what = f"the endpoint did not answer with JSON: {excerpt(body) or 'nothing'}"
        raise ModelError("malformed_reply", what) from None
    if not isinstance(payload, Mapping):
        raise ModelError(
            "malformed_reply", f"the reply is not a JSON object: {excerpt(body)}", hint=_BASE_HINT
        )
    return payload


def _first_choice(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = payload.get("choices")
    if not choices and payload.get("error"):
        raise error_from_payload(payload)
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        raise ModelError(
            "malformed_reply", "the reply holds no choices", hint="the provider returned no answer"
        )
    return choices[0]


def check_not_filtered(completion: Completion) -> Completion:
    """The completion itself, unless the provider's filter withheld it."""
    if completion.finish_reason == "content_filter":
        raise ModelError(
            "content_filter", "the provider's content filter stopped the answer", partial=completion.text
        )
    return completion


def message_text(message: Mapping[str, Any]) -> str:
    """Content as text: a string, a list of parts (text ones joined), or a refusal in its place."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, Mapping))
    return _string(content) or _string(message.get("refusal")) or ""


def token_usage(payload: Mapping[str, Any]) -> dict[str, int | None]:
    """Token counts under Completion's names; None where the provider does not say."""
    usage = _mapping(payload.get("usage")) or _mapping(_mapping(payload.get("x_groq")).get("usage"))
    sent = _mapping(usage.get("prompt_tokens_details"))
    answered = _mapping(usage.get("completion_tokens_details"))
    return {
        "input_tokens": _count(usage.get("prompt_tokens")),
        "output_tokens": _output_tokens(usage, _count(answered.get("reasoning_tokens"))),
        "cached_tokens": _count(sent.get("cached_tokens", usage.get("prompt_cache_hit_tokens"))),
        "cache_write_tokens": _count(sent.get("cache_write_tokens", sent.get("cache_creation_tokens"))),
        "reasoning_tokens": _count(answered.get("reasoning_tokens")),
    }


def _output_tokens(usage: Mapping[str, Any], reasoning: int | None) -> int | None:
    """Completion tokens, with the reasoning tokens that some providers count beside and not among them."""
    sent, answered = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if None in (sent, answered) or not reasoning:
        return answered
    beside = usage.get("total_tokens") == (sent or 0) + (answered or 0) + reasoning
    return (answered or 0) + reasoning if beside else answered


class StreamParser:
    """Takes an event stream line by line and puts the completion together."""

    def __init__(self, on_text: OnText | None, started: float) -> None:
        self._on_text = on_text
        self._started = started
        self._pending: list[bytes] = []
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._model: str | None = None
        self._id: str | None = None
        self._finish: str | None = None
        self._usage: dict[str, int | None] = {}
        self._first: float | None = None
        self._done = False
        self.begun = False

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def line(self, line: bytes) -> bool:
        """Take one line; False once the stream has said that it is done."""
        self.begun = True
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data(value.removeprefix(b" "))
        elif not line and self._pending:
            raise self._not_json()
        return not self._done

    def completion(self, model: str) -> Completion:
        """Everything so far as one completion; ``cut_off`` when the end is missing."""
        if self._finish is None and not (self._done and (self._texts or self._calls)):
            raise self._unfinished()
        return check_not_filtered(
            Completion(
                text=self.text,
                response_model=self._model or model,
                finish_reason=self._finish,
                tool_calls=tuple(call for _, call in sorted(self._calls.items())),
                response_id=self._id,
                first_token_ms=self._first,
                **self._usage,
            )
        )

    def _not_json(self) -> ModelError:
        what = excerpt(b"\n".join(self._pending))
        return ModelError("malformed_reply", f"an event of the stream is not JSON: {what}")

    def _unfinished(self) -> ModelError:
        if self._done:
            return ModelError("malformed_reply", "the stream held no answer")
        return ModelError("cut_off", "the stream ended before the answer was complete", partial=self.text)

    def _data(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self._done = True
            return
        # Not every provider ends an event with a blank line; one that spans lines waits for the rest.
        self._pending.append(data)
        try:
            event = decode_json(b"\n".join(self._pending))
        except ValueError:
            if len(self._pending) > _MAX_EVENT_LINES or sum(map(len, self._pending)) > _MAX_PENDING:
                raise self._not_json() from None
            return
        self._pending.clear()
        if isinstance(event, Mapping):
            self.event(event)

    def event(self, event: Mapping[str, Any]) -> None:
        """Take one event as JSON."""
        if event.get("error"):
            raise error_from_payload(event)
        self._model = _string(event.get("model")) or self._model
        self._id = _string(event.get("id")) or self._id
        if event.get("usage") or event.get("x_groq"):
            self._usage = {k: v for k, v in token_usage(event).items() if v is not None} or self._usage
        for choice in event.get("choices") or ():
            if isinstance(choice, Mapping) and not choice.get("index"):
                self._choice(choice)

    def _choice(self, choice: Mapping[str, Any]) -> None:
        delta = _mapping(choice.get("delta")) or _mapping(choice.get("message"))
        self._finish = _string(choice.get("finish_reason")) or self._finish
        for position, piece in enumerate(delta.get("tool_calls") or ()):
            self._tool_call(_mapping(piece), position)
        if text := message_text(delta):
            self._mark_first()
            self._texts.append(text)
            if self._on_text is not None:
                self._on_text(text)

    def _tool_call(self, piece: Mapping[str, Any], position: int) -> None:
        self._mark_first()
        index = piece.get("index")
        call = self._calls.setdefault(index if isinstance(index, int) else position, {"type": "function"})
        function = call.setdefault("function", {"name": "", "arguments": ""})
        for key in ("id", "type"):
            call[key] = piece.get(key) or call.get(key)
        given = _mapping(piece.get("function"))
        function["name"] = _string(given.get("name")) or function["name"]
        function["arguments"] += _string(given.get("arguments")) or ""

    def _mark_first(self) -> None:
        if self._first is None:
            self._first = (time.perf_counter() - self._started) * 1000


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
