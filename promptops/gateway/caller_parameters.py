"""What callers send beside the inputs. The released version decides these, so they are ignored or refused.

Tools are another thing: a prompt may say that it takes those of its callers.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from promptops.gateway.body import wrong_type
from promptops.gateway.errors import ApiError
from promptops.runner.caller_tools import NO_TOOLS, CallerTools

_NAME = re.compile(r"[a-zA-Z_]{1,40}", re.ASCII)  # of those that a header may name
_MAX_NAMED = 40
_FUNCTION_KEYS = ("name", "description", "parameters", "strict")
_CHANGES_THE_ANSWER: dict[str, Callable[[Any], bool]] = {
    "n": lambda value: value != 1,
    "logprobs": bool,
    "audio": bool,
    "modalities": lambda value: value != ["text"],
    "store": bool,
    "background": bool,
    "previous_response_id": bool,
    "conversation": bool,
}
"""Who asks for these waits for another kind of answer than there is: they are refused in any case."""


_OF_TOOLS = ("tool_choice", "parallel_tool_calls")


def tools_in(body: Mapping[str, Any]) -> CallerTools:
    """The functions of a request, in the form of either API. Raises what is wrong with them."""
    tools = body.get("tools")
    if tools is None or tools == []:
        return NO_TOOLS
    if not isinstance(tools, list):
        raise wrong_type("tools", "a list of functions")
    parameters = {name: _nested(body[name], ("name",)) for name in _OF_TOOLS if body.get(name) is not None}
    return CallerTools(tuple(_nested(tool, _FUNCTION_KEYS) for tool in tools), parameters)


def _nested(value: Any, keys: Iterable[str]) -> Any:
    """A function as the chat API writes it: the Responses API has its keys beside its type."""
    if not isinstance(value, dict) or value.get("type") != "function" or "function" in value:
        return value
    function = {name: value[name] for name in keys if value.get(name) is not None}
    rest = {name: one for name, one in value.items() if name not in keys}
    return {**rest, "function": function}


def ignored_parameters(body: Mapping[str, Any], known: Iterable[str], *, refuse: bool) -> tuple[str, ...]:
    """The names of what is ignored. Raises ApiError for what is refused."""
    known = {*known, "tools", *(_OF_TOOLS if body.get("tools") else ())}
    extra = {name: value for name, value in body.items() if name not in known and value is not None}
    if not extra:
        return ()
    for name, asks in _CHANGES_THE_ANSWER.items():
        if name in extra and asks(extra[name]):
            raise _refused(name, "asks for another kind of answer than this gateway gives; leave it out")
    if extra.get("functions"):
        raise _refused("functions", "is deprecated; send `tools`")
    if refuse:
        raise _refused(
            min(extra),
            "belongs to the released version and cannot be set by a call; write it in the prompt file",
        )
    return tuple(name for name in sorted(extra) if _NAME.fullmatch(name))[:_MAX_NAMED]


def _refused(name: str, why: str) -> ApiError:
    shown = name if _NAME.fullmatch(name) else "a parameter"
    return ApiError(400, f"`{shown}` {why}", "unsupported_parameter", shown)
