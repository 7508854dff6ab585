"""Replies to the byte: what they are made of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OK = b"HTTP/1.1 200 OK\r\n"
JSON = {"Content-Type": "application/json"}
EVENTS = {"Content-Type": "text/event-stream"}
GZIP = {"Content-Encoding": "gzip"}
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class RawReply:
    """``text`` is the answer's, or what had come of it where ``error`` is the type of the failure."""

    name: str
    raw: bytes
    stream: bool = False
    text: str = ""
    error: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    reasoning: str | None = None
    finish: str | None = None


def whole(body: bytes, headers: Mapping[str, str] = JSON, status: bytes = OK) -> bytes:
    lines = [f"{name}: {value}" for name, value in {**headers, "Content-Length": str(len(body))}.items()]
    return status + "\r\n".join([*lines, "", ""]).encode() + body


def chunked(body: bytes, headers: Mapping[str, str] = JSON, *, size: int = 7, extra: bytes = b"") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    sent = b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extra, piece) for piece in pieces)
    return OK + head + b"Transfer-Encoding: chunked\r\n\r\n" + sent + b"0\r\n\r\n"


def until_closed(body: bytes, headers: Mapping[str, str] = JSON) -> bytes:
    return OK + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n" + body


def answer(content: Any = "billing", finish: Any = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": finish, **more.pop("choice", {})}
    return {"id": "c-1", "object": "chat.completion", "model": "m", "choices": [choice], **more}


def as_body(payload: Any) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


def event(delta: Mapping[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, **more.pop("choice", {})}
    return data({"id": "c-1", "model": "m", "choices": [choice], **more})


def data(payload: Any) -> bytes:
    return b"data: " + as_body(payload) + b"\n\n"


def said(text: str) -> bytes:
    return event({"content": text})


def call(index: int | None, id: str | None, name: str | None, arguments: str) -> bytes:  # noqa: A002 - the field
    piece = {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}
    return event({"tool_calls": [{key: value for key, value in piece.items() if value is not None}]})


GOOD = as_body(answer())
STOP = event({}, "stop")
SAID = said("bil") + said("ling")
