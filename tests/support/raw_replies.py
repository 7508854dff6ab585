"""What providers and proxies really send, to the byte, and what must come of it.

Each is played to both transports: ``run`` and ``batch`` behave alike.
"""

import gzip
import json
import zlib
from collections.abc import Iterator
from typing import Any

from support.paths import FIXTURES
from support.raw_forms import (
    GOOD,
    GZIP,
    JSON,
    OK,
    RawReply,
    answer,
    as_body,
    chunked,
    until_closed,
    whole,
)
from support.raw_streams import streams, unasked_streams


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
        "no br at all": (whole(GOOD, {**JSON, "Content-Encoding": "br"}), "malformed_reply"),
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
    choice_error = {"error": "upstream failed", "message": {"content": "bil"}}
    yield one("a text as the choice's error", answer(choice=choice_error), error="server", text="bil")
    yield one("a code and msg alone", {"code": 1301, "msg": "unsafe"}, error="content_filter")
    yield one("base_resp alone", {"base_resp": {"status_code": 1008, "status_msg": "no"}}, error="server")
    failed = {"status_code": 1027, "status_msg": "sensitive"}
    yield one("base_resp of a filter", answer("bil", base_resp=failed), error="content_filter", text="bil")
    yield one("base_resp of none", answer(base_resp={"status_code": 0, "status_msg": ""}), text="billing")
    yield one("a delta", {"choices": [{"delta": {"content": "billing"}}]}, text="billing")
    yield one("a choice of nothing", {"choices": [{"finish_reason": "stop"}]}, error="malformed_reply")
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


def odd_shapes() -> Iterator[RawReply]:
    """Answers that are in no form that an answer has: they are not taken for empty ones."""

    def one(name: str, payload: Any, **expected: Any) -> RawReply:
        return RawReply(name, whole(as_body(payload)), **expected)

    yield one("content in texts", answer(["bil", "ling"]), text="billing")
    for content in (5, False, {"text": "billing"}, [1, None], [["billing"]]):
        yield one(f"content {content}", answer(content), error="malformed_reply")
    for message in ("billing", []):
        yield one(f"message {message}", {"choices": [{"message": message}]}, error="malformed_reply")
    yield one(
        "a filter without a message", {"choices": [{"finish_reason": "SAFETY"}]}, error="content_filter"
    )
    named = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    for calls in (None, {}, "f", ["f"], [[]], [{**named, "function": None}], [{**named, "function": {}}]):
        message = {"tool_calls": calls}
        yield one(f"calls {calls}", answer(None, "tool_calls", message=message), error="malformed_reply")
    yield one("a call alone", answer(None, "tool_calls", message={"tool_calls": named}), calls=(("f", "{}"),))


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


RAW_REPLIES = [
    *wire_forms(),
    *broken_forms(),
    *answers(),
    *odd_shapes(),
    *streams(),
    *unasked_streams(),
    *recorded(),
]
