"""Plain models: calls without a prompt, where ``serve: {passthrough: log}`` and the key allow them.

Such a call is a run like others, of a prompt made for the model: it takes the messages of the request.
What else the request says is no part of the version, or callers could make as many versions as calls.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from promptops.config.yaml import Document
from promptops.errors import Invalid
from promptops.gateway.access import Caller
from promptops.gateway.body import wrong_type
from promptops.gateway.errors import ApiError
from promptops.gateway.patterns import WILDCARD
from promptops.prompt import Input, Insert, Prompt
from promptops.prompt.canonical_json import json_data_problem
from promptops.providers.parameters import check_model_name
from promptops.runner.caller_tools import NO_TOOLS, CallerTools
from promptops.service import CallRequest
from promptops.versions.version import Version

PROMPT: Final = "passthrough"
PARAMETERS = frozenset(
    {
        "frequency_penalty",
        "logit_bias",
        "max_completion_tokens",
        "max_tokens",
        "min_p",
        "parallel_tool_calls",
        "presence_penalty",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "thinking",
        "tool_choice",
        "top_k",
        "top_p",
        "verbosity",
    }
)
"""What callers may set. None of it costs more than the price of tokens says."""

_MESSAGES = "messages"
_BARE = re.compile(r"[\w.-]+", re.ASCII)
_OPENAI = "openai/"
_BOUNDS = ("max_completion_tokens", "max_tokens")
_MAX_MODELS = 500  # of one process: each has connections of its own


class Passthrough:
    """Which models callers may name beside prompts."""

    def __init__(self, aliases: Mapping[str, str], providers: Collection[str] = (), *, allowed: bool) -> None:
        self._aliases = aliases
        self._providers = providers
        self._allowed = allowed
        self._models: set[str] = set()

    def find(self, given: str, caller: Caller) -> str | None:
        """The model in litellm's notation; None where the key has none of that name.

        A bare name is one of OpenAI's, as programs have it. A wildcard matches models of known providers
        alone: `*` names models, and no prompt.
        """
        if not self._allowed:
            return None
        name = self._aliases.get(given, given)
        model = _OPENAI + name if _BARE.fullmatch(name) else name
        of_known = model.partition("/")[0] in self._providers
        if not (model in caller.usage.limits.models or (of_known and caller.may_call_model(model))):
            return None
        check_model_name(model)
        self._count(model)
        return model

    def listed(self, caller: Caller) -> list[str]:
        """The models that the key names in full, which a list can show."""
        models = caller.usage.limits.models if self._allowed else ()
        return [model for model in models if not WILDCARD.search(model)]

    def _count(self, model: str) -> None:
        if model not in self._models and len(self._models) >= _MAX_MODELS:
            raise ApiError(403, f"more than {_MAX_MODELS} models are not called", "not_allowed", "model")
        self._models.add(model)


def model_call(
    call: CallRequest,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    parameters: Mapping[str, Any],
    tools: CallerTools = NO_TOOLS,
) -> CallRequest:
    """The call of a plain model. Raises ApiError or Invalid for parameters that cannot be sent."""
    if problem := json_data_problem(dict(parameters)):
        raise Invalid(f"the parameters cannot be used: {problem}")
    for name in _BOUNDS:
        bound = parameters.get(name, 1)
        if type(bound) is not int or bound < 1:
            raise wrong_type(name, "a number of tokens, at least 1")
    added = CallerTools(tools.tools, dict(sorted({**tools.parameters, **parameters}.items())))
    return replace(
        call,
        reference=model,
        version=Version(prompt=_prompt(model), reference=model, source=PROMPT, pasteable=model),
        inputs={_MESSAGES: list(messages)},
        chat=(),
        caller_tools=added,
    )


@lru_cache(maxsize=_MAX_MODELS)
def _prompt(model: str) -> Prompt:
    """The same for the same model, so that what is made of a prompt once is made once."""
    return Prompt(
        name=PROMPT,
        path=f"{PROMPT}.yaml",
        document=Document(PROMPT, {}, {}),
        model=model,
        caller_tools="allow",
        inputs={_MESSAGES: Input(_MESSAGES, {}, "messages")},
        messages=(Insert(_MESSAGES),),
    )
