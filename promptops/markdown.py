"""Text that stays text in a comment: code spans and fences longer than any backticks in them."""

import re


def code_span(line: str) -> str:
    """A code span of one line, whatever backticks it holds."""
    mark = fence_for(line, 1)
    space = " " if line[:1] in ("`", "") or line[-1:] == "`" else ""
    return f"{mark}{space}{line}{space}{mark}"


def fence_for(text: str, least: int = 3) -> str:
    """Backticks that nothing in the text can close."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)
