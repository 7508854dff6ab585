"""What a prompt file may say to a provider: how to answer, never where its key goes."""

import json
from pathlib import Path
from typing import Any

import pytest

from promptops.api import Workspace
from promptops.config.settings import find_settings
from promptops.providers.catalog import Catalog
from promptops.providers.endpoints import is_direct
from promptops.providers.litellm_client import LitellmClient
from promptops.providers.parameters import (
    check_parameters,
    check_tools,
    model_name_problem,
    sendable_parameters,
)
from promptops.providers.types import CompletionRequest, ModelError
from support.front_door import Cli, Repo
from support.provider import Provider

HELLO = ({"role": "user", "content": "hello"},)
HOSTILE: dict[str, Any] = {
    "model_list": [{"model_name": "m", "litellm_params": {"api_base": "http://evil.test"}}],
    "fallbacks": [{"model": "openai/x", "api_base": "http://evil.test"}],
    "context_window_fallback_dict": {},
    "headers": {"Authorization": "x"},
    "extra_headers": {"Host": "evil.test"},
    "extra_body": {"api_base": "http://evil.test"},
    "default_headers": {},
    "aws_bedrock_runtime_endpoint": "http://evil.test",
    "aws_sts_endpoint": "http://evil.test",
    "vertex_credentials": "/etc/passwd",
    "api_base": "http://evil.test",
    "base_url": "http://evil.test",
    "api_version": "../../x",
    "custom_llm_provider": "openai",
    "azure_ad_token": "x",
    "mock_response": "made up",
    "mock_tool_calls": [],
    "mock_timeout": True,
    "callbacks": ["langfuse"],
    "success_callback": ["x"],
    "logger_fn": "os.system",
    "litellm_metadata": {"langfuse_host": "http://evil.test"},
    "langfuse_host": "http://evil.test",
    "proxy_server_request": {},
    "ssl_verify": False,
    "client": "x",
    "drop_params": True,
    "allowed_openai_params": ["x"],
    "prompt_id": "x",
    "cache_control_injection_points": [],
    "use_litellm_proxy": True,
    "num_retries": 50,
    "request_timeout": 1,
    "cache": {"type": "redis"},
    "organization": "x",
    "_skip_mcp_handler": False,
}


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_known_to_set_an_answer_is_refused(name: str, direct: bool) -> None:
    with pytest.raises(ModelError) as caught:
        check_parameters({name: HOSTILE[name]}, direct=direct)
    assert caught.value.exit_code == 4
    assert caught.value.hint


ADDRESSES: list[tuple[str, Any]] = [
    ("web_search_options", {"server_url": "mcp.evil.test"}),
    ("web_search_options", {"a": [{"serverUrl": "x"}]}),
    ("provider", {"headers": {"Authorization": "x"}}),
    ("provider", {"order": ["https://evil.test/v1"]}),
    ("chat_template_kwargs", {"apiKey": "x"}),
    ("metadata", {"langfuse_host": "evil.test"}),
    ("audio", {"voice": "//evil.test/x"}),
    ("reasoning_effort", "HTTPS://evil.test"),
]
TOOLS: list[dict[str, Any]] = [
    {"type": "mcp", "server_label": "x", "server_url": "https://evil.test/sse"},
    {"type": "mcp", "connector_id": "connector_gmail", "authorization": "x"},
    {"type": "url", "url": "https://evil.test"},
    {"type": "MCP"},
    {"type": "function\n", "function": {"name": "f"}},
    {"type": "function", "function": {"name": "f"}, "server_url": "x"},
    {"type": "web_search", "user_location": {"proxy": "x"}},
    {"type": "web_search", "filters": ["http://evil.test"]},
    {"type": "file_search", "vector_store_ids": ["vs_of_somebody"]},
]


@pytest.mark.parametrize(("name", "value"), ADDRESSES)
def test_no_value_of_a_parameter_says_where_a_call_goes(name: str, value: Any) -> None:
    for direct in (True, False):
        with pytest.raises(ModelError, match="cannot be sent"):
            check_parameters({name: value}, direct=direct)


@pytest.mark.parametrize("tool", TOOLS)
def test_no_tool_calls_an_address_of_the_prompt(tool: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        check_tools([tool])


def test_schemas_labels_and_settings_are_sent_as_they_are() -> None:
    schema = {"$id": "https://a.test/x", "properties": {"url": {"type": "string"}, "api_key": {}}}
    check_tools([{"type": "function", "function": {"name": "f", "parameters": schema}, "cache_control": {}}])
    check_tools([{"type": "web_search_20250305", "name": "web_search", "max_uses": 3}])
    check_parameters({"response_format": {"json_schema": {"schema": schema}}, "user": "//x"}, direct=True)
    check_parameters({"output_config": {"format": {"schema": schema}}}, direct=True)
    for value in ({"search_context_size": "low"}, {"user_location": {"approximate": {"city": "Ulm"}}}):
        check_parameters({"web_search_options": value}, direct=True)


def test_a_tool_with_an_address_stops_lint_and_a_run(greeting: Repo, cli: Cli, provider: Provider) -> None:
    prompt = greeting.path / "prompts/greet.yaml"
    prompt.write_text(f"{prompt.read_text()}tools:\n  - {json.dumps(TOOLS[0])}\n")
    linted = cli("lint")
    assert (linted.code, "error[tool-address]" in linted.out) == (1, True)
    assert cli("run", "greet", "-i", "name=Ada").code == 4
    assert not provider.requests


@pytest.mark.parametrize("line", ["parameters: {base_url: 'http://evil.test'}", "model: x/http://evil.test"])
def test_what_is_not_sent_is_not_handed_to_another_client(greeting: Repo, cli: Cli, line: str) -> None:
    prompt = greeting.path / "prompts/greet.yaml"
    key = line.partition(":")[0]
    kept = [each for each in prompt.read_text().splitlines() if not each.startswith(key)]
    prompt.write_text("\n".join([*kept, line]))
    done = cli("run", "greet", "--prepare", "-i", "name=Ada")
    assert (done.code, done.out) == (4, "")
    with Workspace.open(greeting.path) as workspace, pytest.raises(ModelError):
        workspace.prepare("greet", {"name": "Ada"})


def test_litellm_reads_addresses_out_of_metadata() -> None:
    check_parameters({"metadata": {"user_id": "u1"}}, direct=False)
    check_parameters({"metadata": {"team": "a"}}, direct=True)
    with pytest.raises(ModelError, match="langfuse_host"):
        check_parameters({"metadata": {"langfuse_host": "http://evil.test"}}, direct=False)


def test_a_misspelt_parameter_names_the_nearest() -> None:
    with pytest.raises(ModelError) as caught:
        check_parameters({"temprature": 1}, direct=True)
    assert caught.value.hint == "write `temperature`"


@pytest.mark.parametrize(
    "model",
    [
        "huggingface/https://evil.test/m",
        "oobabooga/http://evil.test",
        "huggingface/HTTPS://evil.test",
        "huggingface/http:evil",
        "bedrock/arn:aws:bedrock:evil.test/x:086734376398:imported-model/a",
        "bedrock/arn:aws:bedrock:us-east-1@evil.test:086734376398:imported-model/a",
        "replicate/../../x",
        "cloudflare/@cf/a?b=c",
        "snowflake/a#b",
        "azure/a%2f..%2fb",
        "gemini/a b",
    ],
)
def test_a_model_whose_name_is_an_address_is_never_called(model: str) -> None:
    assert model_name_problem(model)
    with pytest.raises(ModelError) as caught:
        LitellmClient(model, {}).identity(CompletionRequest(model=model, messages=HELLO))
    assert caught.value.exit_code == 4


def test_every_model_of_the_catalogue_can_be_called(repo: Repo) -> None:
    names = Catalog.load(find_settings(repo.path, {})).names()
    refused = [name for name in names if model_name_problem(name)]
    assert [name for name in refused if not is_direct(name.partition("/")[0]) and "*" not in name] == []
    assert not model_name_problem("bedrock/arn:aws:bedrock:us-east-1::foundation-model/a.b-v1:0")


def test_sampling_of_own_servers_is_sent_to_them_alone() -> None:
    assert {"guided_json", "chat_template_kwargs"} <= sendable_parameters(direct=True)
    assert not {"guided_json", "chat_template_kwargs"} & sendable_parameters(direct=False)


def test_a_frozen_prompt_with_such_a_parameter_is_listed_and_not_run(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    text = "model: openai/gpt-4o-mini-2024-07-18\nparameters: {mock_response: yes}\n"
    repo.write("prompts/p.yaml", text + "messages: [{role: user, content: hi}]\n")
    repo.commit("p")
    assert "mock_response" in cli("show", "p").out
    result = cli("run", "p")
    assert (result.code, provider.requests) == (4, [])
    assert "`mock_response` cannot be sent" in result.err


def test_the_page_lists_what_is_sent() -> None:
    page = (Path(__file__).parents[2] / "docs/models.md").read_text(encoding="utf-8")
    assert [name for name in sorted(sendable_parameters(direct=True)) if f"`{name}`" not in page] == []
