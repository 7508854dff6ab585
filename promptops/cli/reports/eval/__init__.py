"""The forms of an eval's report: pure functions from its result to text."""

from typing import Literal

from promptops.evaluation.result import EvalResult

EvalFormatName = Literal["table", "json", "junit", "markdown", "html", "csv"]


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
    elif form == "csv":
        from promptops.cli.reports.eval.answers import render_eval_csv as render
    else:
        from promptops.cli.reports.json_data import report_json

        return report_json(result)
    return render(result)


def print_result(result: EvalResult, form: EvalFormatName, *, answers: bool = False) -> None:
    """Print one form; a table as wide as the terminal and in its colours, with every answer on request."""
    from promptops.console import print_report, terminal_width

    if form == "table":
        from promptops.cli.reports.eval.text import eval_table_lines
        from promptops.cli.reports.lines import print_lines

        print_lines(eval_table_lines(result, terminal_width(), answers=answers))
    else:
        print_report(render_result(result, form), form)
