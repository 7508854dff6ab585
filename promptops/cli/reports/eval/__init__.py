"""The forms in which an eval is told: pure functions from its result to text."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from promptops.evaluation.result import EvalResult

Form = Literal["table", "json", "junit", "markdown", "html"]


def render_result(result: EvalResult, form: Form) -> str:
    """The whole text of one form. The table is without colours: see ``print_result``."""
    if form == "table":
        from promptops.cli.reports.eval.text import table

        return table(result)
    if form == "junit":
        from promptops.cli.reports.eval.junit import junit as render
    elif form == "markdown":
        from promptops.cli.reports.eval.markdown import markdown as render
    elif form == "html":
        from promptops.cli.reports.eval.html import html as render
    else:
        return as_json(result)
    return render(result)


def print_result(result: EvalResult, form: Form) -> None:
    """Print one form; a table as wide as the terminal and in its colours."""
    from promptops.console import print_json_text, print_pieces, print_text, width

    if form == "table":
        from promptops.cli.reports.eval.text import table_lines

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
