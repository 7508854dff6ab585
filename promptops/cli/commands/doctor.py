"""``promptops doctor``: whether everything that a run needs is here."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer

from promptops.cli.diagnostics.environment import environment_findings
from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.cli.options.common import JsonOption
from promptops.config.settings import current_settings
from promptops.console import print_json, print_styled, print_text
from promptops.errors import PromptopsError
from promptops.redaction import redact

_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}
ReachOption = Annotated[
    list[str] | None,
    typer.Option("--reach", metavar="MODEL", help="Call this model once (costs a few tokens)."),
]


PiiOption = Annotated[
    int | None,
    typer.Option("--pii", min=1, metavar="N", help="Look for personal data in N runs drawn from the log."),
]
GatewayOption = Annotated[
    str | None, typer.Option("--gateway", metavar="URL", help="Look at this gateway alone (promptops serve).")
]


def doctor(
    reach: ReachOption = None,
    pii: PiiOption = None,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check git, registry, keys and models. Keys are never shown.

    With --pii only the log is looked at: kinds and places are said, no values. Exit 1 when there are some.
    With --gateway that server is asked what it serves; PROMPTOPS_GATEWAY_KEY holds a key where it needs one.
    """
    found = _findings(reach or []) if pii is None else _personal_data(pii)
    if gateway is not None:
        from promptops.cli.diagnostics.gateway import gateway_findings

        found = gateway_findings(gateway)
    findings = [_without_secrets(finding) for finding in found]
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            state = (f"{finding.state:<7} ", _COLOURS[finding.state])
            print_styled([state, (f"{finding.about}: {finding.text}", "")])
            if finding.hint:
                print_text(f"        {finding.hint}")
    bad = ("error",) if pii is None else ("error", "warning")
    return 1 if any(finding.state in bad for finding in findings) else 0


def _personal_data(runs: int) -> Iterator[DoctorFinding]:
    from promptops.cli.diagnostics.privacy import personal_data_findings

    return personal_data_findings(current_settings(), runs)


def _without_secrets(finding: DoctorFinding) -> DoctorFinding:
    return replace(finding, text=redact(finding.text), hint=redact(finding.hint))


def _findings(reach: Sequence[str]) -> Iterator[DoctorFinding]:
    yield from environment_findings()
    try:
        settings = current_settings()
    except PromptopsError as error:
        yield DoctorFinding("project", "error", error.message, error.hint)
        return
    from promptops.cli.diagnostics.models import model_findings
    from promptops.cli.diagnostics.project import project_findings
    from promptops.cli.diagnostics.release import release_findings

    yield from project_findings(settings)
    yield from release_findings(settings)
    yield from model_findings(settings, reach)
