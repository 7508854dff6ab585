"""The forms in which an eval is told: pure functions from its result to text."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from promptops.evaluate.result import EvalResult

Form = Literal["table", "json", "junit", "markdown", "html"]


def render_result(result: EvalResult, form: Form) -> str:
    """The whole text of one form. The table is without colours: see ``print_result``."""
    if form == "table":
        from promptops.evaluate.formats.table import table

        return table(result)
    if form == "junit":
        from promptops.evaluate.formats.junit import junit as render
    elif form == "markdown":
        from promptops.evaluate.formats.markdown import markdown as render
    elif form == "html":
        from promptops.evaluate.formats.html import html as render
    else:
        return as_json(result)
    return render(result)


def print_result(result: EvalResult, form: Form) -> None:
    """Print one form; a table as wide as the terminal and in its colours."""
    from promptops.output import print_json_text, print_pieces, print_text, width

    if form == "table":
        from promptops.evaluate.formats.table import table_lines

        for pieces in table_lines(result, width()):
            print_pieces(pieces)
    elif form == "json":
        print_json_text(render_result(result, form).rstrip("\n"))
    else:
        print_text(render_result(result, form), end="")


def as_json(result: Any) -> str:
    """Frozen results, or mappings and sequences of them."""
    text = json.dumps(_data(result), ensure_ascii=False, indent=2, default=str)
    # JSON escapes C0 itself; lone surrogates cannot be written to a file
    return re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _data(value: Any) -> Any:
    """As ``dataclasses.asdict``, which copies no read-only mapping, and without numbers that JSON has not."""
    if dataclasses.is_dataclass(value):
        return {field.name: _data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _data(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_data(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
