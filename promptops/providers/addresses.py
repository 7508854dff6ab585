"""Values of parameters and tools that would make a provider call an address, or hand it a key.

Providers run tools of their own (``type: mcp`` with a ``server_url`` and headers is one), and gateways obey
members of objects that they know. So the kinds of tools are a list of those that call nothing that the prompt
names, and no value says where anything goes. Schemas and texts that a model only reads are left as they are.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_TOOL_TYPE = (
    r"(?a)(?:function|custom|bash|code_execution|code_interpreter|computer|computer_use|image_generation|memory"
    r"|text_editor|tool_search_tool_(?:bm25|regex)|web_fetch|web_search)(?:_preview)?(?:_[\d_]{8,10})?"
)
_TOOLS = "function, custom, and tools that a provider runs by itself, such as web_search"
_READ_BY_MODELS = frozenset(
    {
        "bad_words",
        "documents",
        "functions",
        "grammar",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "json_schema",
        "prediction",
        "prompt_cache_key",
        "response_format",
        "safety_identifier",
        "stop",
        "stop_sequences",
        "structured_outputs",
        "user",
    }
)
"""Parameters whose values are schemas, texts or labels."""

_OF_FUNCTIONS = ("function", "input_schema", "format", "description")
_NAMES_ADDRESS = (
    r"(?:^|_)(?:api|auth|authorization|base|callbacks?|connector|cookies?|credentials?|endpoint|headers?|host"
    r"|hostname|key|password|proxy|secret|server|token|ur[il]|webhook)(?:_|$)"
)
_WORD_START = r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+"
_ADDRESS = r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//\S"


def tool_problem(tool: Mapping[str, Any]) -> str:
    """Say why a tool is not sent; "" when it is."""
    kind = tool.get("type")
    if not isinstance(kind, str) or not re.fullmatch(_TOOL_TYPE, kind):
        return f"a tool of type `{kind}` cannot be sent: known are {_TOOLS}"
    settings = {key: value for key, value in tool.items() if key not in _OF_FUNCTIONS}
    return next((f"the tool has {found}" for found in _addresses(settings)), "")


def parameter_address(name: str, value: Any) -> str:
    """What a parameter holds that names an address or a key; "" where it holds nothing of the kind."""
    return "" if name in _READ_BY_MODELS else next(_addresses(value), "")


def _addresses(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "schema":
                continue
            words = re.sub(_WORD_START, "_", str(key)).lower()
            if re.search(_NAMES_ADDRESS, words):
                yield f"`{key}`, and only the environment says where a call goes and with which key"
            yield from _addresses(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _addresses(item)
    elif isinstance(value, str) and re.match(_ADDRESS, value):
        yield f"the address {value[:80]!r}"
