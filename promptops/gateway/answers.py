"""Answers as JSON."""

import json
from collections.abc import Mapping

from aiohttp import web


def json_answer(content: object, headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(
        body=json_bytes(content),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def json_bytes(content: object) -> bytes:
    """Compact. Half a character, as a client or a model may have sent it, is its escape."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
