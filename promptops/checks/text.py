"""Checks on the words of an output."""

import re
from collections.abc import Sequence
from typing import Any

from promptops.checks.subject import Subject, Verdict

_SHOWN = 60  # characters of an output that a message quotes


def equals(subject: Subject, wanted: Any) -> Verdict:
    wanted = subject.expected if wanted is None else wanted
    return Verdict(
        subject.output.strip() == _text(wanted).strip(),
        f"expected {_quote(_text(wanted))}, got {_quote(subject.output)}",
    )


def contains(subject: Subject, wanted: str) -> Verdict:
    return Verdict(wanted in subject.output, f"{_quote(wanted)} does not occur in {_quote(subject.output)}")


def starts_with(subject: Subject, wanted: str) -> Verdict:
    return Verdict(
        subject.output.lstrip().startswith(wanted),
        f"{_quote(subject.output)} starts otherwise than {_quote(wanted)}",
    )


def regex(subject: Subject, pattern: str) -> Verdict:
    return Verdict(
        re.search(pattern, subject.output) is not None, f"{pattern!r} does not match {_quote(subject.output)}"
    )


def one_of(subject: Subject, wanted: Sequence[Any]) -> Verdict:
    return Verdict(
        subject.output.strip() in [_text(each).strip() for each in wanted],
        f"{_quote(subject.output)} is none of {', '.join(map(_text, wanted))}",
    )


def max_chars(subject: Subject, limit: int) -> Verdict:
    length = len(subject.output)
    return Verdict(length <= limit, f"{length} characters, at most {limit} are allowed", length)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…")
