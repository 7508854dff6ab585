"""``promptops import``: prompts of another tool become prompt files."""

from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import dry_run_option, force_option, model_option, strict_option, to_option
from promptops.cli.reports.imports import import_json, print_import
from promptops.cli.scaffold import ignore_registry, write_prompt_schema
from promptops.config.clock import local_day
from promptops.config.settings import current_settings
from promptops.console import print_json
from promptops.errors import ExitCode, WrongUsage
from promptops.interop.read_sources import read_sources
from promptops.interop.sources import SOURCES, split_words
from promptops.interop.target import ImportTarget, target_folder
from promptops.interop.writing import plan_import, write_import

WordsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[SOURCE] [FILE]...", help=f"{', '.join(SOURCES)}; detected by default."),
]
ToOption = Annotated[str | None, to_option("Write into this folder below prompts/.", metavar="FOLDER")]
PinOption = Annotated[str | None, model_option("Pin this model, whatever the source names.")]
StrictOption = Annotated[bool, strict_option("Exit 1 when anything of a source is lost.")]


def import_(
    words: WordsArgument = None,
    to: ToOption = None,
    model: PinOption = None,
    dry_run: Annotated[bool, dry_run_option("Show what would be written, and write nothing.")] = False,
    force: Annotated[bool, force_option("Overwrite existing files that differ.")] = False,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> int:
    """Write prompts, cases and checks of another tool as files of this one, and say what became of every key.

    What a prompt file cannot say is kept under metadata.imported. No code of the source is run. All files are
    written or none; one that is there stays as it is.
    """
    if not words:
        raise WrongUsage(
            "name a file or folder to import", hint=f"promptops import FILE; sources: {', '.join(SOURCES)}"
        )
    if model is not None and not model.strip():
        raise WrongUsage(
            "--model names no model", hint="--model openai/gpt-5.4-mini-2026-03-17, or leave it out"
        )
    settings, today = current_settings(), local_day()
    source, paths = split_words(words)
    target = ImportTarget(target_folder(to, settings.prompts.name), model)
    read = read_sources(source, paths, target, settings, today)
    plan = plan_import(read.imports, settings, today)
    further = []
    if plan.prompts and not dry_run:

        def scaffold() -> list[Path]:
            return [*write_prompt_schema(settings), *ignore_registry(settings)]

        further = write_import(plan, settings, force=force, further=scaffold)
    if as_json:
        print_json(import_json(read, plan, settings, dry_run=dry_run))
    else:
        print_import(read, plan, settings, dry_run=dry_run, further=further)
    if read.unreadable or not plan.prompts:
        return ExitCode.INVALID
    return int(strict and any(each.count("lost") for each in read.imports))
