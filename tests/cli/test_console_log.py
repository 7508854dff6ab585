import logging
import subprocess
import sys

import pytest

from promptops.log import PackageLogger, with_hint
from support.front_door import Cli, Repo
from support.provider import Provider

LOG = PackageLogger("promptops.tests")
PROGRAM = """
import logging
from promptops.log import PackageLogger
{setup}
PackageLogger("promptops.tests").warning("100 %")
"""
RENDER = """
import sys
from promptops.cli.main import main
main(["render", "greet", "-i", "name=A"])
print("logging" in sys.modules)
"""


def test_the_command_line_shows_what_is_logged_below_it(
    cli: Cli, greeting: Repo, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMPTOPS_REGISTRY", str(greeting.write("registry.db", "not a database" * 500)))
    done = cli("run", "greet", "-i", "name=Ada")
    assert (done.code, done.out) == (0, "Greet Ada.\n")
    first, second = done.err.splitlines()
    assert first.startswith("promptops: ")
    assert "is not a promptops registry" in first
    assert second.startswith("  the run is kept in ")


def test_after_a_command_the_application_has_its_log_back(
    cli: Cli, greeting: Repo, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    cli("list")
    LOG.warning("lost")
    assert capfd.readouterr().err == ""
    assert caplog.record_tuples == [("promptops.tests", logging.WARNING, "lost")]


@pytest.mark.parametrize(
    ("setup", "printed"), [("", ""), ("logging.basicConfig()", "WARNING:promptops.tests:100 %\n")]
)
def test_an_application_decides_what_becomes_of_the_log(setup: str, printed: str) -> None:
    program = PROGRAM.format(setup=setup)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stderr == printed


def test_the_next_step_stands_on_a_line_of_its_own() -> None:
    assert with_hint("it is so", "do this") == "it is so\n  do this"
    assert with_hint("it is so", "") == "it is so"


def test_nothing_loads_logging_before_there_is_a_message(greeting: Repo) -> None:
    done = subprocess.run([sys.executable, "-c", RENDER], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines()[-1] == "False"
