"""Rules on parameters: their values, whether the model takes them, whether they contradict each other."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptops.config.text import Problem
from promptops.errors import PromptopsError
from promptops.lint.context import LintContext
from promptops.prompt.canonical_json import json_text
from promptops.prompt.json_schema import explain_schema_error, validator_for
from promptops.providers import is_chat_model, split_model
from promptops.providers.addresses import tool_problem
from promptops.providers.endpoints import is_direct
from promptops.providers.parameters import belongs_elsewhere, check_parameters, model_name_problem

_COUNT = {"type": "integer", "minimum": 1}
_SWITCH = {"type": "boolean"}
_WORD = {"type": "string"}
_PENALTY = {"type": "number", "minimum": -2, "maximum": 2}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_ANYTHING: Mapping[str, Any] = {}
PARAMETER_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "audio": {"type": "object"},
    "cache_control": {"type": "object"},
    "context_management": _ANYTHING,
    "frequency_penalty": _PENALTY,
    "functions": {"type": "array"},
    "function_call": _ANYTHING,
    "logit_bias": {"type": "object"},
    "include_server_side_tool_invocations": _SWITCH,
    "logprobs": _SWITCH,
    "max_completion_tokens": _COUNT,
    "max_tokens": _COUNT,
    "metadata": {"type": "object"},
    "min_p": _SHARE,
    "modalities": {"type": "array"},
    "n": {"type": "integer"},
    "parallel_tool_calls": _SWITCH,
    "prediction": {"type": "object"},
    "presence_penalty": _PENALTY,
    "prompt_cache_key": _WORD,
    "prompt_cache_retention": _WORD,
    "reasoning_effort": _WORD,
    "repetition_penalty": {"type": "number"},
    "response_format": {"type": "object"},
    "safety_identifier": _WORD,
    "seed": {"type": "integer"},
    "service_tier": _WORD,
    "speed": _WORD,
    "stop": {"type": ["string", "array", "null"], "items": _WORD},
    "store": _SWITCH,
    "stream_options": {"type": "object"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2},
    "thinking": {"type": "object"},
    "tool_choice": {"type": ["string", "object"]},
    "top_k": {"type": "integer", "minimum": 0},
    "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
    "top_p": _SHARE,
    "user": _WORD,
    "verbosity": _WORD,
    "web_search_options": {"type": "object"},
}
"""What is sent to one provider or another, with the values it can have."""

_EXTENSIONS = frozenset({"min_p", "repetition_penalty", "thinking", "top_k"})  # none of them OpenAI's
_SAMPLING = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "presence_penalty",
        "temperature",
        "top_logprobs",
        "top_p",
    }
)
_ANTHROPIC_UNSUPPORTED = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "min_p",
        "presence_penalty",
        "repetition_penalty",
        "seed",
        "top_logprobs",
    }
)
_ALWAYS_REASONING = re.compile(r"(?:o\d|gpt-5(?![.\d]))(?!.*chat)")
_OPTIONAL_REASONING = re.compile(r"gpt-(?:5\.|[6-9])")
_NEEDS = {"top_logprobs": "logprobs: true", "tool_choice": "tools", "parallel_tool_calls": "tools"}


def bad_value(subject: LintContext) -> Iterator[Problem]:
    for name, value in subject.prompt.parameters.items():
        path = ("parameters", name)
        if name == "n" or belongs_elsewhere(name):
            if refused := _refusal(name, value, direct=True):
                yield subject.at(path, refused.message, refused.hint)
        elif name in PARAMETER_SCHEMAS:
            for error in validator_for(json_text(dict(PARAMETER_SCHEMAS[name]))).iter_errors(value):
                yield subject.at(path, explain_schema_error(error, f"the parameter `{name}`"))
                break


def _refusal(name: str, value: Any, *, direct: bool) -> PromptopsError | None:
    try:
        check_parameters({name: value}, direct=direct)
    except PromptopsError as error:
        return error
    return None


def unknown_parameter(subject: LintContext) -> Iterator[Problem]:
    """Parameters that are sent to none, or not to one of the models that are asked."""
    ways = {_is_called_directly(model, subject) for _, model in subject.models()}
    for name, value in subject.prompt.parameters.items():
        refusals = [_refusal(name, value, direct=direct) for direct in sorted(ways)]
        refused = next((refusal for refusal in refusals if refusal), None)
        if refused and name != "n" and not belongs_elsewhere(name):
            yield subject.at(("parameters", name), refused.message, refused.hint)


def tool_not_sent(subject: LintContext) -> Iterator[Problem]:
    for index, tool in enumerate(subject.prompt.tools):
        if problem := tool_problem(tool):
            yield subject.at(("tools", index), problem, "remove it from `tools:`")


def _is_called_directly(model: str, subject: LintContext) -> bool:
    provider, _ = split_model(model, subject.project.catalog)
    return provider == "local" or (is_direct(provider) and is_chat_model(model, subject.project.catalog))


def model_address(subject: LintContext) -> Iterator[Problem]:
    for path, model in subject.models():
        if not _is_called_directly(model, subject) and (problem := model_name_problem(model)):
            yield subject.at(path, problem, "addresses come from environment variables")


def unsupported_parameter(subject: LintContext) -> Iterator[Problem]:
    """Parameters that a model refuses; what a fallback refuses counts too."""
    for _, model in subject.models():
        provider, rest = split_model(model, subject.project.catalog)
        refuses = _REFUSALS.get(provider)
        for name, value in subject.prompt.parameters.items() if refuses else ():
            if refuses and (hint := refuses(rest, name, value, subject.prompt.parameters)) is not None:
                message = f"`{model}` does not take the parameter `{name}`"
                yield subject.at(("parameters", name), message, hint)


Parameters = Mapping[str, Any]


def _openai_refuses(model: str, name: str, value: Any, parameters: Parameters) -> str | None:
    if name in _EXTENSIONS:
        return "remove it: only other providers have it"
    effort = parameters.get("reasoning_effort", "none")
    reasons = _ALWAYS_REASONING.match(model) or (_OPTIONAL_REASONING.match(model) and effort != "none")
    if not reasons:
        return None
    if name == "max_tokens":
        return "reasoning models are given max_completion_tokens"
    if name in _SAMPLING and not (name in {"temperature", "top_p"} and value == 1):
        return "remove it: reasoning models sample in their own way"
    return None


def _azure_refuses(model: str, name: str, value: Any, parameters: Parameters) -> str | None:
    return None if name == "max_tokens" else _openai_refuses(model, name, value, parameters)


def _anthropic_refuses(_model: str, name: str, value: Any, parameters: Parameters) -> str | None:
    if name in _ANTHROPIC_UNSUPPORTED:
        return "remove it: Anthropic has nothing of the kind"
    if name == "temperature" and isinstance(value, (int, float)):
        if value > 1:
            return "Anthropic's temperatures end at 1"
        if value != 1 and _is_thinking(parameters):
            return "a model that thinks has temperature 1: remove one of the two"
    return None


def _is_thinking(parameters: Parameters) -> bool:
    thinking = parameters.get("thinking")
    asked = isinstance(thinking, Mapping) and thinking.get("type") != "disabled"
    return asked or parameters.get("reasoning_effort", "none") != "none"


_REFUSALS: Mapping[str, Callable[[str, str, Any, Parameters], str | None]] = {
    "anthropic": _anthropic_refuses,
    "azure": _azure_refuses,
    "openai": _openai_refuses,
}


def conflicting_parameters(subject: LintContext) -> Iterator[Problem]:
    prompt, given = subject.prompt, subject.prompt.parameters
    if "max_tokens" in given and "max_completion_tokens" in given:
        message = "`max_tokens` and `max_completion_tokens` say the same: keep the second"
        yield subject.at(("parameters", "max_tokens"), message)
    for name, needed in _NEEDS.items():
        tools = prompt.tools or prompt.takes_caller_tools
        there = bool(tools) if needed == "tools" else given.get("logprobs") is True
        if name in given and not there:
            yield subject.at(("parameters", name), f"the parameter `{name}` means nothing without `{needed}`")
    if prompt.output_schema is not None and "response_format" in given:
        message = "`response_format` goes before `output.schema`, which is then not asked for"
        yield subject.at(("parameters", "response_format"), message, "remove it: the schema says more")
