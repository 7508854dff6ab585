"""Which parameters of a prompt reach a provider, and which names of models do.

A prompt file can come from a stranger, and providers' libraries obey more than settings of a model: an
address, headers, a reply made up, code to call back. So only what is known to set how a model answers is
sent. Where a call goes, and with which key, is said by the environment alone.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from promptops.providers.addresses import parameter_address, tool_problem

if TYPE_CHECKING:
    from promptops.providers.types import ModelError

_STANDARD = frozenset(
    {
        "audio",
        "cache_control",
        "context_management",
        "frequency_penalty",
        "function_call",
        "functions",
        "include_server_side_tool_invocations",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "speed",
        "stop",
        "store",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "top_k",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    }
)
"""OpenAI's chat completions, and what litellm translates for every provider."""

_TRANSLATED = frozenset(
    {
        "citations",
        "documents",
        "k",
        "keep_alive",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "num_ctx",
        "num_predict",
        "output_config",
        "p",
        "random_seed",
        "repeat_last_n",
        "repeat_penalty",
        "repetition_penalty",
        "safe_prompt",
        "safety_settings",
        "stop_sequences",
        "tfs_z",
        "top_a",
        "typical_p",
    }
)
"""What providers with a wire of their own take besides (Anthropic, Cohere, Gemini, Mistral, Ollama, …)."""

_COMPATIBLE = frozenset(
    {
        "add_generation_prompt",
        "allowed_token_ids",
        "bad_words",
        "chat_template_kwargs",
        "clear_thinking",
        "continue_final_message",
        "do_sample",
        "dry_allowed_length",
        "dry_base",
        "dry_multiplier",
        "dynatemp_exponent",
        "dynatemp_range",
        "enable_search",
        "enable_thinking",
        "exclude_domains",
        "grammar",
        "guided_choice",
        "guided_decoding_backend",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "guided_whitespace_pattern",
        "ignore_eos",
        "include_domains",
        "include_reasoning",
        "include_stop_str_in_output",
        "json_schema",
        "length_penalty",
        "min_keep",
        "min_tokens",
        "n_probs",
        "prompt_logprobs",
        "prompt_truncate_len",
        "provider",
        "reasoning",
        "reasoning_format",
        "return_images",
        "return_related_questions",
        "safety_model",
        "search_context_size",
        "search_domain_filter",
        "search_mode",
        "search_options",
        "search_recency_filter",
        "skip_special_tokens",
        "spaces_between_special_tokens",
        "stop_token_ids",
        "structured_outputs",
        "thinking_budget",
        "transforms",
        "truncate_prompt_tokens",
        "usage",
        "venice_parameters",
        "xtc_probability",
        "xtc_threshold",
    }
)
"""What OpenAI-compatible endpoints and servers of one's own take besides (llama.cpp, OpenRouter, vLLM, …)."""

_ELSEWHERE = {
    "model": "write `model:` at the top of the prompt",
    "messages": "write `messages:` at the top of the prompt",
    "tools": "write `tools:` at the top of the prompt",
    "models": "write `fallback:` at the top of the prompt",
    "fallbacks": "write `fallback:` at the top of the prompt",
    "stream": "the program streams when the answer goes to a terminal",
    "extra_body": "write its keys directly under `parameters:`",
    "extra_headers": "headers cannot be set from a prompt",
    "headers": "headers cannot be set from a prompt",
    "api_key": "keys come from environment variables only",
    "api_base": "the address comes from an environment variable",
    "base_url": "the address comes from an environment variable",
    "timeout": "use --timeout",
}
_METADATA_FOR_LITELLM = frozenset(
    {"user_id"}
)  # litellm reads keys, addresses and callbacks out of the others
_MODEL_NAME = re.compile(r"[A-Za-z0-9~][\w.+~-]*(?:(?:[/:]@?|@)[\w.+~-]+)*", re.ASCII)
_REGION = re.compile(r"(?:[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2})?", re.ASCII)
_ARN = re.compile(r"\barn:[^:]*:[^:]*:([^:]*)")


_BEHIND_LITELLM = _STANDARD | _TRANSLATED
_DIRECT = _BEHIND_LITELLM | _COMPATIBLE


def sendable_parameters(*, direct: bool) -> frozenset[str]:
    """What may stand under ``parameters:`` for endpoints called directly, or for those behind litellm."""
    return _DIRECT if direct else _BEHIND_LITELLM


def belongs_elsewhere(name: str) -> bool:
    return name in _ELSEWHERE


def check_parameters(parameters: Mapping[str, Any], *, direct: bool) -> None:
    """Raise ModelError for the first parameter that is not sent, with the reason."""
    for name, value in parameters.items():
        if hint := _refusal(name, direct=direct):
            raise _bad_request(f"parameter `{name}` cannot be sent", hint)
        if name == "metadata" and (key := _refused_metadata(value, direct=direct)):
            message = f"parameter `metadata` cannot be sent with `{key}` to this provider"
            raise _bad_request(message, "it is sent with user_id alone")
        if found := parameter_address(name, value):
            message = f"parameter `{name}` cannot be sent with {found}"
            raise _bad_request(message, "remove it from the prompt")
    if parameters.get("n", 1) != 1:
        hint = "a run has one answer; run it again for more"
        raise _bad_request("parameter `n` must be 1", hint)


def _bad_request(message: str, hint: str) -> "ModelError":
    # late: lint asks which parameters there are, and calls nothing
    from promptops.providers.types import ModelError

    return ModelError("bad_request", message, hint=hint)


def check_tools(tools: Iterable[Mapping[str, Any]]) -> None:
    """Raise ModelError for the first tool that is not sent."""
    for tool in tools:
        if problem := tool_problem(tool):
            raise _bad_request(problem, "remove it from `tools:`")


def _refusal(name: str, *, direct: bool) -> str:
    known = sendable_parameters(direct=direct)
    if name in known:
        return ""
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    if not direct and name in _COMPATIBLE:
        return "only OpenAI-compatible endpoints take it: remove it"
    near = get_close_matches(name, known, 1, 0.8)
    return (
        f"write `{near[0]}`"
        if near
        else "docs/models.md lists the parameters that are sent: remove it, or name one of them"
    )


def _refused_metadata(value: Any, *, direct: bool) -> str:
    """A key of ``metadata`` that is not a plain label; "" where all are."""
    if direct:
        return ""
    if not isinstance(value, Mapping):
        return str(value)[:40]
    return next((str(key) for key in value if key not in _METADATA_FOR_LITELLM), "")


def check_model_name(model: str) -> None:
    """Raise ModelError for a model whose name says where a call goes: some providers take a URL for one."""
    if problem := model_name_problem(model):
        hint = "models are written provider/model; addresses come from environment variables"
        raise _bad_request(problem, hint)


def model_name_problem(model: str) -> str:
    """Say why a model's name is not sent; "" when it is."""
    if not _MODEL_NAME.fullmatch(model.replace("::", ":")) or ".." in model:
        return "a model's name holds letters, digits and .-_+~, in parts that `/`, `:` or `@` separate"
    if any(not _REGION.fullmatch(region) for region in _ARN.findall(model)):
        return "the region in the model's name is none"
    if "http" in model.lower().replace(":", "/").split("/"):
        return "the model's name holds an address"
    return ""
