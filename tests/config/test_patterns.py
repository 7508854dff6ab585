"""Patterns that anybody may have written: read as ``re`` reads them, and ended."""

import re
import threading
import time
import warnings
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.patterns import (
    PatternTimeout,
    backtracks,
    bounded_iregexp,
    bounded_search,
    pattern_problem,
)
from promptops.errors import Invalid

ENDLESS = [
    (r"(a+)+$", "a" * 40 + "!"),
    (r"(a|a)*b$", "a" * 40 + "!b!"),
    (r"(\w+\s?)*$", "word " * 20 + "!"),
    (r"(?:a?){500}a{500}", "a" * 499),
    (r"(?=(a+)+$)x", "a" * 40 + "!x"),
    (r"(x+x+)+y", "x" * 40 + "!y"),
    (r"(?i)(é|É)+$", "é" * 40 + "!"),
    (r"\s+$", " " * 300_000 + "!"),
]


@pytest.mark.parametrize(("pattern", "text"), ENDLESS)
def test_a_pattern_that_backtracks_ends(pattern: str, text: str) -> None:
    started = time.process_time()
    with suppress(PatternTimeout):
        bounded_search(pattern, text, seconds=0.2)
    assert time.process_time() - started < 2


def test_a_pattern_that_is_stopped_says_so() -> None:
    with pytest.raises(PatternTimeout, match=r"not decided after 0\.1 s on 300,001 characters") as caught:
        bounded_search(r"\s+$", " " * 300_000 + "!", seconds=0.1)
    assert "(a+)+" in caught.value.hint


def test_other_threads_go_on_meanwhile() -> None:
    thread = threading.Thread(target=lambda: bounded_search(r"^(a|b|ab)*$", "ab" * 100_000), daemon=True)
    thread.start()
    turns = 0
    while thread.is_alive():  # a search that let nobody else run would be over after a few looks
        time.sleep(0.001)
        turns += 1
    assert turns > 15


PATTERNS = [
    *(r"\w+$", r"a{e<=1}", r"(?:foo){e}", r"[[:alpha:]]", r"[]a]", r"[^]a]+", r"\bna\b", r"[\w-]+", r"\s"),
    *(r"[^\s]", r"a{,3}b", r"{x}", r"a{1}{", r"(?i)straße", r"(?i)k", r"(?x) a b # [", r"(?m)^a$", r"\Z"),
    *(
        r"(?P<n>a)(?P=n)",
        r"\d+",
        r"[a&&b]",
        r"[a||b]",
        r"(?s).+",
        r"(?a)\w+$",
        r"\N{BULLET}",
        r"[\N{BULLET}x]",
    ),
    *(r"(?<=a)b", r"(?>a+)b", r"a++b", r"[\]]", r"(a)?(?(1)b|c)", r"\012", r"[\b]", r"[\W]", r"\W", r"\B."),
    *(r"(?i)\u017f", r"[^\W\d_]+$", r"[\S]", r"[^\S\n]", r"[\W\d]$", r"[^\W\S]$", r"[\\\W]", r"[^[\W]"),
]
TEXTS = [
    *(
        "",
        "abc",
        "a b",
        "हिन्दी",
        "na हिन na",
        "straße",
        "STRASSE ẞ",
        "\u212a",
        "é",
        "e\u0301",
        "\x1c",
        "\u00a0",
    ),
    *(
        "fooo",
        "fop",
        "[:alpha:]",
        "al:]",
        "]",
        "^",
        "aaab",
        "{x}",
        "a{e<=1}",
        "ab\n",
        "²",
        "½",
        "٣",
        "_",
        "•",
    ),
    *("a&b", "a-b", "|", "\u017f", "s", "ǅ", "\b", "\u2028", "\x85", "a\u200db"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_means_what_re_makes_of_it(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = [re.search(pattern, text) is not None for text in TEXTS]
    assert [bounded_search(pattern, text) for text in TEXTS] == wanted


@given(
    st.text(alphabet="ab1 é_[](){}|^$.*+?\\wWsSdDbB,-&:~<=", max_size=10),
    st.text("ab1 é_[{}\x1c\n-", max_size=8),
)
def test_any_pattern_means_what_re_makes_of_it(pattern: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = re.search(pattern, text) is not None
        except re.error:
            assert pattern_problem(pattern)
            return
    assert bounded_search(pattern, text) is wanted


@pytest.mark.parametrize(
    "pattern", ["(", r"\p{L}", "(?<=a+)b", "(" * 5_000, "a" * 10_001, "a{99999999999999999999}"]
)
def test_what_is_no_pattern_is_invalid(pattern: str) -> None:
    assert pattern_problem(pattern)
    with pytest.raises(Invalid, match="not a regular expression"):
        bounded_search(pattern, "a")
    assert not backtracks(pattern)


@pytest.mark.parametrize(
    ("pattern", "slow"),
    [
        *(
            (pattern, True)
            for pattern in (r"(a+)+$", r"(\w+\s?)*$", r"(?:foo|f|oo)+$", r"(x+x+)+y", r"(a*)*(b*)*c")
        ),
        *(
            (pattern, False)
            for pattern in (r"^\d{3}-\d{4}$", r"\b(yes|no)\b", r".*foo.*bar", r"(?s)^\{.*\}$")
        ),
    ],
)
def test_patterns_that_backtrack_are_known_beforehand(pattern: str, slow: bool) -> None:
    assert backtracks(pattern) is slow


def test_patterns_of_jsonpath_end_too() -> None:
    assert bounded_iregexp("a.c", "abc", whole=True)
    assert not bounded_iregexp("b", "abc", whole=True)
    assert bounded_iregexp("[.]c", "a.c", whole=False)
    assert not bounded_iregexp("a(?=b)", "ab", whole=False)
    with suppress(PatternTimeout):
        assert not bounded_iregexp("(a|a)*b", "a" * 60 + "!", whole=True)
