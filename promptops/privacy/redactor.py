"""Texts and JSON values without the personal data that rules name, each value replaced by its kind."""

import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from promptops.config.patterns import bounded_spans
from promptops.config.project_function import import_function
from promptops.config.redaction_rules import RedactionRule
from promptops.config.settings import LogSettings
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.privacy.key import read_privacy_key
from promptops.privacy.kinds import FINDERS, NUMBERS
from promptops.privacy.plain_text import text_shape, written_plainly
from promptops.privacy.time_limit import FunctionTimeoutError, call_within

NamedSpan = tuple[int, int, str]
SpanFinder = Callable[[str], Iterable[NamedSpan]]
Counts = dict[str, int]
"""How many values were replaced, by kind."""

_MIN_TEXT = 5  # characters of the shortest value
_LABEL, _MAX_LABEL = re.compile(r"[A-Za-z_ ]*"), 15  # such as a name of an input: no value of a kind
_MIN_DIGITS = 7  # of a number that can be one
_PSEUDONYM = 12  # letters, of 16 each: 48 bits
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")  # no digits: nothing is found in them again
_sorted_json = json.JSONEncoder(sort_keys=True).encode
_IMAGE = "data:image/"
_TAIL = 80  # characters of a cut text that may be the beginning of a value
_LONG_WORD = 16  # a piece of a secret


class RedactionError(Exception):
    """A text could not be looked at, so nothing of it may be kept. Says nothing of the text."""


@dataclass(frozen=True, slots=True)
class Redactor:
    """``key`` makes pseudonyms; None for masks."""

    kinds: tuple[str, ...]
    kinds_without_digits: tuple[str, ...]  # those of them that a text without a digit may hold
    patterns: tuple[SpanFinder, ...]
    functions: tuple[SpanFinder, ...]  # of the project: these see a text as it was written alone
    key: bytes | None

    def text(self, text: str, found: Counts) -> str:
        if len(text) < _MIN_TEXT or (text.startswith(_IMAGE) and _is_image(text)):
            return text
        spans = self._spans(text)
        if not spans:
            return text
        pieces, end = [], 0
        for start, stop, name in merged_spans(spans):
            pieces += [text[end:start], self._mark(name, text[start:stop])]
            found[name] = found.get(name, 0) + 1
            end = stop
        return "".join([*pieces, text[end:]])

    def spans(self, text: str) -> list[NamedSpan]:
        """Where values stand, in their order; those that overlap are one. Raises RedactionError."""
        return merged_spans(self._spans(text)) if len(text) >= _MIN_TEXT else []

    def cut_text(self, text: str, found: Counts) -> str:
        """A text that ended in the middle, without what may be the beginning of a value."""
        text = self.text(text, found)
        start = _unfinished_from(text)
        if start == len(text):
            return text
        found["cut"] = found.get("cut", 0) + 1
        return f"{text[:start]}[cut]"

    def value(self, value: Any, found: Counts) -> Any:
        """A JSON value; one that holds nothing personal is given back itself."""
        if isinstance(value, str):
            return self.text(value, found)
        if isinstance(value, Mapping):
            return {self.text(str(key), found): self.value(item, found) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item, found) for item in value]
        if isinstance(value, int | float) and len(digits := str(value)) >= _MIN_DIGITS:
            shown = self.text(digits, found)
            return value if shown == digits else shown
        return value

    def arguments(self, text: str, found: Counts) -> str:
        """JSON in a text, such as the arguments of a tool call: an escaped letter hides nothing."""
        if "\\u" not in text:
            return self.text(text, found)
        try:
            value = json.loads(text)
            shown = self.value(value, found)
            return text if shown == value else json.dumps(shown, ensure_ascii=False)
        except (ValueError, RecursionError):
            return self.text(text, found)

    def _spans(self, text: str) -> list[NamedSpan]:
        try:
            spans = self._spans_of_rules(text)
            for find in self.functions:
                spans += find(text)
            if plain := written_plainly(text):
                spans += [
                    (plain.written_at(start), plain.written_at(end), name)
                    for start, end, name in self._spans_of_rules(plain.text)
                ]
        except RedactionError:
            raise
        except PromptopsError as error:
            raise RedactionError(error.message) from None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of a function of the project, whatever it is
            raise RedactionError(f"a redactor failed with {type(error).__name__}") from None
        return spans

    def _spans_of_rules(self, text: str) -> list[NamedSpan]:
        spans: list[NamedSpan] = []
        if len(text) > _MAX_LABEL or not _LABEL.fullmatch(text):
            for name in self.kinds if text_shape(text).digits else self.kinds_without_digits:
                spans += [(start, end, name) for start, end in FINDERS[name](text)]
        for find in self.patterns:
            spans += find(text)
        return spans

    def _mark(self, name: str, value: str) -> str:
        if self.key is None:
            return f"[{name}]"
        if name in FINDERS:
            plain = written_plainly(value)
            value = "".join(filter(str.isalnum, plain.text if plain else value)).lower()
        digest = hmac.digest(self.key, f"{name}:{value}".encode("utf-8", "surrogatepass"), "sha256").hex()
        return f"[{name}:{digest[:_PSEUDONYM].translate(_LETTERS)}]"


def redactor_for(log: LogSettings) -> Redactor | None:
    """None where nothing is to be redacted. Raises RedactionError where a rule cannot be followed."""
    if not log.redact:
        return None
    try:
        return _redactor(log.redact, log.keep == "pseudonym", log.root, log.key_file)
    except PromptopsError as error:
        raise RedactionError(error.message) from None


def redactor_of(rules: tuple[RedactionRule, ...], root: Path) -> Redactor:
    """One that masks. Raises as ``redactor_for`` does."""
    try:
        return _redactor(rules, False, root, None)
    except PromptopsError as error:
        raise RedactionError(error.message) from None


@lru_cache(maxsize=64)
def _redactor(
    rules: tuple[RedactionRule, ...], pseudonyms: bool, root: Path | None, key_file: Path | None
) -> Redactor:
    rules = tuple(dict.fromkeys(rules))
    kinds = tuple(rule.name for rule in rules if not (rule.pattern or rule.function))
    return Redactor(
        kinds=kinds,
        kinds_without_digits=tuple(name for name in kinds if name not in NUMBERS),
        patterns=tuple(partial(_matches, rule) for rule in rules if rule.pattern),
        functions=tuple(_function_finder(rule, root) for rule in rules if rule.function),
        key=read_privacy_key(key_file) if pseudonyms else None,
    )


def _function_finder(rule: RedactionRule, root: Path | None) -> SpanFinder:
    function = import_function(rule.function, root or Path.cwd(), "the redaction python", "text")
    return partial(_spans_of_function, function, rule)


def _matches(rule: RedactionRule, text: str) -> Iterator[NamedSpan]:
    return ((start, end, rule.name) for start, end in bounded_spans(rule.pattern, text))


def _spans_of_function(function: Callable[[str], Any], rule: RedactionRule, text: str) -> Iterator[NamedSpan]:
    """What a function of the project gives: pairs of numbers, each within the text."""
    try:
        pairs = call_within(rule.seconds, lambda: list(islice(function(text), len(text) + 1)))
    except FunctionTimeoutError as error:
        raise RedactionError(f"the redactor {rule.function} {error}") from None
    for start, end in pairs:
        if not (type(start) is type(end) is int and 0 <= start <= end <= len(text)):
            raise ValueError(f"{start!r} to {end!r} is no part of the text")
        yield start, end, rule.name


def merged_spans(spans: Iterable[NamedSpan]) -> list[NamedSpan]:
    """Those that overlap as one, named as the one that begins first, or of these the longest."""
    merged: list[NamedSpan] = []
    for start, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
        if merged and start < merged[-1][1]:
            first, last, kind = merged[-1]
            merged[-1] = first, max(last, end), kind
        elif start < end:
            merged.append((start, end, name))
    return merged


def _unfinished_from(text: str) -> int:
    """Where the words at the end begin that may be part of a value: with digits, an @, or very long."""
    start = len(text)
    for word in reversed(text[-_TAIL:].split(" ")):
        if not word or word.endswith("]") or not _may_begin_value(word):
            break
        start = max(0, start - len(word) - 1)
    return start if start in (0, len(text)) else start + 1


def _may_begin_value(word: str) -> bool:
    return any(map(str.isdigit, word)) or "@" in word or "+" in word or len(word) >= _LONG_WORD


def _is_image(text: str) -> bool:
    head, _, data = text.partition(";base64,")
    return head.removeprefix(_IMAGE).isalnum() and data.isascii() and not any(map(data.__contains__, " @:."))


def redacted_hash(digest: str, inputs: Any) -> str:
    """What stands for a hash of the true messages, which could be guessed from it."""
    return sha256(f"{digest}\n{_sorted_json(inputs)}".encode()).hexdigest()
