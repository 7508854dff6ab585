"""Every verb's help ends with examples that are command lines of that verb."""

import pytest

from promptops.cli.examples import EXAMPLES
from promptops.cli.verbs import VerbPath, leaf_verbs
from support.command_lines import command_lines, fault_of
from support.front_door import Cli

MOST = 80


def test_every_verb_has_examples_and_nothing_else_has() -> None:
    assert set(EXAMPLES) == set(leaf_verbs())


@pytest.mark.parametrize("path", [*leaf_verbs()], ids=" ".join)
def test_a_verb_has_two_or_three_that_fit_the_terminal(path: VerbPath) -> None:
    text = EXAMPLES[path]
    lines = list(command_lines(text))
    assert 2 <= len(lines) <= 3
    assert [fault for line in lines if (fault := fault_of(line))] == []
    assert all(line.startswith(" ".join(path)) for line in lines)
    assert all(len(line) + 4 <= MOST for line in text.splitlines())


def test_help_ends_with_them(cli: Cli) -> None:
    shown = cli("runs", "show", "--help").out
    assert shown.endswith(
        "\n  Examples:\n    promptops runs show last\n    promptops runs show 01K7Y3M9QX --messages\n"
    )
    assert cli("help", "runs", "show").out == shown
