"""What ``pip install git-promptops`` brings: how large it is, and what it does without any extra."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.paths import ROOT

pytestmark = [
    pytest.mark.isolated,
    pytest.mark.skipif(
        not os.environ.get("PROMPTOPS_ISOLATED"), reason="set PROMPTOPS_ISOLATED=1 (a minute)"
    ),
]
BUDGET_MB = 86  # of which 17 are our own files, in blocks of the disk
INSTALLERS = re.compile(r"(pip|setuptools|pkg_resources|_distutils_hack)\b")
CLAUDE = "anthropic/claude-sonnet-4-5-20250929"


def run(command: Sequence[str | Path], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | more
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment that holds the base alone."""
    folder = tmp_path_factory.mktemp("base")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "promptops", folder / "source" / "promptops", ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    run([sys.executable, "-m", "venv", folder / "venv"], folder)
    done = run([folder / "venv/bin/pip", "install", "-q", folder / "source"], folder)
    assert done.returncode == 0, done.stderr
    return folder / "venv"


def packages(base: Path) -> Path:
    return next(base.glob("lib/python3.*/site-packages"))


def test_it_stays_small_and_brings_no_litellm(base: Path) -> None:
    counted = [entry for entry in packages(base).iterdir() if not INSTALLERS.match(entry.name)]
    files = [file for entry in counted for file in (entry, *entry.rglob("*")) if file.is_file()]
    blocks = sum(file.stat().st_blocks for file in files) * 512 / 1e6
    assert blocks <= BUDGET_MB
    assert not {"litellm", "pydantic", "openai"} & {entry.name for entry in counted}


def test_a_model_of_litellm_exits_with_4_and_lint_says_the_same(base: Path, tmp_path: Path) -> None:
    run(["git", "init", "-q"], tmp_path)
    (tmp_path / "prompts").mkdir()
    text = f"model: {CLAUDE}\nmessages:\n  - {{role: user, content: Hello}}\n"
    (tmp_path / "prompts/greet.yaml").write_text(text, "utf-8")
    done = run([base / "bin/promptops", "run", "greet"], tmp_path)
    assert done.returncode == 4
    assert "pip install 'git-promptops[providers]'" in done.stderr
    ours = run([base / "bin/promptops", "lint"], tmp_path)
    theirs = run([sys.executable, "-m", "promptops", "lint"], tmp_path, PYTHONPATH=str(ROOT))
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)


def test_typer_above_the_bound_is_still_heavy(base: Path, tmp_path: Path) -> None:
    """When this fails, a newer Typer starts without pydantic: raise the bound in pyproject.toml."""
    newest = [base / "bin/pip", "install", "-q", "--target", tmp_path, "typer>=0.29"]
    if run(newest, tmp_path).returncode:
        pytest.skip("no newer typer can be installed here")
    program = (
        "import sys, typer\napp = typer.Typer()\n@app.command()\ndef verb(name: str = ''): pass\n"
        "app([], standalone_mode=False)\nprint(typer.__version__, 'pydantic' in sys.modules)"
    )
    done = run([base / "bin/python", "-c", program], tmp_path, PYTHONPATH=str(tmp_path))
    assert done.stdout.endswith(" True\n"), done.stdout + done.stderr
