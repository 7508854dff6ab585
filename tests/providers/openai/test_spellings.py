"""What providers and servers mean in their own words: ends, thoughts, refusals, calls, counts and bills."""

from typing import Any

import pytest

from promptops.providers.openai.response import completion_from_payload
from promptops.providers.openai.stream import completion_from_stream
from promptops.providers.types import Completion, ModelError
from support.raw_forms import DONE, SAID, STOP, answer, call, data, event, said

UNFINISHED = """LANGUAGE OTHER UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS FINISH_REASON_UNSPECIFIED NO_IMAGE
malformed_model_output USER_CANCEL TIMEOUT pause_turn abort load time_limit incomplete None safe stopped"""
TOLD = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
    {"type": "text", "text": "billing"},
]


def of_body(**reply: Any) -> Completion:
    return completion_from_payload(answer(**reply), "m")


def of_stream(*events: bytes) -> Completion:
    return completion_from_stream(b"".join(events), "m")


def failed(*events: bytes) -> ModelError:
    with pytest.raises(ModelError) as caught:
        of_stream(*events)
    return caught.value


def made(completion: Completion) -> list[tuple[str, str]]:
    return [(each["function"]["name"], each["function"]["arguments"]) for each in completion.tool_calls]


@pytest.mark.parametrize(
    ("finish", "meant"),
    [
        ("FinishReason.STOP", "stop"),
        ("REASON_STOP", "stop"),  # xAI
        ("eosFound", "stop"),  # LM Studio
        ("stopStringFound", "stop"),
        ("normal", "stop"),  # Ernie
        ("maxTokens", "length"),
        ("REASON_MAX_LEN", "length"),
        ("token_limit", "length"),  # watsonx
        ("maxPredictedTokensReached", "length"),
        ("toolCalls", "tool_calls"),
    ],
)
def test_good_ends_in_other_words(finish: str, meant: str) -> None:
    named = {"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    assert of_body(finish=finish, message=named).finish_reason == meant
    assert of_stream(SAID, call(0, "c", "f", "{}"), event({}, finish)).finish_reason == meant


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("content_filtered", "content_filter"),  # Bedrock
        ("contentFilter", "content_filter"),
        ("FinishReason.SAFETY", "content_filter"),
        ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
        ("FINISH_REASON_IMAGE_RECITATION", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("ERROR_TOXIC", "content_filter"),  # Cohere
        ("blacklist", "content_filter"),  # GigaChat
        ("ERROR_LIMIT", "context_exceeded"),
        ("contextLengthReached", "context_exceeded"),
        *((each, "server") for each in UNFINISHED.split()),
    ],
)
def test_bad_ends_in_other_words(finish: str, kind: str) -> None:
    with pytest.raises(ModelError) as caught:
        of_body(finish=finish)
    assert (caught.value.type, caught.value.partial) == (kind, "billing")
    assert failed(SAID, event({}, finish), STOP, DONE).type == kind  # a later "stop" heals nothing


def test_a_stream_ends_as_it_says_first_that_it_does() -> None:
    assert of_stream(event({"content": "bil"}, "null"), event({"content": "ling"}, "stop")).text == "billing"
    assert failed(event({"content": "bil"}, "null"), DONE).type == "cut_off"
    assert of_stream(SAID, event({}, "length"), STOP).finish_reason == "length"
    assert of_stream(SAID, STOP, event({}, "length")).finish_reason == "length"


@pytest.mark.parametrize(
    "message",
    [
        {"content": TOLD},
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "billing"}]},
        {"content": [{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "billing"}]},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}, {"data": "x"}]},
        {"reasoning": {"content": "hm"}},
        {"thinking": "hm"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm"}]},
        {"content": "hm\n</think>\n\nbilling"},  # begun in the server's own prompt
        {"content": "</think>\nbilling", "reasoning": "hm"},
    ],
)
def test_thoughts_are_not_the_answer(message: dict[str, Any]) -> None:
    whole = of_body(message=message)
    assert (whole.text, whole.reasoning) == ("billing", "hm")
    streamed = of_stream(event({"content": "billing", **message}), STOP)
    assert (streamed.text, streamed.reasoning) == ("billing", "hm")


@pytest.mark.parametrize("text", ["close it with </think>", "</think> ends it", "<thinking>hm</thinking>\na"])
def test_words_about_thoughts_are_the_answer(text: str) -> None:
    assert of_body(content=text).text == of_stream(said(text), STOP).text == text


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "refusal": "I cannot."},
        {"content": "I cannot.", "refusal": "I cannot."},
        {"content": [{"type": "refusal", "refusal": "I cannot."}]},
    ],
)
def test_refusals_in_each_form(message: dict[str, Any]) -> None:
    for came in (of_body(message=message), of_stream(event(message), STOP)):
        assert (came.text, came.finish_reason) == ("I cannot.", "refusal")


def test_content_that_is_not_read_is_not_an_empty_answer() -> None:
    image = {"content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    for ask in (lambda: of_body(message=image), lambda: of_stream(event(image), STOP)):
        with pytest.raises(ModelError, match=r"not a text: .*image_url"):
            ask()
    odd: dict[str, Any] = {"content": [{"type": ["x"]}, {"type": "text", "text": "billing"}]}
    assert of_body(message=odd).text == of_stream(event(odd), STOP).text == "billing"
    plain = {"choices": [{"text": "billing", "index": 0, "finish_reason": "stop"}]}
    assert completion_from_payload(plain, "m").text == of_stream(data(plain)).text == "billing"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(None, ""), ("", ""), ({"a": 1}, '{"a": 1}'), ([1], "[1]"), (5, "5"), ('{"a":', '{"a":')],
)
def test_arguments_are_text(arguments: Any, text: str) -> None:
    piece = {"index": 0, "id": 5, "function": {"name": "f", "arguments": arguments}}
    old = {"function_call": {"name": "f", "arguments": arguments}}
    for came in (of_body(message={"tool_calls": [piece]}), of_stream(event({"tool_calls": [piece]}), STOP)):
        assert (made(came), came.tool_calls[0]["id"]) == ([("f", text)], "5")
    assert made(of_body(message=old)) == made(of_stream(event(old), STOP)) == [("f", text)]


def two(*pieces: bytes) -> tuple[list[tuple[str, str]], tuple[bytes, ...]]:
    return [("f", '{"a":1}'), ("g", '{"b":2}')], pieces


@pytest.mark.parametrize(
    ("calls", "pieces"),
    [
        two(
            call(0, "a", "f", '{"a"'),
            call(1, "b", "g", '{"b"'),
            call(0, None, None, ":1}"),
            call(1, None, None, ":2}"),
        ),
        two(call(0, None, "f", '{"a":1}'), call(0, None, "g", '{"b":'), call(0, None, None, "2}")),
        two(call(None, None, "f", '{"a":1}'), call(None, None, "g", '{"b":2}')),
        two(
            call("0", 1, "f", '{"a"'),
            call("1", 2, "g", '{"b":2}'),
            call("0", None, None, ":1}"),
        ),
        ([("get_weather", "{}")], (call(0, "a", "get_", ""), call(0, None, "weather", "{}"))),
        (
            [("f", '{"a":{"b":1}}')],
            tuple(call(0, None, "f", piece) for piece in ('{"a":', '{"b":1}', "}")),
        ),
        (
            [("f", '{"a":1}')],
            tuple(
                event({"function_call": piece})
                for piece in ({"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ":1}"})
            ),
        ),
    ],
    ids=["interleaved", "no-ids", "no-index", "texts", "name-in-pieces", "name-again", "old"],
)
def test_calls_out_of_pieces(calls: list[tuple[str, str]], pieces: tuple[bytes, ...]) -> None:
    assert made(of_stream(*pieces, event({}, "tool_calls"))) == calls


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (b'error: {"code": 503, "message": "it broke"}\n\n', "server"),  # llama.cpp
        (b'{"error": {"code": 429, "message": "it broke"}}\n', "rate_limit"),  # not an event at all
        (b'{"detail": "it broke"}', "server"),
        (b'data: {"detail": "it broke"}\n\n', "server"),
        (b'data: {"code": "Throttling", "message": "it broke"}\n\n', "server"),
        (b'data: {"errors": [{"code": 500, "message": "it broke"}], "success": false}\n\n', "server"),
        (b'data: {"choices": [], "x_groq": {"id": "r", "error": "it broke"}}\n\n', "server"),
        (b'event: Error\ndata: {"message": "it broke"}\n\n', "server"),
        (b'data: {"message": "it broke"}\nevent: error\n\n', "server"),
    ],
)
def test_failures_where_events_stand(failure: bytes, kind: str) -> None:
    error = failed(SAID, failure)
    assert (error.type, error.partial) == (kind, "billing")
    assert "it broke" in error.message


@pytest.mark.parametrize(
    "events",
    [
        (SAID + STOP + DONE).replace(b"\n", b"\r"),
        (SAID + STOP + DONE).replace(b"\n\n", b"\n"),
        (SAID + STOP + DONE).replace(b"data: ", b"data:"),
        b"data:\n\ndata: \n\n" + SAID + b"data:\n\n" + STOP,
        b": hi\nid: 1\nretry: 10\nevent: message\n" + SAID + STOP,
        b'data: {"message": "queued"}\n\n' + SAID + STOP + b"{}\n{broken\n",
        SAID + STOP + b'data: "[DONE]"\n\n' + said("MORE"),
        SAID + STOP + b"data: [done]\n\n" + said("MORE"),
        SAID.replace(b'"index": 0', b'"index": "0"') + event({"content": "MORE"}, choice={"index": 1}) + STOP,
        b'data: {"choices": [{\ndata: "delta": {"content": "billing"},\ndata: "finish_reason": "stop"}]}\n\n',
    ],
    ids=["CR", "no blanks", "no space", "no data", "fields", "a note", "quoted", "small", "indexes", "lines"],
)
def test_streams_in_other_forms(events: bytes) -> None:
    assert of_stream(events).text == "billing"


def test_a_character_in_two_events() -> None:
    pieces = [b'{"content": "a\\ud83d"}', b'{"content": "\\ude00b"}']
    shown = [b'data: {"choices": [{"delta": %s}]}\n\n' % piece for piece in pieces]
    assert of_stream(*shown, STOP).text == "a\U0001f600b"
    assert of_stream(shown[0], STOP).text == "a\ud83d"


def counted(usage: Any) -> tuple[int | None, ...]:
    came = of_body(usage=usage)
    streamed = of_stream(SAID, STOP, data({"choices": [], "usage": usage}))
    assert (streamed.input_tokens, streamed.cost_usd) == (came.input_tokens, came.cost_usd)
    return came.input_tokens, came.output_tokens, came.cached_tokens, came.cache_write_tokens


NEW = {"input_tokens": 9, "output_tokens": 6}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 2.0, "completion_tokens": "3"}, (2, 3, None, None)),
        ({"prompt_tokens": 2.5, "completion_tokens": "3.5"}, (None, None, None, None)),
        *(
            ({"prompt_tokens": odd, "completion_tokens": odd}, (None, None, None, None))
            for odd in (True, -1, "-1", "", " 2", "two", "\u0663", "9" * 400, 1e300, [2], {"count": 2})
        ),
        *((odd, (None, None, None, None)) for odd in (2.0, "2", [2], True)),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, (None, None, None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 70}, (9, 61, None, None)),  # Google
        ({"prompt_tokens": 9, "completion_tokens": 0, "total_tokens": 70}, (9, 61, None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}, (9, 6, None, None)),
        ({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 1}, (9, 6, None, None)),
        (
            {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 65, "cache_read_input_tokens": 50},
            (9, 6, 50, None),
        ),
        (NEW | {"input_tokens_details": {"cached_tokens": 2}}, (9, 6, 2, None)),
        (
            NEW | {"cache_read_input_tokens": 2, "cache_creation_input_tokens": 1},
            (12, 6, 2, 1),
        ),  # beside them
        ({"prompt_tokens": 9, "completion_tokens": 6, "cache_read_input_tokens": 2}, (9, 6, 2, None)),
        ({"prompt_tokens": 9, "completion_tokens": 6, "cached_tokens": 2}, (9, 6, 2, None)),  # Moonshot
        (
            {"prompt_tokens": 9, "completion_tokens": 6, "prompt_cache_hit_tokens": 2}
            | {"prompt_tokens_details": {"cached_tokens": None}},
            (9, 6, 2, None),
        ),
    ],
)
def test_counts_in_other_spellings(usage: Any, counts: tuple[int | None, ...]) -> None:
    assert counted(usage) == counts


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        ({"cost": "0.0012"}, 0.0012),
        ({"cost": "1e-7"}, 1e-7),
        ({"cost": {"total_cost": "0.1"}}, 0.1),
        ({"cost": 0}, 0.0),
        ({"estimated_cost": 0.00002}, 0.00002),  # DeepInfra
        ({"cost_in_usd_ticks": 37_756_000}, 0.0037756),  # xAI
        *(({"cost": odd}, None) for odd in ("$0.1", "-1", -1, "nan", "inf", True, "1e99", 1e9, {})),
    ],
)
def test_bills_in_other_spellings(usage: dict[str, Any], usd: float | None) -> None:
    assert of_body(usage=usage).cost_usd == usd


@pytest.mark.parametrize(
    "counts",
    [
        [{"prompt_tokens": 9, "completion_tokens": 0}, {"completion_tokens": 6, "cost": 0.5}],  # in parts
        [{"prompt_tokens": 9, "completion_tokens": 6}, {"cost": 0.5}],
        [
            {"prompt_tokens": 9, "completion_tokens": 6, "cost": 0.5},
            {"prompt_tokens": 0, "completion_tokens": 0},
        ],
        [{"prompt_tokens": 9, "completion_tokens": 6, "cost": 0.5}, None],
        [{"prompt_tokens": 9, "completion_tokens": 6, "cost": 0.5}, {"prompt_tokens": -9}],
        [{"prompt_tokens": 9, "completion_tokens": n, "cost": n / 12} for n in (1, 3, 6)],  # growing
    ],
)
def test_counts_that_come_more_than_once_in_a_stream(counts: list[Any]) -> None:
    came = of_stream(SAID, STOP, *(data({"choices": [], "usage": each}) for each in counts))
    assert (came.input_tokens, came.output_tokens, came.cost_usd) == (9, 6, 0.5)
