"""Personal data and secrets in a text, as they are found for the log; verdicts never quote what was found."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from promptops.checks.types import CheckSubject, CheckVerdict, Found
from promptops.config.redaction_rules import RedactionRule
from promptops.privacy.plain_text import written_plainly
from promptops.privacy.redactor import Redactor, redactor_of

PERSONAL_KINDS = ("email", "phone", "card", "iban", "ip", "ssn")
SECRET_KINDS = ("secret",)
_MAX_VALUE = 4_000  # characters of the longest value but a private key
_LONG = 8  # of a country, and of what else stands in a number, with its space
_WORD = re.compile(r"\s*\S+|\s+")
_KEY_START, _KEY_END = "-----BEGIN", "-----END"


def no_personal_data(subject: CheckSubject, argument: Any) -> CheckVerdict:
    return _verdict(personal_spans(subject.output, argument))


def no_secret(subject: CheckSubject, argument: Any) -> CheckVerdict:
    return _verdict(secret_spans(subject.output, argument))


def personal_spans(text: str, argument: Any) -> Sequence[Found]:
    return _spans(text, argument, PERSONAL_KINDS)


def secret_spans(text: str, argument: Any) -> Sequence[Found]:
    return _spans(text, argument, SECRET_KINDS)


def unfinished_value(text: str, _: Any) -> int:
    """Where the last word begins, with those before it that may be of one value, or a private key."""
    tail = text[-_MAX_VALUE:]
    start = len(tail)
    for number, word in enumerate(reversed(_WORD.findall(tail))):
        if number > 1 and not _may_belong(word):
            break
        start -= len(word)
    key = text.rfind(_KEY_START)
    whole = len(text) - len(tail) + start
    return min(whole, key) if key >= 0 and _KEY_END not in text[key:] else whole


def _may_belong(word: str) -> bool:
    return len(word) > _LONG or any(map(str.isdigit, word)) or not any(map(str.isalnum, word)) or "@" in word


def _spans(text: str, argument: Any, kinds: Sequence[str]) -> Sequence[Found]:
    given: Mapping[str, Any] = {"kinds": argument} if isinstance(argument, list) else argument or {}
    found = _redactor(tuple(given.get("kinds", kinds))).spans(text)
    allowed = given.get("allow")
    return _not_allowed(text, found, allowed) if found and allowed else found


@lru_cache(maxsize=64)
def _redactor(kinds: Sequence[str]) -> Redactor:
    return redactor_of(tuple(map(RedactionRule, kinds)), Path())


def _not_allowed(text: str, found: Iterable[Found], allowed: Iterable[str]) -> list[Found]:
    """Values compare by letters and digits alone; ``@example.org`` allows the addresses of a domain."""
    values = {_letters(value) for value in allowed if not value.startswith("@")}
    domains = tuple(value.casefold() for value in allowed if value.startswith("@"))

    def allows(span: Found) -> bool:
        value = _plain(text[span[0] : span[1]]).casefold()
        return _letters(value) in values or (span[2] == "email" and value.endswith(domains))

    return [span for span in found if not allows(span)]


def _plain(value: str) -> str:
    plain = written_plainly(value)
    return plain.text if plain else value


def _letters(value: str) -> str:
    return "".join(filter(str.isalnum, _plain(value))).casefold()


def _verdict(found: Sequence[Found]) -> CheckVerdict:
    counts = Counter(name for _, _, name in found)
    return CheckVerdict(not found, f"found: {', '.join(f'{count} {name}' for name, count in counts.items())}")
