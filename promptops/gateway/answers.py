"""Answers as JSON."""

import json
from collections.abc import Mapping

from aiohttp import web

from promptops.escapes import escape_json


def json_answer(content: object, headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(
        body=json_bytes(content),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def json_bytes(content: object) -> bytes:
    """Compact. What a terminal would obey, and half a character, is its escape: it means the same."""
    return escape_json(json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()
