"""litellm as the measure: the same call gives the same body, the same variables lead to the same place,
the same tokens cost the same. Where promptops differs on purpose, the difference is a row here and in
docs/models.md.
"""

import asyncio
import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import Settings, find_settings
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.catalog_index import Index, build_lines
from promptops.providers.endpoints import (
    DIRECT_PROVIDERS,
    KEYLESS_PROVIDERS,
    endpoint_model_name,
    resolve_endpoint,
)
from promptops.providers.litellm_client import import_litellm
from promptops.providers.types import Completion, CompletionRequest
from support.provider import Provider, Received

HELLO = ({"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"})
TOOL = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
LEFT_TO_LITELLM = {
    *("ai21", "ai21_chat", "azure_ai", "baseten", "docker_model_runner", "xinference"),
    *("chatgpt", "github_copilot", "clarifai", "ragflow", "codestral"),
    "anyscale",  # litellm lists it and does not know it
}


pytestmark = pytest.mark.filterwarnings("ignore")  # litellm's own


@pytest.fixture(scope="module")
def litellm() -> Any:
    return import_litellm()


@pytest.fixture
def settings(repo: Any) -> Settings:
    return find_settings(repo.path, {})


def by_litellm(litellm: Any, provider: Provider, model: str, **arguments: Any) -> Received:
    for name in ("_skip_mcp_handler",) if "tools" in arguments else ():
        arguments[name] = True  # else it wants a package that it does not install
    provider.requests.clear()
    answer = litellm.completion(model=model, messages=list(HELLO), max_retries=0, **arguments)
    if arguments.get("stream"):
        list(answer)
    return provider.requests[0]


def by_us(provider: Provider, settings: Settings, model: str, **request: Any) -> Received:
    provider.requests.clear()
    adapter = create_client(model, settings, os.environ)
    asyncio.run(adapter.complete(CompletionRequest(model=model, messages=HELLO, **request)))
    return provider.requests[0]


SAME: list[dict[str, Any]] = [
    {},
    {"temperature": 0},
    {"temperature": 0.7, "top_p": 0.9},
    {"n": 1},
    {"max_tokens": 64},
    {"max_completion_tokens": 64},
    {"stop": "\n"},
    {"stop": ["a", "b"]},
    {"seed": 7},
    {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    {"logit_bias": {"50256": -100}},
    {"logprobs": True, "top_logprobs": 3},
    {"response_format": {"type": "json_object"}},
    {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "o", "schema": SCHEMA, "strict": True},
        }
    },
    {"parallel_tool_calls": False},
    {"reasoning_effort": "low"},
    {"verbosity": "low"},
    {"service_tier": "flex"},
    {"store": True},
    {"prediction": {"type": "content", "content": "x"}},
    {"safety_identifier": "u"},
    {"prompt_cache_key": "k"},
    {"user": "u"},
    {"top_k": 5},  # of another vendor: passed on
    {"chat_template_kwargs": {"enable_thinking": False}},
]


@pytest.mark.parametrize(
    ("model", "parameters"),
    [("openai/gpt-4o-mini", row) for row in SAME] + [("hosted_vllm/my-model", row) for row in SAME[::6]],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, dict) else value,
)
def test_the_body_is_the_same(
    litellm: Any,
    provider: Provider,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    parameters: Any,
) -> None:
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", provider.base_url)
    theirs = by_litellm(litellm, provider, model, **parameters, **known_to(litellm, model, parameters))
    ours = by_us(provider, settings, model, parameters=parameters)
    assert ours.body == theirs.body
    assert ours.path == theirs.path


def known_to(litellm: Any, model: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """How users of litellm make it pass a parameter that its table says a model lacks."""
    supported = litellm.get_supported_openai_params(model.partition("/")[2], model.partition("/")[0])
    return {"allowed_openai_params": [name for name in parameters if name not in supported]}


@pytest.mark.parametrize(
    "choice", [None, "auto", "required", {"type": "function", "function": {"name": "f"}}]
)
def test_tools_are_the_same(litellm: Any, provider: Provider, settings: Settings, choice: Any) -> None:
    chosen = {"tool_choice": choice} if choice else {}
    theirs = by_litellm(litellm, provider, "openai/gpt-4o-mini", tools=[TOOL], **chosen)
    ours = by_us(provider, settings, "openai/gpt-4o-mini", tools=(TOOL,), parameters=chosen)
    assert ours.body == theirs.body


def test_an_output_schema_is_asked_for_as_a_response_format(
    litellm: Any, provider: Provider, settings: Settings
) -> None:
    asked = {"type": "json_schema", "json_schema": {"name": "output", "schema": SCHEMA, "strict": True}}
    theirs = by_litellm(litellm, provider, "openai/gpt-4o-mini", response_format=asked)
    assert by_us(provider, settings, "openai/gpt-4o-mini", output_schema=SCHEMA).body == theirs.body


def test_difference_streaming_asks_for_the_counts(
    litellm: Any, provider: Provider, settings: Settings
) -> None:
    theirs = by_litellm(litellm, provider, "openai/gpt-4o-mini", stream=True)
    ours = by_us(provider, settings, "openai/gpt-4o-mini", stream=True)
    assert ours.body == {**theirs.body, "stream_options": {"include_usage": True}}


AS_USER = [{**HELLO[0], "role": "user"}, HELLO[1]]
DIFFERENT = [
    # model, written, what litellm sends in its place
    ("openai/o3", {"max_tokens": 9}, {"max_completion_tokens": 9, "messages": AS_USER}),
    ("openai/gpt-5", {"max_tokens": 9}, {"max_completion_tokens": 9}),
    ("openai/my-own", {"user": "u"}, {}),
    ("openrouter/vendor/m", {}, {"usage": {"include": True}}),
    ("publicai/m", {"max_completion_tokens": 9}, {"max_tokens": 9}),
    ("groq/m", {"max_completion_tokens": 9}, {"max_tokens": 9}),
]


@pytest.mark.parametrize(("model", "written", "theirs"), DIFFERENT)
def test_difference_what_is_written_is_sent(
    litellm: Any,
    provider: Provider,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    written: dict[str, Any],
    theirs: dict[str, Any],
) -> None:
    name = model.partition("/")[0]
    _, keys, bases = DIRECT_PROVIDERS[name]
    monkeypatch.setenv(keys.split()[0], "sk-test")
    monkeypatch.setenv(bases.split()[0], provider.base_url)
    basic = {"model": endpoint_model_name(name, model.partition("/")[2]), "messages": list(HELLO)}
    assert by_us(provider, settings, model, parameters=written).body == {**basic, **written}
    provider.requests.clear()
    unreadable = [litellm.exceptions.APIConnectionError] if name == "groq" else []  # a plain reply of groq's
    with contextlib.suppress(*unreadable):
        by_litellm(litellm, provider, model, **written)
    assert provider.requests[0].body == {**basic, **theirs}


# ---- where the providers are

RESOLVED_LATER = {"openai", "openrouter", "cometapi"}  # litellm decides these while it calls


@pytest.mark.parametrize("name", sorted(set(DIRECT_PROVIDERS) - RESOLVED_LATER))
def test_the_same_variables_lead_to_the_same_place(
    litellm: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    default, keys, bases = DIRECT_PROVIDERS[name]
    for variable in (*keys.split(), *bases.split()):
        monkeypatch.delenv(variable, raising=False)
    assert litellm.get_llm_provider(f"{name}/m")[3] == (default or None)
    for key in keys.split():
        with pytest.MonkeyPatch.context() as one:
            one.setenv(key, "sk-one")
            assert (
                litellm.get_llm_provider(f"{name}/m")[2]
                == resolve_endpoint(name, os.environ | same_base(bases)).key
            )
    for base in bases.split():
        with pytest.MonkeyPatch.context() as one:
            one.setenv(base, "http://h/v9")
            assert litellm.get_llm_provider(f"{name}/m")[3] == resolve_endpoint(name, os.environ).base_url


def same_base(bases: str) -> dict[str, str]:
    return {bases.split(maxsplit=1)[0]: "http://h"} if bases else {}


@pytest.mark.parametrize(
    ("name", "variable"),
    [("openai", "OPENAI_BASE_URL"), ("openai", "OPENAI_API_BASE"), ("openrouter", ""), ("cometapi", "")],
)
def test_the_same_variables_while_calling(
    litellm: Any,
    provider: Provider,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variable: str,
) -> None:
    _, keys, bases = DIRECT_PROVIDERS[name]
    for other in bases.split():
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(variable or bases, provider.base_url)
    for key in keys.split():
        with pytest.MonkeyPatch.context() as one:
            one.setenv(key, f"sk-{key}")
            theirs, ours = by_litellm(litellm, provider, f"{name}/m"), by_us(provider, settings, f"{name}/m")
        assert ours.headers["authorization"] == theirs.headers["authorization"]
        assert ours.path == theirs.path
        monkeypatch.delenv(key, raising=False)


def test_every_marked_provider_has_its_way(litellm: Any) -> None:
    marked = set(litellm.openai_compatible_providers)
    assert marked - set(DIRECT_PROVIDERS) == LEFT_TO_LITELLM & marked
    json_made = set(
        json.loads((Path(litellm.__file__).parent / "llms/openai_like/providers.json").read_text())
    )
    assert json_made - set(DIRECT_PROVIDERS) == {"sarvam"}
    assert set(DIRECT_PROVIDERS) >= KEYLESS_PROVIDERS


# ---- what it costs

USED = Completion(text="", response_model="", input_tokens=1000, output_tokens=500)
PRICED = [
    ("openai/gpt-4o-mini", USED),
    ("openai/gpt-4o", replace(USED, cached_tokens=600)),
    ("openai/o3", replace(USED, reasoning_tokens=400)),
    ("anthropic/claude-sonnet-4-5", replace(USED, cached_tokens=300, cache_write_tokens=200)),
    ("gemini/gemini-2.5-pro", replace(USED, cached_tokens=100, reasoning_tokens=50)),
    ("gemini/gemini-2.5-pro", replace(USED, input_tokens=250_000, cached_tokens=100_000)),
    ("dashscope/qwen-plus-latest", replace(USED, reasoning_tokens=100)),
    ("dashscope/qwen-plus-latest", replace(USED, input_tokens=300_000)),
    ("deepseek/deepseek-chat", replace(USED, cached_tokens=100)),
    ("mistral/mistral-small-latest", USED),
]


def by_its_own_list(litellm: Any) -> Catalog:
    """Its prices are compared by one list: the snapshot may be of a newer release than the installed one."""
    return Catalog(Index(build_lines(litellm.model_cost), "", ""), {})


@pytest.mark.parametrize(("model", "used"), PRICED)
def test_the_same_tokens_cost_the_same(litellm: Any, model: str, used: Completion) -> None:
    ours = by_its_own_list(litellm).cost(model, used)
    if ours is None:
        pytest.skip("this litellm does not know the model")
    assert ours.cost_usd == pytest.approx(their_cost(litellm, model, used), rel=1e-9)
    plain = replace(used, cached_tokens=None, cache_write_tokens=None)
    assert ours.cost_list_usd == pytest.approx(their_cost(litellm, model, plain), rel=1e-9)


def test_nearly_every_chat_model_costs_the_same(litellm: Any) -> None:
    known, compared, different = by_its_own_list(litellm), 0, []
    for model, entry in list(litellm.model_cost.items())[::8]:
        # For xai, litellm adds the reasoning tokens here; in promptops they are added where a reply is read.
        thought = None if entry.get("litellm_provider") == "xai" else 100
        used = replace(USED, input_tokens=300_000, cached_tokens=1000, reasoning_tokens=thought)
        ours = known.cost(model, used)
        if entry.get("mode") != "chat" or ours is None or "off_peak_pricing" in entry:
            continue
        with contextlib.suppress(litellm.exceptions.BadRequestError):  # a provider that it does not know
            theirs = their_cost(litellm, model, used, custom_llm_provider=entry["litellm_provider"])
            compared += 1
            different += [] if ours.cost_usd == pytest.approx(theirs, rel=1e-6) else [model]
    assert compared > 100
    assert len(different) < compared * 0.005, different


def their_cost(litellm: Any, model: str, used: Completion, **more: Any) -> float:
    sent = {"cached_tokens": used.cached_tokens, "cache_creation_tokens": used.cache_write_tokens}
    usage = litellm.Usage(
        prompt_tokens=used.input_tokens,
        completion_tokens=used.output_tokens,
        prompt_tokens_details={k: v for k, v in sent.items() if v} or None,
        completion_tokens_details={"reasoning_tokens": used.reasoning_tokens}
        if used.reasoning_tokens
        else None,
    )
    if used.cache_write_tokens:
        usage.cache_creation_input_tokens = used.cache_write_tokens
    answer = litellm.ModelResponse(model=model, usage=usage)
    return float(litellm.completion_cost(completion_response=answer, model=model, **more))
