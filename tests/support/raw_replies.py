"""What providers and proxies really send, to the byte, and what must come of it.

Each is played to both transports: ``run`` and ``batch`` behave alike.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from support.paths import FIXTURES

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


def wire_forms() -> Iterator[RawReply]:
    """One good answer in every form in which HTTP may bring it."""
    raw_deflate = zlib.compressobj(wbits=-15)
    forms = {
        "plain": whole(GOOD),
        "chunked": chunked(GOOD),
        "chunk extensions": chunked(GOOD, extra=b";name=value"),
        "one byte a chunk": chunked(GOOD, size=1),
        "trailers": chunked(GOOD)[:-2] + b"X-Trailer: 1\r\n\r\n",
        "until closed": until_closed(GOOD),
        "HTTP/1.0": whole(GOOD, status=b"HTTP/1.0 200 OK\r\n"),
        "no reason phrase": whole(GOOD, status=b"HTTP/1.1 200\r\n"),
        "lower-case headers": whole(GOOD).replace(b"Content-Length", b"content-length"),
        "blanks around a length": whole(GOOD).replace(b"Content-Length: ", b"Content-Length:   "),
        "connection close": whole(GOOD, {**JSON, "Connection": "close"}),
        "keep-alive": whole(GOOD, {**JSON, "Connection": "keep-alive", "Keep-Alive": "timeout=5"}),
        "100 first": b"HTTP/1.1 100 Continue\r\n\r\n" + whole(GOOD),
        "102 first": b"HTTP/1.1 102 Processing\r\n\r\n" + whole(GOOD),
        "103 first": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + whole(GOOD),
        "ten times 1xx": b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + whole(GOOD),
        "gzip": whole(gzip.compress(GOOD), {**JSON, **GZIP}),
        "x-gzip": whole(gzip.compress(GOOD), {**JSON, "Content-Encoding": "x-gzip"}),
        "gzip in two members": whole(gzip.compress(GOOD[:9]) + gzip.compress(GOOD[9:]), {**JSON, **GZIP}),
        "gzip with padding": whole(gzip.compress(GOOD) + bytes(8), {**JSON, **GZIP}),
        "gzip in chunks": chunked(gzip.compress(GOOD), {**JSON, **GZIP}, size=1),
        "deflate": whole(zlib.compress(GOOD), {**JSON, "Content-Encoding": "deflate"}),
        "raw deflate": whole(
            raw_deflate.compress(GOOD) + raw_deflate.flush(), {**JSON, "Content-Encoding": "deflate"}
        ),
        "identity": whole(GOOD, {**JSON, "Content-Encoding": "identity"}),
        "byte order mark": whole(b"\xef\xbb\xbf" + GOOD),
        "UTF-16": whole(GOOD.decode().encode("utf-16")),
        "blank lines around": whole(b"\n\n  " + GOOD + b"\n\n"),
        "keep-alive blanks in front": chunked(b" " * 40 + b"\n" + GOOD, size=10),
        "text/plain": whole(GOOD, {"Content-Type": "text/plain"}),
        "no type": whole(GOOD, {}),
        "many headers": whole(GOOD, {**JSON, **{f"X-Header-{n}": "v" * 50 for n in range(80)}}),
        "a long header": whole(GOOD, {**JSON, "X-Long": "v" * 30_000}),
        "cookies": whole(GOOD, {**JSON, "Set-Cookie": "a=b; Path=/"}),
        "more than one answer": whole(GOOD) + whole(as_body(answer("another"))),
    }
    return (RawReply(name, raw, text="billing") for name, raw in forms.items())


def broken_forms() -> Iterator[RawReply]:
    packed = gzip.compress(GOOD)
    pieces = chunked(GOOD, size=20)
    start = pieces.index(b"\r\n\r\n") + 4
    head, rest = pieces[:start], pieces[start:]
    forms = {
        "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "malformed_reply"),
        "nothing": (b"", "connection"),
        "half a head": (OK + b"Content-Ty", "connection"),
        "shorter than announced": (whole(GOOD)[:-5], "cut_off"),
        "last chunk missing": (chunked(GOOD)[:-5], "cut_off"),
        "a chunk longer than its size": (head + rest.replace(b"14", b"13", 1), "malformed_reply"),
        "a chunk without its end": (head + rest.replace(b"\r\n14", b"14", 1), "malformed_reply"),
        "a chunk that ends in letters": (head + rest.replace(b"\r\n14", b"xx14", 1), "malformed_reply"),
        "half a gzip": (whole(packed[:-12], {**JSON, **GZIP}), "cut_off"),
        "no gzip at all": (whole(GOOD, {**JSON, **GZIP}), "malformed_reply"),
        "br": (whole(b"\x0b\x02\x80", {**JSON, "Content-Encoding": "br"}), "malformed_reply"),
        "zstd": (whole(b"(\xb5/\xfd", {**JSON, "Content-Encoding": "zstd"}), "malformed_reply"),
        "gzip twice": (whole(packed, {**JSON, "Content-Encoding": "gzip, gzip"}), "malformed_reply"),
        "two lengths": (whole(GOOD, {**JSON, "content-length": "3"}), "malformed_reply"),
        "HTML": (whole(b"<!DOCTYPE html><html></html>", {"Content-Type": "text/html"}), "malformed_reply"),
        "empty": (whole(b""), "malformed_reply"),
        "half of the JSON": (whole(GOOD[:30]), "malformed_reply"),
        "no UTF-8": (whole(b'{"choices": "\xff\xfe\xff"}'), "malformed_reply"),
        "a number": (whole(b"5"), "malformed_reply"),
        "digits without end": (whole(b'{"choices": ' + b"9" * 5_000 + b"}"), "malformed_reply"),
        "deeply nested": (whole(b"[" * 100_000), "malformed_reply"),
        "204": (b"HTTP/1.1 204 No Content\r\n\r\n", "malformed_reply"),
        "100 times 1xx": (b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + whole(GOOD), "malformed_reply"),
    }
    statuses = {"204": "bad_request"}
    return (RawReply(name, raw, error=statuses.get(name, kind)) for name, (raw, kind) in forms.items())


def answers() -> Iterator[RawReply]:
    """Ends of generations, and where an error may stand in a reply of status 200."""

    def one(name: str, payload: Any, **expected: Any) -> RawReply:
        return RawReply(name, whole(as_body(payload)), **expected)

    for finish in ("stop", "STOP", "end_turn", "eos", "stop_sequence", "COMPLETE"):
        yield one(f"finish {finish}", answer(finish=finish), text="billing", finish="stop")
    for finish in ("length", "MAX_TOKENS", "model_length"):
        yield one(f"finish {finish}", answer(finish=finish), text="billing", finish="length")
    yield one("finish null with text", answer(finish=None), text="billing")
    yield one("finish null without text", answer(None, finish=None), error="malformed_reply")
    for finish in ("content_filter", "content_filter: hate", "SAFETY", "RECITATION", "PROHIBITED_CONTENT"):
        yield one(f"finish {finish}", answer(finish=finish), error="content_filter", text="billing")
    for finish in (
        "error",
        "network_error",
        "insufficient_system_resource",
        "MALFORMED_FUNCTION_CALL",
        "zork",
    ):
        yield one(f"finish {finish}", answer(finish=finish), error="server", text="billing")
    for odd in (0, False, ["stop"], {"reason": "stop"}):
        yield one(f"finish {odd!r}", answer(finish=odd), error="server", text="billing")
    for finish in ("context_length_exceeded", "model_context_window_exceeded"):
        yield one(f"finish {finish}", answer(finish=finish), error="context_exceeded", text="billing")
    choice_error = {"error": {"code": 502, "message": "upstream failed"}}
    yield one("an error in the choice", answer("bil", choice=choice_error), error="server", text="bil")
    yield one("an error beside choices", answer("bil", error={"message": "x"}), error="server", text="bil")
    yield one("an error as text", answer("bil", error="overloaded"), error="server", text="bil")
    yield one("an error of no content", answer(error={"message": "", "code": None}), text="billing")
    yield one("an error alone", {"error": {"code": 429, "message": "slow down"}}, error="rate_limit")
    yield one("an error in a list", [{"error": {"code": 429, "message": "slow"}}], error="rate_limit")
    yield one("object error", {"object": "error", "message": "no GPU", "code": 503}, error="server")
    yield one("detail alone", {"detail": "no such thing"}, error="server")
    yield one("choices a number", {"choices": 5}, error="malformed_reply")
    yield one("choices of nulls", {"choices": [None]}, error="malformed_reply")
    yield one("tool calls a number", answer(message={"tool_calls": 5}), text="billing")
    yield one("content in parts", answer([{"type": "text", "text": "bil"}, {"text": "ling"}]), text="billing")
    refusal = {"refusal": "I cannot."}
    yield one("refusal", answer(None, message=refusal), text="I cannot.", finish="refusal")
    old = {"function_call": {"name": "f", "arguments": "{}"}}
    yield one("function_call", answer(None, "function_call", message=old), calls=(("f", "{}"),))
    for key in ("reasoning", "reasoning_content"):
        yield one(key, answer(message={key: "hm"}), text="billing", reasoning="hm")
    yield one("think", answer("<think>hm</think>\n\nbilling"), text="billing", reasoning="hm")
    yield one("think without end", answer("<think>hm", "length"), reasoning="hm", finish="length")
    yield one("think later", answer("a <think>b</think>"), text="a <think>b</think>")
    yield one("huge token counts", answer(usage={"prompt_tokens": 10**30}), text="billing")


def streams() -> Iterator[RawReply]:
    def one(name: str, *events: bytes, headers: Mapping[str, str] = EVENTS, **expected: Any) -> RawReply:
        return RawReply(f"stream: {name}", until_closed(b"".join(events), headers), stream=True, **expected)

    failed = data({"error": {"message": "overloaded", "code": 529}})
    yield one("plain", SAID, STOP, DONE, text="billing")
    yield one("no DONE", SAID, STOP, text="billing")
    yield one("CRLF", (SAID + STOP + DONE).replace(b"\n", b"\r\n"), text="billing")
    yield one("comments", b": ping\n\n", SAID, b": ping\n\n", STOP, DONE, text="billing")
    yield one("byte order mark", b"\xef\xbb\xbf", SAID, STOP, DONE, text="billing")
    yield one("gzip", gzip.compress(SAID + STOP + DONE), headers={**EVENTS, **GZIP}, text="billing")
    yield RawReply(
        "stream: chunks of a byte", chunked(SAID + STOP + DONE, EVENTS, size=1), stream=True, text="billing"
    )
    yield RawReply(
        "stream: 103 first",
        b"HTTP/1.1 103 Early\r\n\r\n" + until_closed(SAID + STOP + DONE, EVENTS),
        True,
        "billing",
    )
    yield RawReply("stream: answered whole", whole(GOOD), True, "billing")
    yield one("cut", SAID, error="cut_off", text="billing")
    yield one("DONE without a finish", SAID, DONE, error="cut_off", text="billing")
    yield one("only DONE", DONE, error="malformed_reply")
    yield one("after DONE", SAID, STOP, DONE, said("MORE"), failed, text="billing")
    yield one("error first", failed, error="server")
    yield one("error later", said("bil"), failed, error="server", text="bil")
    yield one("error after the finish", SAID, STOP, failed, error="server", text="billing")
    yield one(
        "event error", said("bil"), b"event: error\n" + data({"message": "x"}), error="server", text="bil"
    )
    yield one("event error in words", b"event: error\ndata: it broke\n\n", error="server")
    yield one(
        "error in a choice",
        said("bil"),
        event({}, "error", choice={"error": {"code": 502, "message": "x"}}),
        error="server",
        text="bil",
    )
    yield one("type error", said("bil"), data({"type": "error", "message": "x"}), error="server", text="bil")
    yield one(
        "rate limit later",
        said("bil"),
        data({"error": {"code": 429, "message": "x"}}),
        error="rate_limit",
        text="bil",
    )
    yield one("finish error", said("bil"), event({}, "error"), error="server", text="bil")
    yield one("finish SAFETY", said("bil"), event({}, "SAFETY"), error="content_filter", text="bil")
    yield one("finish length", SAID, event({}, "length"), DONE, text="billing", finish="length")
    yield one("no JSON", b"data: {broken\n\n", error="malformed_reply")
    yield one(
        "think",
        said("<thi"),
        said("nk>h"),
        said("m</thi"),
        said("nk>\n"),
        SAID,
        STOP,
        text="billing",
        reasoning="hm",
    )
    yield one("think without end", said("<think>hm"), event({}, "length"), reasoning="hm", finish="length")
    yield one("nearly think", said("<th"), said("is>"), STOP, text="<this>")
    yield one(
        "reasoning",
        event({"reasoning_content": "h"}),
        event({"reasoning": "m"}),
        SAID,
        STOP,
        text="billing",
        reasoning="hm",
    )
    yield one(
        "refusal",
        event({"refusal": "I can"}),
        event({"refusal": "not."}),
        STOP,
        text="I cannot.",
        finish="refusal",
    )
    two = (("f", '{"a":1}'), ("g", '{"b":2}'))
    end = event({}, "tool_calls")
    yield one(
        "two calls",
        call(0, "a", "f", '{"a"'),
        call(0, None, None, ":1}"),
        call(1, "b", "g", '{"b":2}'),
        end,
        calls=two,
    )
    yield one(
        "one index, two ids",
        call(0, "a", "f", '{"a":1}'),
        call(0, "b", "g", '{"b":'),
        call(0, "b", None, "2}"),
        end,
        calls=two,
    )
    yield one(
        "no index, two ids", call(None, "a", "f", '{"a":1}'), call(None, "b", "g", '{"b":2}'), end, calls=two
    )
    yield one(
        "an id in every piece",
        call(0, "a", "f", '{"a"'),
        call(0, "a", "f", ":1}"),
        call(1, "b", "g", '{"b":2}'),
        end,
        calls=two,
    )
    yield one("no ids", call(0, None, "f", '{"a":1}'), call(1, None, "g", '{"b":2}'), end, calls=two)
    yield one(
        "the message at the end",
        event({}, "stop", choice={"message": {"content": "billing"}}),
        text="billing",
    )
    yield one(
        "the message again at the end",
        SAID,
        event({}, "stop", choice={"message": {"content": "billing"}}),
        text="billing",
    )


_FIXTURES: dict[str, dict[str, Any]] = {
    "finish-error.json": {"error": "server"},
    "finish-safety.json": {"error": "content_filter"},
    "finish-malformed-call.json": {"error": "server"},
    "finish-length-empty.json": {"finish": "length"},
    "refusal.json": {"finish": "refusal"},
    "reasoning-content.json": {"text": "billing"},
    "choices-number.json": {"error": "malformed_reply"},
    "deep.json": {"error": "malformed_reply"},
    "gzip-unasked.json": {"text": "billing"},
    "bom.json": {"text": "billing"},
    "stream-error-event.txt": {"error": "server"},
    "stream-event-error.txt": {"error": "server"},
    "stream-no-finish.txt": {"error": "cut_off"},
    "stream-after-done.txt": {"text": "billing"},
    "chunk-negative.raw": {"error": "malformed_reply"},
    "informational-first.raw": {"text": "billing"},
}


def recorded() -> Iterator[RawReply]:
    folder = FIXTURES / "replies"
    for entry in json.loads((folder / "index.json").read_text()):
        body, stream = (folder / entry["file"]).read_bytes(), entry["stream"]
        raw = body if entry["file"].endswith(".raw") else whole(body, entry["headers"])
        yield RawReply(entry["file"], raw, stream, **_FIXTURES.get(entry["file"], {}))


def unasked_streams() -> Iterator[RawReply]:
    """Streams that come though a whole answer was asked for."""
    calls = call(0, "a", "look", '{"n":1}') + event({}, "tool_calls") + DONE
    broken = said("bil") + b"event: error\ndata: {}\n\n" + DONE
    forms = {
        "stream": (SAID + STOP + DONE, {"text": "billing"}),
        "stream of comments first": (b": ping\n\n" + SAID + STOP + DONE, {"text": "billing"}),
        "stream with a byte order mark": (b"\xef\xbb\xbf" + SAID + STOP + DONE, {"text": "billing"}),
        "stream of calls": (calls, {"calls": (("look", '{"n":1}'),)}),
        "stream without an end": (SAID, {"text": "billing", "error": "cut_off"}),
        "stream that fails": (broken, {"text": "bil", "error": "server"}),
    }
    for name, (body, expected) in forms.items():
        yield RawReply(f"unasked {name}", whole(body, EVENTS), **expected)  # type: ignore[arg-type]
        yield RawReply(f"unasked {name} as JSON", whole(body), **expected)  # type: ignore[arg-type]


RAW_REPLIES = [*wire_forms(), *broken_forms(), *answers(), *streams(), *unasked_streams(), *recorded()]
