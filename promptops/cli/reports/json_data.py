"""Results as JSON, with the names of their fields."""

import dataclasses
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from promptops.escapes import escape_json


def to_json_data(value: Any, omitted: Collection[str] = ()) -> Any:
    """As ``dataclasses.asdict``, which copies no read-only mapping; numbers that JSON has not are null."""
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value) if field.name not in omitted]
        return {name: to_json_data(getattr(value, name), omitted) for name in names}
    if isinstance(value, Mapping):
        return {str(name): to_json_data(item, omitted) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json_data(item, omitted) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def report_json(value: Any) -> str:
    """Frozen results, or mappings and sequences of them, as a file or a stream can hold them."""
    data = to_json_data(value)
    return escape_json(json.dumps(data, ensure_ascii=False, indent=2, default=str)) + "\n"
