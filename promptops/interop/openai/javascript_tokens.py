"""JavaScript and TypeScript as tokens, in time that is linear in the text. Nothing of it is run.

A regular expression is told from a division by what stands before it, as highlighters do. Where that errs,
some tokens are wrong, and what is read of them is an expression: never an error.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["word", "text", "number", "template", "mark"]

_TOKEN = re.compile(
    r"(?P<space>[\s\ufeff]+)"
    r"|(?P<comment>//[^\n]*)"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<word>[^\W\d][\w$]*|[$#][\w$]*)"
    r"|(?P<spread>\.\.\.)"
)
_STRINGS = {quote: re.compile(rf"{quote}(?:[^{quote}\\\n]|\\.)*+{quote}") for quote in "\"'"}
_IN_TEMPLATE = re.compile(r"\\[\s\S]|`|\$\{")
_IN_CODE = re.compile(r"\"(?:[^\"\\\n]|\\.){0,200}+\"|'(?:[^'\\\n]|\\.){0,200}+'|[`{}]")
_TEXT = -1
_OUTER = 2  # a template, and code in it
_REGEX = re.compile(r"/(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*+\])++/[a-z]*")
_BEFORE_REGEX = frozenset("([{,;:=!&|?+-*%~^<>") | {
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "throw",
    "new",
    "else",
    "do",
    "await",
    "yield",
}
_PAIRS = {")": "(", "]": "[", "}": "{"}


class Token(NamedTuple):
    kind: Kind
    text: str
    line: int
    start: int
    end: int


class Tokens(NamedTuple):
    """``closes``: the place of a bracket's partner; ``within``: the bracket that a token stands in, or -1."""

    source: str
    tokens: Sequence[Token]
    closes: Sequence[int]
    within: Sequence[int]


def tokenize(source: str) -> Tokens:
    tokens = _JavaScriptLexer(source).read()
    return Tokens(source, tokens, *_brackets(tokens))


class _JavaScriptLexer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[Token] = []
        self.line = 1
        self.no_regex_until = 0  # a line in which one has not ended has no other
        self.no_text_until = 0

    def read(self) -> list[Token]:
        at = 0
        while at < len(self.source):
            at = self.step(at)
        return self.tokens

    def step(self, at: int) -> int:
        letter = self.source[at]
        if self.source.startswith("/*", at):
            end = self.source.find("*/", at + 2)
            return self.skip(at, len(self.source) if end < 0 else end + 2)
        if letter == "`":
            return self.add("template", at, template_holes(self.source, at)[1])
        end = self.text_end(at) if letter in _STRINGS else self.regex_end(at) if letter == "/" else 0
        return self.add("mark" if letter == "/" else "text", at, end) if end else self.other(at)

    def other(self, at: int) -> int:
        found = _TOKEN.match(self.source, at)
        if found is None:
            return self.add("mark", at, at + 1)
        if found.lastgroup in ("space", "comment"):
            return self.skip(at, found.end())
        kinds: dict[str | None, Kind] = {"word": "word", "number": "number"}
        return self.add(kinds.get(found.lastgroup, "mark"), at, found.end())

    def add(self, kind: Kind, start: int, end: int) -> int:
        self.tokens.append(Token(kind, self.source[start:end], self.line, start, end))
        return self.skip(start, end)

    def skip(self, start: int, end: int) -> int:
        self.line += self.source.count("\n", start, end)
        return end

    def text_end(self, at: int) -> int:
        if at < self.no_text_until:
            return 0
        if found := _STRINGS[self.source[at]].match(self.source, at):
            return found.end()
        self.no_text_until = self.line_end(at)
        return 0

    def regex_end(self, at: int) -> int:
        before = self.tokens[-1].text if self.tokens else "("
        comment = self.source[at + 1 : at + 2] == "/"
        if comment or before not in _BEFORE_REGEX or at < self.no_regex_until:
            return 0
        if found := _REGEX.match(self.source, at):
            return found.end()
        self.no_regex_until = self.line_end(at)
        return 0

    def line_end(self, at: int) -> int:
        end = self.source.find("\n", at)
        return len(self.source) if end < 0 else end


def template_holes(source: str, start: int) -> tuple[list[tuple[int, int]], int]:
    """Where each `${` of a template literal is and its closing brace, and the place behind the literal.

    Templates stand in the code of templates; those within are passed over.
    """
    holes: list[tuple[int, int]] = []
    opened = [_TEXT]  # or how many braces are open in the code of a `${`
    at = start + 1
    while found := (_IN_TEMPLATE if opened[-1] == _TEXT else _IN_CODE).search(source, at):
        at = found.end()
        _follow(found[0], opened)
        if found[0] == "${" and len(opened) == _OUTER:
            holes.append((found.start(), len(source)))
        elif found[0] == "}" and len(opened) == 1:
            holes[-1] = (holes[-1][0], found.start())
        elif not opened:
            return holes, at
    return holes, len(source)


def _follow(mark: str, opened: list[int]) -> None:
    if mark == "${":
        opened.append(0)
    elif mark == "`" and opened[-1] != _TEXT:
        opened.append(_TEXT)
    elif mark == "{":
        opened[-1] += 1
    elif mark == "}" and opened[-1]:
        opened[-1] -= 1
    elif mark in ("`", "}"):
        opened.pop()


def _brackets(tokens: Sequence[Token]) -> tuple[list[int], list[int]]:
    closes, within = [-1] * len(tokens), [-1] * len(tokens)
    waiting: list[int] = []
    for place, token in enumerate(tokens):
        text = token.text if token.kind == "mark" else ""
        if text in _PAIRS and waiting and tokens[waiting[-1]].text == _PAIRS[text]:
            closes[waiting[-1]] = place
            closes[place] = waiting.pop()
        within[place] = waiting[-1] if waiting else -1
        if text in ("(", "[", "{"):
            waiting.append(place)
    return closes, within
