"""The user's cache directory."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def cache_folder(env: Mapping[str, str]) -> Path:
    """What can be fetched or computed again."""
    given = env.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # noqa: PTH117 - the specification says to ignore a relative path
        return Path(given) / "promptops"
    home = Path(env.get("HOME") or Path.home())
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "promptops"
