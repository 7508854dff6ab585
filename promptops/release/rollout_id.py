"""Ids of rollouts: the same pair of versions on a channel always has the same one.

So a canary that is started again goes on with the evidence that there is, and nobody tries again until it is
green. New evidence, for a reason that is recorded, is numbered: ``r-k3vq9x27ma.2``.
"""

import base64
import hashlib
from collections.abc import Iterable

_LETTERS = 10


def derive_rollout_id(prompt: str, channel: str, stable: str, canary: str) -> str:
    """``stable``, ``canary``: digests, 64 hex digits."""
    pair = f"{prompt}\0{channel}\0{stable}\0{canary}".encode()
    return "r-" + base64.b32encode(hashlib.sha256(pair).digest()).decode().lower()[:_LETTERS]


def base_rollout_id(rollout: str) -> str:
    return rollout.partition(".")[0]


def latest_rollout_id(known: Iterable[str], base: str) -> str:
    """The one with the highest number of those that there have been; the first one where there were none."""
    return numbered_rollout_id(base, _highest(known, base))


def next_rollout_id(known: Iterable[str], rollout: str) -> str:
    """An id for evidence that starts again after ``rollout``."""
    base = base_rollout_id(rollout)
    return numbered_rollout_id(base, 1 + max(attempt_number(rollout), _highest(known, base)))


def attempt_number(rollout: str) -> int:
    """The number of an id's evidence, from 1."""
    return int(rollout.partition(".")[2] or 1)


def numbered_rollout_id(base: str, number: int) -> str:
    return base if number <= 1 else f"{base}.{number}"


def _highest(known: Iterable[str], base: str) -> int:
    return max((attempt_number(each) for each in known if base_rollout_id(each) == base), default=0)
