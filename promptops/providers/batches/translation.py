"""What litellm makes of a call's parameters for a provider, without making the call."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from promptops.providers.litellm_client import INSTALL, import_litellm, installed, to_model_error
from promptops.providers.types import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_OWN = frozenset({"model", "messages", "_skip_mcp_handler"})
_NOT_SENT = ("stream", "json_mode", "is_vertex_request", "vertex_count_tokens_location")


def require_litellm(provider: str) -> None:
    """Raise ModelError where litellm is not installed."""
    if not installed():
        missing = f"{provider} is called through litellm, which is not installed"
        raise ModelError("bad_request", missing, hint=INSTALL)


def translated_body(
    provider: str,
    model: str,
    arguments: Mapping[str, Any],
    finish: Callable[[Any, list[Any], dict[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """The body that ``finish`` makes with litellm of the messages and the provider's own parameters.

    ``arguments`` are what litellm would be called with, and stay as they are. Raises ModelError.
    """
    litellm = import_litellm()
    given = copy.deepcopy({key: value for key, value in arguments.items() if key not in _OWN})
    messages = copy.deepcopy(arguments["messages"])
    try:
        optional = litellm.utils.get_optional_params(
            model=model, custom_llm_provider=provider, messages=messages, **given
        )
        for name in _NOT_SENT:
            optional.pop(name, None)
        return finish(litellm, messages, optional)
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001 - litellm lets anything through; it leaves here typed
        failure = to_model_error(error, f"{provider}/{model}")
    failure.type = "bad_request"  # nothing was sent, whatever it calls it
    raise failure
