"""``promptops monitor notify``: people are told of what has happened, and of what is over."""

import os
from dataclasses import asdict
from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.config.clock import utc_moment
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import ExitCode, Invalid
from promptops.monitoring.alerts.notify import NotifyReport, notify
from promptops.registry import RegistryDatabase

RetryOption = Annotated[bool, typer.Option("--retry", help="Try again at once what could not be sent.")]


def monitor_notify(retry: RetryOption = False, as_json: JsonOption = False) -> int:
    """Send what is new since the last time, and what is over, to the places that `alerts:` names.

    Open alarms of `monitor check`; canaries that were rolled back, await approval or near their deadline;
    budgets; pinned models that retire; a gateway that is not ready. Each is sent once. What cannot be sent
    waits in the registry and is tried again: exit 5.
    """
    settings = current_settings()
    if not settings.file.alerts.get("to"):
        raise Invalid(
            "promptops.yaml has no `alerts: to`",
            hint="alerts: {to: [{slack: {url_env: SLACK_WEBHOOK_URL}}]}",
        )
    with RegistryDatabase.open(settings.registry) as registry:
        report = notify(registry, settings, os.environ, utc_moment(), retry_now=retry)
    if as_json:
        print_json(asdict(report))
    else:
        _print(report)
    return ExitCode.UNAVAILABLE if report.waiting else ExitCode.OK


def _print(report: NotifyReport) -> None:
    print_text(f"{report.opened} new, {report.resolved} over, {report.sent} sent")
    for name, count in report.waiting.items():
        why = report.failed.get(name, "it is tried again later")
        note(f"{name}: {count} wait{'s' if count == 1 else ''}: {why}")
