"""``promptops review codes``: kinds of failures, by version."""

from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.review import NameArgument
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, merge_codes
from promptops.reports.numbers import pluralize
from promptops.review.rubric import check_code
from promptops.review.summary import count_codes
from promptops.review.view import codes_as_json

MergeOption = Annotated[
    list[str] | None, typer.Option("--merge", metavar="OLD=NEW", help="Call one code by another's name.")
]


def review_codes(name: NameArgument, merge: MergeOption = None, as_json: JsonOption = False) -> None:
    """Count the codes that reviewers gave to failures, by version.

    Begin with any words, and merge them once it shows which belong together.
    """
    settings = current_settings()
    pairs = [_parse_pair(text) for text in merge or ()]
    opening = RegistryDatabase.open if pairs else RegistryDatabase.open_existing
    with opening(settings.registry) as registry:
        for old, new in pairs:
            count = merge_codes(registry, name, old, new)
            note(f"{old} is called {new} now: {pluralize(count, 'label')}")
        codes = count_codes(registry, name)
    if as_json:
        print_json(codes_as_json(codes))
    elif not codes:
        note(f"no failures of {name} were reviewed yet: promptops review start {name}")
    else:
        versions = list(dict.fromkeys(version for each in codes for version in each.versions))
        rows = [
            (each.code or "(no code)", each.labels, *(each.versions.get(version, 0) for version in versions))
            for each in codes
        ]
        print_table(("CODE", "LABELS", *versions), rows, numeric=tuple(range(1, len(versions) + 2)))


def _parse_pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals:
        raise Invalid(f"--merge {text}: it is OLD=NEW", hint="--merge 'wrong team=wrong-team'")
    return check_code(old), check_code(new)
