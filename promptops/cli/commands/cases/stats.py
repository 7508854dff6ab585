"""``promptops cases stats``: what a golden set is made of."""

from typing import Any

from promptops.cli.options.cases import TagOption, golden_set
from promptops.cli.options.common import JsonOption, ReferenceArgument
from promptops.config.settings import here
from promptops.console import print_json, print_table, print_text
from promptops.evaluation.golden_set import Doubts, Tally, chosen
from promptops.versions.resolve import resolve

_SHOWN = 20  # of tags, and of expected answers


def cases_stats(reference: ReferenceArgument, tag: TagOption = None, as_json: JsonOption = False) -> None:
    """Count cases, tags, expected answers, lengths of inputs, duplicates and leaks."""
    settings = here()
    version = resolve(reference, settings)
    tally, doubts = Tally(), Doubts(version.prompt)
    with golden_set(version, settings) as cases:
        for case in chosen(cases, tag):
            tally.add(case, doubts.about(case))
    if as_json:
        print_json(_as_json(tally))
    else:
        _print(tally)


def _as_json(tally: Tally) -> dict[str, Any]:
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


def _print(tally: Tally) -> None:
    facts = _as_json(tally)
    for name in ("cases", "with_expected", "with_checks", "duplicates", "leaks"):
        print_text(f"{name.replace('_', ' '):<14} {facts[name]}")
    for title, counts in (("TAG", tally.tags), ("EXPECTED", tally.expected)):
        if counts:
            print_text("")
            print_table((title, "CASES"), counts.most_common(_SHOWN), numeric=(1,))
            if len(counts) > _SHOWN:
                print_text(f"and {len(counts) - _SHOWN} more")
    rows = [
        (name, each["cases"], each["min"], f"{each['median']:g}", each["max"])
        for name, each in tally.inputs().items()
    ]
    if rows:
        print_text("")
        print_table(("INPUT", "CASES", "SHORTEST", "MEDIAN", "LONGEST"), rows, numeric=(1, 2, 3, 4))
