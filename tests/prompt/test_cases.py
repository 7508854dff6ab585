import json
from pathlib import Path

import pytest

from promptops.errors import Invalid
from promptops.prompt import Input
from promptops.prompt.cases import Case, iter_lines, read_cases
from promptops.prompt.csv_rows import read_csv_rows


def read(name: str, text: str) -> list:
    return list(read_cases(name, text.encode().splitlines(keepends=True)))


def test_jsonl_yields_one_case_a_line_and_skips_blank_lines() -> None:
    cases = read(
        "a.jsonl", '{"inputs": {"x": 1}, "expected": "y", "tags": ["t"], "id": 7}\n\n{"inputs": {"x": 2}}\n'
    )
    assert [(case.id, case.inputs, case.expected, case.tags) for case in cases] == [
        ("7", {"x": 1}, "y", ("t",)),
        (cases[1].id, {"x": 2}, None, ()),
    ]
    assert cases[1].where == "a.jsonl:3"


def test_an_id_that_is_not_given_is_a_hash_of_the_content() -> None:
    one, same, other = read(
        "a.jsonl", '{"inputs": {"x": 1, "y": 2}}\n{"inputs": {"y": 2, "x": 1}}\n{"inputs": {"x": 2}}\n'
    )
    assert one.id == same.id != other.id
    assert len(one.id) == 12


def test_yaml_and_csv_say_the_same_as_jsonl() -> None:
    text = read("a.yaml", "- inputs: {text: hi}\n  expected: greeting\n  tags: [short, en]\n  id: one\n")
    table = read("a.csv", "text,expected,tags,id\nhi,greeting,short en,one\n")
    line = read(
        "a.jsonl", '{"inputs": {"text": "hi"}, "expected": "greeting", "tags": ["short", "en"], "id": "one"}'
    )
    assert [(c.id, c.inputs, c.expected, c.tags) for c in (*text, *table)] == [
        (c.id, c.inputs, c.expected, c.tags) for c in (*line, *line)
    ]
    assert text[0].where == "a.yaml:1:3"


def test_csv_fields_may_hold_line_breaks_and_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    (case,) = read("a.csv", '\ufefftext,expected\n"two\nlines",x\n')
    assert case.inputs == {"text": "two\nlines"}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"inputs": {}}\n{"inputs"', "a.jsonl:2: not JSON"),
        ("a.jsonl", '{"inputs": {}}\n[]\n', "a.jsonl:2: a case is a mapping"),
        ("a.jsonl", '{"input": {}}\n', "a.jsonl:1: unknown key `input` (did you mean `inputs`?)"),
        ("a.jsonl", '{"inputs": []}\n', "a.jsonl:1: `inputs` is a mapping"),
        ("a.jsonl", '{"tags": "x"}\n', "a.jsonl:1: `checks` and `tags` are lists"),
        ("a.yaml", "inputs: {}\n", "a.yaml: cases are a list"),
        ("a.csv", "x,y\n1,,3\n", "a.csv:2: 3 fields where the header has 2"),
        ("a.csv", 'x,y\n"1"2,3\n', "a.csv:2: "),
        ("a.jsonl", '{"inputs": ' + "[" * 100_000, "a.jsonl:1: not JSON: "),
        ("a.yaml", "- inputs: {x: y}\n" * 70_000, "a.yaml: 1,190,000 bytes of YAML, and at most 1,000,000"),
        ("a.txt", "", "a.txt: cases are .jsonl, .yaml or .csv files"),
    ],
)
def test_a_bad_case_is_named_with_its_line(name: str, text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        read(name, text)
    assert message in caught.value.message


def test_csv_that_is_not_utf8_is_named_with_its_line() -> None:
    with pytest.raises(Invalid, match=r"a.csv:2: not UTF-8"):
        list(read_cases("a.csv", [b"x\n", b"\xff\n"]))


def test_cases_are_streamed(tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    file.write_text(json.dumps({"inputs": {"x": 1}}) + "\nnot json\n", encoding="utf-8")
    with file.open("rb") as lines:
        cases = read_cases("many.jsonl", lines)
        assert next(cases).inputs == {"x": 1}
        with pytest.raises(Invalid):
            next(cases)


def test_an_id_of_null_is_none() -> None:
    one, other = read("a.jsonl", '{"inputs": {"x": 1}, "id": null}\n{"inputs": {"x": 1}}\n')
    assert len(one.id) == len(other.id) == 12


def test_inputs_that_json_allows_but_no_number_holds_are_told_apart() -> None:
    from promptops.evaluation.golden_set import CaseIssueFinder
    from support.prompt_files import load

    doubts = CaseIssueFinder(load())
    cases = read("a.jsonl", '{"inputs": {"x": 123456789012345678901}}\n{"inputs": {"x": 1e400}}\n')
    assert [list(doubts.about(case)) for case in cases] == [[], []]


DECLARED = {
    "n": Input("n", {"type": "integer"}),
    "ok": Input("ok", {"type": "boolean"}),
    "xs": Input("xs", {"type": "array"}),
    "note": Input("note", {"type": "string"}, required=False, default="-"),
    "text": Input("text", {"type": "string"}),
}
ROW = {"n": 3, "ok": True, "xs": [1, "a"], "text": "a;b"}
COMMAS = 'n,ok,xs,note,text,expected\r\n3,TRUE,"[1, ""a""]",,a;b,yes\r\n'


def csv_cases(data: bytes) -> list[Case]:
    return list(read_cases("a.csv", iter_lines(data), DECLARED))


@pytest.mark.parametrize(
    "data",
    [
        COMMAS.encode(),
        COMMAS.encode() + b"\r\n\r\n",
        COMMAS.encode() + b",,,,,\r\n",
        COMMAS.encode("utf-8-sig"),
        COMMAS.encode("utf-16"),
        b"\xfe\xff" + COMMAS.encode("utf-16-be"),
        COMMAS.encode("utf-16-be"),
        COMMAS.encode("utf-16-le"),
        COMMAS.encode("utf-32"),
        COMMAS.encode("utf-32-be"),
        b'n;ok;xs;note;text;expected\n3;true;"[1, ""a""]";;"a;b";yes\n',
        COMMAS.replace("\r\n", "\r").encode(),
        b'sep=;\r\nn;ok;xs;note;text;expected\r\n3;true;"[1, ""a""]";;"a;b";yes\r\n',
        b'n\tok\txs\tnote\ttext\texpected\t\n 3\tTrue\t"[1, ""a""]"\t\ta;b\tyes\t\n\n',
    ],
)
def test_tables_of_spreadsheets_are_read_by_the_schemas_of_the_inputs(data: bytes) -> None:
    (case,) = csv_cases(data)
    assert (case.inputs, case.expected) == (ROW, "yes")


def test_a_file_that_is_called_tsv_has_tabs() -> None:
    table = iter_lines(b"text, in full\tsaid, or not\na, b\tc\n")
    assert list(read_csv_rows("a.TSV", table)) == [(2, {"text, in full": "a, b", "said, or not": "c"})]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_row_ends_where_its_line_does(encoding: str) -> None:
    odd = "a\u2028b\x0bc\x85d"
    data = f"sep=,\ntext,note\r{odd},x\r{odd},\r".encode(encoding)
    assert [(case.inputs["text"], case.where) for case in csv_cases(data)] == [
        (odd, "a.csv:3"),
        (odd, "a.csv:4"),
    ]


@pytest.mark.slow
def test_a_cell_may_hold_megabytes_and_line_breaks() -> None:
    long = "line\n" * 400_000
    (case,) = csv_cases(f'text\n"{long}"\n'.encode())
    assert case.inputs == {"text": long}
    with pytest.raises(Invalid, match=r"a\.csv:\d+: field larger than field limit"):
        csv_cases(f"text\n{'x' * 10_000_001}\n".encode())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,n,text\na,1,b\n", "a.csv:1: the columns 1 and 3 are both named `text`"),
        ("text,,n\na,1,2\n", "a.csv:1: column 2 has no name"),
        ("text,n\na,1\n\nb,two\n", "a.csv:4: column `n`: `two` is not of type number"),
        (f"ok\n{'x' * 500}\n", f"a.csv:2: column `ok`: `{'x' * 59}…` is not of type boolean"),
        ("text,n\na,1,9\n", "a.csv:2: 3 fields where the header has 2"),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        csv_cases(text.encode())
    assert caught.value.message == message


def test_a_field_that_is_cut_at_its_comma_says_what_helps() -> None:
    with pytest.raises(Invalid) as caught:
        csv_cases(b"text,n\nHello, you,1\n")
    assert caught.value.hint.startswith('they are separated by `,`: write one that holds `,` as "…"')
