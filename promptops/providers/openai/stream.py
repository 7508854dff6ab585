"""Event streams of OpenAI's chat completions as completions (pure, but for the clock)."""

import codecs
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field, replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.providers.errors import error_from_payload, excerpt
from promptops.providers.json_body import decode_event, join_surrogates
from promptops.providers.openai.outcome import (
    canonical_finish,
    ended_well,
    is_good_finish,
    is_message,
    raise_reported,
    reported_error,
    with_completion,
)
from promptops.providers.openai.response import (
    answer_message,
    answered_tier,
    arguments_text,
    as_count,
    as_list,
    as_mapping,
    as_text,
    call_id,
    content_text,
    message_error,
    old_call,
    reasoning_text,
    refusal_text,
    refused_finish,
    token_usage,
    unread_part,
    without_false_zeros,
)
from promptops.providers.openai.thinking import ThinkingSplitter, split_unopened
from promptops.providers.types import Completion, ModelError, OnText

_MAX_EVENT_LINES = 64  # of one event; more of them that are no JSON yet will not become it
_MAX_PENDING = 1024 * 1024
_MAX_CALLS = 1_000


def looks_like_stream(body: bytes) -> bool:
    """Whether a body that was to be JSON is a stream: some proxies send nothing else."""
    return body.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"data:", b"event:", b":"))


def completion_from_stream(body: bytes, model: str) -> Completion:
    """The completion in a stream that came whole. Raises ModelError, with the text up to there."""
    parser = StreamParser(None, 0.0)
    try:
        for line in body.splitlines():
            if not parser.line(line):
                break
        return replace(parser.completion(model), first_token_ms=None)
    except ModelError as error:
        error.partial = error.partial or parser.text
        raise


class StreamParser:
    """Takes an event stream line by line and puts the completion together."""

    def __init__(self, on_text: OnText | None, started: float) -> None:
        self._on_text = on_text
        self._started = started
        self._pending: list[bytes] = []
        self._event = b""
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        self._split = ThinkingSplitter()
        self._calls = _Calls()
        self._model: str | None = None
        self._id: str | None = None
        self._fingerprint: str | None = None
        self._finish: str | None = None
        self._tier: str | None = None
        self._usage: dict[str, Any] = {}
        self._first: float | None = None
        self._done = False
        self._reported_event: Mapping[str, Any] | None = None
        self._last: Mapping[str, Any] | None = None  # in this event, which may be named behind it
        self._half = ""  # of a surrogate pair
        self._odd: ModelError | None = None
        self._unread: ModelError | None = None
        self.begun = False

    @property
    def text(self) -> str:
        return "".join(self._texts) or "".join(self._refusals)

    def line(self, line: bytes) -> bool:
        """Take one line; False once the stream has said that it is done: what follows does not count."""
        if self._done:
            return False
        if not self.begun:
            line = line.removeprefix(codecs.BOM_UTF8)
        self.begun = True
        if b"\r" in line:  # which ends a line here as well
            return all(map(self.line, line.split(b"\r")))
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data(value.removeprefix(b" "))
        elif name == b"event":
            self._event = value.strip().lower()
            self._raise_named()
        elif name == b"error":
            self._raise_bare(value)
        elif line.startswith(b"{"):
            self._raise_bare(line)
        elif not line:
            self._event, self._last = b"", None
            if self._pending:
                raise self._not_json()
        return not self._done

    def completion(self, model: str) -> Completion:
        """Everything so far as one completion; ``cut_off`` when the end is missing."""
        self._tell(self._split.end(), last=True)
        unopened, text = split_unopened("".join(self._texts))
        self._texts = [text]
        if unopened:
            self._thoughts.append(unopened)
        if self._finish is None:
            raise with_completion(self._unfinished(), self._completion(model))
        completion = ended_well(self._completion(model))
        came = completion.text or completion.tool_calls or completion.reasoning
        if odd := self._odd or (None if came else self._unread):
            raise with_completion(odd, completion)
        return completion

    def _completion(self, model: str) -> Completion:
        completion = Completion(
            text=self.text,
            response_model=self._model or model,
            finish_reason=refused_finish(self._finish, "".join(self._refusals)) if self._finish else None,
            tool_calls=self._calls.whole(),
            response_id=self._id,
            system_fingerprint=self._fingerprint,
            service_tier=self._tier,
            first_token_ms=self._first,
            reasoning="\n".join(filter(None, ("".join(self._thoughts), self._split.thoughts))) or None,
            **self._usage,
        )
        return without_false_zeros(completion)

    def _unfinished(self) -> ModelError:
        if self._reported_event:
            return error_from_payload(self._reported_event)
        if self._done and not self.text and not self._calls.calls:
            return ModelError("malformed_reply", "the stream held no answer")
        return ModelError("cut_off", "the stream ended before the answer was complete", partial=self.text)

    def _not_json(self) -> ModelError:
        what = excerpt(b"\n".join(self._pending))
        return ModelError("malformed_reply", f"an event of the stream is not JSON: {what}")

    def _raise_bare(self, data: bytes) -> None:
        """Raise what some servers say of a failure where events stand, but as none."""
        with suppress(ValueError):
            event = decode_event(data)
            if isinstance(event, Mapping) and not event.get("choices"):
                self._raise_reported(event)
                self._reported_event = event if is_message(event) else self._reported_event

    def _raise_named(self) -> None:
        """Raise an error whose name comes behind its data."""
        if self._event == b"error" and self._last is not None and not self._last.get("choices"):
            raise error_from_payload(self._last)

    def _data(self, data: bytes) -> None:
        if data.strip().strip(b'"').upper() == b"[DONE]":
            self._done = True
            return
        if not data.strip() and not self._pending:
            return  # a sign of life
        # Not every provider ends an event with a blank line; one that spans lines waits for the rest.
        self._pending.append(data)
        try:
            event = decode_event(b"\n".join(self._pending))
        except ValueError:
            if self._event == b"error":
                raise ModelError("server", f"the provider reported: {excerpt(data)}") from None
            if len(self._pending) > _MAX_EVENT_LINES or sum(map(len, self._pending)) > _MAX_PENDING:
                raise self._not_json() from None
            return
        self._pending.clear()
        if isinstance(event, list) and event:
            event = event[0]  # as Google lists its errors
        if isinstance(event, Mapping):
            self.event(event)
        elif self._event == b"error":
            raise ModelError("server", f"the provider reported: {excerpt(data)}")

    def event(self, event: Mapping[str, Any]) -> None:
        """Take one event as JSON. Raises ModelError where it is an error, in whatever form."""
        self._raise_reported(event)
        self._last = event
        self._raise_named()
        self._model = as_text(event.get("model")) or self._model
        self._id = as_text(event.get("id")) or self._id
        self._fingerprint = as_text(event.get("system_fingerprint")) or self._fingerprint
        self._tier = answered_tier(event) or self._tier
        if is_message(event):
            self._reported_event = event  # why there is no more, where there is no more
        if event.get("usage") or event.get("x_groq"):
            self._take_usage(event)
        for choice in as_list(event.get("choices")):
            if isinstance(choice, Mapping) and not _index(choice):
                self._choice(choice)

    def _raise_reported(self, payload: Mapping[str, Any]) -> None:
        if reported_error(payload) is None:
            return  # joining the text for each event would take its square in time
        if payload.get("usage"):
            self._take_usage(payload)
        raise_reported(payload, self._completion(""))

    def _take_usage(self, event: Mapping[str, Any]) -> None:
        """Counts come whole, a part at a time, or at last as zeros."""
        self._usage |= {
            key: count for key, count in token_usage(event).items() if count or key not in self._usage
        }

    def _choice(self, choice: Mapping[str, Any]) -> None:
        self._raise_reported(choice)
        delta = as_mapping(choice.get("delta"))
        if not delta and not self._texts:
            delta = answer_message(choice)
        self._finish = _last_finish(self._finish, canonical_finish(choice.get("finish_reason")))
        for position, piece in enumerate(as_list(delta.get("tool_calls")) or old_call(delta)):
            self._mark_first()
            self._calls.add(as_mapping(piece), position)
        if thought := reasoning_text(delta):
            self._thoughts.append(thought)
        if refusal := refusal_text(delta):
            self._refusals.append(refusal)
        self._odd = self._odd or message_error(delta)
        self._unread = self._unread or unread_part(delta)
        self._tell(self._split.feed(content_text(delta)))

    def _tell(self, text: str, *, last: bool = False) -> None:
        text, self._half = self._half + text, ""
        if "\ud800" <= text[-1:] <= "\udbff" and not last:
            text, self._half = text[:-1], text[-1]
        if not text:
            return
        text = join_surrogates(text)
        self._mark_first()
        self._texts.append(text)
        if self._on_text is not None:
            self._on_text(text)

    def _mark_first(self) -> None:
        if self._first is None:
            self._first = (time.perf_counter() - self._started) * 1000


@dataclass(slots=True)
class _Call:
    index: int | None
    id: str | None
    type: str = "function"
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def is_whole(self) -> bool:
        """Whether its arguments are: then another name, or the same again, begins another call."""
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        with suppress(ValueError):
            return bool(decode_event("".join(self.arguments).encode(errors="replace")))
        return False


def _index(of: Mapping[str, Any]) -> int | None:
    """A number that some servers send as a text."""
    return as_count(of.get("index"))


def _last_finish(known: str | None, newer: str | None) -> str | None:
    """How it ended where a stream says so twice: a failure stays one, and "stop" says least."""
    if known is None or newer is None:
        return newer or known
    return known if newer == "stop" or not is_good_finish(known) else newer


class _Calls:
    """Tool calls out of their pieces: one index with two ids is two calls."""

    def __init__(self) -> None:
        self.calls: list[_Call] = []

    def add(self, piece: Mapping[str, Any], position: int) -> None:
        function = as_mapping(piece.get("function"))
        name, arguments = as_text(function.get("name")), arguments_text(function.get("arguments"))
        call = self._call(piece, position, name, arguments)
        call.id = call.id or call_id(piece.get("id"))
        call.type = as_text(piece.get("type")) or call.type
        if name and name != call.name:  # some send it again with each piece, some in pieces
            call.name += name
        if arguments:
            call.arguments.append(arguments)

    def whole(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(
            {
                "type": call.type,
                "function": {"name": call.name, "arguments": join_surrogates("".join(call.arguments))},
                "id": call.id,
            }
            for call in self.calls
        )

    def _call(self, piece: Mapping[str, Any], position: int, name: str | None, arguments: str) -> _Call:
        index = _index(piece)
        number = call_id(piece.get("id"))
        found = self._find(number, index, position, name)
        if found and number is None and name and arguments and found.is_whole():
            found = None
        return found or self._begin(index)

    def _find(self, id: str | None, index: int | None, position: int, name: str | None) -> _Call | None:  # noqa: A002 - the wire's own name
        if id is not None and (known := [call for call in self.calls if call.id == id]):
            return known[-1]
        same = (
            [call for call in self.calls if call.index == index]
            if index is not None
            else self.calls[position:]
        )
        if index is None and name is not None:
            return None  # without an index, a name begins a call
        last = same[-1] if same else None
        return None if last is not None and id is not None and last.id not in (None, id) else last

    def _begin(self, index: int | None) -> _Call:
        if len(self.calls) >= _MAX_CALLS:
            raise ModelError("malformed_reply", f"the answer holds more than {_MAX_CALLS:,} tool calls")
        self.calls.append(_Call(index, None))
        return self.calls[-1]
