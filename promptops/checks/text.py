"""Checks on the words of an output."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.checks.types import CheckError, Subject, Verdict, as_text, quote, texts_of


def equals(subject: Subject, wanted: Any) -> Verdict:
    text = as_text(expected_or(subject, wanted, "equals")).strip()
    return Verdict(subject.output.strip() == text, f"expected {quote(text)}, got {quote(subject.output)}")


def iequals(subject: Subject, wanted: Any) -> Verdict:
    text = as_text(expected_or(subject, wanted, "iequals")).strip()
    same = subject.output.strip().casefold() == text.casefold()
    return Verdict(same, f"expected {quote(text)} in any case, got {quote(subject.output)}")


def contains(subject: Subject, wanted: str) -> Verdict:
    return Verdict(wanted in subject.output, f"{quote(wanted)} does not occur in {quote(subject.output)}")


def icontains(subject: Subject, wanted: str) -> Verdict:
    found = wanted.casefold() in subject.output.casefold()
    return Verdict(found, f"{quote(wanted)} does not occur, in any case, in {quote(subject.output)}")


def contains_any(subject: Subject, wanted: Sequence[Any]) -> Verdict:
    found = [text for text in texts_of(wanted) if text in subject.output]
    return Verdict(
        bool(found), f"none of {_listed(wanted)} occurs in {quote(subject.output)}", len(found) / len(wanted)
    )


def contains_all(subject: Subject, wanted: Sequence[Any]) -> Verdict:
    """The value is the share that occurs, so that a threshold may ask for a part of them."""
    missing = [text for text in texts_of(wanted) if text not in subject.output]
    return Verdict(None, f"missing: {_listed(missing)}", 1 - len(missing) / len(wanted))


def starts_with(subject: Subject, wanted: str) -> Verdict:
    return Verdict(
        subject.output.lstrip().startswith(wanted),
        f"{quote(subject.output)} starts otherwise than {quote(wanted)}",
    )


def ends_with(subject: Subject, wanted: str) -> Verdict:
    return Verdict(
        subject.output.rstrip().endswith(wanted),
        f"{quote(subject.output[-40:])} ends otherwise than {quote(wanted)}",
    )


def regex(subject: Subject, pattern: str) -> Verdict:
    try:
        found = re.search(pattern, subject.output)
    except re.error as error:  # only once inputs are filled in
        raise CheckError(f"{pattern!r} is no regular expression: {error}") from None
    return Verdict(found is not None, f"{pattern!r} does not match {quote(subject.output)}")


def one_of(subject: Subject, wanted: Sequence[Any]) -> Verdict:
    return Verdict(
        subject.output.strip() in [text.strip() for text in texts_of(wanted)],
        f"{quote(subject.output)} is none of {_listed(wanted)}",
    )


def max_chars(subject: Subject, limit: int) -> Verdict:
    return _at_most(len(subject.output), limit, "characters")


def min_chars(subject: Subject, limit: int) -> Verdict:
    return _at_least(len(subject.output), limit, "characters")


def max_words(subject: Subject, limit: int) -> Verdict:
    """Words are what white space separates."""
    return _at_most(len(subject.output.split()), limit, "words")


def min_words(subject: Subject, limit: int) -> Verdict:
    return _at_least(len(subject.output.split()), limit, "words")


def language(subject: Subject, wanted: Any) -> Verdict:
    """ISO 639-1 codes. Two or three words are too few to tell many languages apart."""
    import py3langid

    if not subject.output.strip():
        return Verdict(passed=False, message="there is no text to tell the language of")
    found, _ = py3langid.classify(subject.output)
    return Verdict(found in wanted, f"this is {found}, not {' or '.join(texts_of(wanted))}")


def expected_or(subject: Subject, wanted: Any, kind: str) -> Any:
    """The argument, or what the case expects where there is none."""
    if wanted is not None:
        return wanted
    if subject.expected is None:
        raise CheckError(f"nothing to compare with: {kind} has no argument, and nothing is expected")
    return subject.expected


def _at_most(count: int, limit: int, what: str) -> Verdict:
    return Verdict(count <= limit, f"{count} {what}, at most {limit} are allowed", count)


def _at_least(count: int, limit: int, what: str) -> Verdict:
    return Verdict(count >= limit, f"{count} {what}, at least {limit} are needed", count)


def _listed(wanted: Sequence[Any]) -> str:
    return ", ".join(texts_of(list(wanted)))


def regex_problem(pattern: str) -> str:
    if "{{" in pattern:  # known only once it is filled in
        return ""
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return ""


def language_problem(wanted: Any) -> str:
    bad = [code for code in texts_of(wanted) if "{{" not in code and not re.fullmatch("[a-z]{2}", code)]
    return f"`{bad[0]}` is no ISO 639-1 code such as `en`" if bad else ""


TEXT: Mapping[str, Any] = {"type": "string"}
TEXTS: Mapping[str, Any] = {"type": "array", "minItems": 1}
COUNT: Mapping[str, Any] = {"type": "integer", "minimum": 0}
