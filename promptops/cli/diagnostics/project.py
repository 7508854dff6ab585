"""The prompts of a project, its release plans and its registry."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.config.registry_location import may_exist
from promptops.config.settings import Settings
from promptops.errors import PromptopsError

if TYPE_CHECKING:
    from promptops.registry import RegistryDatabase


def project_findings(settings: Settings) -> Iterator[DoctorFinding]:
    yield _project(settings)
    yield from _plans(settings)
    yield _registry(settings)
    yield from _spooled_runs(settings)


def _project(settings: Settings) -> DoctorFinding:
    from promptops.versions.resolve import prompt_names

    count = len(prompt_names(settings))
    if not count:
        return DoctorFinding(
            "project", "warning", f"{settings.root} has no prompts", "promptops init writes a first one"
        )
    return DoctorFinding("project", "ok", f"{settings.root}, {count} prompt{'s'[: count != 1]}")


def _plans(settings: Settings) -> Iterator[DoctorFinding]:
    from promptops.release.plan import plan_errors

    faults = list(plan_errors(settings.file))
    yield from (DoctorFinding("plans", "error", fault.message, fault.hint) for fault in faults)
    if not faults and (names := list(settings.plans)):
        yield DoctorFinding("plans", "ok", ", ".join(names))


def _registry(settings: Settings) -> DoctorFinding:
    from promptops.registry import RegistryDatabase, count_runs

    if settings.registry_problem:
        return DoctorFinding("registry", "error", f"the registry {settings.registry_problem}")
    if not may_exist(settings.registry):
        return DoctorFinding("registry", "note", f"{settings.registry} is made by the first run")
    try:
        with RegistryDatabase.open(settings.registry) as registry:
            problem, count = registry.find_damage(), count_runs(registry)
            if problem:
                return DoctorFinding("registry", "error", f"{settings.registry} is damaged: {problem}")
            if not registry.writable:
                return DoctorFinding(
                    "registry", "warning", f"{settings.registry} cannot be written here; {count} runs"
                )
            about = _about_server(registry)
    except PromptopsError as error:
        return DoctorFinding("registry", "error", error.message, error.hint)
    return DoctorFinding("registry", "ok", f"{settings.registry}, {count} run{'s'[: count != 1]}{about}")


def _about_server(registry: "RegistryDatabase") -> str:
    """Of a database: what keeps it, how long a question takes, and its size."""
    if registry.engine == "sqlite":
        return ""
    began = time.monotonic()
    version = registry.engine_version()
    took_ms = (time.monotonic() - began) * 1000
    return f"; {version}, {took_ms:.1f} ms a question, {registry.size_bytes() / 1e6:,.1f} MB"


def _spooled_runs(settings: Settings) -> Iterator[DoctorFinding]:
    from promptops.registry import Spool

    spool = Spool(settings.registry)
    if count := len(spool.waiting()):
        yield DoctorFinding(
            "spool",
            "warning",
            f"{count} run{'s wait' if count > 1 else ' waits'} in {spool.folder}",
            "the next run that can write the registry takes them in",
        )
    if count := len(spool.damaged()):
        yield DoctorFinding(
            "spool",
            "warning",
            f"{count} file{'s' if count > 1 else ''} in {spool.folder} could not be taken in",
            "look at each file that ends in .damaged, and delete it when it is of no use",
        )
