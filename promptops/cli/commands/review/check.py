"""``promptops review check``: a kind of failures becomes a check."""

from typing import Annotated

from promptops.cli.options.flags import code_option, write_option
from promptops.cli.options.review import NameArgument
from promptops.config.settings import current_settings
from promptops.console import note, print_text
from promptops.registry import RegistryDatabase
from promptops.review.check_draft import draft_as_diff, draft_check, write_draft
from promptops.versions.resolve import resolve_version

CodeOption = Annotated[str, code_option("The kind of failures to look for.")]
WriteOption = Annotated[bool, write_option("Write the judge and the check; else only show them.")]


def review_check(name: NameArgument, code: CodeOption, write: WriteOption = False) -> None:
    """Draft a check for a kind of failures: a judge that knows its meaning and what reviewers noted.

    It is shown as a diff. How far it can be trusted: `promptops judge calibrate JUDGE --reviewed NAME`.
    """
    settings = current_settings()
    version = resolve_version(name, settings)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        files = draft_check(registry, settings, version, code)
    print_text(draft_as_diff(files, settings.prompts_path), end="")
    judge = files[0].path.removesuffix(".yaml")
    if write:
        write_draft(settings, files)
        note(f"written; next: promptops judge calibrate {judge} --reviewed {version.prompt.name}")
    else:
        note("nothing is written: --write does")
