"""Answers of several versions beside each other in a terminal, whatever is in them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.cli.reports.cases import CaseAnswer
from promptops.cli.reports.columns import wrap_pieces
from promptops.cli.reports.eval.answer_columns import answer_lines
from promptops.cli.reports.lines import plain_text
from promptops.display_width import display_width
from support.fuzzing import fuzz_settings

LETTER = """Dear Ada,

your parcel left our shop this morning and should arrive on Friday. If it does not, write to us.

    - order 17
    - two books
"""
OTHER = LETTER.replace("arrive on", "reach you by").replace("write to us", "call us")
WIDE = "ご注文の商品は本日発送いたしました。金曜日に到着する予定です。"


def shown(*texts: str, width: int = 80, marks: bool = True, failing: int = -1) -> str:
    answers = [
        CaseAnswer(
            f"v{number}", text, number != failing, ("equals: expected yes",) if number == failing else ()
        )
        for number, text in enumerate(texts)
    ]
    return plain_text(answer_lines(answers, width, marks=marks))


def columns(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")] for line in text.splitlines()]


@pytest.mark.parametrize("width", [80, 200])
def test_two_letters_in_columns_with_what_differs_marked(width: int) -> None:
    text = shown(LETTER, OTHER, width=width, failing=1)
    assert max(map(display_width, text.splitlines())) <= width
    assert columns(text)[0] == ["✓ v0", "✗ v1"]
    left, right = (" ".join(cells).strip() for cells in zip(*columns(text), strict=True))
    assert "should [-arrive on-] Friday. If it does not, [-write to-] us." in left
    assert "should {+reach you by+} Friday. If it does not, {+call+} us." in right
    assert right.endswith("✗ equals: expected yes")
    assert re.search(r"\n      - order 17 +│", text)
    assert re.search(r"│     - order 17\n", text)


def test_colours_take_the_place_of_marks() -> None:
    answers = [CaseAnswer("a", "one two three", True, ()), CaseAnswer("b", "one four three", True, ())]
    lines = [*answer_lines(answers, 80, marks=False)]
    assert ("two", "red") in lines[1]
    assert ("four", "green") in lines[1]
    assert "[-" not in plain_text(lines)


def test_wide_characters_keep_columns_straight() -> None:
    text = shown(WIDE, WIDE.replace("本日", "昨日").replace("。金", "。🎉金"))
    bars = {display_width(line.partition("│")[0]) for line in text.splitlines()}
    assert len(bars) == 1
    assert "[-本-]" in text
    assert "{+昨+}" in text
    assert max(map(display_width, text.splitlines())) <= 80


def test_one_text_for_all_where_all_say_the_same() -> None:
    assert shown("yes", "yes", failing=1) == (
        "  ✓ v0  ✗ v1  the same answer\n    yes\n      equals: expected yes\n"
    )


def test_several_are_held_against_the_first_in_columns_or_one_below_the_other() -> None:
    wide = columns(shown("yes, on Friday", "yes, on Monday", "yes, on Friday", width=200))
    assert wide[1] == ["yes, on Friday", "yes, on {+Monday+}", "the same as the first"]
    narrow = shown("yes, on Friday", "yes, on Monday", LETTER, width=80, failing=1)
    assert narrow.startswith(
        "  ✓ v0  yes, on Friday\n  ✗ v1  yes, on {+Monday+}\n      equals: expected yes\n"
    )
    assert "\n  ✓ v2\n    Dear Ada,\n\n    your parcel" in narrow


def test_texts_that_have_little_in_common_have_no_marks() -> None:
    text = shown("The sun is hot today", "completely other words here")
    assert columns(text)[1] == ["The sun is hot today", "completely other words here"]


def test_what_is_long_is_cut_and_counted() -> None:
    text = shown("\n".join(f"line {n}" for n in range(100)), "word " * 4_000)
    assert re.search(r"and 60 lines more +│", text)
    assert re.search(r"│ and \d+ lines more", text)
    assert "and 12,000 characters more" in shown("word " * 4_000, width=10_000)


@given(
    pieces=st.lists(st.tuples(st.text("ab \n\t中é\u200d\u0301🎉", max_size=30), st.just("")), max_size=6),
    width=st.integers(2, 12),
)
@fuzz_settings(100)
def test_wrapping_loses_no_word_and_keeps_to_its_width(pieces: list[tuple[str, str]], width: int) -> None:
    lines = wrap_pieces(pieces, width)
    texts = ["".join(text for text, _ in line) for line in lines]
    assert all(display_width(text) <= width for text in texts)
    said = "".join(text for text, _ in pieces)
    assert "".join("".join(texts).split()) == "".join(said.split())
