"""Names of tools, as every provider takes them."""

import re
from typing import Any, TypeGuard

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_tool_name(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(_TOOL_NAME.fullmatch(value))
