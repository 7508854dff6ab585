"""``promptops shadow show``: one shadow run, with what broke and what was fixed."""

from typing import Annotated

import typer

from promptops.cli.commands.shadow.live_status import live_on
from promptops.cli.commands.shadow.output import Format, FormatOption, OutOption, tell
from promptops.cli.options.common import JsonOption
from promptops.config.settings import here
from promptops.evaluation.shadow.live_status import live_comparison
from promptops.evaluation.shadow.stored import comparison_of
from promptops.registry.shadow.runs import shadow_row, shadow_rows
from promptops.registry.store import Registry

IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="SHADOW",
        help="The id of a shadow run or its start; NAME: its latest; NAME:CHANNEL: what shadows it.",
    ),
]


def shadow_show(
    which: IdArgument, form: FormatOption = Format.text, as_json: JsonOption = False, out: OutOption = None
) -> None:
    """Show what a shadow run has found, from the runs that it logged."""
    settings = here()
    with Registry.open_existing(settings.registry) as registry:
        if ":" in which:
            tell(
                [live_comparison(registry, live_on(settings, which))], "json" if as_json else form.value, out
            )
            return
        latest = shadow_rows(registry, which, limit=1)
        found = comparison_of(registry, latest[0] if latest else shadow_row(registry, which))
    tell([found], "json" if as_json else form.value, out)
