"""Handlebars text to texts and tags, in order."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from promptops.dataclass import dataclass
from promptops.interop.dotprompt.nodes import HandlebarsFault, Strip

_BLANK = re.compile(r"\s*")
_COMMENT = re.compile(r"\{\{(~?)!(?:--.*?--(~?)\}\}|.*?\}\})", re.DOTALL)
_OPEN = re.compile(r"\{\{(~?)(\{|&|#\*|#>|#|/|\^|\*|>)?\s*(else(?=[\s~}]))?")
_TOKEN = re.compile(
    r"""
    (?P<raw>\}\}\}\})
  | (?P<close>\}?~?\}\})
  | "(?P<double>(?:\\"|[^"])*)"
  | '(?P<single>(?:\\'|[^'])*)'
  | \[(?P<segment>(?:\\\]|[^\]])*)\]
  | (?P<number>-?[0-9]+(?:\.[0-9]+)?)(?=[~}\s)\]])
  | (?P<word>(?:true|false|null|undefined)(?=[~}\s)\]]))
  | (?P<sign>\.\.|[.()=@/|])
  | (?P<id>[^\s!"#%-,./;->@\[-^`{-~]+)
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class TagToken:
    """``kind``: a group of the pattern of tokens; ``adjoins``: no blank stands before it."""

    kind: str
    text: str
    adjoins: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """``kind`` is "text", "comment", or what a tag begins with: "", "{", "&", "#", "/", "^", ">", "else"."""

    kind: str
    line: int
    text: str = ""
    tokens: tuple[TagToken, ...] = ()
    strip: Strip = Strip()


class TagReader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.ends = [found.start() for found in re.finditer("\n", source)]

    def line(self, offset: int) -> int:
        return bisect_right(self.ends, offset - 1) + 1

    def pieces(self) -> Iterator[Piece]:
        at, source = 0, self.source
        while at < len(source):
            opened = source.find("{{", at)
            if opened < 0:
                opened = len(source)
            text, escaped = _unescape(source[at:opened]) if opened < len(source) else (source[at:], False)
            if text:
                yield Piece("text", self.line(at), text)
            if escaped:
                at = self.end_of_escaped(opened)
                yield Piece("text", self.line(opened), source[opened:at])
            elif opened < len(source):
                piece, at = self.tag(opened)
                yield piece
            else:
                return

    def end_of_escaped(self, opened: int) -> int:
        """An escaped tag is text, up to the next tag; a backslash before that one belongs to it."""
        following = self.source.find("{{", opened + 2)
        if following < 0:
            return len(self.source)
        slashes = self.source[following - 2 : following]
        return following - (2 if slashes == "\\\\" else slashes.endswith("\\"))

    def tag(self, at: int) -> tuple[Piece, int]:
        line = self.line(at)
        if self.source.startswith("{{{{", at):
            raise HandlebarsFault("a raw block, `{{{{`, is not translated", line)
        if found := _COMMENT.match(self.source, at):
            strip = Strip(bool(found[1]), found[0][-3:-2] == "~")
            return Piece("comment", line, strip=strip), found.end()
        opened = _OPEN.match(self.source, at)
        assert opened  # noqa: S101 - the pattern matches wherever `{{` stands
        kind, at = opened[2] or "", opened.end()
        if opened[3]:
            if kind:
                at = opened.start(3)
            else:
                kind = "else"
        tokens = []
        while True:
            token, at = self.token(at, line)
            if token.kind == "close":
                break
            tokens.append(token)
        if token.text.startswith(("}}}", "}~")) != (kind == "{"):
            raise HandlebarsFault("a tag is closed with different braces than it was opened with", line)
        strip = Strip(bool(opened[1]), "~" in token.text)
        return Piece(kind, line, tokens=tuple(tokens), strip=strip), at

    def token(self, at: int, line: int) -> tuple[TagToken, int]:
        blank = _BLANK.match(self.source, at)
        start = blank.end() if blank else at
        found = _TOKEN.match(self.source, start)
        if found is None or found.lastgroup is None:
            if start >= len(self.source):
                raise HandlebarsFault("a tag is not closed", line)
            raise HandlebarsFault(f"`{self.source[start]}` is not allowed in a tag", self.line(start))
        kind, text = found.lastgroup, found[found.lastgroup]
        if kind in ("double", "single"):
            quote = '"' if kind == "double" else "'"
            kind, text = "text", text.replace("\\" + quote, quote)
        return TagToken(kind, text, start == at), found.end()


def _unescape(text: str) -> tuple[str, bool]:
    r"""``\{{`` makes a text of a tag; ``\\{{`` is a backslash and a tag."""
    if text.endswith("\\\\"):
        return text[:-1], False
    return (text[:-1], True) if text.endswith("\\") else (text, False)
