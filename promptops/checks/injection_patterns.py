"""How the rules on phrases of attacks are written.

A rule's pattern is tried only on texts that hold its words, so that most texts cost no more than to be
divided into words. Every repeat in a pattern is bounded.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple


class InjectionRule(NamedTuple):
    """``name`` is what a message says; several rules may have one name."""

    name: str
    words: tuple[frozenset[str], ...]  # a text that lacks all words of one of these is not looked at
    marks: tuple[str, ...]  # one of these stands in the text, if there are any
    pattern: str


def any_of(words: str) -> str:
    """Any of the words, which are separated by commas."""
    return f"(?:{'|'.join(word.strip() for word in words.split(','))})"


def rule(name: str, words: Sequence[str], *patterns: str, marks: str = "") -> InjectionRule:
    sets = tuple(frozenset(each.split()) for each in words)
    return InjectionRule(name, sets, tuple(marks.split()), "|".join(patterns))


def up_to(count: int) -> str:
    """So many words between others."""
    return rf"(?:[^\W_]{{1,20}}[\W_]{{1,3}}){{0,{count}}}?"


NEXT = r"[\W_]{1,3}"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
