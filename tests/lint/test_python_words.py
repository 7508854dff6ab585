"""What people write who move a prompt out of Python: each mistake is answered with how it is written here."""

import pytest

from promptops.prompt.python_words import _EXPRESSIONS, INPUT_TYPES
from support.front_door import Repo
from support.lint_files import Linter, prompt

INPUTS = "inputs: {name: string, price: number, xs: {type: array, items: {type: string}}}\n"
USED = "{{ name }} {{ price }} {% for x in xs %}{{ x }}{% endfor %}"


@pytest.fixture
def linter(repo: Repo) -> Linter:
    return Linter(repo.path)


@pytest.mark.parametrize(
    ("text", "rule", "line", "said"),
    [
        (prompt(f"one\n{USED} Dear {{name}}", more=INPUTS), "single-braces", 6, "`{{ name }}`"),
        (prompt(f"{USED}\n{{name.title()}}", more=INPUTS), "single-braces", 6, "`{{ name }}`"),
        (prompt(f"{USED} {{price:,.2f}}", more=INPUTS), "single-braces", 5, "`{{ price }}`"),
        (prompt(f"{USED} {{name!r:>20}}", more=INPUTS), "single-braces", 5, "`{{ name }}`"),
        (prompt(f"{{# a\n#}}{USED} {{xs[0]}}", more=INPUTS), "single-braces", 6, "`{{ xs }}`"),
        (prompt("{{ price:,.2f }}", more=INPUTS), "template-syntax", 5, "{{ '%.2f' | format(x) }}"),
        (prompt("{{ name!r }}", more=INPUTS), "template-syntax", 5, "`!r` is a filter: `{{ x | tojson }}`"),
        (prompt("{{ len(xs) }}", more=INPUTS), "undeclared-variable", 5, "{{ x | length }}"),
        (prompt("{% for x in zip(xs) %}{% endfor %}", more=INPUTS), "undeclared-variable", 5, "loop.index0"),
        (prompt(more="inputs: {x: float}\n"), "bad-input", 6, "did you mean `number`"),
        (prompt(more="inputs: {x: {type: dict}}\n"), "bad-input", 6, "did you mean `object`"),
        (prompt(more="inputs: {x: {type: object, properties: {y: text}}}\n"), "bad-input", 6, "{type: text}"),
        (prompt(more="inputs: [x]\n"), "bad-value", 6, "inputs: {name: string}"),
        (prompt(more="temperature: 0\n"), "unknown-key", 6, "parameters: {temperature: …}"),
        (prompt(more="system: Be kind.\n"), "unknown-key", 6, "{role: system, content: …}"),
        ("model: m\nmessages: Dear {{ name }}\n", "bad-value", 2, "[{role: user, content: …}]"),
        ("model: m\nmessages:\n  - user: Hi\n", "unknown-key", 3, "{role: user, content: …}"),
    ],
)  # fmt: skip
def test_a_habit_of_python_is_answered(linter: Linter, text: str, rule: str, line: int, said: str) -> None:
    found = next(finding for finding in linter.findings(text) if finding.rule == rule)
    assert found.line == line
    assert said in f"{found.message} — {found.hint}"


@pytest.mark.parametrize(
    "content",
    [
        "{{ name }}", "${name}", "\\frac{name}{price}", '{"name": 1}', "{other}", "{{ {'a': name}['a'] }}",
        "Answer {name: string} and {price: number, in euros}", "{name: …}", "{# {name} #}",
        "{% raw %}{name}{% endraw %}", "{% set d = {name: 1} %}", "{{ {name:3}[name] }}",
    ],
)  # fmt: skip
def test_other_braces_are_left_alone(linter: Linter, content: str) -> None:
    assert "single-braces" not in linter.rules(prompt(content, more=INPUTS))


def test_a_message_without_a_role_lacks_only_its_role(linter: Linter) -> None:
    found = linter.findings("model: m\nmessages:\n  - content: Hi\n")
    assert [each.message for each in found if each.rule == "missing-key"] == [
        "the key `role` is missing in `messages[0]`"
    ]


def test_what_is_recommended_is_a_template_or_a_type(linter: Linter) -> None:
    for written in _EXPRESSIONS.values():
        end = "{% endfor %}" if written.startswith("{%") else ""
        text = written + ("{{ y }}" if end else "") + end
        assert "template-syntax" not in linter.rules(prompt(text, more="inputs: {x: array, other: array}\n"))
    for kind in INPUT_TYPES.values():
        assert "bad-input" not in linter.rules(prompt(more=f"inputs: {{x: {kind}}}\n"))


def test_one_branch_is_one_branch(linter: Linter) -> None:
    messages = [found.message for found in linter.findings(prompt("{% if name %}a{% endif %}", more=INPUTS))]
    assert "the templates of p have a branch that no cases reach" in messages
