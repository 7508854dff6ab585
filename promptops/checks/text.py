"""Checks on the words of an output."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from promptops.checks.json import holds_json, output_equals
from promptops.checks.json_extraction import embedded_json
from promptops.checks.types import CheckError, CheckSubject, CheckVerdict, Found, quote, to_text, to_texts
from promptops.config.patterns import bounded_search, bounded_spans, bounded_unfinished, pattern_problem
from promptops.errors import Invalid
from promptops.prompt.cases import expected_json


def equals(subject: CheckSubject, wanted: Any) -> CheckVerdict:
    """A text word for word; what is not text, and an output that has a schema, as JSON."""
    value = argument_or_expected(subject, wanted, "equals")
    same = output_equals(subject.output, value, structured=subject.schema is not None)
    return CheckVerdict(same, f"expected {quote(to_text(value).strip())}, got {quote(subject.output)}")


def iequals(subject: CheckSubject, wanted: Any) -> CheckVerdict:
    value = argument_or_expected(subject, wanted, "iequals")
    text = to_text(value).strip()
    same = output_equals(subject.output.casefold(), _casefolded(value), structured=subject.schema is not None)
    return CheckVerdict(same, f"expected {quote(text)} in any case, got {quote(subject.output)}")


def contains(subject: CheckSubject, wanted: Any) -> CheckVerdict:
    if _occurs(wanted, subject.output):
        return CheckVerdict(True)
    return CheckVerdict(
        False, f"{quote(to_text(expected_json(wanted)))} does not occur in {quote(subject.output)}"
    )


def icontains(subject: CheckSubject, wanted: Any) -> CheckVerdict:
    if _occurs(_casefolded(wanted), subject.output.casefold()):
        return CheckVerdict(True)
    return CheckVerdict(
        False,
        f"{quote(to_text(expected_json(wanted)))} does not occur, in any case, in {quote(subject.output)}",
    )


def contains_any(subject: CheckSubject, wanted: Sequence[Any]) -> CheckVerdict:
    found = [value for value in wanted if _occurs(value, subject.output)]
    return CheckVerdict(
        bool(found), f"none of {_listed(wanted)} occurs in {quote(subject.output)}", len(found) / len(wanted)
    )


def contains_all(subject: CheckSubject, wanted: Sequence[Any]) -> CheckVerdict:
    """The value is the share that occurs, so that a threshold may ask for a part of them."""
    missing = [value for value in wanted if not _occurs(value, subject.output)]
    return CheckVerdict(None, f"missing: {_listed(missing)}", 1 - len(missing) / len(wanted))


def starts_with(subject: CheckSubject, wanted: str) -> CheckVerdict:
    return CheckVerdict(
        subject.output.lstrip().startswith(wanted),
        f"{quote(subject.output)} starts otherwise than {quote(wanted)}",
    )


def ends_with(subject: CheckSubject, wanted: str) -> CheckVerdict:
    return CheckVerdict(
        subject.output.rstrip().endswith(wanted),
        f"{quote(subject.output[-40:])} ends otherwise than {quote(wanted)}",
    )


def regex(subject: CheckSubject, pattern: str) -> CheckVerdict:
    try:
        found = bounded_search(pattern, subject.output)
    except Invalid as error:  # it takes too long, or is a pattern no longer with the inputs filled in
        raise CheckError(error.message, hint=error.hint) from None
    return CheckVerdict(found, f"{pattern!r} does not match {quote(subject.output)}")


def one_of(subject: CheckSubject, wanted: Sequence[Any]) -> CheckVerdict:
    structured = subject.schema is not None
    return CheckVerdict(
        any(output_equals(subject.output, value, structured=structured) for value in wanted),
        f"{quote(subject.output)} is none of {_listed(wanted)}",
    )


def complete(subject: CheckSubject, _: Any) -> CheckVerdict:
    return CheckVerdict(
        not subject.truncated, "cut off at the most tokens allowed: raise parameters.max_tokens"
    )


def max_chars(subject: CheckSubject, limit: int) -> CheckVerdict:
    return _at_most(len(subject.output), limit, "characters")


def min_chars(subject: CheckSubject, limit: int) -> CheckVerdict:
    return _at_least(len(subject.output), limit, "characters")


def max_words(subject: CheckSubject, limit: int) -> CheckVerdict:
    """Words are what white space separates."""
    return _at_most(len(subject.output.split()), limit, "words")


def min_words(subject: CheckSubject, limit: int) -> CheckVerdict:
    return _at_least(len(subject.output.split()), limit, "words")


def language(subject: CheckSubject, wanted: Any) -> CheckVerdict:
    """ISO 639-1 codes. Two or three words are too few to tell many languages apart."""
    import py3langid

    if not subject.output.strip():
        return CheckVerdict(passed=False, message="there is no text to tell the language of")
    found, _ = py3langid.classify(subject.output)
    return CheckVerdict(found in wanted, f"this is {found}, not {' or '.join(to_texts(wanted))}")


def literal_spans(text: str, wanted: Any) -> list[Found]:
    """Where these texts occur; what is found as JSON has no place of its own."""
    return [(at, at + len(each), "") for each in to_texts(wanted) for at in _places(text, each)]


def caseless_spans(text: str, wanted: Any) -> list[Found]:
    folded, places = _casefolded_places(text)
    return [
        (places[start], places[end - 1] + 1, name)
        for start, end, name in literal_spans(folded, [each.casefold() for each in to_texts(wanted)])
    ]


def _places(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        yield at
        at = text.find(wanted, at + len(wanted))


def _casefolded_places(text: str) -> tuple[str, Sequence[int]]:
    """A text in one case, and where each of its characters stands in the text: some letters become two."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded, range(len(text))
    pieces = [character.casefold() for character in text]
    return "".join(pieces), [at for at, piece in enumerate(pieces) for _ in piece]


def literal_unfinished(text: str, wanted: Any) -> int:
    """Where the end of a text may be the beginning of what is looked for."""
    values = wanted if isinstance(wanted, list) else [wanted]
    if any(isinstance(value, dict | list) for value in values):
        return 0  # JSON may be laid out in any way
    return min((_unfinished_literal(text, to_text(value)) for value in values), default=len(text))


def caseless_unfinished(text: str, wanted: Any) -> int:
    folded, places = _casefolded_places(text)
    at = literal_unfinished(folded, _casefolded(wanted))
    return places[at] if at < len(folded) else len(text)


def _unfinished_literal(text: str, wanted: str) -> int:
    sizes = range(min(len(wanted) - 1, len(text)), 0, -1)
    return next((len(text) - size for size in sizes if text.endswith(wanted[:size])), len(text))


def regex_spans(text: str, pattern: str) -> list[Found]:
    return [(start, end, "") for start, end in bounded_spans(pattern, text)]


def regex_unfinished(text: str, pattern: str) -> int:
    return bounded_unfinished(pattern, text)


def argument_or_expected(subject: CheckSubject, wanted: Any, kind: str) -> Any:
    """The argument, or what the case expects where there is none."""
    if wanted is not None:
        return expected_json(wanted)
    if subject.expected is None:
        raise CheckError(f"nothing to compare with: {kind} has no argument, and nothing is expected")
    return subject.expected_value


def _occurs(wanted: Any, output: str) -> bool:
    """A text or number as a part of the text; everything else as JSON too, wherever it is written."""
    value = expected_json(wanted)
    if to_text(value) in output:
        return True
    if isinstance(value, str):
        return False
    inside = embedded_json(output) if isinstance(value, dict | list) else ()
    return holds_json(output, value) or any(holds_json(piece, value) for piece in inside)


def _casefolded(value: Any) -> Any:
    """A value whose texts differ from others by more than the case of their letters."""
    if isinstance(value, str):
        return value.casefold()
    if isinstance(value, list):
        return [_casefolded(item) for item in value]
    if isinstance(value, dict):
        return {key.casefold(): _casefolded(item) for key, item in value.items()}
    return value


def _at_most(count: int, limit: int, what: str) -> CheckVerdict:
    return CheckVerdict(count <= limit, f"{count} {what}, at most {limit} are allowed", count)


def _at_least(count: int, limit: int, what: str) -> CheckVerdict:
    return CheckVerdict(count >= limit, f"{count} {what}, at least {limit} are needed", count)


def _listed(wanted: Sequence[Any]) -> str:
    return ", ".join(to_texts(list(wanted)))


def regex_problem(pattern: str) -> str:
    if "{{" in pattern:  # known only once it is filled in
        return ""
    return pattern_problem(pattern)


def language_problem(wanted: Any) -> str:
    bad = [code for code in to_texts(wanted) if "{{" not in code and not re.fullmatch("[a-z]{2}", code)]
    return f"`{bad[0]}` is not an ISO 639-1 code such as `en`" if bad else ""


TEXT_SCHEMA: Mapping[str, Any] = {"type": "string"}
TEXTS_SCHEMA: Mapping[str, Any] = {"type": "array", "minItems": 1}
COUNT_SCHEMA: Mapping[str, Any] = {"type": "integer", "minimum": 0}
