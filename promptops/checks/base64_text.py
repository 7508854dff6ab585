"""What a text holds in base64, as text."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from string import ascii_letters, digits

_SHORTEST = 24
_RUN = re.compile(rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{{_SHORTEST},}}")
_IN_RUNS = bytes(ord("x" if chr(code) in f"{ascii_letters}{digits}+/_-" else " ") for code in range(256))
_LONG_ENOUGH = b"x" * _SHORTEST
_URL_SAFE = str.maketrans("-_", "+/")


@lru_cache(maxsize=2)
def encoded_runs(text: str) -> Sequence[tuple[int, int, str]]:
    """Start, end and meaning of what may be base64 of a text; a long word may be, and means nothing then.

    Several checks ask it of the same text.
    """
    return tuple(_runs(text)) if _LONG_ENOUGH in text.encode("ascii", "replace").translate(_IN_RUNS) else ()


def _runs(text: str) -> Iterator[tuple[int, int, str]]:
    for found in _RUN.finditer(text):
        run = found[0].translate(_URL_SAFE)
        try:
            data = base64.b64decode(run[: len(run) // 4 * 4])
        except binascii.Error:  # pragma: no cover - every row of four such letters is base64
            continue
        yield *found.span(), data.decode("utf-8", "ignore")


def decoded_runs(text: str) -> Iterator[str]:
    yield from (meaning for _, _, meaning in encoded_runs(text))
