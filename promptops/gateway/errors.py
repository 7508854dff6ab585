"""Errors in OpenAI's shape and status."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid, MissingInputs, NotFound, OverBudget, PromptopsError, Unavailable
from promptops.providers.types import ErrorType, ModelError
from promptops.runner.caller_tools import CallerToolsRefused
from promptops.service.key_usage import LimitReached

NO_RETRY = {"x-should-retry": "false"}
"""What was tried was tried often enough: a client that tries again makes calls, and evidence, twice."""

_CLIENT_CLOSED = 499
_STATUS: dict[ErrorType, tuple[int, str]] = {
    "authentication": (502, "provider_authentication"),  # the gateway's key, not the caller's
    "not_found": (502, "provider_model_not_found"),
    "bad_request": (400, "provider_bad_request"),
    "content_filter": (400, "content_filter"),
    "context_exceeded": (400, "context_length_exceeded"),
    "rate_limit": (429, "rate_limit_exceeded"),
    "timeout": (504, "provider_timeout"),
    "connection": (502, "provider_unreachable"),
    "server": (502, "provider_error"),
    "malformed_reply": (502, "provider_malformed_reply"),
    "cut_off": (502, "provider_cut_off"),
    "interrupted": (_CLIENT_CLOSED, "interrupted"),
    "call_failed": (500, "call_failed"),
}

_KINDS: dict[type[PromptopsError], tuple[int, str]] = {
    OverBudget: (429, "insufficient_quota"),
    Unavailable: (503, "unavailable"),
    NotFound: (404, "model_not_found"),
    CallerToolsRefused: (400, "unsupported_parameter"),
    MissingInputs: (400, "missing_parameter"),
    Invalid: (400, "invalid_request"),
}
_SERVER_ERROR = 500


@dataclass
class ApiError(Exception):
    """What a client is answered in place of what it asked for."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.message)

    def as_json(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}

    @property
    def type(self) -> str:
        """OpenAI's word for the kind of error."""
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        if self.code == "insufficient_quota":
            return "insufficient_quota"
        return kinds.get(
            self.status,
            "invalid_request_error" if self.status < 500 else "server_error",
        )


def message_for_clients(error: PromptopsError) -> str:
    """With its hint, unless that is for who types a command."""
    shown = error.hint and not isinstance(error, MissingInputs)
    return f"{error.message}; {error.hint}" if shown else error.message


def api_error(error: PromptopsError) -> ApiError:
    """An error of promptops as clients of OpenAI's API know such errors."""
    message = message_for_clients(error)
    if isinstance(error, ModelError):
        status, code = _STATUS[error.type]
        after = {} if error.retry_after is None else {"Retry-After": f"{min(error.retry_after, 3600):.0f}"}
        return ApiError(status, message, code, headers=NO_RETRY | after)
    if isinstance(error, LimitReached):
        after = {"Retry-After": str(math.ceil(error.retry_after))}
        code = "insufficient_quota" if error.budget else "rate_limit_exceeded"
        return ApiError(429, message, code, headers=after | (NO_RETRY if error.budget else {}))
    kinds = (found for kind, found in _KINDS.items() if isinstance(error, kind))
    status, code = next(kinds, (500, "internal_error"))
    param = "model" if isinstance(error, NotFound) else "tools" if code == "unsupported_parameter" else None
    return ApiError(status, message, code, param, {} if status < _SERVER_ERROR else NO_RETRY)


@contextmanager
def errors_with(headers: Mapping[str, str]) -> Iterator[None]:
    """Errors in the block name the run that they are of."""
    try:
        yield
    except PromptopsError as error:
        found = api_error(error)
        found.headers = {**headers, **found.headers}
        raise found from error
