"""Results of a batch as CSV, carried on as JSON lines are."""

import csv
import io
import json
from pathlib import Path

import pytest

from support.batch_files import rows
from support.front_door import Cli, Repo
from support.provider import Provider, status, text

TABLE = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {max_tokens: 5}
inputs:
  name: string
  count: {type: integer, default: 3}
  output: {type: string, default: ''}
messages:
  - {role: user, content: "Greet {{ name }} {{ count }} {{ output }}"}
checks: [{contains: e}]
"""
COLUMNS = ["name", "count", "inputs.output", "output", "error", "failed_checks", "run_id", "ms", "usd"]


@pytest.fixture
def table(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/greet.yaml", TABLE)
    repo.write("in.csv", 'name,count\nAda,1\n=1+1,2\n"two\nlines, ""quoted""",\n')
    return repo


def read(file: str = "out.csv") -> list[dict[str, str]]:
    with Path(file).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_inputs_and_results_have_columns(cli: Cli, table: Repo, provider: Provider) -> None:
    provider.script = [text("Hello"), text("=2+5"), status(400, "no such")]
    assert cli("batch", "greet", "in.csv", "--out", "out.csv", "-j", "1").code == 5
    found = read()
    assert list(found[0]) == COLUMNS
    logged = rows(table)
    assert [row["run_id"] for row in found] == [row["run_id"] for row in logged]
    assert float(found[0]["ms"]) == logged[0]["latency_ms"]
    assert float(found[0]["usd"]) == logged[0]["cost_usd"]
    told = [[row[name] for name in COLUMNS[:6]] for row in found]
    assert told[:2] == [["Ada", "1", "", "Hello", "", ""], ["'=1+1", "2", "", "'=2+5", "", "contains"]]
    assert told[2][:4] == ['two\nlines, "quoted"', "3", "", ""]
    assert told[2][4].startswith("bad_request: ")


def test_the_same_on_stdout(cli: Cli, table: Repo) -> None:
    done = cli("batch", "greet", "in.csv", "--format", "csv")
    assert (done.code, next(csv.reader(io.StringIO(done.out)))) == (0, COLUMNS)
    assert [row["name"] for row in csv.DictReader(io.StringIO(done.out))][2] == 'two\nlines, "quoted"'
    assert cli("batch", "greet", "in.csv", "--format", "jsonl", "--out", "x.csv").code == 0
    assert json.loads(Path("x.csv").read_text().splitlines()[0])["batch_line"] == 2


@pytest.mark.parametrize("left", [0, 10, 60, 200, 10_000])
def test_what_an_earlier_part_wrote_whole_stays(left: int, cli: Cli, table: Repo, provider: Provider) -> None:
    provider.script = [text("e\ne"), text('"e"'), status(400, "no such")]
    assert cli("batch", "greet", "in.csv", "--out", "out.csv", "-j", "1").code == 5
    out = Path("out.csv")
    out.write_bytes(out.read_bytes()[:left])
    provider.script = text("the third")
    done = cli("batch", "greet", "in.csv", "--out", "out.csv")
    assert done.code == 0, done.err
    assert "1 run in" in done.err
    assert [row["output"] for row in read()] == ["e\ne", '"e"', "the third"]


def test_rows_of_another_batch_are_written_again(cli: Cli, table: Repo, provider: Provider) -> None:
    provider.script = [text("e"), text("e"), status(400, "no such")]
    assert cli("batch", "greet", "in.csv", "--out", "out.csv", "-j", "1").code == 5
    out = Path("out.csv")
    head, first, *others = out.read_bytes().splitlines(keepends=True)
    for other in (b"1,2\n", b"\xff\n", first.replace(b"contains", b"").replace(b"01", b"02")):
        out.write_bytes(head + other + b"".join(others))
        cli("batch", "greet", "in.csv", "--out", "out.csv")
        assert [row["run_id"] for row in read()][:2] == [row["run_id"] for row in rows(table)][:2]


def test_nothing_else_is_written_over(cli: Cli, table: Repo) -> None:
    for other in ("a,b\n1,2\n", '{"batch_line": 1}\n'):
        Path("out.csv").write_text(other)
        done = cli("batch", "greet", "in.csv", "--out", "out.csv")
        assert (done.code, "something other than results of a batch" in done.err) == (4, True)
        assert Path("out.csv").read_text() == other
    Path("out.jsonl").write_text(f"{','.join(COLUMNS)}\n")
    assert cli("batch", "greet", "in.csv", "--out", "out.jsonl").code == 4


def test_what_is_held_says_so(cli: Cli, table: Repo) -> None:
    from promptops.runner.batch import CsvResults

    result = {
        "inputs": None, "output": None, "tool_calls": [], "error": None, "held": "waiting", "checks": [],
        "run_id": "01", "latency_ms": 1.5, "cost_usd": None,
    }  # fmt: skip
    results = CsvResults(["name"])
    assert results.encode(result) == b",,held: waiting,,01,1.5,\n"
    assert results.encode({**result, "held": "released"}) == b",,,,01,1.5,\n"
