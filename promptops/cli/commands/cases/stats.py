"""``promptops cases stats``: what a golden set is made of."""

from typing import Any

from promptops.cli.case_distances import distances_as_json, measure_logged_inputs, stale_sentence
from promptops.cli.options.cases import TagOption
from promptops.cli.options.common import JsonOption, ReferenceArgument
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_table, print_text
from promptops.evaluation.golden_set import CaseIssueFinder, GoldenSetStats, filter_by_tags
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.versions.resolve import resolve_version

_MAX_ROWS = 20  # of tags, and of expected answers


def cases_stats(reference: ReferenceArgument, tag: TagOption = None, as_json: JsonOption = False) -> None:
    """Count cases, tags, expected answers, lengths of inputs, duplicates and leaks."""
    settings = current_settings()
    version = resolve_version(reference, settings)
    tally, doubts = GoldenSetStats(), CaseIssueFinder(version.prompt)
    with open_golden_set(version, settings) as cases:
        for case in filter_by_tags(cases, tag):
            tally.add(case, doubts.about(case))
    distances = None if tag else measure_logged_inputs(version, settings)
    if as_json:
        print_json({**_as_json(tally), "logged_inputs": distances_as_json(distances)})
    else:
        _print(tally)
    if distances and distances.is_stale:
        note(stale_sentence(version.prompt.name, distances))


def _as_json(tally: GoldenSetStats) -> dict[str, Any]:
    return {
        "cases": tally.cases,
        "with_expected": tally.with_expected,
        "with_checks": tally.with_checks,
        "duplicates": tally.doubts["duplicate"] + tally.doubts["duplicate-id"],
        "leaks": tally.doubts["leak"],
        "tags": dict(tally.tags.most_common()),
        "expected": dict(tally.expected.most_common()),
        "inputs": tally.inputs(),
    }


def _print(tally: GoldenSetStats) -> None:
    facts = _as_json(tally)
    for name in ("cases", "with_expected", "with_checks", "duplicates", "leaks"):
        print_text(f"{name.replace('_', ' '):<14} {facts[name]}")
    for title, counts in (("TAG", tally.tags), ("EXPECTED", tally.expected)):
        if counts:
            print_text("")
            print_table((title, "CASES"), counts.most_common(_MAX_ROWS), numeric=(1,))
            if len(counts) > _MAX_ROWS:
                print_text(f"and {len(counts) - _MAX_ROWS} more")
    rows = [
        (name, each["cases"], each["min"], f"{each['median']:g}", each["max"])
        for name, each in tally.inputs().items()
    ]
    if rows:
        print_text("")
        print_table(("INPUT", "CASES", "SHORTEST", "MEDIAN", "LONGEST"), rows, numeric=(1, 2, 3, 4))
