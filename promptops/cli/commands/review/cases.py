"""``promptops review cases``: failures that people found become cases."""

from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import code_option
from promptops.cli.options.review import NameArgument
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import NotFound
from promptops.evaluation.open_golden_set import cases_display_path, how_to_name_cases
from promptops.registry import RegistryDatabase
from promptops.reports.numbers import pluralize
from promptops.review.follow_up import make_cases
from promptops.versions.resolve import resolve_version

CodeOption = Annotated[str | None, code_option("Only failures of this code.")]


def review_cases(name: NameArgument, code: CodeOption = None, as_json: JsonOption = False) -> None:
    """Add the inputs of failed answers to the golden set, with the better answer where a reviewer gave one.

    Its codes become tags of a case. What is a case already is left as it is.
    """
    settings = current_settings()
    version = resolve_version(name, settings)
    with RegistryDatabase.open_existing(settings.registry) as registry:
        made = make_cases(registry, settings, version, code=code)
    if not made:
        which = f" with the code {code}" if code else ""
        raise NotFound(f"no failed answers of {name}{which}", hint=f"promptops review codes {name}")
    added = [each for each in made if each.case_id]
    if as_json:
        print_json(
            [{"run_id": each.run_id, "case_id": each.case_id, "problem": each.problem} for each in made]
        )
    else:
        for each in added:
            print_text(str(each.case_id))
    for each in made:
        if each.problem:
            note(f"{each.run_id}: {each.problem}")
    if added:
        note(f"{pluralize(len(added), 'case')} added to {cases_display_path(version, settings)}")
        if version.prompt.cases is None:
            note(f"next: {how_to_name_cases(version.prompt, settings)}")
