"""The forms in which the status of releases is told: pure functions from a view to text."""

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
    from promptops.console import (
        print_json_text,
        print_styled,
        print_text,
        stdout_is_terminal,
        terminal_width,
    )

    if form == "text":
        from promptops.cli.reports.release.text import status_text_lines

        for pieces in status_text_lines(views, terminal_width(), cut=stdout_is_terminal()):
            print_styled(pieces)
    elif form == "json":
        print_json_text(render_status(views, form).rstrip("\n"))
    else:
        print_text(render_status(views, form), end="")
