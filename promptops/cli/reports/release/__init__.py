"""The forms of the status of releases: pure functions from a view to text."""

from collections.abc import Sequence
from typing import Literal

from promptops.release.status_view import StatusView

StatusFormatName = Literal["text", "json", "markdown", "html"]


def render_status(views: Sequence[StatusView], form: StatusFormatName) -> str:
    """The whole text of one form. The text is 80 columns wide and without colours: see ``print_status``."""
    if form == "text":
        from promptops.cli.reports.release.text import render_status_text

        return render_status_text(views)
    if form == "markdown":
        from promptops.cli.reports.release.markdown import render_status_markdown as render
    elif form == "html":
        from promptops.cli.reports.release.html import render_status_html as render
    else:
        from promptops.cli.reports.release.json import render_status_json as render
    return render(views)


def print_status(views: Sequence[StatusView], form: StatusFormatName) -> None:
    """Print one form; text as wide as the terminal and in its colours."""
    from promptops.console import print_report, stdout_is_terminal, terminal_width

    if form == "text":
        from promptops.cli.reports.lines import print_lines
        from promptops.cli.reports.release.text import status_text_lines

        print_lines(status_text_lines(views, terminal_width(), cut=stdout_is_terminal()))
    else:
        print_report(render_status(views, form), form)
