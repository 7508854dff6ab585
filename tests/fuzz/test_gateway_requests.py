"""Whatever a client of the gateway sends is a request, or an error that it is told."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from promptops import Limits
from promptops.errors import PromptopsError
from promptops.gateway.access import Caller
from promptops.gateway.answering import ServedRequest
from promptops.gateway.body import decode_object
from promptops.gateway.chat_request import ChatReader
from promptops.gateway.errors import ApiError
from promptops.gateway.passthrough import Passthrough
from promptops.gateway.responses_request import ResponsesReader
from promptops.registry import KeyLimits
from promptops.service.key_usage import KeyUsage
from promptops.service.usage_store import LocalUsage

PASSTHROUGH = [Passthrough({}, {"openai"}, allowed=allowed) for allowed in (False, True)]
ANYBODY = Caller(None, KeyUsage(KeyLimits(revisions=True, models=("openai/*",)), LocalUsage()))
LIMITS = Limits()
NAMES = ["stub-1", "greet:production", "greet@v1", "user", "input_text", "\ud800"]
TEXTS = st.one_of(st.text(max_size=20), st.sampled_from(NAMES))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                TEXTS, st.sampled_from(["role", "content", "type", "text", "id", "version", "variables"])
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "model",
        "messages",
        "inputs",
        "metadata",
        "stream",
        "stream_options",
        "user",
        "prompt",
        "input",
        "n",
        "tools",
        "temperature",
        "max_tokens",
        "text",
        "reasoning",
        "instructions",
    ]
)
BODIES = st.dictionaries(st.one_of(KEYS, TEXTS), VALUES, max_size=6)


def answered(body: dict[str, Any], reader: ChatReader | ResponsesReader) -> None:
    try:
        found = reader.read(body, {}, ANYBODY)
    except (ApiError, PromptopsError):
        return
    assert isinstance(found, ServedRequest)
    assert all(name.isascii() and name.isprintable() for name in found.ignored)


@given(BODIES, st.sampled_from(PASSTHROUGH))
def test_chat_requests(body: dict[str, Any], models: Passthrough) -> None:
    answered(body, ChatReader(limits=LIMITS, passthrough=models))
    answered(
        {"model": "greet:production", **body},
        ChatReader(limits=LIMITS, passthrough=models, refuse_parameters=True),
    )


@given(BODIES, st.sampled_from(PASSTHROUGH))
def test_requests_of_responses(body: dict[str, Any], models: Passthrough) -> None:
    answered(body, ResponsesReader(limits=LIMITS, passthrough=models))
    answered({**body, "prompt": {"id": "greet", **body}}, ResponsesReader(limits=LIMITS, passthrough=models))


@given(st.one_of(st.binary(max_size=60), BODIES.map(lambda body: json.dumps(body).encode())))
def test_bodies(raw: bytes) -> None:
    with suppress(ApiError):
        assert isinstance(decode_object(raw), dict)
