"""``promptops cases validate``: whether a golden set can be run, and whether it measures what it seems to."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption, ReferenceArgument
from promptops.config.settings import Settings, current_settings
from promptops.console import note, paint, print_json, print_text
from promptops.errors import Invalid
from promptops.escapes import escape_line
from promptops.evaluation.golden_set import CaseIssueFinder
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.lint.cases import read_golden_set
from promptops.registry import RegistryDatabase
from promptops.versions.resolve import Version, resolve_version, version_reader

CaseFinding = dict[str, str]


TrainedOnOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--trained-on", metavar="MANIFEST", help="Of a data set of `runs export`: no case may be in it."
    ),
]


def cases_validate(
    reference: ReferenceArgument, trained_on: TrainedOnOption = None, as_json: JsonOption = False
) -> int:
    """Read and render every case. Names malformed lines, inputs that do not fit, checks that do not exist,
    duplicates, and cases that are among the prompt's own examples. Exits 1 when there is any of it."""
    settings = current_settings()
    version = resolve_version(reference, settings)
    with (
        open_golden_set(version, settings),
        version_reader(version, settings) as read,
    ):  # refuses a version without cases
        golden = read_golden_set(version.prompt, read)
    findings = [
        {"rule": each.rule, "where": f"{each.path}:{each.position.line}", "message": each.message}
        for each in golden.problems
    ]
    if not any(each["rule"] == "bad-cases" for each in findings):
        findings += _doubts(version, settings)
        for manifest in trained_on or ():
            findings += _trained(version, settings, manifest)
    if as_json:
        print_json({"cases": golden.size, "findings": findings})
    else:
        for each in findings:
            print_text(f"{each['where']}: {paint(each['rule'], 'yellow')}: {each['message']}")
        note(f"{golden.size_text}, {len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    return int(bool(findings))


def _trained(version: Version, settings: Settings, manifest: Path) -> Iterator[CaseFinding]:
    from promptops.interop.datasets import find_trained_cases, read_manifest_runs

    run_ids = read_manifest_runs(manifest)
    with (
        RegistryDatabase.open_existing(settings.registry) as registry,
        open_golden_set(version, settings) as cases,
    ):
        for each in find_trained_cases(registry, version.prompt, cases, run_ids):
            message = f"its inputs are those of run {each.run_id}, which {escape_line(str(manifest))} names"
            yield {"rule": "trained-on", "where": each.case.where, "message": message}


def _doubts(version: Version, settings: Settings) -> Iterator[CaseFinding]:
    doubts = CaseIssueFinder(version.prompt)
    with open_golden_set(version, settings) as cases:
        try:
            for case in cases:
                for doubt in doubts.about(case):
                    yield {"rule": doubt.rule, "where": doubt.where, "message": doubt.message}
        except Invalid:  # said already
            return
