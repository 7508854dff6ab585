"""``promptops export``: prompts as files of another tool."""

from contextlib import ExitStack
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import format_option, out_option, strict_option
from promptops.cli.reports.imports import export_json, note_export
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import WrongUsage
from promptops.interop.export_files import write_export
from promptops.interop.exporters import EXPORTERS, ExportSubject
from promptops.versions.resolve import resolve_version, version_reader

NamesArgument = Annotated[
    list[str], typer.Argument(metavar="NAME...", help="Prompts: NAME, NAME@REV or NAME:CHANNEL.")
]
FormatOption = Annotated[str, format_option(f"One of {', '.join(EXPORTERS)}.", metavar="FORMAT")]
OutOption = Annotated[
    Path | None, out_option("Write here instead of to stdout: a file, or a folder where there are several.")
]
StrictOption = Annotated[bool, strict_option("Exit 1 when the format cannot say everything.")]


def export(
    names: NamesArgument,
    form: FormatOption,
    out: OutOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> int:
    """Write prompts with their cases and checks as another tool reads them.

    Every key of theirs that it cannot say is named, on stderr."""
    if form not in EXPORTERS:
        near = get_close_matches(form, EXPORTERS, 1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise WrongUsage(f"no such format: {form}", hint=f"{meant}formats are: {', '.join(EXPORTERS)}")
    settings = current_settings()
    with ExitStack() as opened:
        versions = [resolve_version(name, settings) for name in names]
        subjects = [
            ExportSubject(each.prompt, opened.enter_context(version_reader(each, settings)))
            for each in versions
        ]
        done = EXPORTERS[form].write(subjects, settings)
    written = write_export(done, out)
    if as_json:
        print_json(export_json(done, written))
        return int(strict and done.count("lost") > 0)
    if not written:
        for text in done.files.values():
            print_text(text, end="")
    for path in written:
        note(f"wrote {path}")
    note_export(done)
    return int(strict and done.count("lost") > 0)
