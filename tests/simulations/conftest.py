"""What simulations measure is shown past the capture."""

from collections.abc import Iterator

import pytest

from simulations.figures import Show


@pytest.fixture
def show(capfd: pytest.CaptureFixture[str]) -> Iterator[Show]:
    """Print a line past the capture: what, measured, to reach."""
    lines: list[str] = []
    yield lambda what, measured, target: lines.append(f"{what:<58} {measured:>22}   {target}")
    with capfd.disabled():
        print("", *lines, sep="\n")  # noqa: T201 - the figures are the point
