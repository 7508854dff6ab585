"""Values are found as people and programs write them, not only as a pattern has them."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from promptops.config.redaction_rules import REDACTION_KINDS, RedactionRule
from promptops.privacy.redactor import Redactor, redactor_of
from support.personal_data import PLANTED

VALUES = {kind: PLANTED[kind] for kind in REDACTION_KINDS}
VALUES["url_token"] = "https://example.org/a?token=wombat-in-the-address&x=1"
DIGITS = {code: chr(0x660 + code - 48) for code in range(48, 58)}
FULL_WIDTH = {code: chr(code + 0xFEE0) for code in range(33, 127)}


def middle(between: str) -> Callable[[str], str]:
    return lambda value: f"{value[: len(value) // 2]}{between}{value[len(value) // 2 :]}"


def spaces(instead: str) -> Callable[[str], str]:
    return lambda value: value.replace(" ", instead)


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "key of JSON": lambda value: json.dumps({value: 1}),
    "JSON in JSON": lambda value: json.dumps({"a": json.dumps({"b": value})}),
    "escaped": lambda value: "".join(f"\\u{ord(each):04x}" for each in value),
    "escaped twice": lambda value: "".join(f"\\\\u{ord(each):04X}" for each in value),
    "in an address": lambda value: quote(value, safe=""),
    "in an address of an address": lambda value: quote(quote(value, safe=""), safe=""),
    "in a form": lambda value: f"%5B{value.replace('+', '%2B').replace(' ', '+')}%5D",
    "HTML": lambda value: value.replace("@", "&#64;").replace(" ", "&nbsp;").replace(".", "&#x2e;"),
    "full width": lambda value: value.translate(FULL_WIDTH),
    "Arabic digits": lambda value: value.translate(DIGITS),
    "narrow spaces": spaces("\u202f"),
    "marks of datamark": spaces("\u02c6"),
    "no spaces": spaces(""),
    "two spaces": spaces("  "),
    "three spaces": spaces("   "),
    "spaced dashes": spaces(" \u2013 "),
    "dashes": lambda value: value.replace(" ", "-").replace("-", "\u2011"),
    "minus": lambda value: value.replace("-", "\u2212"),
    "zero width": middle("\u200b"),
    "zero width throughout": "\u200b".join,
    "soft hyphen": middle("\u00ad"),
    "underscores": lambda value: f"_{value}_",
    "beside Japanese": lambda value: f"\u96fb\u8a71{value}\u3067\u3059",
    "lines": lambda value: "\n".join(value.rsplit(" ", 1)),
    "lines in JSON": lambda value: json.dumps("\r\n".join(value.rsplit(" ", 1))),
    "after another number": lambda value: f"2026 {value}",
}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_value_is_found(written: str) -> None:
    redactor = redactor_of(tuple(map(RedactionRule, REDACTION_KINDS)), Path.cwd())
    for kind, value in VALUES.items():
        text = f"I said {WRITTEN[written](value)} ok"
        found: Counter[str] = Counter()
        shown = redactor.text(text, found)
        assert found, text
        assert "wombat" not in shown
        if kind != "url_token":  # the address around it stays
            around = redactor.text(f"I said {WRITTEN[written]('')} ok", Counter())
            assert sum(map(str.isdigit, shown)) <= sum(map(str.isdigit, around)) + 1, shown


@pytest.mark.parametrize(
    "text", ["584.6666666666666 boxes", "4.66666666666666645", "=6.666666666666667", "300.5849 gallons"]
)
def test_a_decimal_is_no_card_and_no_telephone_number(text: str) -> None:
    redactor = redactor_of(tuple(map(RedactionRule, REDACTION_KINDS)), Path.cwd())
    assert redactor.text(f"It is {text}, he said", Counter()) == f"It is {text}, he said"


@pytest.mark.parametrize(
    "unit", ["1 ", "0 1 ", "4111 ", "\\", "%25", "&amp;", "\u200b1", "AA00", "a@", ":ff"]
)
def test_no_text_keeps_it_busy(unit: str) -> None:
    redactor = redactor_of(tuple(map(RedactionRule, REDACTION_KINDS)), Path.cwd())
    took = [busy(redactor, unit * (size // len(unit))) for size in (10_000, 40_000)]
    assert took[1] < max(0.2, 8 * took[0])


def busy(redactor: Redactor, text: str) -> float:
    started = time.process_time()
    redactor.text(text, Counter())
    return time.process_time() - started
