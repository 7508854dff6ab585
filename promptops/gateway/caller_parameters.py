"""What callers send beside the inputs. The released version decides these, so they are ignored or refused."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from promptops.gateway.errors import ApiError

_NAME = re.compile(r"[a-zA-Z_]{1,40}", re.ASCII)  # of those that a header may name
_MAX_NAMED = 40
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


def ignored_parameters(body: Mapping[str, Any], known: Iterable[str], *, refuse: bool) -> tuple[str, ...]:
    """The names of what is ignored. Raises ApiError for what is refused."""
    extra = {name: value for name, value in body.items() if name not in known and value is not None}
    for name, asks in _CHANGES_THE_ANSWER.items():
        if name in extra and asks(extra[name]):
            raise _refused(name)
    if extra.get("tools") or extra.get("functions"):
        raise _refused("tools" if extra.get("tools") else "functions")
    if refuse and extra:
        raise _refused(min(extra))
    return tuple(name for name in sorted(extra) if _NAME.fullmatch(name))[:_MAX_NAMED]


def _refused(name: str) -> ApiError:
    shown = name if _NAME.fullmatch(name) else "a parameter"
    return ApiError(
        400,
        f"`{shown}` belongs to the released version and cannot be set by a call; write it in the prompt file",
        "unsupported_parameter",
        shown,
    )
