"""The texts in a JSON value: put together for a check to look at, and parts of them replaced."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptops.checks.types import Found
from promptops.config.json_text import parse_strict_json

_BETWEEN = "\n"
_PICTURE = re.compile(r"data:image/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]*={0,2}")  # its letters are no text
_PICTURE_PART = "image_url"  # of a message
_DETAILS = [("detail", size) for size in ("auto", "low", "high", "original")]
CHAT_FIELDS = frozenset(
    {
        "arguments",
        "content",
        "data",
        "detail",
        "file",
        "file_data",
        "file_id",
        "filename",
        "format",
        "function",
        "id",
        "image_url",
        "input_audio",
        "name",
        "refusal",
        "role",
        "text",
        "tool_call_id",
        "tool_calls",
        "type",
        "url",
    }
)

SCHEMA_FIELDS = CHAT_FIELDS | {
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "default",
    "description",
    "enum",
    "items",
    "oneOf",
    "parameters",
    "properties",
    "required",
    "strict",
    "title",
}


def texts_in(value: Any, fields: frozenset[str] = CHAT_FIELDS) -> str:
    """All texts and numbers in a value, a line each; keys that are no names of fields among them."""
    return value if isinstance(value, str) else _BETWEEN.join(_leaves(value, fields))


def _leaves(value: Any, fields: frozenset[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if str(key) not in fields:
                yield str(key)
            if not _is_picture_part(key, item):
                yield from _leaves(item, fields)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item, fields)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def is_picture(value: Any) -> bool:
    return isinstance(value, str) and _PICTURE.fullmatch(value) is not None


def _is_picture_part(key: Any, item: Any) -> bool:
    if key != _PICTURE_PART or not isinstance(item, Mapping):
        return False
    others = {name: value for name, value in item.items() if name != "url"}
    return is_picture(item.get("url")) and all(pair in _DETAILS for pair in others.items())


def declared_fields(schemas: Iterable[Any]) -> frozenset[str]:
    """The names of fields that JSON Schemas declare, and of those that messages have: they are no texts."""
    return CHAT_FIELDS.union(*map(_properties, schemas))


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, item in schema.items():
            if key == "properties" and isinstance(item, Mapping):
                yield from map(str, item)
            yield from _properties(item)
    elif isinstance(schema, list | tuple):
        for item in schema:
            yield from _properties(item)


class TextReplacement:
    """Spans of ``texts_in(value)``, replaced where they stand in the value."""

    def __init__(
        self,
        spans: Sequence[Found],
        mark: str | None,
        otherwise: str,
        fields: frozenset[str] = CHAT_FIELDS,
    ) -> None:
        """``mark`` is what takes their place; else their kind in brackets, or this one."""
        self._fields = fields
        self._spans = _merged(spans)
        self._mark = mark
        self._otherwise = otherwise
        self._at = 0  # where the next text begins

    def value(self, value: Any) -> Any:
        """The value with them replaced; a number of which a part is replaced becomes a text."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {
                self._key(str(key)): item if _is_picture_part(key, item) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = self._text(str(value))
            return value if shown == str(value) else shown
        return value

    def _key(self, key: str) -> str:
        return key if key in self._fields else self._text(key)

    def _text(self, text: str) -> str:
        begin, self._at = self._at, self._at + len(text) + len(_BETWEEN)
        return self.part(text, begin)

    def part(self, text: str, begin: int = 0) -> str:
        """A text that begins at a place of the whole, with what of the spans stands in it replaced."""
        pieces, end = [], 0
        for start, stop, name in self._spans:
            first, last = max(start - begin, end), min(stop - begin, len(text))
            if first < last:
                mark = self._mark if self._mark is not None else f"[{name or self._otherwise}]"
                pieces += [text[end:first], mark]
                end = last
        return "".join([*pieces, text[end:]]) if pieces else text


def _merged(spans: Sequence[Found]) -> Sequence[Found]:
    if len(spans) == 1:
        return spans
    from promptops.privacy.redactor import merged_spans

    return merged_spans(spans)


class AnswerTexts:
    """What a model wrote: its text, JSON or not, and the arguments of the tools that it calls."""

    def __init__(
        self, text: str, tool_calls: Sequence[Mapping[str, Any]], fields: frozenset[str] = CHAT_FIELDS
    ) -> None:
        self.text = text
        self._fields = fields
        self.tool_calls = tool_calls
        self._parsed = _parsed(text)
        self._arguments = [_arguments(call) for call in tool_calls]

    @property
    def is_structured(self) -> bool:
        """Whether what it says is not its text as it stands."""
        return bool(self._arguments) or self._parsed is not self.text

    @property
    def texts(self) -> str:
        return texts_in([self._parsed, *self._arguments], self._fields)

    def replaced(self, replacement: TextReplacement) -> "AnswerTexts":
        parsed, *arguments = replacement.value([self._parsed, *self._arguments])
        calls = [
            call if given == was else _with_arguments(call, given)
            for call, was, given in zip(self.tool_calls, self._arguments, arguments, strict=True)
        ]
        text = self.text
        if parsed != self._parsed:
            is_json = self._parsed is not text
            text = json.dumps(parsed, ensure_ascii=False) if is_json else parsed
        return AnswerTexts(text, calls, self._fields)


def _parsed(text: str) -> Any:
    """What JSON says: an object, a list or a text; else the text."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return text
    try:
        return parse_strict_json(text)  # of a key that is there twice, programs disagree about which holds
    except ValueError:
        return text


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _arguments(call: Mapping[str, Any]) -> Any:
    function = call.get("function")
    arguments = function.get("arguments") if isinstance(function, Mapping) else None
    return _parsed(arguments) if isinstance(arguments, str) else arguments


def _with_arguments(call: Mapping[str, Any], arguments: Any) -> dict[str, Any]:
    return {**call, "function": {**call["function"], "arguments": _written(arguments)}}
