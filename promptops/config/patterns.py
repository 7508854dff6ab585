"""Untrusted regular expressions (of a user, a branch, an output): read as by ``re``, and bounded in time.

``re`` cannot be interrupted, and a few characters make it go on for years, blocking Ctrl-C, time limits and
every other thread. The module ``regex`` takes a time limit. Where the two read a pattern differently, it is
rewritten to what ``re`` makes of it.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any
from unicodedata import lookup

from promptops.errors import Invalid
from promptops.escapes import shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEARCH_SECONDS = 1.0
MAX_PATTERN = 10_000  # characters
_PROBE_SECONDS = 0.05
_PROBE_LENGTH = 2_000
_MAX_PROBES = 24
_QUANTIFIER = re.compile(r"\{(?:\d+(?:,\d*)?|,\d+)\}")
_NAMED = re.compile(r"\\N\{([^}]*)\}")
_SET = re.compile(r"\[(\^?)(\]?(?:\\N\{[^}]*\}|\\.|[^\]\\])*)\]", re.DOTALL)
_SET_ITEM = re.compile(r"\\N\{[^}]*\}|\\.|[^\\]", re.DOTALL)
_IREGEXP_DOT = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\.", re.DOTALL)
_SPACE, _WORD = r"\s\x1c-\x1f", r"\p{L}\p{N}_"  # what ``re`` takes for white space and letters
_BOUNDARY = rf"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_NO_BOUNDARY = rf"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_OUTSIDE = {
    "s": f"[{_SPACE}]",
    "S": f"[^{_SPACE}]",
    "w": f"[{_WORD}]",
    "W": f"[^{_WORD}]",
    "b": _BOUNDARY,
    "B": _NO_BOUNDARY,
}
_INSIDE = {"s": _SPACE, "w": _WORD}


class PatternTimeout(Invalid):
    """A pattern that backtracked for too long."""


def pattern_problem(pattern: str) -> str:
    """Say why a text is not a regular expression of Python's; "" when it is one."""
    if len(pattern) > MAX_PATTERN:
        return f"it has {len(pattern):,} characters, and at most {MAX_PATTERN:,} are read"
    try:
        _python_flags(pattern)
    except (re.error, OverflowError) as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    return ""


def bounded_search(pattern: str, text: str, *, seconds: float = SEARCH_SECONDS) -> bool:
    """Whether a pattern matches somewhere. Raises Invalid when it is none, PatternTimeout when it is slow."""
    if problem := pattern_problem(pattern):
        raise Invalid(f"{_short(pattern)} is not a regular expression: {problem}")
    compiled = _compile(pattern, ascii_text=text.isascii())
    return _within(pattern, text, compiled.search, seconds) is not None


def bounded_spans(pattern: str, text: str) -> list[tuple[int, int]]:
    """Where all matches that are not empty begin and end; raises as ``bounded_search`` does."""
    compiled = _compile(pattern, ascii_text=text.isascii())

    def spans(text: str, **limits: Any) -> list[tuple[int, int]]:
        found = (match.span() for match in compiled.finditer(text, **limits))
        return [span for span in found if span[0] < span[1]]

    return _within(pattern, text, spans, SEARCH_SECONDS)  # type: ignore[no-any-return]  # regex has no types


def bounded_unfinished(pattern: str, text: str) -> int:
    """Where a first match begins, or the end of the text that more text may make one; else its length."""
    compiled = _compile(pattern, ascii_text=text.isascii())

    def first(text: str, **limits: Any) -> Any:
        return compiled.search(text, partial=True, **limits)

    found = _within(pattern, text, first, SEARCH_SECONDS)
    return found.start() if found else len(text)


def bounded_iregexp(pattern: str, text: str, *, whole: bool) -> bool:
    """The same for a pattern of RFC 9485, as JSONPath has it; what is none matches nothing."""
    compiled = _compile_iregexp(pattern)
    search = compiled and (compiled.fullmatch if whole else compiled.search)
    return bool(search and _within(pattern, text, search, SEARCH_SECONDS))


def _within(pattern: str, text: str, search: Callable[..., Any], seconds: float) -> Any:
    try:
        return search(text, timeout=seconds, concurrent=True)
    except TimeoutError:
        message = f"{_short(pattern)} is not decided after {seconds:g} s on {len(text):,} characters"
        hint = "a repeat inside a repeat, such as (a+)+, tries every way to divide a text: write it once"
        raise PatternTimeout(message, hint=hint) from None
    except MemoryError:
        raise PatternTimeout(f"{_short(pattern)} needs too much memory") from None


def backtracks(pattern: str) -> bool:
    """Whether a text made from a pattern's own characters keeps it busy: measured within a few seconds."""
    if pattern_problem(pattern):
        return False
    deadline = perf_counter() + _PROBE_SECONDS * _MAX_PROBES
    letters = "".join(dict.fromkeys(filter(str.isprintable, pattern)))  # so that nothing required is missing
    for piece in _probe_pieces(pattern):
        text = (piece * (_PROBE_LENGTH // len(piece) + 1))[:_PROBE_LENGTH]
        try:
            for end in ("\0", "!\n", f"\0{letters}\0"):
                bounded_search(pattern, text + end, seconds=_PROBE_SECONDS)
        except PatternTimeout:
            return True
        if perf_counter() > deadline:
            return False
    return False


def _probe_pieces(pattern: str) -> list[str]:
    """Texts that a pattern may divide in many ways, the likeliest first."""
    words = re.findall(r"[^\W_]{2,40}", pattern)
    letters = [letter for letter in dict.fromkeys(pattern) if letter.isalnum()]
    pieces = ["a", "0", " ", "a ", "A", "-", ".", "a,", "\n", *words, *letters, "/", '"', "\t"]
    return list(dict.fromkeys(pieces))[:_MAX_PROBES]


def _short(pattern: str) -> str:
    return repr(shorten(pattern, 60))


@lru_cache(maxsize=512)
def _python_flags(pattern: str) -> int:
    """The flags of a pattern as ``re`` reads it, which says what is a pattern."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets that may mean something else one day
        return re.compile(pattern).flags


@lru_cache(maxsize=512)
def _compile(pattern: str, *, ascii_text: bool) -> Any:
    import regex

    flags = _python_flags(pattern)
    scoped = re.search(r"\(\?[a-zA-Z]*[ax]", pattern)  # comments, and letters that mean ASCII alone
    as_written = flags & re.VERBOSE or scoped
    written = pattern if as_written else _as_python_reads(pattern, unicode=not ascii_text)
    try:
        return regex.compile(written, regex.VERSION0)
    except regex.error as error:
        raise Invalid(f"{_short(pattern)} cannot be searched for: {error}") from None


@lru_cache(maxsize=512)
def _compile_iregexp(pattern: str) -> Any:
    """None for what is no such pattern."""
    import regex
    from iregexp_check import check

    if len(pattern) > MAX_PATTERN or not check(pattern):
        return None
    try:
        return regex.compile(_IREGEXP_DOT.sub(_dot, pattern), regex.VERSION1)
    except regex.error:
        return None


def _dot(found: re.Match[str]) -> str:
    return r"[^\r\n]" if found[0] == "." else found[0]


def _as_python_reads(pattern: str, *, unicode: bool) -> str:
    """Escape what only ``regex`` reads more into: fuzzy matches ({e<=1}) and named sets ([[:alpha:]])."""
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        piece, length = _next_piece(pattern, at, unicode=unicode)
        pieces.append(piece)
        at += length
    return "".join(pieces)


def _next_piece(pattern: str, at: int, *, unicode: bool) -> tuple[str, int]:
    """What stands at a place, rewritten, and how many characters it takes up."""
    if named := _NAMED.match(pattern, at):
        return re.escape(lookup(named[1])), len(named[0])
    if pattern[at] == "\\":
        return _escape(pattern[at + 1], _OUTSIDE, unicode=unicode), 2
    if pattern[at] == "[" and (whole := _SET.match(pattern, at)):
        return _set(whole, unicode=unicode), len(whole[0])
    if pattern[at] == "{" and not _QUANTIFIER.match(pattern, at):
        return "\\{", 1
    return pattern[at], 1


def _escape(letter: str, meanings: Mapping[str, str], *, unicode: bool) -> str:
    return meanings.get(letter, f"\\{letter}") if unicode or letter in "sS" else f"\\{letter}"


def _set(whole: re.Match[str], *, unicode: bool) -> str:
    """A set. What is not white space or no letter is moved out of it: only there can it be said."""
    negated, content = whole[1], whole[2]
    outer: list[str] = []
    inner: list[str] = []
    for item in _SET_ITEM.findall(content):
        if item == "\\S" or (item == "\\W" and unicode):
            outer.append(_OUTSIDE[item[1]])
        elif named := _NAMED.match(item):
            inner.append(re.escape(lookup(named[1])))
        elif item[0] == "\\":
            inner.append(_escape(item[1], _INSIDE, unicode=unicode))
        else:
            inner.append(f"\\{item}" if item in "[]" else item)
    members = "".join(inner)
    if not outer:
        return f"[{negated}{members}]"
    either = "|".join([*([f"[{members}]"] if members else []), *outer])
    return f"(?:(?!{either})(?s:.))" if negated else f"(?:{either})"
