"""The forms in which an eval is told: pure functions from its result to text."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal

from promptops.evaluation.result import EvalResult

EvalFormatName = Literal["table", "json", "junit", "markdown", "html"]


def render_result(result: EvalResult, form: EvalFormatName) -> str:
    """The whole text of one form. The table is without colours: see ``print_result``."""
    if form == "table":
        from promptops.cli.reports.eval.text import render_eval_table

        return render_eval_table(result)
    if form == "junit":
        from promptops.cli.reports.eval.junit import render_eval_junit as render
    elif form == "markdown":
        from promptops.cli.reports.eval.markdown import render_eval_markdown as render
    elif form == "html":
        from promptops.cli.reports.eval.html import render_eval_html as render
    else:
        return results_json_text(result)
    return render(result)


def print_result(result: EvalResult, form: EvalFormatName) -> None:
    """Print one form; a table as wide as the terminal and in its colours."""
    from promptops.console import print_json_text, print_styled, print_text, terminal_width

    if form == "table":
        from promptops.cli.reports.eval.text import eval_table_lines

        for pieces in eval_table_lines(result, terminal_width()):
            print_styled(pieces)
    elif form == "json":
        print_json_text(render_result(result, form).rstrip("\n"))
    else:
        print_text(render_result(result, form), end="")


def results_json_text(result: Any) -> str:
    """Frozen results, or mappings and sequences of them."""
    text = json.dumps(_to_json_data(result), ensure_ascii=False, indent=2, default=str)
    # JSON escapes C0 itself; lone surrogates cannot be written to a file
    return re.sub(r"[\x7f-\x9f\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _to_json_data(value: Any) -> Any:
    """As ``dataclasses.asdict``, which copies no read-only mapping, and without numbers that JSON has not."""
    if dataclasses.is_dataclass(value):
        return {field.name: _to_json_data(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _to_json_data(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_to_json_data(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
