import json
import threading
from pathlib import Path
from typing import Any

import pytest

from promptops.config.safe_writes import WriteTarget
from promptops.errors import Invalid
from promptops.evaluation.golden_set import append_case
from support.front_door import Cli, Repo
from support.provider import Provider, text

PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: {type: string, minLength: 1}, tone: {type: string, default: calm}}
messages:
  - {role: system, content: "Route tickets. {% include 'partials/about.md' %}"}
  - {role: user, content: I have been charged twice this month.}
  - {role: assistant, content: billing}
  - {role: user, content: "{{ ticket }}"}
checks:
  - one_of: [billing, technical]
"""
CASES = "cases: route.cases.jsonl\n"


def project(repo: Repo, cases: str | None = None, more: str = CASES) -> Path:
    repo.write("prompts/partials/about.md", "We sell garden furniture of teak and steel.")
    repo.write("prompts/route.yaml", PROMPT + (more if cases is not None else ""))
    if cases is not None:
        repo.write("prompts/route.cases.jsonl", cases)
    repo.commit("Route tickets")
    return repo.path / "prompts/route.cases.jsonl"


def line(ticket: str, **more: Any) -> str:
    return json.dumps({"inputs": {"ticket": ticket}, **more}) + "\n"


def logged(cli: Cli, ticket: str = "It broke") -> str:
    return str(json.loads(cli("run", "route", "-i", f"ticket={ticket}", "--json").out)["run_id"])


def test_a_logged_run_becomes_a_case(repo: Repo, cli: Cli, provider: Provider) -> None:
    file = project(repo, line("first"))
    provider.script = text("technical")
    run_id = logged(cli)
    done = cli(
        "cases", "add", "route", "--run", run_id, "--expected", "technical", "--tag", "a", "--tag", "b"
    )
    assert done.code == 0
    added = json.loads(file.read_text(encoding="utf-8").splitlines()[1])
    assert added == {
        "inputs": {"ticket": "It broke", "tone": "calm"},
        "expected": "technical",
        "tags": ["a", "b"],
    }
    listed = json.loads(cli("cases", "list", "route", "--json").out)
    assert listed[1]["id"] == done.out.strip()
    again = cli("cases", "add", "route", "--run", run_id, "--expected", "technical")
    assert (again.code, "is there already: prompts/route.cases.jsonl:2" in again.err) == (4, True)


def test_an_answer_can_be_approved_and_the_file_is_made(repo: Repo, cli: Cli, provider: Provider) -> None:
    file = project(repo)
    provider.script = text("technical")
    done = cli("cases", "add", "route", "--run", logged(cli), "--approve", "--id", "broken")
    assert (
        done.out,
        "next: name its cases in prompts/route.yaml: `cases: route.cases.jsonl`" in done.err,
    ) == (
        "broken\n",
        True,
    )
    (added,) = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(added)["expected"] == "technical"
    assert file.stat().st_mode & 0o777 == 0o644


def test_a_cut_last_line_ending_is_mended_and_nothing_else_changes(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    file = project(repo, line("first").rstrip("\n"))
    file.chmod(0o600)
    assert cli("cases", "add", "route", "--run", logged(cli)).code == 0
    assert file.read_text(encoding="utf-8").startswith(line("first"))
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in file.parent.iterdir() if each.name.startswith(".route")] == []


def test_many_add_to_one_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "a.cases.jsonl"
    add = lambda n: append_case(WriteTarget.inside(file, tmp_path), "a.jsonl", {"inputs": {"n": n}})
    threads = [threading.Thread(target=add, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {json.loads(each)["inputs"]["n"] for each in file.read_text().splitlines()} == set(range(16))


def test_a_link_to_a_golden_set_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.jsonl").write_text("", encoding="utf-8")
    (tmp_path / "link.jsonl").symlink_to("real.jsonl")
    append_case(WriteTarget.inside(tmp_path / "link.jsonl", tmp_path), "link.jsonl", {"inputs": {}})
    assert (tmp_path / "link.jsonl").is_symlink()
    assert (tmp_path / "real.jsonl").read_text(encoding="utf-8") == '{"inputs": {}}\n'


def test_a_file_that_cannot_be_replaced_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(Invalid, match="directory"):
        append_case(WriteTarget.inside(tmp_path / "folder.jsonl", tmp_path), "folder.jsonl", {"inputs": {}})
    assert [each.name for each in tmp_path.iterdir()] == ["folder.jsonl"]


@pytest.mark.parametrize("name", ["a.yaml", "a.csv"])
def test_only_jsonl_is_added_to(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        append_case(WriteTarget.inside(tmp_path / name, tmp_path), name, {"inputs": {"x": 1}})
    assert "by hand" in caught.value.hint
    assert '{"inputs": {"x": 1}}' in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["route", "--run", "0" * 26], "no run 0000"),
        (["route", "--run", "RUN", "--approve", "--expected", "x"], "both say what is right"),
        (["route@HEAD", "--run", "RUN"], "is not in the working tree"),
        (["other", "--run", "RUN"], "is one of route, not of other"),
    ],
)
def test_what_cannot_become_a_case(
    repo: Repo, cli: Cli, provider: Provider, arguments: list[str], message: str
) -> None:
    project(repo, line("x"))
    repo.write("prompts/other.yaml", PROMPT)
    run_id = logged(cli)
    done = cli("cases", "add", *(run_id if each == "RUN" else each for each in arguments))
    assert done.code == 4
    assert message in done.err


def test_inputs_that_were_not_kept_or_no_longer_fit_make_no_case(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    project(repo, line("x"))
    run_id = logged(cli)
    changed = PROMPT.replace("minLength: 1", "maxLength: 2")
    repo.write("prompts/route.yaml", changed + CASES)
    assert "at most 2 characters" in cli("cases", "add", "route", "--run", run_id).err
    repo.write("promptops.yaml", "log: {inputs: none}\n")
    repo.write("prompts/route.yaml", PROMPT + CASES)
    assert "were not kept" in cli("cases", "add", "route", "--run", logged(cli)).err


def test_expected_is_json_where_the_output_is(repo: Repo, cli: Cli, provider: Provider) -> None:
    file = project(repo, line("x"))
    repo.write("prompts/route.yaml", PROMPT + CASES + "output: {schema: {type: object}}\n")
    provider.script = text('{"queue": "billing"}')
    run_id = logged(cli)
    assert "--expected is not JSON" in cli("cases", "add", "route", "--run", run_id, "--expected", "x").err
    cli("cases", "add", "route", "--run", run_id, "--approve")
    assert json.loads(file.read_text(encoding="utf-8").splitlines()[1])["expected"] == {"queue": "billing"}
    provider.script = text("")
    failed = cli("cases", "add", "route", "--run", logged(cli), "--approve")
    assert "has no answer to approve" in failed.err


def test_cases_are_listed_as_they_were_at_a_revision(repo: Repo, cli: Cli) -> None:
    file = project(repo, line("first", tags=["t"], expected="billing", id="one"))
    file.write_text(line("first", id="one") + line("second", id="two"), encoding="utf-8")
    assert [each["id"] for each in json.loads(cli("cases", "list", "route", "--json").out)] == ["one", "two"]
    before = cli("cases", "list", "route@HEAD")
    assert before.out.split() == ["CASE", "TAGS", "INPUTS", "EXPECTED", "one", "t", "first", "billing"]
    assert "no such cases" in cli("cases", "list", "route", "--tag", "t").err
    assert json.loads(cli("cases", "list", "route@HEAD", "--tag", "t", "--json").out)[0]["tags"] == ["t"]


def test_a_prompt_without_cases_says_how_to_make_one(repo: Repo, cli: Cli) -> None:
    project(repo)
    for verb in ("list", "stats", "validate"):
        done = cli("cases", verb, "route")
        assert (done.code, "cases add route --run" in done.err) == (4, True)
    repo.write("prompts/route.yaml", PROMPT + "cases: gone.jsonl\n")
    assert "route names it as its cases" in cli("cases", "list", "route").err


def test_validate_finds_what_cannot_be_run(repo: Repo, cli: Cli) -> None:
    bad = line("one") + '{"inputs": {}}\n' + line("x", checks=[{"contain": "a"}])
    project(repo, bad)
    done = cli("cases", "validate", "route", "--json")
    found = json.loads(done.out)
    assert (done.code, found["cases"]) == (1, 3)
    assert [(each["rule"], each["where"]) for each in found["findings"]] == [
        ("case-inputs", "prompts/route.cases.jsonl:2"),
        ("bad-cases", "prompts/route.cases.jsonl:3"),
    ]
    assert "did you mean contains?" in found["findings"][1]["message"]


def test_a_malformed_line_is_named(repo: Repo, cli: Cli) -> None:
    lines = [line(f"ticket {n}") for n in range(1000)]
    lines[730] = lines[730][:20] + "\n"
    project(repo, "".join(lines))
    done = cli("cases", "validate", "route")
    assert (done.code, done.out.startswith("prompts/route.cases.jsonl:731: bad-cases: not JSON")) == (1, True)
    assert "prompts/route.cases.jsonl:731: not JSON" in cli("cases", "stats", "route").err


def test_duplicates_and_leaks_are_found(repo: Repo, cli: Cli) -> None:
    cases = [
        line("fine", id="a"),
        line("fine", expected="x"),
        line("also fine", id="a"),
        line("  i have been charged TWICE this\n month."),
        line("garden furniture of teak"),
        line("teak"),
    ]
    project(repo, "".join(cases))
    done = cli("cases", "validate", "route")
    assert done.code == 1
    assert [each.split(":")[1:3] for each in done.out.splitlines()] == [
        ["2", " duplicate"],
        ["3", " duplicate-id"],
        ["4", " leak"],
        ["5", " leak"],
    ]
    assert "own example, prompts/route.yaml:5" in done.out
    assert "own example, prompts/partials/about.md" in done.out
    assert "6 cases, 4 findings" in done.err


def test_a_sound_golden_set_passes(repo: Repo, cli: Cli) -> None:
    project(repo, line("fine"))
    done = cli("cases", "validate", "route")
    assert (done.code, done.out, done.err) == (0, "", "1 case, no findings\n")


def test_stats_count_what_a_golden_set_is_made_of(repo: Repo, cli: Cli) -> None:
    cases = [
        line("a" * 10, expected="billing", tags=["x"]),
        line("b" * 20, expected="billing", tags=["x", "y"], checks=["json"]),
        line("b" * 20, expected={"queue": "q" * 80}),
    ]
    project(repo, "".join(cases))
    found = json.loads(cli("cases", "stats", "route", "--json").out)
    assert found["inputs"] == {"ticket": {"cases": 3, "min": 10, "median": 20, "max": 20}}
    assert (found["cases"], found["with_expected"], found["with_checks"]) == (3, 3, 1)
    assert (found["duplicates"], found["leaks"], found["tags"]) == (1, 0, {"x": 2, "y": 1})
    assert list(found["expected"].values()) == [2, 1]
    shown = cli("cases", "stats", "route").out
    assert "duplicates     1" in shown
    assert shown.splitlines()[-1].split() == ["ticket", "3", "10", "20", "20"]


def test_stats_of_many_answers_show_the_most_frequent(repo: Repo, cli: Cli) -> None:
    project(repo, "".join(line(f"t{n}", expected=f"label {n}") for n in range(25)))
    assert "and 5 more" in cli("cases", "stats", "route").out


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FILES = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: string}
messages:
  - {role: user, content: [{text: "{{ ticket }} {% include 'a.md' %}"}, {image_file: a.png}]}
output: {schema: a.json}
cases: a.jsonl
"""


@pytest.mark.parametrize("kept", ["a.md", "a.png", "a.json", "a.jsonl", "p.yaml"])
def test_what_git_lfs_keeps_is_named(kept: str, repo: Repo, cli: Cli) -> None:
    contents = {"a.md": "x", "a.json": "{}", "a.jsonl": "", "p.yaml": FILES, "a.png": "x"}
    for name, content in (contents | {kept: POINTER}).items():
        repo.write(f"prompts/{name}", content)
    if kept != "a.png":
        (repo.path / "prompts/a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    repo.commit()
    for reference in ("p", "p@HEAD"):
        verb = ("cases", "list") if kept == "a.jsonl" else ("render",)
        done = cli(*verb, reference, *(() if kept == "a.jsonl" else ("-i", "ticket=x")))
        assert done.code == 4
        assert "git LFS" in done.err
        assert kept in done.err


@pytest.mark.parametrize("kind", ["string", "object", "image"])
def test_an_input_from_a_file_that_git_lfs_keeps_is_refused(kind: str, repo: Repo, cli: Cli) -> None:
    part = "{image: x}" if kind == "image" else '{text: "{{ x }}"}'
    model = "model: openai/gpt-4o-mini-2024-07-18\n"
    repo.write(
        "prompts/p.yaml", f"{model}inputs: {{x: {kind}}}\nmessages: [{{role: user, content: [{part}]}}]\n"
    )
    repo.write("kept.bin", POINTER)
    done = cli("render", "p", "-i", "x=@kept.bin")
    assert (done.code, "kept.bin is a pointer of git LFS" in done.err) == (4, True), done.err


def test_a_byte_order_mark_before_an_input_is_dropped(repo: Repo, cli: Cli) -> None:
    repo.write(
        "prompts/p.yaml",
        'model: m\ninputs: {x: string, n: integer}\nmessages: [{role: user, content: "[{{ x }}]{{ n }}"}]\n',
    )
    (repo.path / "x.txt").write_bytes(b"\xef\xbb\xbfhi")
    (repo.path / "n.txt").write_bytes(b"\xef\xbb\xbf7")
    (repo.path / "all.json").write_bytes(b'\xef\xbb\xbf{"x": "hi", "n": 7}')
    for arguments in (("-i", "x=@x.txt", "-i", "n=@n.txt"), ("--inputs", "all.json")):
        assert "[hi]7" in cli("render", "p", *arguments).out


STRUCTURED = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: string}
messages: [{role: user, content: "{{ ticket }}"}]
output: {schema: SCHEMA}
cases: sort.cases.jsonl
"""


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ("{type: object}", '{"queue": "billing", "asap": true, "of": null}'),
        ("{type: boolean}", "true"),
        ("{type: 'null'}", "null"),
        ("{type: array}", '[{"a": 1.0}, 2]'),
        ("{type: string}", '"billing"'),
    ],
)
def test_an_approved_structured_answer_passes_its_own_eval(
    schema: str, answer: str, repo: Repo, cli: Cli, provider: Provider
) -> None:
    repo.write("prompts/sort.yaml", STRUCTURED.replace("SCHEMA", schema))
    provider.script = text(answer)
    run_id = json.loads(cli("run", "sort", "-i", "ticket=x", "--json").out)["run_id"]
    assert cli("cases", "add", "sort", "--run", run_id, "--approve").code == 0
    done = cli("eval", "sort", "--json")
    assert done.code == 0
    assert json.loads(done.out)["sides"][0]["overall"]["passed"] == 1
    provider.script = text('"sales"')
    assert cli("eval", "sort", "--refresh").code == 1
