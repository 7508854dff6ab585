"""Bodies of requests: read within bounds, and taken apart."""

import asyncio
import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from aiohttp import web

from promptops.config.json_text import parse_strict_json
from promptops.gateway.errors import ApiError
from promptops.providers.json_body import is_deeper

MAX_BODY_BYTES = 32 * 1024 * 1024  # an image or two, in base64
BODY_TIMEOUT_S = 30.0
_LARGE_BYTES = 65_536  # what is parsed on another thread, while others are answered
_MAX_KEYS = 1_000
_MAX_MESSAGES = 10_000
_MAX_VALUES = 500_000
_MAX_DEPTH = 220  # what is logged or sent is read again with more of a stack behind it
_MAX_SHOWN = 60
_MAX_METADATA = 100
_MAX_METADATA_CHARACTERS = 100_000


async def read_object(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request. Raises ApiError for everything else."""
    if request.content_type != "application/json":  # which a page of another site cannot send unasked
        raise ApiError(415, "the body must be JSON, with Content-Type: application/json")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ApiError(415, "the body must not be compressed")
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        if request.content.is_eof():  # it has come with the headers, as most do
            raw = await request.read()
        else:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                raw = await request.read()
    except TimeoutError:
        raise ApiError(408, f"the body did not come within {BODY_TIMEOUT_S:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None
    if len(raw) < _LARGE_BYTES:  # where to change threads would take longer
        return decode_object(raw)
    return await asyncio.to_thread(decode_object, raw)


def _too_large() -> ApiError:
    return ApiError(413, f"the body is larger than {MAX_BODY_BYTES // 1024**2} MB")


def decode_object(raw: bytes) -> dict[str, Any]:
    """Raises ApiError for what is no JSON object, or has too many keys or values."""
    try:
        body = parse_bounded_json(raw)
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {str(error)[:_MAX_SHOWN]}", "invalid_json") from None
    if not isinstance(body, dict):
        raise ApiError(400, "the body is not a JSON object", "invalid_json")
    if len(body) > _MAX_KEYS:
        raise ApiError(400, f"the body has more than {_MAX_KEYS:,} keys", "invalid_value")
    return body


def parse_bounded_json(text: str | bytes) -> Any:
    """Raises ValueError for what is not JSON, or of so many values that others would wait for them."""
    marks = (",", "[", "{") if isinstance(text, str) else (b",", b"[", b"{")
    if sum(map(text.count, marks)) > _MAX_VALUES:  # type: ignore[arg-type]  # both of one type
        raise ValueError(f"it holds more than {_MAX_VALUES:,} values")
    value = parse_strict_json(text, yielding=len(text) >= _LARGE_BYTES)
    if is_deeper(value, _MAX_DEPTH):
        raise ValueError("it is nested too deeply")
    return value


def text_in(body: Mapping[str, Any], key: str, *, longest: int) -> str | None:
    """A string of a body, or None where there is none."""
    value = body.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > longest:
        raise wrong_type(key, f"a string of at most {longest} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ApiError(400, f"`{key}` is not valid Unicode", "invalid_value", key) from None
    return value


def object_in(body: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    value = body.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise wrong_type(key, "an object")


def metadata_in(body: Mapping[str, Any], *, without: str | None = None) -> dict[str, Any]:
    """What is logged with a run and looked up by: smaller than what is sent."""
    metadata = {name: value for name, value in (object_in(body, "metadata") or {}).items() if name != without}
    if metadata and (len(metadata) > _MAX_METADATA or _is_longer(metadata, _MAX_METADATA_CHARACTERS)):
        most = f"{_MAX_METADATA} entries of {_MAX_METADATA_CHARACTERS:,} characters together"
        raise wrong_type("metadata", f"an object of at most {most}")
    return metadata


def _is_longer(value: Any, most: int) -> bool:
    """Whether its JSON has more characters; what comes after those is not written."""
    pieces = json.JSONEncoder().iterencode(value)
    return sum(map(len, islice(pieces, most + 1))) > most


def objects_in(body: Mapping[str, Any], key: str, kind: str) -> list[dict[str, Any]]:
    """Messages or items: so few that no other request waits for them."""
    value = body.get(key)
    if value is None:
        return []
    if (
        isinstance(value, list)
        and len(value) <= _MAX_MESSAGES
        and all(isinstance(each, dict) for each in value)
    ):
        return value
    raise wrong_type(key, kind.format(f"a list of at most {_MAX_MESSAGES:,}"))


def flag_in(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise wrong_type(key, "true or false")


def wrong_type(key: str, expected: str) -> ApiError:
    return ApiError(400, f"`{key}` must be {expected}", "invalid_type", key)
