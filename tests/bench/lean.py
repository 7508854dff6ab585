"""An environment as users have it: the package and what it needs, and nothing that developers need.

Coverage puts a hook into the start of every Python of the developers' environment, which slows
``python -c pass`` by half: a figure against it flatters everything.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")


def lean_python() -> str:
    """Its interpreter. It is kept in the folder for temporary files, and holds the package as it is now."""
    needs = (ROOT / "pyproject.toml").read_bytes() + sys.version.encode()
    folder = Path(tempfile.gettempdir()) / f"promptops-bench-{hashlib.sha256(needs).hexdigest()[:16]}"
    python, mark = folder / "bin" / "python", folder / "source"
    source = _source_digest()
    if not mark.exists() or mark.read_text("utf-8") != source:
        fresh = not mark.exists()
        print("  making a lean environment …", flush=True)
        if fresh:
            venv.create(folder, with_pip=True, clear=True)
        _install(python, *([] if fresh else ["--no-deps"]))
        mark.write_text(source, "utf-8")
    return str(python)


def _source_digest() -> str:
    files = sorted(file for file in (ROOT / "promptops").rglob("*") if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        if file.suffix != ".pyc":
            digest.update(str(file).encode() + file.read_bytes())
    return digest.hexdigest()


def _install(python: Path, *options: str) -> None:
    """From a copy, as building leaves folders behind."""
    with tempfile.TemporaryDirectory() as copy:
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / "promptops", Path(copy, "promptops"), ignore=left_out)
        for name in _BUILT_FROM:
            shutil.copy(ROOT / name, copy)
        command = [python, "-m", "pip", "install", "-q", "--force-reinstall", *options, copy]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
