"""Tables of spreadsheets wherever a file is taken: ``batch``, ``feedback``, ``shadow run``, ``eval``."""

import json
from io import BytesIO
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.prompt.csv_rows import read_csv_rows
from promptops.registry import RegistryDatabase
from support.batch_files import outputs, results, rows
from support.front_door import Cli, Repo
from support.logged_runs import a_run, an_end
from support.provider import Provider, text

PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs:
  text: string
  count: {type: integer, minimum: 1}
  urgent: {type: boolean, default: false}
  tags: {type: array, default: []}
messages:
  - {role: user, content: "{{ text }}|{{ count + 1 }}|{{ urgent }}|{{ tags | length }}"}
"""
NUMBER = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {text: string, count: number}
messages: [{role: user, content: "{{ count * 1000 }}"}]
"""
HEAD = "text;count;urgent;tags;unit;metadata.office\r\n"
TABLE = f'{HEAD}"a;\r\nb";3;TRUE;"[1, 2]";u1;7\r\n\r\n早い;1;;;;\r\n;;;;;\r\n'
ANSWERS = ["a;\r\nb|4|true|2", "早い|2|false|0"]


@pytest.fixture
def project(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/p.yaml", PROMPT)
    repo.commit()
    return repo


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_batch_reads_what_spreadsheets_write(encoding: str, cli: Cli, project: Repo) -> None:
    (project.path / "In.CSV").write_bytes(TABLE.encode(encoding))
    done = cli("batch", "p", "In.CSV")
    assert (done.code, outputs(done.out)) == (0, ANSWERS), done.err
    first, second = results(done.out)
    assert (first["metadata"], first["inputs"]["tags"], first["batch_line"]) == ({"office": "7"}, [1, 2], 2)
    assert (second["metadata"], second["batch_line"]) == ({}, 5)
    assert sorted(bool(row["unit_hash"]) for row in rows(project)) == [False, True]


@pytest.mark.parametrize(
    ("table", "begins"),
    [
        ('"sep=;"\r\ntext;count\r\na,b;1\r\n', 3),
        ("Sep=;;;;\ntext;count\na,b;1\n", 3),
        ('sep=|\n\n"text"| count \na,b|1\n', 4),
        ("\n \n\ufefftext\tcount\u200b\na,b\t1\n", 4),
        ("\ufeff\ufefftext;count\ra,b;1\r", 2),
    ],
)
def test_what_stands_before_a_table_is_no_part_of_it(table: str, begins: int) -> None:
    for encoding in ("utf-8", "utf-16-le"):
        lines = table.encode(encoding).splitlines(keepends=True)
        assert list(read_csv_rows("t.csv", lines)) == [(begins, {"text": "a,b", "count": "1"})]
    wide = "\u540d,b\n1,2\n".encode("utf-16-le")  # no letter of ASCII among its first
    assert list(read_csv_rows("t.csv", BytesIO(wide))) == [(2, {"\u540d": "1", "b": "2"})]


def test_a_batch_of_a_table_goes_on_where_it_stopped(cli: Cli, project: Repo, provider: Provider) -> None:
    project.write("in.csv", "text,count\na,1\nb,2\nc,3\n")
    for expected in (3, 6):
        done = cli("batch", "p", "in.csv", "--unit", "inputs.text")
        assert (done.code, outputs(done.out)) == (0, [f"{t}|{n}|false|0" for t, n in ("a2", "b3", "c4")])
        assert len(rows(project)) == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("text,count\na,1\n\nb,zero\n", "in.csv:4: column `count`: `zero` is not of type number"),
        ("text,count\na,1\nb,0\n", "in.csv:3: the input `count`"),
        ("text;count\nb;1,234\n", "it may mean 1.234 or 1234: write the one that is meant"),
        ("text;count\nb;1,2,3\n", "in.csv:2: column `count`: `1,2,3` is not of type number"),
        ("text;count\nb;12.34,5\n", "in.csv:2: column `count`: `12.34,5` is not of type number"),
        ("text,count\nb,NaN\n", "in.csv:2: column `count`: `NaN` is not of type number"),
        ("text,count\nb,\n", "in.csv:2: column `count` is empty, and the input has no default"),
        ("text,count,text\n", "in.csv:1: the columns 1 and 3 are both named `text`"),
        ("sep=,\n\ntext,count,text \n", "in.csv:3: the columns 1 and 3 are both named `text`"),
        ("text,count,Text\na,1,2\n", "in.csv:2: unknown input `Text` (did you mean `text`?)"),
        ("text,count\n" + "x" * 2_000_000 + ',"1', "in.csv:2: unexpected end of data"),
        ("text,count\nb," + "9" * 1_000_000 + "x\n", "in.csv:2: column `count`: `999"),
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 5\n",
            "in.csv is a pointer of git LFS",
        ),
        ("text,cuont\na,1\n", "in.csv:2: unknown input `cuont` (did you mean `count`?)"),
        ("text,count,metadata.\na,1,2\n", "in.csv:2: unknown input `metadata.`"),
    ],
)
def test_what_is_wrong_names_row_and_column_in_few_words(
    table: str, message: str, cli: Cli, project: Repo, provider: Provider
) -> None:
    project.write("in.csv", table)
    for arguments in (["batch", "p", "in.csv"], ["eval", "p", "--cases", "in.csv"]):
        done = cli(*arguments)
        assert (done.code, message in done.err) == (4, True), done.err[:500]
        assert len(done.err) < 1000
    assert provider.requests == []


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("1,50", 1.5),
        ("1,5", 1.5),
        ("0,125", 0.125),
        ("1.234,50", 1234.5),
        ("1.234.567", 1234567),
        ("+1.234,5", 1234.5),
        ('"1,234.50"', 1234.5),
        ('"1,234,567"', 1234567),
        ("1.234", 1.234),
        ("1e3", 1000.0),
    ],
)
def test_numbers_of_other_countries_that_mean_but_one(
    cell: str, number: float, cli: Cli, project: Repo, provider: Provider
) -> None:
    project.write("prompts/n.yaml", NUMBER)
    project.write("in.csv", f"text;count\na;{cell}\n")
    assert cli("batch", "n", "in.csv").code == 0
    assert float(provider.requests[-1].body["messages"][-1]["content"]) == number * 1000


def test_what_a_table_expects_of_an_output_with_a_schema_is_json(
    cli: Cli, project: Repo, provider: Provider
) -> None:
    project.write("prompts/p.yaml", f"{PROMPT}output: {{schema: {{type: object}}}}\nchecks: [equals]\n")
    project.write("in.csv", 'text;count;expected\na;1;"{""b"": [2], ""a"": true}"\n')
    provider.script = text('{"a":true,"b":[2]}')
    assert cli("eval", "p", "--cases", "in.csv").code == 0
    provider.script = text('{"a":true,"b":["2"]}')
    assert cli("eval", "p", "--cases", "in.csv", "--no-cache").code == 1


def test_the_cells_of_a_shadow_run_are_read_by_the_schemas(cli: Cli, project: Repo) -> None:
    project.write("in.csv", "text;count;urgent\na;3;true\n早い;1;\n")
    project.write("prompts/p.yaml", PROMPT.replace("{{ text }}", "{{ text }}!"))
    project.commit()
    done = cli("shadow", "run", "p@HEAD", "--against", "p@HEAD~1", "--inputs", "in.csv", "--json")
    assert json.loads(done.out)["pairs"] == 2, done.err


def _outcomes() -> list[tuple[Any, ...]]:
    with RegistryDatabase.open(current_settings().registry) as registry:
        return [tuple(row) for row in registry.read("SELECT name, value, text FROM outcomes ORDER BY id")]


def test_feedback_comes_from_a_table_whole_or_not_at_all(cli: Cli, repo: Repo) -> None:
    run, other = a_run(), a_run()
    with RegistryDatabase.open(current_settings().registry) as registry:
        registry.record([(run, an_end()), (other, an_end())])
    head = "run_id;metric;value;comment;occurred_at"
    good = f'{run.run_id};thumbs;Up;"too; long";2026-11-02T09:00:00Z\r\n\r\n{other.run_id};correct;TRUE;;\r\n'
    bad = "".join(f"{run.run_id};correct;{value};;\r\n" for value in ("maybe", "2", "", "inf", "1e999", "7"))
    repo.write("bad.csv", f"{head}\r\n{good}{bad}")
    done = cli("feedback", "--from", "bad.csv")
    assert done.code == 4
    assert "bad.csv:5: correct: 'maybe' is not a number" in done.err
    assert "6 of 10 lines are bad; nothing is taken in" in done.err
    (repo.path / "good.csv").write_bytes(f"{head}\r\n{good}".encode("utf-16"))
    assert _outcomes() == []
    assert cli("feedback", "--from", "good.csv").out == "2 outcomes logged\n"
    assert _outcomes() == [("thumbs", 1.0, "too; long"), ("correct", 1.0, "")]


def test_cells_that_excel_leaves_out_at_the_end_of_rows_are_empty(cli: Cli, project: Repo) -> None:
    project.write("in.csv", "text;count;urgent;tags;unit\na;1\nb;2;true\nc;3;;;u\n")
    done = cli("batch", "p", "in.csv")
    assert (done.code, outputs(done.out)) == (0, ["a|2|false|0", "b|3|true|0", "c|4|false|0"]), done.err
    assert done.err.count("in.csv: 2 rows have fewer fields than the header, the first on line 2") == 1
    project.write("in.csv", "text;count;urgent\na;1;true\nb\n")
    done = cli("batch", "p", "in.csv")
    assert "in.csv:3: column `count` is empty, and the input has no default" in done.err
    assert (done.code, len(rows(project))) == (4, 3)


def test_cases_and_feedback_take_rows_that_end_early(cli: Cli, project: Repo) -> None:
    project.write("cases.csv", "text,count,urgent,tags\na,1\n")
    done = cli("eval", "p", "--cases", "cases.csv")
    assert "cases.csv: the row on line 2 has fewer fields than the header" in done.err
    (run,) = rows(project)
    project.write("f.csv", f"run_id,metric,value,comment,occurred_at\n{run['run_id']},thumbs,up\n")
    assert cli("feedback", "--from", "f.csv").out == "1 outcome logged\n"
