"""Phrases of known attacks in a text that somebody outside has written: a tripwire, and no more.

docs/guards.md has what it finds of several collections. An attack in words of its own is not found.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from promptops.checks.base64_text import decoded_runs
from promptops.checks.folding import fold, fold_look_alikes, mixes_look_alikes
from promptops.checks.injection_languages import FOREIGN_RULES
from promptops.checks.injection_patterns import InjectionRule, compiled
from promptops.checks.injection_rules import ENGLISH_RULES, SPACELESS_RULES
from promptops.checks.types import CheckSubject, CheckVerdict
from promptops.privacy.plain_text import (
    beyond_ascii,
    exchange_characters,
    may_hold_escapes,
    plain_letters,
    written_plainly,
)

_RULES = (*ENGLISH_RULES, *FOREIGN_RULES)
_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n ]|\n\s+")  # that are not one alone
_TYPED_AS = {
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("\u201c\u201d\u201e", '"'),
    **dict.fromkeys("\u2028\u2029", " "),
}
_TAG = re.compile("[\U000e0020-\U000e007e]")
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_FLAG = "\U0001f3f4"  # the flags of England, Scotland and Wales end with tags
_MAX_FLAG = 7
_IN_WORDS = bytes(code if code >= 128 or chr(code).isalnum() else ord(" ") for code in range(256))


def no_injection(subject: CheckSubject, _: Any) -> CheckVerdict:
    name = find_injection(subject.output)
    return CheckVerdict(name is None, f"it holds a phrase of known attacks: {name}")


def find_injection(text: str) -> str | None:
    """What kind of phrase the text holds; the first that is found."""
    if _hidden(text):
        return "hidden text"
    for form in _forms(text):
        words = _words_of(form)
        for rule in _RULES:
            if _may_hold(rule, words, form) and compiled(rule.pattern).search(form):
                return rule.name
    letters = fold(text)
    for parts, pattern in SPACELESS_RULES:
        if any(part in letters for part in parts) and compiled(pattern).search(letters):
            return "override"
    return None


def _may_hold(rule: InjectionRule, words: set[str], form: str) -> bool:
    if any(map(words.isdisjoint, rule.words)):
        return False
    return not rule.marks or any(mark in form for mark in rule.marks)


def _hidden(text: str) -> bool:
    """Letters written in tag characters, which nobody sees and models read."""
    if not _TAG.search(beyond_ascii(text)):
        return False
    return any(
        len(found[0]) > _MAX_FLAG or text[found.start() - 1 : found.start()] != _FLAG
        for found in _TAGS.finditer(text)
    )


def _forms(text: str) -> Iterator[str]:
    """The text in lower case with single spaces; without look-alikes, without escapes; what is in base64."""
    form = _plain(text)
    yield form
    if mixes_look_alikes(form):
        yield fold_look_alikes(form)
    if may_hold_escapes(text) and (unescaped := written_plainly(text)):
        other = _plain(unescaped.text)
        if other != form:
            yield other
    yield from map(_plain, decoded_runs(text))


def _plain(text: str) -> str:
    if letters := beyond_ascii(text):
        typed = {each: other for each, other in _TYPED_AS.items() if each in letters}
        text = exchange_characters(text, plain_letters(text) | typed)
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFKC", text)
    text = text.lower()
    return text if text.isprintable() and "  " not in text else _SPACES.sub(_one_space, text)


def _one_space(found: re.Match[str]) -> str:
    return "\n" if "\n" in found[0] else " "


def _words_of(form: str) -> set[str]:
    if between := [letter for letter in beyond_ascii(form) if not letter.isalnum()]:
        form = exchange_characters(form, dict.fromkeys(between, " "))
    spaced = form.encode("utf-8", "surrogatepass").translate(_IN_WORDS)
    return set(spaced.decode("utf-8", "surrogatepass").split())
