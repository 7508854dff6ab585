"""What went wrong, as ModelError: from a provider's reply, or from the network.

| what | type | retried |
|---|---|---|
| 401, 403; 402 and 429 that say the account has no credit | authentication | no |
| 404 | not_found | no |
| messages that are longer than the model's context window | context_exceeded | no |
| 400 and any other 4xx; a redirect | bad_request | no |
| a refusal that names the content filter | content_filter | no |
| 408 | timeout | yes |
| 429 | rate_limit, with Retry-After | yes |
| 5xx | server, with Retry-After | yes |
| refused, reset before an answer, DNS, TLS | connection | yes |
| a finish reason that is not among the good ones | content_filter, context_exceeded, else server | server |
| HTML, no JSON, no choices | malformed_reply | yes |
| reset or end in the middle of an answer | cut_off | yes |

Messages hold the provider's own words: secrets struck out first, then one line, bounded, escaped.
"""

import json
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from promptops.escapes import shorten
from promptops.providers.json_body import decode_event
from promptops.providers.types import ErrorType, ModelError
from promptops.redaction import redact

if TYPE_CHECKING:
    from promptops.providers.http.transport import HttpReply

MAX_MESSAGE = 400
_MAX_SOURCE = 1 << 16  # characters of which a message is made
_STATUS: dict[int, ErrorType] = {
    401: "authentication",
    402: "authentication",
    403: "authentication",
    404: "not_found",
    408: "timeout",
    429: "rate_limit",
}
_NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance"})
_FILTER = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "ResponsibleAIPolicyViolation",
        "data_inspection_failed",  # DashScope
        "DataInspectionFailed",
        "1026",  # MiniMax: of what was sent, and of the answer
        "1027",
        "1301",  # Zhipu
    }
)
_TOO_LONG = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",  # llama.cpp
        "string_above_max_length",
    }
)
_OF_REQUEST = frozenset({400, 413, 422, 500})  # of which some say in words alone that it is too long
_OF_CONTENT = frozenset({400, 403, 422})  # of which some say in words alone that a filter refuses it
_FILTER_WORDS = re.compile(
    r"(?:content|prompt|input|request)\b[^.]{0,60} (?:flagged|moderat|inappropriate|usage (?:policy|guide))"
    r"|content exists risk|content management policy|safety system",
    re.IGNORECASE,
)
_TOO_LONG_WORDS = re.compile(
    r"maximum (?:context|prompt) length|(?:prompt|input) (?:is )?too long|too many tokens"
    r"|reduce the length of|range of input length|must have less than \d+ tokens|max_new_tokens\W+must be"
    r"|input tokens?\b[^.]{0,40} exceed|context[ _](?:length|window|size)[^.]{0,40} exceed"
    r"|exceed(?:s|ed)?\b[^.]{0,40} (?:context|token limit)|greater than the context",
    re.IGNORECASE,
)
_HINTS: dict[str, str] = {
    "not_found": "check the model's name, and the base URL where one is set",
    "rate_limit": "wait, or send fewer calls at once",
    "server": "the provider has a problem; try again later",
}


def error_from_reply(reply: "HttpReply", *, where: str, key_name: str = "") -> ModelError:
    """The error that a reply other than 200 stands for."""
    if 300 <= reply.status < 400:
        target = sanitize_line(reply.headers.get("location", "an unknown address"))
        return ModelError(
            "bad_request",
            f"{where} redirects to {target}, and a key does not follow a redirect",
            status=reply.status,
            hint="set the base URL to the final address",
        )
    payload = _json(reply.body)
    text = provider_message(payload) or excerpt(reply.body) or "no explanation"
    kind = error_type_of(reply.status, payload)
    return ModelError(
        kind,
        f"{where} answered {reply.status}: {text}",
        status=reply.status,
        retry_after=parse_retry_after(reply.headers) if kind in {"rate_limit", "server"} else None,
        hint=error_hint(kind, payload, key_name),
    )


def error_from_payload(payload: Mapping[str, Any]) -> ModelError:
    """The error object that came inside a reply of status 200 or an event stream."""
    code = str(_error(payload).get("code"))
    status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
    kind = error_type_of(status, payload)
    text = provider_message(payload) or excerpt(json.dumps(payload).encode())
    return ModelError(kind, f"the provider reported: {text}", status=status, hint=error_hint(kind, payload))


def error_type_of(status: int, payload: Any) -> ErrorType:
    codes, words = error_codes(payload), provider_message(payload)
    if codes & _FILTER or (status in _OF_CONTENT and _FILTER_WORDS.search(words)):
        return "content_filter"
    if codes & _NO_CREDIT:
        return "authentication"
    if codes & _TOO_LONG or (status in _OF_REQUEST and _TOO_LONG_WORDS.search(words)):
        return "context_exceeded"
    return _STATUS.get(status) or ("bad_request" if status < 500 else "server")


def error_codes(payload: Any) -> set[str]:
    error = _error(payload)
    inner = error.get("innererror")
    found = [error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, Mapping) else None]
    return {str(code) for code in found if isinstance(code, str | int)}


def provider_message(payload: Any) -> str:
    """The provider's own message, in whichever common shape: error.message, error, message, detail, msg."""
    error = _error(payload)
    found = [error[key] for key in ("message", "detail", "error", "msg") if error.get(key)]
    said = next((value for value in found if isinstance(value, str)), json.dumps(found[0]) if found else "")
    return sanitize_line(said)


def _error(payload: Any) -> Mapping[str, Any]:
    if isinstance(payload, list) and payload:
        payload = payload[0]
    if not isinstance(payload, Mapping):
        return {}
    error = payload.get("error")
    if not error and isinstance(listed := payload.get("errors"), list) and listed:
        error = listed[0]
    return error if isinstance(error, Mapping) else payload


def error_hint(kind: str, payload: Any, key_name: str = "") -> str:
    codes = error_codes(payload)
    if kind == "context_exceeded":
        return "shorten the inputs, or use a model with a larger context window"
    if codes & _NO_CREDIT:
        return "the account has no credit left; a retry does not help"
    if kind == "authentication" and key_name:
        return f"check {key_name}"
    return _HINTS.get(kind, "")


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by ``retry-after-ms`` or ``Retry-After`` (seconds or a date)."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after", "")
    seconds = _number(value)
    return seconds if seconds is not None else _seconds_until(value)


def _number(text: str | None) -> float | None:
    return float(text) if text and re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) else None


def _seconds_until(date: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - time.time())
    except (ValueError, OverflowError, OSError, TypeError, IndexError):  # whatever a date can be
        return None


def looks_like_html(body: bytes) -> bool:
    return body.lstrip()[:15].lower().startswith((b"<!doctype", b"<html"))


def excerpt(body: bytes) -> str:
    """The beginning of a body; of a page, its title."""
    text = redact(body[:_MAX_SOURCE].decode("utf-8", "replace"))
    if looks_like_html(body):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        return f"an HTML page ({sanitize_line(title[1])})" if title else "an HTML page"
    return sanitize_line(text)


def sanitize_line(text: str) -> str:
    """One line of bounded length, in which a terminal finds nothing to obey."""
    short = shorten(" ".join(redact(text[:_MAX_SOURCE])[: 4 * MAX_MESSAGE].split()), MAX_MESSAGE)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in short)


def timeout_error(where: str, seconds: float) -> ModelError:
    hint = "a longer --timeout gives it more time"
    return ModelError("timeout", f"{where} did not finish within {seconds:g} s", hint=hint)


def _json(body: bytes) -> Any:
    try:
        return decode_event(body)
    except ValueError:
        return None
