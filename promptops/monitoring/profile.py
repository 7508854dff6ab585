"""What the inputs of a target are like, learnt from its first nights, and how far an input is from that.

Nothing of an input is kept but hashes: of short values, and of four letters in a row. What is learnt from
nights is no reference: that comes from later ones, which the profile has not seen.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Self

from promptops.dataclass import dataclass

NIGHTS = 7  # that are learnt from
_BITS = 1 << 18
_LETTERS = 4
_CHARS = 600  # of an input that are looked at
_SHORT = 40  # a longer value is no member of an enumeration
_VALUES = 50  # an input with more different values is none
_LANGUAGE_CHARS = 20  # from which a language can be told


@dataclass(slots=True)
class InputProfile:
    nights: list[str] = field(default_factory=list)
    grams: bytearray = field(default_factory=lambda: bytearray(_BITS // 8))
    values: dict[str, list[str] | None] = field(default_factory=dict)  # None: too many to be an enumeration
    languages: Counter[str] = field(default_factory=Counter)
    fixed: bool = False

    def learn(self, night: str, inputs: Mapping[str, Any]) -> None:
        if night not in self.nights:
            if len(self.nights) >= NIGHTS:
                self.fixed = True
                return
            self.nights.append(night)
        for gram in letter_rows(main_text(inputs)):
            self.grams[gram >> 3] |= 1 << (gram & 7)
        for name, value in short_values(inputs):
            known = self.values.setdefault(name, [])
            if known is not None and value not in known:
                self.values[name] = [*known, value] if len(known) < _VALUES else None
        for name, value in inputs.items():
            if isinstance(value, str) and len(value) > _SHORT:
                self.values[name] = None
        if language := language_of(inputs):
            self.languages[language] += 1

    def novelty(self, inputs: Mapping[str, Any]) -> float | None:
        """The share of its rows of four letters that were not in what was learnt from."""
        grams = list(letter_rows(main_text(inputs)))
        if not grams:
            return None
        return sum(not self.grams[gram >> 3] >> (gram & 7) & 1 for gram in grams) / len(grams)

    def has_new_value(self, inputs: Mapping[str, Any]) -> bool | None:
        """None where no input is an enumeration."""
        known = {name: values for name, values in self.values.items() if values}
        found = [(name, value) for name, value in short_values(inputs) if name in known]
        long = [name for name, value in inputs.items() if name in known and len(str(value)) > _SHORT]
        if not found and not long:
            return None
        return bool(long) or any(value not in (known[name] or ()) for name, value in found)

    def is_other_language(self, inputs: Mapping[str, Any]) -> bool | None:
        found = language_of(inputs)
        return None if not found or not self.languages else found != self.languages.most_common(1)[0][0]

    def to_json(self) -> dict[str, Any]:
        packed = base64.b85encode(zlib.compress(bytes(self.grams), 1)).decode()
        return {
            "nights": self.nights,
            "grams": packed,
            "values": self.values,
            "languages": dict(self.languages),
            "fixed": self.fixed,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        grams = bytearray(zlib.decompress(base64.b85decode(state["grams"])))
        return cls(
            list(state["nights"]),
            grams,
            dict(state["values"]),
            Counter(state["languages"]),
            bool(state["fixed"]),
        )


def texts(inputs: Mapping[str, Any]) -> list[str]:
    return [value for value in inputs.values() if isinstance(value, str)]


def main_text(inputs: Mapping[str, Any]) -> str:
    """The longest text; of inputs without any, their JSON."""
    found = max(texts(inputs), key=len, default="")
    return found or json.dumps(dict(inputs), ensure_ascii=False, sort_keys=True)


def short_values(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Values that may be of an enumeration, by name, as hashes."""
    for name, value in inputs.items():
        if isinstance(value, str | bool | int) and len(str(value)) <= _SHORT:
            yield name, f"{zlib.crc32(str(value).encode('utf-8', 'replace')):08x}"


def letter_rows(text: str) -> Iterator[int]:
    """Every four letters in a row, as hashes."""
    words = " ".join(text[:_CHARS].casefold().split())
    data = f" {words} ".encode("utf-8", "replace") if words else b""
    for start in range(len(data) - _LETTERS + 1):
        yield zlib.crc32(data[start : start + _LETTERS]) % _BITS


def language_of(inputs: Mapping[str, Any]) -> str:
    """Of its longest text; empty where that is too short, or the extra `metrics` is not installed."""
    text = max(texts(inputs), key=len, default="")[:_CHARS]
    if len(text) < _LANGUAGE_CHARS:
        return ""
    try:
        import py3langid
    except ImportError:
        return ""
    return str(py3langid.classify(text)[0])
