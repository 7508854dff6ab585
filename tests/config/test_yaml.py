import json
import re
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.text import decode_text
from promptops.config.yaml import Document, InvalidAt, Position, build_document, parse_yaml
from promptops.errors import Invalid


def read(text: str | bytes) -> Document:
    return parse_yaml(text.encode() if isinstance(text, str) else text, "prompts/x.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("2026-01-01", "2026-01-01"),
        ("1:30", "1:30"),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("-5", -5),
        ("1_000", "1_000"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("9007199254740991", 9007199254740991),
    ],
)
def test_values_are_those_of_the_core_schema(text: str, value: object) -> None:
    got = read(f"a: {text}").data["a"]
    assert got == value
    assert type(got) is type(value)


def test_empty_file_holds_nothing() -> None:
    assert read("").data is None
    assert read("# only a comment\n").data is None


ERRORS = [
    ("a: 1\n\tb: 2", "2:1: a tab in the indentation"),
    ("a:\n\t- b", "2:1: a tab in the indentation"),
    ("a: 1\nb: 2\na: 3", "3:1: duplicate key `a` (first in line 1)"),
    ("a: {{ x }}", "1:5: a key must be a string"),
    ("? *x\n: 1", "1:3: a key must be a string"),
    ("1: 2", "1:1: the key `1` is not a string"),
    ("~: 2", "1:1: the key `~` is not a string"),
    ("<<: {a: 1}", "1:1: merge keys (`<<`) are not read"),
    ("a: *b", "1:4: the alias `*b` has no anchor `&b` before it"),
    ("a: &a [*a]", "1:8: the alias `*a` stands inside what it names"),
    ("a: !foo 3", "1:4: the tag `!foo` is not read"),
    ("a: !!python/object:os.system {}", "1:4: the tag `!!python/object:os.system` is not read"),
    ("a: .nan", "1:4: `.nan` is not a number that JSON can hold"),
    ("a: -.inf", "1:4: `-.inf` is not a number that JSON can hold"),
    ("a: 1e999", "1:4: the number 1e999 is too large"),
    (
        "a: 9007199254740992",
        "1:4: the number 9007199254740992 is beyond 2**53, which JSON cannot hold exactly",
    ),
    ("a: " + "9" * 5000, "(5000 characters) is beyond 2**53"),
    ('a: "\\0"', "1:4: a NUL character in a string"),
    ('a: "\\ud800"', "invalid Unicode character escape code"),
    ("a: 'x", "found unexpected end of stream, while scanning a quoted scalar that starts in line 1"),
    ("a: [1,\nb: 2", "while parsing a flow sequence that starts in line 1"),
    ("a: b: c", "1:5: not YAML: mapping values are not allowed in this context"),
    ("a: @x", "1:4: a value cannot start with `@`"),
    ("---\na: 1\n---\nb: 2", "3:1: a second YAML document in the file"),
    ("a: b\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n", "2:1: a merge conflict is left in the file"),
    ("a: x\0y", "1:5: a NUL character in the text"),
    ("a: x\x07y", "1:5: the control character U+0007 in the text"),
    ("a: |\n  x\u2028y", "2:4: the control character U+2028 in the text"),
    ("\ufeffa: 1", "1:1: the file starts with a byte order mark"),
    (b"a: 1\nb: \xff", "2:4: not UTF-8: byte 0xff"),
    (b"a: \xed\xa0\x80", "1:4: not UTF-8: byte 0xed"),
    ("a: " + "[" * 900, "nested deeper than 100 levels"),
    ("a: " + "[" * 200_000, "nest"),  # newer releases of PyYAML refuse this themselves
    ("- " * 3000, "nested deeper than 100 levels"),
    ("a: x\n" * 2_100_000, "1:1: the file is too large: 10,500,000 bytes, and at most 1,000,000 are read"),
]


@pytest.mark.parametrize(("text", "message"), ERRORS, ids=[message[:40] for _, message in ERRORS])
def test_bad_input_is_one_clear_line_and_quick(text: str | bytes, message: str) -> None:
    started = time.thread_time()
    with pytest.raises(Invalid) as caught:
        read(text)
    assert time.thread_time() - started < 1
    assert message in caught.value.message
    assert caught.value.message.startswith("prompts/x.yaml:")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


def test_errors_carry_a_next_step() -> None:
    with pytest.raises(Invalid) as caught:
        read("content: {{ ticket }}")
    assert "quotes" in caught.value.hint


def test_an_error_knows_its_place() -> None:
    with pytest.raises(InvalidAt) as caught:
        read("a: 1\nb: 2\na: 3")
    assert caught.value.problem.position == Position(3, 1)
    assert caught.value.problem.rule == "yaml"


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_alias_bomb() -> None:
    started = time.thread_time()
    with pytest.raises(Invalid, match="expand to too much data"):
        read(bomb(12))
    assert time.thread_time() - started < 1


def test_alias_bomb_of_one_long_text() -> None:
    with pytest.raises(Invalid, match="expand to too much data"):
        read(f"a: &a {'x' * 400_000}\nb: [*a, *a, *a]")


def test_aliases_are_read() -> None:
    doc = read("a: &a\n  b: &t |\n    one {{\nc: *a\nd: *t\n")
    assert doc.data == {"a": {"b": "one {{\n"}, "c": {"b": "one {{\n"}, "d": "one {{\n"}
    assert doc.where(("c", "b")) == "prompts/x.yaml:4:1"
    assert doc.line_of(("d",), 1) == 3


def test_positions_of_keys_and_items() -> None:
    doc = read("a: 1\nb:\n  c: [x, y]\n  d:\n    - e: 1\n")
    assert doc.where(()) == "prompts/x.yaml:1:1"
    assert doc.where(("b", "c")) == "prompts/x.yaml:3:3"
    assert doc.where(("b", "c", 1)) == "prompts/x.yaml:3:10"
    assert doc.where(("b", "d", 0, "e")) == "prompts/x.yaml:5:7"
    assert doc.where(("b", "d", 0, "unknown", 3)) == "prompts/x.yaml:5:7"
    assert doc.line_of(("unknown",), 3) == 1


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_of_a_literal_block(newline: str) -> None:
    text = newline.join(["a: 1", "b: |2", "", "  two", "    three", "c: x", ""])
    doc = read(text)
    assert doc.data["b"] == "\ntwo\n  three\n"
    assert [doc.line_of(("b",), n) for n in (1, 2, 3)] == [3, 4, 5]


def test_lines_of_quoted_and_plain_scalars_are_where_they_start() -> None:
    doc = read('a: 1\nb: "x\n  y"\nc: x\n  y\n')
    assert doc.line_of(("b",), 1) == 2
    assert doc.line_of(("c",), 1) == 4


def test_lines_of_a_folded_block() -> None:
    folded = [
        "a: >",
        "  one",
        "  two",
        "",
        "  three",
        "  four",
        "",
        "    deep",
        "    deeper",
        "  back",
        "b: 1",
    ]
    doc = read("\n".join(folded))
    assert doc.data["a"].split("\n") == ["one two", "three four", "", "  deep", "  deeper", "back", ""]
    assert [doc.line_of(("a",), n) for n in (1, 2, 4, 5, 6)] == [2, 5, 8, 9, 10]


def test_lines_of_an_empty_folded_block() -> None:
    assert read("a: >\n").line_of(("a",), 1) == 1


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
def test_without_libyaml_the_same_data(loader: type) -> None:
    doc = build_document("a: &x [1, 'two', \"three\\n\"]\nb: *x\nc: |\n  text\n", "x.yaml", loader=loader)
    assert doc.data == {"a": [1, "two", "three\n"], "b": [1, "two", "three\n"], "c": "text\n"}
    assert doc.where(("a", 1)) == "x.yaml:1:11"
    for broken in ('a: "\\ud800"', "a: [1,,", "a: \x07"):
        with pytest.raises(Invalid, match=r"^x\.yaml:1:"):
            build_document(broken, "x.yaml", loader=loader)


def test_text_files_are_decoded_by_the_same_rules() -> None:
    assert decode_text("naïve\r\n".encode(), "prompts/a.j2") == "naïve\r\n"
    with pytest.raises(Invalid, match=r"^prompts/a\.j2:1:1: the file starts with a byte order mark\n"):
        decode_text(b"\xef\xbb\xbfx", "prompts/a.j2")


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN, inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_json(value: object) -> None:
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    escaped = re.sub(
        "[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda found: f"\\u{ord(found[0]):04x}", written
    )
    assert read(escaped).data == value


@given(
    st.binary(max_size=200) | st.text(alphabet="-:{}[]&*!|>'\"%@` \n\ta1#,?\\", max_size=60).map(str.encode)
)
def test_any_bytes_are_data_or_one_error(text: bytes) -> None:
    try:
        doc = parse_yaml(text, "f.yaml")
    except Invalid as error:
        assert error.message.startswith("f.yaml:")  # noqa: PT017 - both outcomes are right
    else:
        assert isinstance(doc, Document)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("]", "not YAML: did not find expected"),
        ("a: %b", "a value cannot start with `%`"),
        ("a\x07", "the control character"),
    ],
)
def test_a_line_ends_where_yaml_says_so(end: str, last: str, message: str) -> None:
    with pytest.raises(InvalidAt, match=message) as caught:
        read(f"# a{end}# b{end}{last}")
    assert caught.value.problem.position.line == 3
