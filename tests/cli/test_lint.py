"""``promptops lint`` through the front door."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import yaml

from promptops.lint import RULES
from support.front_door import Cli, Repo
from support.lint_files import SETTINGS, Linter, prompt

FLOATING = prompt("{% include 'tone.md' %}", model="test/gone-2024-01-01")


@pytest.fixture
def project(repo: Repo) -> Repo:
    """Two prompts, one of them made of a partial, a schema and cases; committed, and without findings."""
    repo.write("promptops.yaml", SETTINGS)
    repo.write("prompts/plain.yaml", prompt())
    more = "inputs: {x: string}\noutput: {schema: support/s.json}\ncases: support/c.jsonl\n"
    text = prompt('{% include "tone.md" %}\n{{ x }}', more=more)
    repo.write("prompts/support/triage.yaml", text)
    repo.write("prompts/tone.md", "Be brief.\n")
    schema = '{"type": "object", "additionalProperties": false, "required": [], "properties": {}}'
    repo.write("prompts/support/s.json", schema)
    repo.write("prompts/support/c.jsonl", '{"inputs": {"x": "a"}}\n')
    repo.commit()
    return repo


def prompts_of(cli: Cli, *arguments: str) -> list[str]:
    return list(json.loads(cli("lint", "--json", *arguments).out)["prompts"])


def test_sound_prompts(project: Repo, cli: Cli) -> None:
    done = cli("lint")
    assert (done.code, done.out, done.err) == (0, "", "2 prompts: 0 errors, 0 warnings\n")


def test_no_prompts(repo: Repo, cli: Cli) -> None:
    assert cli("lint").code == 0


def test_one_finding_a_line_relative_to_where_one_stands(
    project: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("prompts/plain.yaml", prompt(more="modle: x\nversion: 3\n"))
    done = cli("lint")
    assert done.code == 1
    first, second = done.out.splitlines()
    assert first == "prompts/plain.yaml:6:1: error[unknown-key] unknown key `modle` (did you mean `model`?)"
    assert second.startswith("prompts/plain.yaml:7:1: error[version-key] ")
    assert second.endswith("— remove the line; promptops history lists the versions")
    assert done.err == "2 prompts: 2 errors, 0 warnings\n"
    monkeypatch.chdir(project.path / "prompts")
    assert cli("lint", "plain.yaml").out.startswith("plain.yaml:6:1: ")


def test_strict_counts_warnings(project: Repo, cli: Cli) -> None:
    project.write("prompts/plain.yaml", prompt(model="test/undated"))
    assert cli("lint").code == 0
    assert cli("lint", "--strict").code == 1


def test_a_project_below_the_top(repo: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.write("services/a/promptops.yaml", SETTINGS)
    repo.write("services/a/prompts/p.yaml", prompt(more="version: 1\n"))
    repo.git("add", "-A")
    monkeypatch.chdir(repo.path / "services/a")
    for options in ((), ("--staged",)):
        (found,) = json.loads(cli("lint", "--json", *options).out)["findings"]
        assert found["path"] == "services/a/prompts/p.yaml"
    assert cli("lint").out.startswith("prompts/p.yaml:6:1: ")


# which prompts


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["plain", "support/triage"]),
        (("plain",), ["plain"]),
        (("prompts/plain.yaml",), ["plain"]),
        (("prompts/tone.md",), ["support/triage"]),
        (("prompts/support/s.json",), ["support/triage"]),
        (("prompts/support/c.jsonl", "plain"), ["plain", "support/triage"]),
        (("prompts/support",), ["support/triage"]),
        (("prompts",), ["plain", "support/triage"]),
        ((".",), ["plain", "support/triage"]),
        (("promptops.yaml",), ["plain", "support/triage"]),
        (("prompts/README.md",), []),
    ],
)
def test_words_mean_prompts_and_what_they_are_made_of(
    project: Repo, cli: Cli, words: tuple[str, ...], names: list[str]
) -> None:
    project.write("prompts/README.md", "about these prompts\n")
    assert prompts_of(cli, *words) == names
    project.git("add", "-A")
    assert prompts_of(cli, "--staged", *(words or (".",))) == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan",), "did you mean plain?"),
        (("prompts/none.yaml",), "no file prompts/none.yaml"),
        (("../x.yaml",), "is not below"),
        (("--fix", "--staged"), "give one of the two"),
    ],
)
def test_words_that_mean_nothing(project: Repo, cli: Cli, words: tuple[str, ...], said: str) -> None:
    done = cli("lint", *words)
    assert done.code == 4
    assert said in done.err


def test_a_schema_kept_as_yaml_is_no_broken_prompt(project: Repo, cli: Cli) -> None:
    project.write("prompts/schemas/s.yaml", "type: object\n")
    project.write("prompts/plain.yaml", prompt(more="output: {schema: schemas/s.yaml}\n"))
    report = json.loads(cli("lint", "--json").out)
    assert [(one["rule"], one["prompt"]) for one in report["findings"]] == [("loose-schema", "plain")]
    assert "plain" in prompts_of(cli, "prompts/schemas/s.yaml")


def test_names_that_the_grammar_forbids(project: Repo, cli: Cli) -> None:
    project.write("prompts/Big Name.yaml", prompt())
    project.write("prompts/twice.yaml", prompt())
    project.write("prompts/twice.yml", prompt())
    found = json.loads(cli("lint", "--json").out)["findings"]
    assert [(one["rule"], one["path"]) for one in found] == [
        ("bad-name", "prompts/Big Name.yaml"),
        ("bad-file", "prompts/twice.yml"),
    ]


def test_a_link_that_leaves_prompts(project: Repo, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "out.yaml").write_text(prompt(), encoding="utf-8")
    (project.path / "prompts/out.yaml").symlink_to(tmp_path / "out.yaml")
    project.git("add", "-A")
    for options in ((), ("--staged",)):
        (found,) = json.loads(cli("lint", "--json", "prompts/out.yaml", *options).out)["findings"]
        assert found["rule"] == "bad-file"
        assert "symbolic link that leaves prompts/" in found["message"]


def test_outside_of_any_repository(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert cli("lint").code == 4


def test_a_bare_repository(repo: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.git("init", "-q", "--bare", "bare.git")
    monkeypatch.chdir(repo.path / "bare.git")
    assert cli("lint").code == 4
    assert cli("lint", "--staged").code == 4


# the index


def test_staged_reads_the_index_and_not_the_working_tree(project: Repo, cli: Cli) -> None:
    project.write("prompts/plain.yaml", prompt(more="version: 1\n"))
    project.git("add", "-A")
    project.write("prompts/plain.yaml", prompt("half-written {% if"))
    project.write("prompts/other.yaml", "not staged: [")
    before = {path: path.read_bytes() for path in project.path.rglob("*") if path.is_file()}
    found = json.loads(cli("lint", "--staged", "--json").out)["findings"]
    assert [one["rule"] for one in found] == ["version-key"]
    assert {path: path.read_bytes() for path in project.path.rglob("*") if path.is_file()} == before


def test_nothing_staged(project: Repo, cli: Cli) -> None:
    project.write("prompts/plain.yaml", "broken: [")
    assert cli("lint", "--staged").err == "0 prompts: 0 errors, 0 warnings\n"


@pytest.mark.parametrize("path", ["prompts/tone.md", "prompts/support/s.json", "prompts/support/c.jsonl"])
def test_a_staged_part_relints_what_depends_on_it(project: Repo, cli: Cli, path: str) -> None:
    project.write(path, "{% if %}\n")
    project.git("add", "-A")
    assert prompts_of(cli, "--staged") == ["support/triage"]
    project.git("rm", "-qf", path)
    report = json.loads(cli("lint", "--staged", "--json").out)
    assert report["prompts"] == ["support/triage"]
    assert report["errors"] == 1


def test_a_staged_setting_relints_all(project: Repo, cli: Cli) -> None:
    project.write("promptops.yaml", SETTINGS.replace("test/pinned", "test/other"))
    project.git("add", "-A")
    project.write("promptops.yaml", "half-written: [")
    report = json.loads(cli("lint", "--staged", "--json").out)
    assert {one["rule"] for one in report["findings"]} == {"unknown-model"}
    assert len(report["prompts"]) == 2


def test_before_the_first_commit(repo: Repo, cli: Cli) -> None:
    repo.write("prompts/p.yaml", prompt(model="local/smollm2-135m-instruct", more="version: 1\n"))
    repo.git("add", "-A")
    assert cli("lint", "--staged").code == 1


def test_another_index(project: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    index = project.path / ".git/next-index"
    index.write_bytes((project.path / ".git/index").read_bytes())
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    project.write("prompts/plain.yaml", prompt(more="version: 1\n"))
    project.git("add", "-A")
    assert prompts_of(cli, "--staged") == ["plain"]
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert prompts_of(cli, "--staged") == []


def test_a_conflict_in_the_index(project: Repo, cli: Cli) -> None:
    project.git("checkout", "-qb", "one")
    project.write("prompts/plain.yaml", prompt("one"))
    project.commit()
    project.git("checkout", "-q", "main")
    project.write("prompts/plain.yaml", prompt("two"))
    project.commit()
    with pytest.raises(Exception, match="merge"):
        project.git("merge", "-q", "one")
    (found,) = json.loads(cli("lint", "--staged", "--json", "plain").out)["findings"]
    assert (found["rule"], "merge conflict in the index" in found["message"]) == ("bad-file", True)
    (found,) = json.loads(cli("lint", "--json", "plain").out)["findings"]
    assert found["rule"] == "merge-conflict"


def test_staged_needs_no_registry_no_key_and_no_network(
    project: Repo, process: Callable[..., CompletedProcess[str]]
) -> None:
    project.write("prompts/plain.yaml", prompt(model="openai/gpt-4o"))
    project.git("add", "-A")
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    done = process(["lint", "--staged"], env=environment, cwd=project.path)
    assert done.returncode == 1
    assert not list(project.path.glob("registry*"))


# formats


def broken(project: Repo) -> None:
    project.write("prompts/plain.yaml", prompt("100% {% if %}\n{{ a, }}", model="test/undated"))


def test_json_is_stable(project: Repo, cli: Cli) -> None:
    broken(project)
    report = json.loads(cli("lint", "--format", "json").out)
    assert set(report) == {"prompts", "findings", "coverage", "errors", "warnings", "notes"}
    assert (report["errors"], report["warnings"]) == (1, 1)
    assert set(report["findings"][0]) == {
        "rule",
        "severity",
        "message",
        "hint",
        "path",
        "line",
        "column",
        "prompt",
    }


def test_github_annotations_are_escaped(project: Repo, cli: Cli) -> None:
    project.write("prompts/a,b: c.yaml", prompt(more="version: 1\n"))
    broken(project)
    lines = cli("lint", "--format", "github").out.splitlines()
    assert lines[0].startswith("::error file=prompts/a%2Cb%3A c.yaml,line=1,col=1,title=promptops bad-name::")
    assert "%0A" in lines[0]
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning", "::error"]


def test_sarif_has_what_the_standard_requires(project: Repo, cli: Cli) -> None:
    project.write("prompts/ä b.yaml", prompt())
    broken(project)
    log = json.loads(cli("lint", "--format", "sarif").out)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    driver, results = log["runs"][0]["tool"]["driver"], log["runs"][0]["results"]
    assert driver["name"] == "promptops"
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert all(rule["shortDescription"]["text"] for rule in driver["rules"])
    assert len(results) == 3
    for result in results:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note", "none"}
        assert result["message"]["text"]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] >= 1
        assert place["region"]["startColumn"] >= 1
        assert place["artifactLocation"]["uri"].isascii()
        assert " " not in place["artifactLocation"]["uri"]


def test_rules_are_listed(cli: Cli) -> None:
    done = cli("lint", "--rules")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == list(RULES)
    assert json.loads(cli("lint", "--rules", "--json").out)[0] == {
        "rule": "bad-name",
        "severity": "error",
        "summary": RULES["bad-name"].summary,
    }


def test_an_unknown_rule_in_the_settings(project: Repo, cli: Cli) -> None:
    project.write("promptops.yaml", SETTINGS + "lint:\n  rules:\n    secrt: off\n")
    done = cli("lint")
    assert done.code == 4
    assert "promptops.yaml:11:5: unknown key `secrt` (did you mean `secret`?)" in done.err


# --fix


def test_fix_mends_what_is_certain(project: Repo, cli: Cli) -> None:
    text = prompt(
        '{% include "bom.md" %}',
        more='checks:\n  - is-json\n  - "starts-with": a  # stays\n    weight: 2\n  - icontains: b\n',
    )
    file = project.path / "prompts/plain.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    file.chmod(0o640)
    (project.path / "prompts/bom.md").write_bytes(b"\xef\xbb\xbfhi\r\n")
    done = cli("lint", "--fix", "plain")
    renamed = [("is-json", "json"), ("starts-with", "starts_with")]
    for old, new in renamed:
        text = text.replace(old, new)
    assert file.read_text(encoding="utf-8") == text
    assert (project.path / "prompts/bom.md").read_bytes() == b"hi\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    changes = ("byte order mark removed", "CRLF made LF", *(f"check `{a}` is now `{b}`" for a, b in renamed))
    assert done.err.splitlines()[:2] == [
        f"fixed prompts/plain.yaml: {', '.join(changes)}",
        "fixed prompts/bom.md: byte order mark removed, CRLF made LF",
    ]
    assert "encoding" not in done.out


def test_fix_of_a_schema_check(project: Repo, cli: Cli) -> None:
    project.write("prompts/plain.yaml", prompt(more="checks: [{'is-json': {type: object}}, {name: a}, 3]\n"))
    cli("lint", "--fix", "plain")
    text = (project.path / "prompts/plain.yaml").read_text(encoding="utf-8")
    assert text.endswith("checks: [{'json_schema': {type: object}}, {name: a}, 3]\n")


@pytest.mark.parametrize(
    "text",
    [
        prompt(more="checks:\n  - starts-with: 3\n"),
        prompt(more="checks:\n  - not-contains: a\n"),
        prompt(more='checks:\n  - "is\\x2djson"\n'),
        prompt(more="a: &is [is-json]\nchecks: *is\n"),
        prompt(more="checks: {is-json: }\n"),
        "- is-json\n",
        "checks: [is-json\n",
    ],
)
def test_fix_leaves_what_is_not_certain(project: Repo, cli: Cli, text: str) -> None:
    file = project.write("prompts/plain.yaml", text)
    assert "fixed" not in cli("lint", "--fix").err
    assert file.read_text(encoding="utf-8") == text


def test_fix_of_a_file_that_cannot_be_written(project: Repo, cli: Cli) -> None:
    (project.path / "prompts/Bad.yaml").write_bytes(b"model: x\r\n")
    cli("lint", "--fix")
    assert (project.path / "prompts/Bad.yaml").read_bytes() == b"model: x\r\n"


# real files, hostile text


def test_real_files_never_crash(repo: Repo, shared: Path) -> None:
    linter, count = Linter(repo.path), 0
    for file in sorted((shared / "data/prompt-yml").rglob("*.yml")):
        findings = linter.findings(file.read_bytes())
        assert findings, file
        lines = file.read_bytes().count(b"\n") + 1
        assert all(1 <= each.line <= lines and each.column >= 1 for each in findings), file
        count += 1
    assert count > 40


@pytest.mark.no_cover
@pytest.mark.slow
def test_hostile_text_never_crashes(repo: Repo, shared: Path) -> None:
    linter = Linter(repo.path)
    texts = [
        json.loads(line)["text"]
        for file in sorted((shared / "data/hostile-inputs").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if line
    ]
    for text in texts:
        content = {
            "model": "test/held",
            "description": text,
            "messages": [{"role": "user", "content": text}],
        }
        linter.findings(yaml.safe_dump(content, allow_unicode=True))
        linter.findings(prompt(text) + f"# {text}\n", t__md=text)
    assert len(texts) > 290


def test_a_lint_imports_nothing_heavy(project: Repo) -> None:
    project.write("prompts/plain.yaml", prompt(model="openai/gpt-4o"))
    code = "import sys; from promptops.cli.main import main; main(['lint']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    heavy = {
        "aiohttp",
        "detect_secrets",
        "git",
        "litellm",
        "promptops.registry.sqlite.store",
        "requests",
        "rich",
    }
    assert not heavy & {*done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("end", ["\n", "\r"])
def test_a_word_is_replaced_where_it_stands_whatever_ends_the_lines_before(
    project: Repo, cli: Cli, end: str
) -> None:
    more = f"# one{end}# two\nchecks:{end}  - is-json{end}  - starts-with: x # promptops: ignore[x] no{end}"
    file = project.path / "prompts/plain.yaml"
    before = prompt(more=more).encode()
    file.write_bytes(before)
    assert cli("lint", "--fix", "plain").code in {0, 1}
    assert file.read_bytes() == before.replace(b"is-json", b"json").replace(b"starts-with", b"starts_with")


@pytest.mark.parametrize("form", ["text", "github"])
def test_no_file_name_writes_a_line_or_a_control_character_of_its_own(
    project: Repo, cli: Cli, form: str
) -> None:
    project.write("prompts/a\n::warning::\x1b[2J\u202eb.yaml", prompt())
    done = cli("lint", "--format", form)
    assert not {"\x1b", "\u202e"} & set(done.out)
    assert not any(line.startswith("::warning::") for line in done.out.splitlines())


def test_the_environment_may_ask_about_another_day(
    greeting: Repo, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = "openai/gpt-4o-mini-2024-07-18"
    greeting.write("promptops.yaml", f"models: {{{model}: {{deprecation_date: 2027-01-31}}}}\n")

    def lint_on(day: str) -> tuple[int, str]:
        monkeypatch.setenv("PROMPTOPS_TODAY", day)
        done = cli("lint")
        return done.code, done.out + done.err

    assert lint_on("2026-10-01")[0] == 0
    for day, code, said in (
        ("2027-01-30", 0, "retires on 2027-01-31, in 1 day"),
        ("2027-01-31", 1, "was retired on 2027-01-31"),
        ("soon", 4, "PROMPTOPS_TODAY must be a day such as 2027-01-31; it is `soon`"),
        ("\x1b[2J" + "9" * 999, 4, "…`"),
    ):
        found, text = lint_on(day)
        assert (found, said in text, "\x1b" in text) == (code, True, False), text
    assert cli("doctor").code != 0
