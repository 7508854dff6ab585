"""YAML text to plain data that remembers where each key and value stands.

The YAML 1.2 core schema: ``yes`` and ``2026-01-01`` are strings, ``0777`` is 777, there are no
merge keys and no tags. What JSON cannot hold (NaN, keys that are not strings, integers beyond
2**53) is refused here, so that everything read from a file can be hashed, logged and sent.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, NamedTuple, NoReturn

import yaml

from promptops.config.text import (
    MAX_BYTES,
    InvalidAt,
    Position,
    Problem,
    decode_text,
    find_position,
    split_lines,
)
from promptops.dataclass import dataclass

__all__ = ["Document", "InvalidAt", "Position", "Problem", "Scalar", "YamlPath", "parse_yaml"]

MAX_DEPTH = 100
MAX_ALIASED = 1_000_000  # values and characters that aliases may add
MAX_INTEGER = 2**53 - 1  # what a JSON number holds exactly (RFC 8785)

YamlPath = tuple[str | int, ...]

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is 14 times faster, and not everywhere
_CONFLICT = re.compile(r"^(?:<<<<<<< |>>>>>>> )", re.MULTILINE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONSTANTS = {"": None, "~": None} | {
    spelling: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for spelling in (word, word.capitalize(), word.upper())
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_HINTS = {
    "mapping values are not allowed": "a value that holds `: ` needs quotes; keys stand under each other",
    "did not find expected key": "keys of one mapping stand under each other, at the same indentation",
    "did not find expected '-' indicator": "items of one list, and the keys of one, stand under each other",
    "did not find expected node content": "a bracket may be left open",
    "did not find expected ',' or": "a bracket may be left open, or a value that holds one needs quotes",
    "could not find expected ':'": "a key needs a `:` after it; a text over several lines starts with `|`",
    "found unexpected end of stream": "a quote or bracket may be left open",
    "invalid Unicode character escape": "write the character itself, or \\U with its eight hex digits",
}


class Scalar(NamedTuple):
    line: int  # of the quote, the first letter, or the indicator `|`
    style: str  # "|", ">", '"', "'" or "" as in YAML


@dataclass(frozen=True, slots=True)
class Document:
    path: str
    data: Any
    positions: Mapping[YamlPath, Position]
    scalars: Mapping[YamlPath, Scalar] = field(default_factory=dict)
    source: str = ""

    def position(self, path: YamlPath) -> Position:
        """Where a key or list item stands; where it is unknown (as below an alias), what holds it."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(1, 1))

    def where(self, path: YamlPath) -> str:
        position = self.position(path)
        return f"{self.path}:{position.line}:{position.column}"

    def line_of(self, path: YamlPath, line: int) -> int:
        """Tell on which line of the file a text's line (from 1) stands."""
        scalar = self.scalars.get(path)
        if scalar is None:
            return self.position(path).line
        if scalar.style == "|":
            return scalar.line + line
        return _folded_line(self.source, scalar.line, line) if scalar.style == ">" else scalar.line

    def problem(self, rule: str, path: YamlPath, message: str, hint: str = "") -> Problem:
        return Problem(rule, message, self.path, self.position(path), hint)


def parse_yaml(text: bytes, path: str, *, max_bytes: int = MAX_BYTES, merge_keys: bool = False) -> Document:
    """Read one YAML document. ``path`` is what messages call the file.

    ``merge_keys``: ``<<`` takes in the members of other mappings, as files of other tools have it.
    """
    source = decode_text(text, path, max_bytes=max_bytes)
    _refuse_conflict(source, path)
    return build_document(source, path, merge_keys=merge_keys)


def build_document(source: str, path: str, *, loader: Any = _LOADER, merge_keys: bool = False) -> Document:
    builder = _Builder(path, _events(source, path, loader), merge_keys=merge_keys)
    data = builder.document()
    return Document(path, data, builder.positions, builder.scalars, source)


def _refuse_conflict(source: str, path: str) -> None:
    found = _CONFLICT.findall(source)
    if "<<<<<<< " in found and ">>>>>>> " in found:
        position = find_position(source, source.index("<<<<<<< "))
        hint = "resolve the conflict, then remove the lines <<<<<<<, ======= and >>>>>>>"
        raise InvalidAt(Problem("conflict", "a merge conflict is left in the file", path, position, hint))


def _events(source: str, path: str, loader: Any) -> Iterator[Any]:
    try:
        yield from yaml.parse(source, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise InvalidAt(_syntax_problem(error, source, path)) from None
    except yaml.YAMLError as error:
        message = " ".join(str(error).split())
        raise InvalidAt(Problem("yaml", message, path, Position(1, 1))) from None


def _syntax_problem(error: yaml.MarkedYAMLError, source: str, path: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    position = _mark_position(mark) if mark else Position(1, 1)
    line = [*split_lines(source), ""][position.line - 1]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem("tab", "a tab in the indentation", path, position, "YAML is indented with spaces")
    what = error.problem or "not YAML"
    if "cannot start any token" in what:
        letter = line[position.column - 1 : position.column]
        return Problem(
            "yaml", f"a value cannot start with `{letter}`", path, position, "put the value in quotes"
        )
    hint = next((hint for words, hint in _HINTS.items() if words in what), "")
    since = (
        f", {error.context} that starts in line {error.context_mark.line + 1}" if error.context_mark else ""
    )
    return Problem("yaml", f"not YAML: {what}{since}", path, position, hint)


def _mark_position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


class _Anchor(NamedTuple):
    value: Any
    weight: int
    scalar: Scalar | None


class _Builder:
    """Builds data from parser events. Aliases share what they name, so counting a bomb costs nothing."""

    def __init__(self, path: str, events: Iterator[Any], *, merge_keys: bool = False) -> None:
        self.path = path
        self.merge_keys = merge_keys
        self.events = events
        self.positions: dict[YamlPath, Position] = {}
        self.scalars: dict[YamlPath, Scalar] = {}
        self.anchors: dict[str, _Anchor | None] = {}
        self.weight = 0  # values and characters seen, those behind aliases counted each time
        self.aliased = 0

    def document(self) -> Any:
        next(self.events)  # the stream's start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        data = self.value((), next(self.events))
        next(self.events)  # the document's end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.fail(event, "a second YAML document in the file", "remove the line `---` and what follows")
        return data

    def value(self, path: YamlPath, event: Any) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(path, event)
        if event.anchor:
            self.anchors[event.anchor] = None  # until it is complete
        before = self.weight
        self.weight += 1
        data = self.content(path, event)
        if event.anchor:
            self.anchors[event.anchor] = _Anchor(data, self.weight - before, self.scalars.get(path))
        return data

    def content(self, path: YamlPath, event: Any) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            self.scalars[path] = Scalar(_mark_position(event.start_mark).line, event.style or "")
            return self.scalar(event)
        if event.tag is not None:
            self.refuse_tag(event)
        if len(path) >= MAX_DEPTH:
            self.fail(event, f"nested deeper than {MAX_DEPTH} levels")
        return self.mapping(path) if isinstance(event, yaml.MappingStartEvent) else self.sequence(path)

    def mapping(self, path: YamlPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for event in self.until(yaml.MappingEndEvent):
            key = self.key(event)
            here = (*path, key)
            if key in data:
                first = self.positions[here].line
                self.fail(event, f"duplicate key `{key}` (first in line {first})", "keep one of the two")
            self.positions[here] = _mark_position(event.start_mark)
            data[key] = self.value(here, next(self.events))
            if key == "<<" and self.merge_keys:
                self.refuse_unmergeable(data[key], event)
        return self.merged(data) if self.merge_keys else data

    def refuse_unmergeable(self, value: Any, event: Any) -> None:
        if not all(isinstance(each, dict) for each in (value if isinstance(value, list) else [value])):
            self.fail(event, "`<<` takes a mapping or a list of mappings", "write the members out")

    @staticmethod
    def merged(data: dict[str, Any]) -> dict[str, Any]:
        """With the members of what ``<<`` names; own members win, then the first that is named."""
        taken = data.pop("<<", [])
        for each in taken if isinstance(taken, list) else [taken]:
            data |= {key: value for key, value in each.items() if key not in data}
        return data

    def sequence(self, path: YamlPath) -> list[Any]:
        data: list[Any] = []
        for event in self.until(yaml.SequenceEndEvent):
            here = (*path, len(data))
            self.positions[here] = _mark_position(event.start_mark)
            data.append(self.value(here, event))
        return data

    def until(self, end: type) -> Iterator[Any]:
        while not isinstance(event := next(self.events), end):
            yield event

    def key(self, event: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self.fail(
                event, "a key must be a string", "a template that starts with `{{` needs quotes around it"
            )
        if event.value == "<<" and event.implicit[0] and not self.merge_keys:
            self.fail(event, "merge keys (`<<`) are not read", "write the members out")
        key = self.scalar(event)
        if not isinstance(key, str):
            self.fail(event, f"the key `{event.value}` is not a string", "put it in quotes")
        return key

    def scalar(self, event: Any) -> Any:
        if event.tag is not None and event.tag not in _STRING_TAGS:
            self.refuse_tag(event)
        text: str = event.value
        self.weight += len(text)
        if event.implicit[0] and event.tag is None:
            return self.plain(text, event)
        if found := _UNSTORABLE.search(text):
            name = "a NUL character" if found[0] == "\0" else "half a surrogate pair"
            self.fail(event, f"{name} in a string", "remove it: such text can be neither sent nor stored")
        return text

    def plain(self, text: str, event: Any) -> Any:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if _INTEGER.fullmatch(text):
            return self.integer(text, event)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if abs(number) == float("inf"):
                self.fail(
                    event, f"the number {_shorten(text)} is too large", "put it in quotes to keep it as text"
                )
            return number
        if _NOT_FINITE.fullmatch(text):
            self.fail(
                event, f"`{text}` is not a number that JSON can hold", "put it in quotes to keep it as text"
            )
        return text

    def integer(self, text: str, event: Any) -> int:
        digits = text.lower().lstrip("+-0ox")
        number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(digits) < 30 else MAX_INTEGER + 1
        if abs(number) > MAX_INTEGER:
            message = f"the number {_shorten(text)} is beyond 2**53, which JSON cannot hold exactly"
            self.fail(event, message, "put it in quotes to keep it as text")
        return number

    def alias(self, path: YamlPath, event: Any) -> Any:
        if event.anchor not in self.anchors:
            self.fail(event, f"the alias `*{event.anchor}` has no anchor `&{event.anchor}` before it")
        anchor = self.anchors[event.anchor]
        if anchor is None:
            self.fail(event, f"the alias `*{event.anchor}` stands inside what it names")
        self.weight += anchor.weight
        self.aliased += anchor.weight
        if self.aliased > MAX_ALIASED:
            self.fail(event, "the aliases of this file expand to too much data", "write out what is meant")
        if anchor.scalar:
            self.scalars[path] = anchor.scalar
        return anchor.value

    def refuse_tag(self, event: Any) -> NoReturn:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self.fail(
            event, f"the tag `{tag}` is not read", "remove it; put quotes around what is to be a string"
        )

    def fail(self, event: Any, message: str, hint: str = "") -> NoReturn:
        raise InvalidAt(Problem("yaml", message, self.path, _mark_position(event.start_mark), hint))


def _shorten(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:20]}… ({len(text)} characters)"


def _folded_line(source: str, indicator: int, wanted: int) -> int:
    """Find line ``wanted`` of a ``>`` block, where neighbouring lines are one line of text."""
    lines = split_lines(source)[indicator:]
    indent = next((len(line) - len(line.lstrip()) for line in lines if line.strip()), 0)
    text_line, blank, previous = 1, 0, ""
    for number, line in enumerate(lines, indicator + 1):
        if not line.strip():
            blank += 1
            continue
        kept = previous[indent : indent + 1] == " " or (previous and line[indent : indent + 1] == " ")
        text_line += blank + 1 if kept else blank
        if text_line >= wanted:
            return number
        blank, previous = 0, line
    return indicator
