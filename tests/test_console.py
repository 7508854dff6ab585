"""What reaches a terminal: nothing that it would obey, in JSON neither."""

import json
import os
import pty
import subprocess
import sys

import pytest

from promptops import console
from promptops.escapes import escape

HOSTILE = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u206a\u206f\ufeff\ufff9",
]
HARMLESS = "Grüße, שלום, مرحبا, 日本語, 👩‍👩‍👧, 🏴󠁧󠁢󠁥󠁮󠁧󠁿, می‌خواهم"


def test_control_and_bidirectional_characters_are_written_as_escapes() -> None:
    for character in HOSTILE:
        shown = escape(f"a{character}b")
        assert shown.isprintable() or character in "\t\n"
    assert escape(HARMLESS) == HARMLESS


def test_json_means_the_same_and_hides_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "".join(HOSTILE) + HARMLESS}
    console.print_json(value)
    console.print_json_line(value)
    out = capsys.readouterr().out
    assert not set(HOSTILE) - {"\n"} & set(out)
    assert HARMLESS in out
    assert json.loads(out.splitlines()[-1]) == value


def test_every_way_of_printing_data_escapes_on_a_terminal() -> None:
    code = f"""
from promptops import console
from promptops.escapes import escape
text = {"".join(HOSTILE) + "end"!r}
console.print_text(text); console.note(text); console.print_json([text]); console.DataStream().write(text)
console.print_styled([(text, "red")]); console.print_table(["A", "B"], [["x", text]])
console.print_wrapped(text, indent=2)
"""
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=theirs, stderr=theirs, env={**os.environ, "NO_COLOR": "1"}
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        seen += piece
        if not piece:
            break
    assert child.wait() == 0
    os.close(ours)
    shown = seen.decode()
    assert shown.count("end") >= 6
    assert not set(HOSTILE) - set("\t\r\n") & set(shown)
