"""Parameters by which a provider library answers by itself: no model is called, so nothing is measured."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from promptops.errors import Invalid
from promptops.prompt.types import Prompt

_NAMES = frozenset({"cache", "caching"})
_PREFIX = "mock"
MOCK = "mock"  # the reason that such runs are no evidence, as it is logged


@lru_cache(maxsize=256)
def find_mock_parameter(prompt: Prompt) -> str | None:
    """The first parameter, at whatever depth, that makes up answers or takes them from a cache."""
    return next(_mock_parameters(prompt.parameters), None)


def require_measurable(prompt: Prompt, what: str) -> None:
    """Raise Invalid where answers are made up. ``what`` would rest on them."""
    if name := find_mock_parameter(prompt):
        raise Invalid(
            f"{prompt.name} sets `{name}`: its answers are made up, and {what} needs measured ones",
            hint=f"remove `{name}` from {prompt.path}",
        )


def _mock_parameters(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            name = str(key).casefold()
            if name.startswith(_PREFIX) or name in _NAMES:
                yield str(key)
            yield from _mock_parameters(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _mock_parameters(item)
