"""The contract of the layers is kept by the package as it is installed for development."""

import subprocess
import sys

from support.paths import ROOT

LINT_IMPORTS = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_a_file_imports_only_what_stands_below_it() -> None:
    command = [sys.executable, "-c", LINT_IMPORTS, "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
