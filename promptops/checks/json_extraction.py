"""The JSON inside an answer that has more around it: prose, fences, what else models add."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.checks.json import output_schema_problem, parse_json

_FENCE = re.compile(r"```[ \t]*[A-Za-z0-9]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_MAX_CHARACTERS = 1_000_000  # of a text that is looked into; the longest answers of models have fewer
_MAX_FAULTS = 1_000  # brackets that begin no JSON: Python counts the lines of the text for each
_MAX_FITS = 100  # pieces that are held against the schema
_OPENING = re.compile(r"[\[{]")


def extract_json(text: str, schema: Mapping[str, Any] | None = None) -> str:
    """The JSON in a text, as it is written there; the text itself where it is JSON, or holds none.

    Fenced blocks go first, then objects and arrays that stand by themselves. Of several the last that
    matches the schema counts, else the longest. Nothing is looked for inside JSON that is broken: a part of
    an answer is none.
    """
    if len(text) > _MAX_CHARACTERS or _is_json(text):
        return text
    fenced = [block.strip() for block in _FENCE.findall(text) if _is_json(block)]
    if fit := _last_fit(fenced, schema):
        return fit
    bare = list(_values(text))
    return _last_fit(bare, schema) or max(fenced or bare, key=len, default=text)


def embedded_json(text: str) -> Iterator[str]:
    """The outermost objects and arrays of a text, as they are written there."""
    if len(text) <= _MAX_CHARACTERS:
        yield from _values(text)


def _last_fit(candidates: list[str], schema: Mapping[str, Any] | None) -> str | None:
    if schema is None:
        return None
    return next(
        (each for each in reversed(candidates[-_MAX_FITS:]) if not output_schema_problem(each, schema)), None
    )


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except (ValueError, RecursionError):
        return False
    return True


def _values(text: str) -> Iterator[str]:
    """The outermost objects and arrays, in one pass: each look goes on where the last one ended."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    start, faults = _OPENING.search(text), 0
    while start and faults < _MAX_FAULTS:
        try:
            _, end = decoder.raw_decode(text, start.start())
        except json.JSONDecodeError as error:
            if error.msg.startswith("Unterminated string"):
                return
            end, faults = max(error.pos, start.end()), faults + 1
        except (ValueError, RecursionError):
            return
        else:
            yield text[start.start() : end]
        start = _OPENING.search(text, end)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
