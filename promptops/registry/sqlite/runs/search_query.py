"""What is searched for: words and phrases with AND, OR, NOT, and the SQL that finds the runs that hold them.

A word is found wherever it stands, within other words too, in whichever script: ``funds`` in ``refunds``, and
``東京`` in ``東京都``. Case and accents of Latin letters do not count.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

from promptops.dataclass import dataclass

_TOKEN = re.compile(r'(?:(inputs|output)\s*:\s*)?(?:"((?:[^"]|"")*)"|([^\s"()]+))|([()])')
_SPACE = re.compile(r"\s*")
_ACCENTS = re.compile("[\u0300-\u036f]")
_TRIGRAM = 3
_MAX_TERMS = 100
_MAX_TRIGRAMS = 40  # of one text: those that follow tell little more
_AROUND = 36  # characters of a snippet before and after what was found
COLUMNS = ("inputs", "output")
Condition = tuple[str, tuple[object, ...]]


class _NoExpression(Exception):
    """The words are no expression, and each is looked for as it stands."""


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """A text to be found, folded; in one column, or in both."""

    text: str
    columns: tuple[str, ...] = COLUMNS


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """Conditions on ``r``, a run, and ``s``, its texts; ``indexed`` asks the table run_search as well."""

    terms: tuple[SearchTerm, ...]
    indexed: Condition
    unindexed: Condition


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
        terms = [SearchTerm(fold_text(word)) for word in words.replace('"', " ").split()[:_MAX_TERMS]]
        return _joined("AND", [_term_query(term) for term in terms])


class _Parser:
    """OR binds weaker than AND, which may be left out, and that weaker than NOT."""

    def __init__(self, words: str) -> None:
        self._tokens = _tokens(words)
        self._at = 0

    def query(self) -> SearchQuery:
        found = self._any()
        if self._at < len(self._tokens):
            raise _NoExpression
        return found

    def _any(self) -> SearchQuery:
        parts = [self._all()]
        while self._takes("OR"):
            parts.append(self._all())
        return _joined("OR", parts)

    def _all(self) -> SearchQuery:
        parts = [self._without()]
        while self._takes("AND") or self._peek() not in {None, "OR", ")"}:
            parts.append(self._without())
        return _joined("AND", parts)

    def _without(self) -> SearchQuery:
        found = self._atom()
        while self._takes("NOT"):
            other = self._atom()
            found = SearchQuery(
                found.terms,
                *(
                    (f"{mine} AND NOT {theirs}", (*values, *others))
                    for (mine, values), (theirs, others) in (
                        (found.indexed, other.indexed),
                        (found.unindexed, other.unindexed),
                    )
                ),
            )
        return found

    def _atom(self) -> SearchQuery:
        if self._takes("("):
            found = self._any()
            if not self._takes(")"):
                raise _NoExpression
            return _joined("AND", [found])
        token = self._peek()
        if not isinstance(token, SearchTerm):
            raise _NoExpression
        self._at += 1
        return _term_query(token)

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
    text = phrase.replace('""', '"') if phrase is not None else word.rstrip("*") or word
    if not text.strip():
        raise _NoExpression
    return SearchTerm(fold_text(text), (column,) if column else COLUMNS)


def _term_query(term: SearchTerm) -> SearchQuery:
    texts = [f"instr(search_fold(s.{column}), ?) > 0" for column in term.columns]
    plain: Condition = (f"({' OR '.join(texts)})", tuple(term.text for _ in texts))
    if len(term.text) < _TRIGRAM:  # the index finds no shorter texts
        return SearchQuery((term,), plain, plain)
    held = "r.seq IN (SELECT rowid FROM run_search WHERE run_search MATCH ?)"
    return SearchQuery((term,), (f"({held} AND {plain[0]})", (_trigrams(term.text), *plain[1])), plain)


def _trigrams(text: str) -> str:
    """An FTS5 expression for texts that hold all of these, in whatever order: those are then read."""
    found = dict.fromkeys(text[at : at + _TRIGRAM] for at in range(len(text) - _TRIGRAM + 1))
    quoted = ('"' + each.replace('"', '""') + '"' for each in list(found)[:_MAX_TRIGRAMS])
    return " AND ".join(quoted)


def _joined(word: str, parts: Sequence[SearchQuery]) -> SearchQuery:
    terms = tuple(term for part in parts for term in part.terms)
    indexed, unindexed = (
        (
            "(" + (f" {word} ".join(condition for condition, _ in conditions) or "0") + ")",
            tuple(value for _, values in conditions for value in values),
        )
        for conditions in ([part.indexed for part in parts], [part.unindexed for part in parts])
    )
    return SearchQuery(terms, indexed, unindexed)


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
