"""Rows of a spreadsheet or of JSON lines become cases, all of them or none."""

import codecs
import json
from pathlib import Path
from typing import Any

import pytest

from support.front_door import Cli, Repo

PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: {type: string, minLength: 1}, urgent: {type: boolean, default: false}}
messages:
  - {role: user, content: "{{ ticket }}{% if urgent %}!{% endif %}"}
cases: route.cases.jsonl
"""
GOLDEN = Path("prompts/route.cases.jsonl")


@pytest.fixture
def route(repo: Repo) -> Repo:
    repo.write("prompts/route.yaml", PROMPT)
    return repo


def golden() -> list[Any]:
    return [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]


def refused(cli: Cli, *arguments: str) -> str:
    done = cli("cases", "add", "route", *arguments)
    assert (done.code, done.out) == (4, "")
    return done.err


def test_rows_of_a_spreadsheet_are_read_as_batch_reads_them(cli: Cli, route: Repo) -> None:
    table = 'id;ticket;urgent;expected;tags\r\none;Zoë is late;TRUE;delivery;a b\r\n;"two\nlines";;;\r\n'
    (route.path / "in.csv").write_bytes(codecs.BOM_UTF16_LE + table.encode("utf-16-le"))
    done = cli("cases", "add", "route", "--from", "in.csv", "--tag", "sheet", "--tag", "a")
    assert done.code == 0, done.err
    assert golden() == [
        {
            "inputs": {"ticket": "Zoë is late", "urgent": True},
            "expected": "delivery",
            "id": "one",
            "tags": ["a", "b", "sheet"],
        },
        {"inputs": {"ticket": "two\nlines"}, "tags": ["sheet", "a"]},
    ]
    listed = json.loads(cli("cases", "list", "route", "--json").out)
    assert done.out.split() == [each["id"] for each in listed]
    assert "2 cases added to prompts/route.cases.jsonl\n" in done.err
    assert cli("cases", "validate", "route").code == 0


def test_what_is_there_already_is_passed_over_and_counted(cli: Cli, route: Repo) -> None:
    route.write("prompts/route.cases.jsonl", '{"inputs": {"ticket": "a", "urgent": false}, "expected": "x"}')
    route.write("in.csv", "ticket,expected\na,x\nb,x\nb,x\na,y\n")
    done = cli("cases", "add", "route", "--from", "in.csv")
    assert "2 cases added to prompts/route.cases.jsonl; 2 there already, or twice in the file" in done.err
    assert [(each["inputs"]["ticket"], each["expected"]) for each in golden()] == [
        ("a", "x"), ("b", "x"), ("a", "y"),
    ]  # fmt: skip
    before = GOLDEN.read_bytes()
    done = cli("cases", "add", "route", "--from", "in.csv")
    assert (done.code, done.out) == (0, "")
    assert "0 cases added to prompts/route.cases.jsonl; 4 there already" in done.err
    assert GOLDEN.read_bytes() == before


def test_a_dry_run_writes_nothing(cli: Cli, route: Repo) -> None:
    route.write("in.csv", "ticket\na\nb\n")
    done = cli("cases", "add", "route", "--from", "in.csv", "--dry-run")
    assert (done.code, len(done.out.split())) == (0, 2)
    assert "2 cases would be added to prompts/route.cases.jsonl" in done.err
    assert not GOLDEN.exists()


def test_json_lines_may_have_checks_and_cases_that_no_longer_fit_stay(cli: Cli, route: Repo) -> None:
    route.write("prompts/route.cases.jsonl", '{"inputs": {"old": 1}}\n')
    row = {"inputs": {"ticket": "a"}, "checks": [{"contains": "x"}], "expected": None}
    route.write("in.jsonl", json.dumps(row) + "\n\n" + json.dumps({**row, "checks": []}) + "\n")
    assert cli("cases", "add", "route", "--from", "in.jsonl").code == 0
    assert golden() == [{"inputs": {"old": 1}}, row, {**row, "checks": []}]


def test_every_bad_row_is_counted_and_nothing_is_written(cli: Cli, route: Repo) -> None:
    rows = ["a,maybe", ",true", "c,true", *("d,perhaps" for _ in range(6))]
    route.write("in.csv", "ticket,urgent\n" + "\n".join(rows) + "\n")
    said = refused(cli, "--from", "in.csv")
    assert "in.csv:2: column `urgent`: `maybe` is not of type boolean" in said
    assert "in.csv:3: the input `ticket` must be at least 1 character" in said
    assert "(8 of 9 lines are bad; nothing is taken in)" in said
    assert not GOLDEN.exists()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("in.csv", "ticket,mood\na,b\n", "in.csv:2: unknown input `mood`"),
        ("in.csv", "ticket,ticket\na,b\n", "the columns 1 and 2 are both named `ticket`"),
        ("in.csv", "urgent\ntrue\n", "in.csv:2: the input `ticket` is missing"),
        ("in.csv", "ticket\na,b\n", "in.csv:2: 2 fields where the header has 1"),
        ("in.csv", "ticket,id\na,same\nb,same\n", "in.csv:3: another case has the id `same`: in.csv:2"),
        ("in.jsonl", '{"inputs": {"ticket": "a"}, "expect": 1}\n', "in.jsonl:1: unknown key `expect`"),
        ("in.jsonl", "{\n", "in.jsonl:1: not JSON"),
        ("in.jsonl", "[]\n", "in.jsonl:1: a case is a mapping"),
        ("in.jsonl", '{"inputs": {"ticket": "a"}, "tags": 1}\n', "`checks` and `tags` are lists"),
        (
            "in.jsonl",
            '{"inputs": {"ticket": "a"}, "checks": [{"contain": 1}]}\n',
            "in.jsonl:1: no such check: contain",
        ),
        ("in.jsonl", '{"inputs": {"ticket": "a"}, "expected": 1e999}\n', "a number is too large for JSON"),
        ("in.yaml", "- inputs: {ticket: a}\n", "cases are taken from .csv, .tsv or .jsonl files"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_column(
    file: str, text: str, said: str, cli: Cli, route: Repo
) -> None:
    route.write(file, text)
    assert said in refused(cli, "--from", file)
    assert not GOLDEN.exists()


def test_expected_is_json_where_the_output_is(cli: Cli, route: Repo) -> None:
    route.write("prompts/route.yaml", PROMPT + "output: {schema: {type: object}}\n")
    route.write("in.csv", 'ticket,expected\na,"{""queue"": 1}"\n')
    assert cli("cases", "add", "route", "--from", "in.csv").code == 0
    assert golden()[0]["expected"] == {"queue": 1}
    for number in ("1e999", "NaN"):
        route.write("in.csv", f"ticket,expected\na,{number}\n")
        assert "in.csv:2: column `expected` is not JSON" in refused(cli, "--from", "in.csv")
    route.write("in.csv", "ticket,expected\na,billing\n")
    assert "in.csv:2: column `expected` is not JSON" in refused(cli, "--from", "in.csv")


def test_a_prompt_that_names_no_cases_yet(cli: Cli, route: Repo) -> None:
    route.write("prompts/route.yaml", PROMPT.replace("cases: route.cases.jsonl\n", ""))
    route.write("in.csv", "ticket\na\n")
    done = cli("cases", "add", "route", "--from", "in.csv")
    assert "next: name its cases in prompts/route.yaml: `cases: route.cases.jsonl`" in done.err
    assert len(golden()) == 1


def test_a_golden_set_that_is_no_jsonl_is_not_added_to(cli: Cli, route: Repo) -> None:
    route.write("prompts/route.yaml", PROMPT.replace("route.cases.jsonl", "route.csv"))
    route.write("in.csv", "ticket\na\n")
    assert "cases are added to .jsonl files only" in refused(cli, "--from", "in.csv")


def test_a_template_that_fails_is_named_first(cli: Cli, route: Repo) -> None:
    route.write("prompts/route.yaml", PROMPT.replace("{% endif %}", ""))
    route.write("in.csv", "ticket\na\n")
    assert "route.yaml" in refused(cli, "--from", "in.csv")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--run or --from says what becomes a case"),
        (("--run", "last", "--from", "in.csv"), "--run or --from says what becomes a case"),
        (("--run", "last", "--dry-run"), "--dry-run goes with --from"),
        (("--from", "in.csv", "--approve"), "--expected, --approve and --id go with --run"),
        (("--from", "nowhere.csv"), "--from: cannot read nowhere.csv: No such file"),
    ],
)
def test_what_does_not_go_together(arguments: tuple[str, ...], said: str, cli: Cli, route: Repo) -> None:
    assert said in refused(cli, *arguments)
