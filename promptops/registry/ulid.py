"""Run ids: ULIDs, which sort by the millisecond they were made in."""

import os
import time

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH = 26
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]


def new_run_id() -> str:
    return _encode(time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10)))


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * (ULID_LENGTH - 2), -1, -10)])


def normalize_id_prefix(text: str) -> str | None:
    """The text as the start of a run id, or None when no run id can start so."""
    prefix = text.upper().translate({ord("I"): "1", ord("L"): "1", ord("O"): "0"})
    return prefix if 0 < len(prefix) <= ULID_LENGTH and set(prefix) <= set(_DIGITS) else None
