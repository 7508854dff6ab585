"""What a provider's list of models says of their end."""

from dataclasses import replace
from typing import Any

import pytest

from promptops.providers.shutdown_dates import fetch_shutdown_dates
from promptops.providers.types import ModelError
from support.provider import Provider, as_json, body, status


def env(provider: Provider) -> dict[str, str]:
    return {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "sk-of-the-test"}


def test_dates_are_read_as_texts_and_as_times(provider: Provider) -> None:
    models: list[Any] = [
        {"id": "gpt-4o-2024-08-06", "shutdown_date": "2027-01-14"},
        {"id": "o3-2025-04-16", "shutdown_date": 1_797_000_000},
        {"id": "gpt-5.4-mini-2026-03-17", "shutdown_date": None},
        {"id": "odd", "shutdown_date": "soon"},
        {"id": "late", "shutdown_date": 10**30},
        {"id": 7, "shutdown_date": "2027-01-14"},
        {"id": "x" * 300, "shutdown_date": "2027-01-14"},
    ]
    provider.script = as_json({"object": "list", "data": models})
    found = fetch_shutdown_dates("openai", env(provider))
    assert found == {"openai/gpt-4o-2024-08-06": "2027-01-14", "openai/o3-2025-04-16": "2026-12-11"}
    (request,) = provider.requests
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.headers["authorization"] == "Bearer sk-of-the-test"


@pytest.mark.parametrize("reply", [b"", b"[]", b'{"data": 3}', b'{"data": [3]}', b"[" * 100_000])
def test_what_is_no_list_is_said(provider: Provider, reply: bytes) -> None:
    provider.script = body(reply)
    with pytest.raises(ModelError, match="no list of models"):
        fetch_shutdown_dates("openai", env(provider))


def test_a_refusal_and_a_missing_key_are_said(provider: Provider) -> None:
    provider.script = status(401)
    with pytest.raises(ModelError) as refused:
        fetch_shutdown_dates("openai", env(provider))
    assert refused.value.type == "authentication"
    with pytest.raises(ModelError, match="OPENAI_API_KEY is not set"):
        fetch_shutdown_dates("openai", {})
    with pytest.raises(ModelError, match="anthropic has no list"):
        fetch_shutdown_dates("anthropic", {})


def test_a_provider_that_hangs_is_given_up(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptops.providers.shutdown_dates._TIMEOUT_S", 0.1)
    provider.script = replace(as_json({}), wait=5.0)
    with pytest.raises(ModelError, match=r"no answer within 0.1 s"):
        fetch_shutdown_dates("openai", env(provider))
