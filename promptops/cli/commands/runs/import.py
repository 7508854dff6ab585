"""``promptops runs import``: what other registries know of releases."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.registry import ImportResult, RegistryDatabase, describe_import_gaps, import_files

FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="Files of `runs export --for-release`.")
]


def runs_import(files: FilesArgument, as_json: JsonOption = False) -> None:
    """Take in what other registries have exported: all files, or none where one is not as it should be.

    Importing a file again changes nothing. A file that is missing between others is named, and by `tick` too.
    """
    with RegistryDatabase.open(current_settings().registry) as registry:
        done = import_files(registry, files)
        missing = describe_import_gaps(registry, "")
    if as_json:
        print_json({"files": [asdict(each) for each in done], "gaps": missing})
    else:
        for each in done:
            print_text(_import_summary(each))
    for gap in missing:
        note(gap)


def _import_summary(done: ImportResult) -> str:
    parts = [f"{done.new:,} new runs"]
    parts += [f"{done.ended:,} that had begun have ended"] if done.ended else []
    parts += [f"{done.known:,} known"] if done.known else []
    parts += [f"{done.outcomes:,} outcomes"] if done.outcomes else []
    return f"{done.file}: {', '.join(parts)}"
