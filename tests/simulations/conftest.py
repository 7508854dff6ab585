"""Fixtures of simulations: run only where asked for, and shown past the capture."""

from collections.abc import Iterator

import pytest

from simulations.figures import Show


@pytest.fixture(scope="module")
def only_where_asked_for(request: pytest.FixtureRequest) -> None:
    if "simulation" not in request.config.option.markexpr:
        pytest.skip("takes minutes: pytest -m simulation")


@pytest.fixture
def show(capfd: pytest.CaptureFixture[str]) -> Iterator[Show]:
    """Print a line past the capture: what, measured, to reach."""
    lines: list[str] = []
    yield lambda what, measured, target: lines.append(f"{what:<58} {measured:>22}   {target}")
    with capfd.disabled():
        print("", *lines, sep="\n")  # noqa: T201 - the figures are the point
