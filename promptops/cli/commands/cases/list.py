"""``promptops cases list``: the golden set of a version."""

from typing import Any

from promptops.cli.options.cases import TagOption
from promptops.cli.options.common import JsonOption, ReferenceArgument
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table
from promptops.evaluation.golden_set import filter_by_tags
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.prompt.cases import Case, expected_json
from promptops.reports.texts import value_text
from promptops.versions.resolve import resolve_version


def cases_list(reference: ReferenceArgument, tag: TagOption = None, as_json: JsonOption = False) -> None:
    """List the cases of a version, in the order of the file."""
    settings = current_settings()
    version = resolve_version(reference, settings)
    with open_golden_set(version, settings) as cases:
        chosen = list(filter_by_tags(cases, tag))
    if as_json:
        print_json([_as_json(case) for case in chosen])
    elif not chosen:
        note(f"no such cases of {version.prompt.name}")
    else:
        rows = [
            (case.id, " ".join(case.tags) or None, _text(case.inputs), _text(expected_json(case.expected)))
            for case in chosen
        ]
        print_table(("CASE", "TAGS", "INPUTS", "EXPECTED"), rows)


def _as_json(case: Case) -> dict[str, Any]:
    return {
        "id": case.id,
        "inputs": dict(case.inputs),
        "expected": expected_json(case.expected),
        "checks": list(case.checks),
        "tags": list(case.tags),
        "where": case.where,
    }


def _text(value: Any) -> str | None:
    if isinstance(value, dict) and len(value) == 1:
        return _text(next(iter(value.values())))
    return None if value is None else value_text(value)
