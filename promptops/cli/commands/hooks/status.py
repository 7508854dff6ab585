"""``promptops hooks status``: which hooks are installed, and where."""

import os
from pathlib import Path

from promptops.cli.options.common import JsonOption
from promptops.console import note, print_json, print_table
from promptops.git.hooks import find_hooks, find_repository_settings


def hooks_status(as_json: JsonOption = False) -> None:
    """Say of each hook whether it is installed, and which other hook runs before it or in its place."""
    hooks = find_hooks(find_repository_settings())
    rows = [(hook.name, hook.state, _shown(hook.ours or hook.file), _shown(hook.first)) for hook in hooks]
    if as_json:
        print_json([dict(zip(("hook", "state", "file", "first"), row, strict=True)) for row in rows])
        return
    print_table(("HOOK", "STATE", "FILE", "RUNS FIRST"), [(*row[:3], row[3] or "") for row in rows])
    if not any(hook.ours for hook in hooks):
        note("next: promptops hooks install")


def _shown(file: Path | None) -> str | None:
    return os.path.relpath(file) if file else None
