"""Run ids: ULIDs, which sort by the millisecond they were made in."""

import hmac
import os
from collections import deque

from promptops.config.clock import utc_moment, utc_seconds

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_LENGTH = 26
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_RANDOM_BYTES = 10
_STOCK = 64  # numbers asked of the system at once: each time another thread may take the interpreter
_stock: deque[int] = deque()


def new_run_id() -> str:
    return _encode(int(utc_moment() * 1000) << 80 | _random_number())


def derived_run_id(made_at: str, seed: bytes, what: bytes) -> str:
    """The id of a run that is made again and again, and is one run all the same: of ``what``, by the seed."""
    number = int.from_bytes(hmac.digest(seed, what, "sha256")[:_RANDOM_BYTES])
    return _encode(round(utc_seconds(made_at) * 1000) << 80 | number)


def _random_number() -> int:
    """80 random bits, given out once: no two threads and no child of this process get the same."""
    while True:
        try:
            return _stock.pop()
        except IndexError:
            data = os.urandom(_RANDOM_BYTES * _STOCK)
            _stock.extend(
                int.from_bytes(data[start : start + _RANDOM_BYTES])
                for start in range(0, len(data), _RANDOM_BYTES)
            )


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_stock.clear)


def _encode(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(5 * (ULID_LENGTH - 2), -1, -10)])


def normalize_id_prefix(text: str) -> str | None:
    """The text as the start of a run id, or None when no run id can start so."""
    prefix = text.upper().translate({ord("I"): "1", ord("L"): "1", ord("O"): "0"})
    return prefix if 0 < len(prefix) <= ULID_LENGTH and set(prefix) <= set(_DIGITS) else None
