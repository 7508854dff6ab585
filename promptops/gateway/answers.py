"""Answers as JSON."""

import json
from collections.abc import Mapping

from aiohttp import web


def json_answer(content: object, headers: Mapping[str, str] | None = None, status: int = 200) -> web.Response:
    return web.Response(
        body=json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(),
        status=status,
        headers=headers,
        content_type="application/json",
    )
