"""What simulations measure is shown at the end, whichever process measured it."""

from typing import Any

import pytest

from simulations.figures import Show

_FIGURE = "figure"


@pytest.fixture
def show(request: pytest.FixtureRequest) -> Show:
    """Keep a line for the end: what, measured, to reach."""

    def keep(what: str, measured: str, target: str) -> None:
        request.node.user_properties.append((_FIGURE, f"{what:<58} {measured:>22}   {target}"))

    return keep


def pytest_terminal_summary(terminalreporter: Any) -> None:
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, ())]
    lines = [line for each in reports for name, line in each.user_properties if name == _FIGURE]
    if lines:
        terminalreporter.write_sep("=", "figures")
        for line in sorted(dict.fromkeys(lines)):
            terminalreporter.write_line(line)
