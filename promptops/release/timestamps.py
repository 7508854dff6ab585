"""Moments and durations as people and plans write them."""

import re

from promptops.config.clock import utc_seconds
from promptops.errors import Invalid

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_timestamp(moment: str) -> float:
    """Seconds since the epoch. Raises Invalid for what is not one; a time without a zone is UTC."""
    try:
        return utc_seconds(moment)
    except ValueError:
        raise Invalid(
            f"`{moment}` is not a date and time", hint="2026-11-02T09:14:00Z, for example"
        ) from None


def parse_duration(text: str) -> float | None:
    """Seconds of ``90s``, ``15m``, ``2h`` or ``1.5d``; None for anything else."""
    found = _DURATION.fullmatch(text.strip())
    return float(found[1]) * _UNIT_SECONDS[found[2]] if found else None


def format_duration(seconds: float) -> str:
    """In the two largest units that matter: ``2 d 3 h``, ``45 min``, ``20 s``."""
    left = max(0, round(seconds))
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts.append((count, unit))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count) or "0 s"
