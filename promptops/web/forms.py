"""Forms that people send: read within bounds."""

import asyncio
from urllib.parse import parse_qsl

from aiohttp import web

from promptops.errors import Invalid

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 2 * 1024 * 1024  # the better answer to a long one, each character in three
_MAX_FIELDS = 200
_TIMEOUT_S = 30.0
_FORM: web.RequestKey[dict[str, str]] = web.RequestKey("form", dict)


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a form, of which each name stands there once. Raises Invalid for what is none."""
    if _FORM in request:
        return request[_FORM]
    if request.content_type != FORM_TYPE:
        raise Invalid("this takes what a form sends", hint=f"Content-Type: {FORM_TYPE}")
    raw = bytearray()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            async for part in request.content.iter_chunked(64 * 1024):
                raw += part
                if len(raw) > MAX_FORM_BYTES:
                    raise Invalid(f"the form is larger than {MAX_FORM_BYTES // 1024**2} MB")
    except TimeoutError:
        raise Invalid(f"the form did not come within {_TIMEOUT_S:.0f} s") from None
    try:
        pairs = parse_qsl(
            raw.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError:
        raise Invalid("the form cannot be read: it is not valid UTF-8, or has too many fields") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Invalid("the form has a field twice")
    request[_FORM] = fields
    return fields
