"""Streams as providers and proxies really send them, to the byte, and what must come of each."""

import gzip
from collections.abc import Iterator, Mapping
from typing import Any

from support.raw_forms import (
    DONE,
    EVENTS,
    GOOD,
    GZIP,
    SAID,
    STOP,
    RawReply,
    call,
    chunked,
    data,
    event,
    said,
    until_closed,
    whole,
)


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
    yield one("content a number", SAID, event({"content": 5}), STOP, error="malformed_reply", text="billing")
    yield one("calls that are none", event({"tool_calls": ["f"]}, "tool_calls"), error="malformed_reply")
    yield one("finish tool_calls alone", event({}, "tool_calls"), DONE, error="malformed_reply")
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
    for shown in (b'"it broke"', b"5", b'[{"message": "x"}]', b"null"):
        name = f"event error {shown.decode()}"
        yield one(name, SAID, b"event: error\ndata: " + shown + b"\n\n", STOP, error="server", text="billing")
    listed, short = [{"error": {"code": 429, "message": "slow"}}], {"status_code": 1002, "status_msg": "x"}
    yield one("an error in a list", SAID, data(listed), STOP, error="rate_limit", text="billing")
    yield one("base_resp", SAID, data({"base_resp": short}), STOP, DONE, error="server", text="billing")
    yield one("msg without a finish", SAID, data({"code": 1, "msg": "x"}), DONE, error="server")
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
