"""The forms in which the status of releases is told: pure functions from a view to text."""

from collections.abc import Sequence
from typing import Literal

from promptops.release.status_view import StatusView

Form = Literal["text", "json", "markdown", "html"]


def render_status(views: Sequence[StatusView], form: Form) -> str:
    """The whole text of one form. The text is 80 columns wide and without colours: see ``print_status``."""
    if form == "text":
        from promptops.cli.reports.release.text import text

        return text(views)
    if form == "markdown":
        from promptops.cli.reports.release.markdown import markdown as render
    elif form == "html":
        from promptops.cli.reports.release.html import html as render
    else:
        from promptops.cli.reports.release.json import json as render
    return render(views)


def print_status(views: Sequence[StatusView], form: Form) -> None:
    """Print one form; text as wide as the terminal and in its colours."""
    from promptops.console import on_terminal, print_json_text, print_pieces, print_text, width

    if form == "text":
        from promptops.cli.reports.release.text import text_lines

        for pieces in text_lines(views, width(), cut=on_terminal()):
            print_pieces(pieces)
    elif form == "json":
        print_json_text(render_status(views, form).rstrip("\n"))
    else:
        print_text(render_status(views, form), end="")
