"""Requests in commands of curl, as documentation has them. Nothing is run, and no file of theirs is read."""

import re
from itertools import pairwise
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.interop.openai.literals import Call, Expression

_API = re.compile(r"/v1/(responses|chat/completions)\b")
_MAX_COMMAND = 200_000
_DATA = re.compile(
    r"(?:^|\s)(?:-d|--data|--data-raw|--data-binary|--json)[= \t]*(?:\\\r?\n[ \t]*)?"
    r"(?P<data>'[^']*'|\"(?:[^\"\\]|\\[\s\S])*+\"|@\S+|\$\S+|<<\S+)"
)
_QUOTED = re.compile(r"\\([\"\\$`])")


def curl_calls(source: str) -> list[Call]:
    """Requests in the order of the file: what curl is given as data for one of OpenAI's interfaces."""
    calls = []
    starts = [found.start() for found in re.finditer(r"\bcurl\b", source)]
    for start, end in pairwise([*starts, len(source)]):
        command = source[start : min(end, start + _MAX_COMMAND)]
        api, data = _API.search(command), _DATA.search(command)
        if api and data:
            line = source.count("\n", 0, start + data.start("data")) + 1
            name = "responses" if api[1] == "responses" else "chat"
            calls.append(Call(line, _body(data["data"], line), name))
    return calls


def _body(text: str, line: int) -> dict[str, Any]:
    unread = Expression.of(text, line)
    if text[0] not in "\"'":
        return {"-d": unread}
    inner = text[1:-1] if text[0] == "'" else _QUOTED.sub(r"\1", text[1:-1])
    try:
        body = parse_strict_json(inner)
    except ValueError:
        return {"-d": unread}
    return body if isinstance(body, dict) else {"-d": unread}
