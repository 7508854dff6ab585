"""What reaches a terminal: nothing that it would obey, in JSON neither."""

import contextlib
import json
import os
import pty
import sys

import pytest

from promptops import console
from promptops.display_width import display_width
from promptops.escapes import escape
from support.forked_commands import ForkedPopen

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


def on_terminal(code: str) -> str:
    """What a program of Python writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "80"}
    child = ForkedPopen([sys.executable, "-c", code], stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # so a terminal ends
        while piece := os.read(ours, 65536):
            seen += piece
    os.close(ours)
    assert child.wait() == 0
    return seen.decode()


def test_every_way_of_printing_data_escapes_on_a_terminal() -> None:
    shown = on_terminal(f"""
from promptops import console
from promptops.escapes import escape
text = {"".join(HOSTILE) + "end"!r}
console.print_text(text); console.note(text); console.print_json([text]); console.DataStream().write(text)
console.print_styled([(text, "red")]); console.print_table(["A", "B"], [["x", text]])
console.print_wrapped(text, indent=2)
""")
    assert shown.count("end") >= 6
    assert not set(HOSTILE) - set("\t\r\n") & set(shown)


def test_a_table_counts_columns_of_the_terminal_and_not_characters() -> None:
    """East Asian characters and emoji take two, combining marks and what a joiner ties none."""
    texts = ["日本語の" * 20, "🎉" * 60, "e\u0301" * 30, "👩\u200d👩\u200d👧", "plain"]
    out = on_terminal(f"""
from promptops.console import print_table
print_table(["PROMPT", "TEXT", "RUNS"], [["p", text, "1"] for text in {texts!r}], numeric=[2])
""")
    lines = out.splitlines()
    assert {display_width(line) for line in lines} == {79}  # no half of a character
    assert [line.endswith("…     1") for line in lines] == [False, True, True, False, False, False]


def test_no_header_of_a_table_is_broken() -> None:
    """Text is shortened; a long name has a line of its own; what fits in no way has a line for each value."""
    name = f"support/{'n' * 70}"
    tables: list[list[list[str]]] = [
        [["PROMPT", "MODEL", "SPENT"], ["greet", "m" * 90, "0.1"], ["bye", "m", "12345.67"]],
        [["PROMPT", "CALLS", "SPENT"], [name, "1,000", "0.1"], ["bye", "2", "12345.67"]],
        [["PROMPT", *(f"COLUMN{i}" for i in range(9))], ["greet", *("1" * i for i in range(5, 14))]],
    ]
    out = on_terminal(f"""
from promptops.console import print_table
for headers, *rows in {tables!r}:
    print_table(headers, rows, numeric=range(2 if len(headers) == 3 else 1, len(headers)))
""")
    lines = out.splitlines()
    assert [len(line) for line in lines[:3]] == [80] * 3
    assert lines[1].endswith("m…       0.1")
    assert lines[3:7] == [
        "PROMPT  CALLS     SPENT",
        name,
        "        1,000       0.1",
        "bye     2      12345.67",
    ]
    assert lines[7:10] == ["greet", "  COLUMN0  11111", "  COLUMN1  111111"]
    assert len(lines) == 17
