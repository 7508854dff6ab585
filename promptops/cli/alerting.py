"""Verbs that find something out tell people of it, where promptops.yaml says whom."""

import os

from promptops.config.clock import utc_moment
from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import PromptopsError


def tell_people(settings: Settings) -> None:
    """As ``monitor notify``; what cannot be sent waits, and keeps the verb from nothing."""
    if not settings.file.alerts.get("to"):
        return
    from promptops.monitoring.alerts.notify import notify
    from promptops.registry import RegistryDatabase

    try:
        with RegistryDatabase.open(settings.registry) as registry:
            report = notify(registry, settings, os.environ, utc_moment())
    except PromptopsError as error:
        note(f"alerts are not sent: {error.message}")
        return
    if report.sent:
        note(f"{report.sent} alert{'s' * (report.sent != 1)} sent")
    for name, problem in report.failed.items():
        note(f"{name}: {report.waiting.get(name, 0)} alerts wait: {problem}")
