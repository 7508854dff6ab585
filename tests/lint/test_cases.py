"""Golden sets: what cannot be read or rendered, and the branches they reach."""

import json
from collections.abc import Callable

import pytest

from promptops.config.settings import decode_settings, find_settings
from promptops.errors import Invalid, NotFound
from promptops.lint import lint_prompts
from promptops.lint.context import LintProject
from promptops.lint.file_cache import FileCache
from support.front_door import Repo
from support.lint_files import SETTINGS, TODAY, Linter, prompt


@pytest.fixture
def linter(repo: Repo) -> Linter:
    return Linter(repo.path)


def lines(*inputs: dict[str, object]) -> str:
    return "".join(json.dumps({"inputs": each}) + "\n" for each in inputs)


CASES = "inputs: {x: string}\ncases: c.jsonl\n"


def test_a_missing_golden_set(linter: Linter) -> None:
    (found,) = linter.findings(prompt("{{ x }}", more=CASES))
    assert (found.rule, found.line) == ("bad-cases", 7)
    assert "create prompts/c.jsonl" in found.hint


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("c__jsonl", '{"inputs": {"x": "a"}}\n{"inputs"\n', ("prompts/c.jsonl", 2, 1)),
        ("c__jsonl", '{"inptus": {"x": "a"}}\n', ("prompts/c.jsonl", 1, 1)),
        ("c__csv", "x\na,b\n", ("prompts/c.csv", 2, 1)),
        ("c__cases__yml", "- inputs: {x: a}\n- inputs: [\n", ("prompts/c.cases.yml", 3, 1)),
        ("c__cases__yml", "inputs: {x: a}\n", ("prompts/c.cases.yml", 1, 1)),
        ("c__cases__yml", "- inputs: {x: a}\n- [x]\n", ("prompts/c.cases.yml", 2, 3)),
        (
            "c__jsonl",
            '{"inputs": {"x": "a"}, "checks": [{"contains": "a", "name": []}]}\n',
            ("prompts/c.jsonl", 1, 1),
        ),
        ("c__jsonl", '{"inputs": {"x": "a"}, "checks": [3]}\n', ("prompts/c.jsonl", 1, 1)),
        ("c__jsonl", '{"inputs": {"x": "a"}, "checks": ["contans"]}\n', ("prompts/c.jsonl", 1, 1)),
        ("c__jsonl", '{"inputs": {"x": "a"}, "checks": [{}]}\n', ("prompts/c.jsonl", 1, 1)),
        ("c__txt", "x", ("prompts/c.txt", 1, 1)),
    ],
)
def test_a_malformed_golden_set(linter: Linter, name: str, text: str, place: tuple[str, int, int]) -> None:
    more = f"inputs: {{x: string}}\ncases: {name.replace('__', '.')}\n"
    (found,) = linter.findings(prompt("{{ x }}", more=more), **{name: text})
    assert found.rule == "bad-cases"
    assert (found.path, found.line, found.column) == place
    assert not found.message.startswith("prompts/")


def test_a_golden_set_outside_of_prompts(linter: Linter) -> None:
    assert linter.rules(prompt("{{ x }}", more="inputs: {x: string}\ncases: ../c.jsonl\n")) == ["bad-file"]


def test_inputs_that_do_not_fit(linter: Linter) -> None:
    cases = lines({"x": 3}, {}, {"x": "a", "y": "b"}, {"x": "fine"})
    found = linter.findings(prompt("{{ x }}", more=CASES), c__jsonl=cases)
    assert [(f.rule, f.path, f.line) for f in found] == [
        ("case-inputs", "prompts/c.jsonl", line) for line in (1, 2, 3)
    ]


def test_many_cases_that_do_not_fit_are_counted(linter: Linter) -> None:
    found = linter.findings(prompt("{{ x }}", more=CASES), c__jsonl=lines(*[{"x": 3}] * 30))
    assert len(found) == 11
    assert found[-1].message == "and 20 more like this"


def test_a_template_that_fails_with_a_case(linter: Linter) -> None:
    text = prompt("one\n{{ x.y.z }}", more="inputs: {x: object}\ncases: c.jsonl\n")
    (found,) = linter.findings(text, c__jsonl=lines({"x": {"y": {"z": 1}}}, {"x": {}}))
    assert (found.rule, found.path, found.line) == ("case-fails", "prompts/p.yaml", 6)
    assert "prompts/c.jsonl:2" in found.message


def test_a_case_that_is_too_long(linter: Linter) -> None:
    text = prompt("{{ x }}", more=CASES + "max_input_tokens: 30\n")
    (found,) = linter.findings(text, c__jsonl=lines({"x": "short"}, {"x": "long " * 100}))
    assert (found.rule, found.path, found.line) == ("case-over-budget", "prompts/c.jsonl", 2)


BRANCHES = """\
{% if x == "a" %}
one
{% elif x == "b" %}
two
{% else %}
three
{% endif %}
{% for letter in x %}{{ letter }}{% else %}none{% endfor %}
{{ "long" if x|length > 3 else "short" }}"""


def test_branches_that_no_case_reaches(linter: Linter) -> None:
    found = linter.findings(prompt(BRANCHES, more=CASES), c__jsonl=lines({"x": "a"}, {"x": "c"}))
    assert [(f.rule, f.line) for f in found] == [
        ("unreached-branch", 7),
        ("unreached-branch", 12),
        ("unreached-branch", 13),
    ]
    assert "reaches this `elif` (4 of 7 branches reached by 2 cases)" in found[0].message


def test_cases_that_reach_all(linter: Linter) -> None:
    cases = lines({"x": "a"}, {"x": "b"}, {"x": ""}, {"x": "long one"})
    report = linter.report({"p.yaml": prompt(BRANCHES, more=CASES), "c.jsonl": cases})
    assert list(report.findings) == []
    assert report.as_json()["coverage"] == [{"prompt": "p", "cases": 4, "branches": 7, "reached": 7}]


def test_branches_of_partials_belong_to_each_prompt(linter: Linter) -> None:
    text = prompt('{% include "t.md" %}', more=CASES)
    report = linter.report(
        {
            "p.yaml": text,
            "q.yaml": text,
            "t.md": "tone\n{% if x %}yes{% endif %}",
            "c.jsonl": lines({"x": ""}),
        }
    )
    assert [(f.path, f.line, f.prompt) for f in report.findings] == [
        ("prompts/t.md", 2, "p"),
        ("prompts/t.md", 2, "q"),
    ]


def test_without_cases_branches_are_one_finding(linter: Linter) -> None:
    (found,) = linter.findings(prompt(BRANCHES, more="inputs: {x: string}\n"))
    assert (found.rule, found.line) == ("unreached-branch", 5)
    assert "7 branches" in found.message


def test_a_branch_in_a_message_of_parts_and_with_an_image(linter: Linter) -> None:
    text = """\
model: test/held
inputs: {photo: image, x: string}
messages:
  - role: user
    content:
      - text: "{% if x %}a{% endif %}"
      - image: photo
cases: c.jsonl
"""
    png = "data:image/png;base64,iVBORw0KGgo="
    found = linter.findings(text, c__jsonl=lines({"x": "", "photo": png}))
    assert [(f.rule, f.line) for f in found] == [("unreached-branch", 6)]


def test_a_template_too_deep_to_compile_has_no_coverage(linter: Linter) -> None:
    text = prompt("{% if x %}" * 150 + "a" + "{% endif %}" * 150, more=CASES)
    assert "unreached-branch" not in linter.rules(text, c__jsonl=lines({"x": "a"}))


def test_coverage_is_not_counted_when_no_rule_asks(linter: Linter) -> None:
    off = "".join(f"{rule}: off, " for rule in _GOLDEN)
    report = linter.report(
        {"p.yaml": prompt(BRANCHES, more="inputs: {x: string}\n")}, f"lint: {{rules: {{{off}}}}}\n"
    )
    assert not report.coverage


_GOLDEN = ("bad-cases", "case-inputs", "case-fails", "case-over-budget", "unreached-branch", "never-varied")


def test_a_golden_set_that_may_not_be_read(repo: Repo, linter: Linter) -> None:
    def refuse(path: str) -> bytes:
        if path == "c.jsonl":
            raise Invalid("prompts/c.jsonl is a folder", hint="put a file there")
        return prompt("{{ x }}", more=CASES).encode()

    project = LintProject(find_settings(repo.path, {}, file=decode_settings(SETTINGS.encode(), "s")), TODAY)
    (found,) = lint_prompts(["p"], FileCache(_only_yaml(refuse)), project).findings
    assert (found.rule, found.message) == ("bad-cases", "prompts/c.jsonl is a folder")


def _only_yaml(read: Callable[[str], bytes]) -> Callable[[str], bytes]:
    def only(path: str) -> bytes:
        if path.endswith(".yml"):
            raise NotFound(path)
        return read(path)

    return only


def test_inserted_messages_and_images_count_against_the_budget(linter: Linter) -> None:
    text = """\
model: test/held
inputs: {chat: messages, photo: image}
messages:
  - insert: chat
  - role: user
    content: [{text: what is this?}, {image: photo}]
max_input_tokens: 800
cases: c.jsonl
"""
    png = "data:image/png;base64,iVBORw0KGgo="
    short, long = ([{"role": "user", "content": "hi " * times}] for times in (1, 200))
    cases = lines({"chat": short, "photo": png}, {"chat": long, "photo": png})
    rules = [(f.rule, f.line) for f in linter.findings(text, c__jsonl=cases)]
    assert ("case-over-budget", 2) in rules
    assert ("case-over-budget", 1) not in rules


def test_a_template_that_fails_inside_of_a_partial(linter: Linter) -> None:
    text = prompt('{% include "t.md" %}', more="inputs: {x: object}\ncases: c.jsonl\n")
    (found,) = linter.findings(text, t__md="one\n{{ x.y.z }}", c__jsonl=lines({"x": {}}))
    assert (found.rule, found.path, found.line) == ("case-fails", "prompts/t.md", 2)
