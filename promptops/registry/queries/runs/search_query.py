"""What is searched for: words and phrases with AND, OR, NOT, and which texts hold it.

A word is found wherever it stands, within other words too, in whichever script: ``funds`` in ``refunds``, and
``東京`` in ``東京都``. Case and accents of Latin letters do not count.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Literal

from promptops.dataclass import dataclass

_TOKEN = re.compile(r'(?:(inputs|output)\s*:\s*)?(?:"((?:[^"]|"")*)"|([^\s"()]+))|([()])')
_SPACE = re.compile(r"\s*")
_ACCENTS = re.compile("[\u0300-\u036f]")
_MAX_TERMS = 100
_AROUND = 36  # characters of a snippet before and after what was found
COLUMNS = ("inputs", "output")


class _NoExpression(Exception):
    """The words are no expression, and each is looked for as it stands."""


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """A text to be found, folded; in one column, or in both."""

    text: str
    columns: tuple[str, ...] = COLUMNS


@dataclass(frozen=True, slots=True)
class Joint:
    """Expressions that are joined; with NOT the first holds and the second does not."""

    word: Literal["AND", "OR", "NOT"]
    parts: "tuple[Expression, ...]"


Expression = SearchTerm | Joint
Grams = str | tuple[Literal["AND", "OR"], "tuple[Grams, ...]"]
"""Pieces of texts as an index holds them, joined."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    expression: Expression

    @property
    def terms(self) -> list[SearchTerm]:
        return _terms(self.expression)

    def finds(self, texts: Mapping[str, str | None]) -> bool:
        """Whether the texts of a run, by column, hold what is searched for."""
        return _finds(self.expression, {column: fold_text(text) for column, text in texts.items()})

    def grams(self, grams_of: Callable[[str], Sequence[str]]) -> Grams | None:
        """What an index holds of every run that can be found; None where it cannot tell.

        ``grams_of``: the pieces that the index holds of each text which holds this one, maybe none.
        """
        return _grams(self.expression, grams_of)


def _terms(expression: Expression) -> list[SearchTerm]:
    if isinstance(expression, SearchTerm):
        return [expression]
    parts = expression.parts[:1] if expression.word == "NOT" else expression.parts
    return [term for part in parts for term in _terms(part)]


def _finds(expression: Expression, folded: Mapping[str, str]) -> bool:
    if isinstance(expression, SearchTerm):
        return any(expression.text in folded[column] for column in expression.columns)
    parts = expression.parts
    if expression.word == "NOT":
        return _finds(parts[0], folded) and not _finds(parts[1], folded)
    if expression.word == "OR":
        return any(_finds(part, folded) for part in parts)
    return bool(parts) and all(_finds(part, folded) for part in parts)


def _grams(expression: Expression, grams_of: Callable[[str], Sequence[str]]) -> Grams | None:
    if isinstance(expression, SearchTerm):
        pieces = grams_of(expression.text)
        return ("AND", tuple(pieces)) if pieces else None
    parts = expression.parts[:1] if expression.word == "NOT" else expression.parts
    known = [grams for part in parts if (grams := _grams(part, grams_of)) is not None]
    if not known or (expression.word == "OR" and len(known) < len(parts)):
        return None
    return "OR" if expression.word == "OR" else "AND", tuple(known)


def fold_text(text: str | None) -> str:
    """The spelling under which a text is indexed and looked for."""
    if text is None:
        return ""
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFKC", plain).casefold()


def parse_query(words: str) -> SearchQuery:
    """Read an expression; what is none is looked for word by word."""
    words = words.replace("\0", " ")
    try:
        return _Parser(words).query()
    except _NoExpression:
        found = (fold_text(word.replace('"', "") or word) for word in words.split()[:_MAX_TERMS])
        return SearchQuery(Joint("AND", tuple(SearchTerm(text) for text in found if text)))


class _Parser:
    """OR binds weaker than AND, which may be left out, and that weaker than NOT."""

    def __init__(self, words: str) -> None:
        self._tokens = _tokens(words)
        self._at = 0

    def query(self) -> SearchQuery:
        found = self._any()
        if self._at < len(self._tokens):
            raise _NoExpression
        return SearchQuery(found)

    def _any(self) -> Expression:
        parts = [self._all()]
        while self._takes("OR"):
            parts.append(self._all())
        return _joined("OR", parts)

    def _all(self) -> Expression:
        parts = [self._without()]
        while self._takes("AND") or self._peek() not in {None, "OR", ")"}:
            parts.append(self._without())
        return _joined("AND", parts)

    def _without(self) -> Expression:
        found = self._atom()
        while self._takes("NOT"):
            found = Joint("NOT", (found, self._atom()))
        return found

    def _atom(self) -> Expression:
        if self._takes("("):
            found = self._any()
            if not self._takes(")"):
                raise _NoExpression
            return found
        token = self._peek()
        if not isinstance(token, SearchTerm):
            raise _NoExpression
        self._at += 1
        return token

    def _peek(self) -> "SearchTerm | str | None":
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _takes(self, word: str) -> bool:
        taken = self._peek() == word
        self._at += taken
        return taken


def _tokens(words: str) -> "list[SearchTerm | str]":
    tokens: list[SearchTerm | str] = []
    at = _end_of_space(words, 0)
    while at < len(words):
        found = _TOKEN.match(words, at)
        if found is None or len(tokens) == _MAX_TERMS:
            raise _NoExpression
        tokens.append(_token(found))
        at = _end_of_space(words, found.end())
    return tokens


def _end_of_space(words: str, at: int) -> int:
    found = _SPACE.match(words, at)
    return found.end() if found else at


def _token(found: re.Match[str]) -> "SearchTerm | str":
    column, phrase, word, bracket = found.groups()
    if bracket:
        return str(bracket)
    if word in {"AND", "OR", "NOT"} and not column:
        return str(word)
    text = fold_text(phrase.replace('""', '"') if phrase is not None else word.rstrip("*") or word)
    if not text:
        raise _NoExpression
    return SearchTerm(text, (column,) if column else COLUMNS)


def _joined(word: Literal["AND", "OR"], parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else Joint(word, tuple(parts))


def excerpt_hit(texts: dict[str, str | None], terms: Sequence[SearchTerm]) -> str:
    """What stands around the first term in the text that holds most of them; characters 2 and 3 mark it."""
    found = {
        column: [span for term in terms if column in term.columns and (span := _find(text or "", term.text))]
        for column, text in texts.items()
    }
    best = max(texts, key=lambda column: len(found[column]))
    if found[best]:
        return _marked(texts[best] or "", *found[best][0])
    return next((text[: 2 * _AROUND] for text in reversed(texts.values()) if text), "")


def _find(text: str, wanted: str) -> tuple[int, int] | None:
    folded = fold_text(text)
    start = folded.find(wanted)
    if start < 0:
        return None
    end = start + len(wanted)
    if len(folded) == len(text):
        return start, end
    ends = list(accumulate(len(fold_text(letter)) for letter in text))  # of each letter in the folded text
    begin = sum(each <= start for each in ends)
    return begin, min(len(text), begin + max(1, sum(start < each <= end for each in ends)))


def _marked(text: str, start: int, end: int) -> str:
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    cut = "…" if start > _AROUND else ""
    more = "…" if len(text) > end + _AROUND else ""
    return f"{cut}{before}\x02{text[start:end]}\x03{after}{more}"
