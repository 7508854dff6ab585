"""JSON that came over the wire."""

import json
from typing import Any

MAX_VALUES = 500_000  # of which a parser makes objects, in one step that nothing interrupts


def decode_json(body: bytes) -> Any:
    """Parse what a provider sent. Raises ValueError for what is no JSON, too deep or too much."""
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"it holds more than {MAX_VALUES:,} values")
    try:
        return json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
