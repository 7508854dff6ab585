"""``promptops doctor``: is everything here that a run needs."""

import asyncio
import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from promptops._version import __version__
from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.cli.options.common import JsonOption
from promptops.config.settings import Settings, current_settings
from promptops.console import print_json, print_styled, print_text
from promptops.errors import PromptopsError

_COLOURS = {"ok": "green", "note": "dim", "warning": "yellow", "error": "red"}
ReachOption = Annotated[
    list[str] | None,
    typer.Option("--reach", metavar="MODEL", help="Call this model once (costs a few tokens)."),
]


def doctor(reach: ReachOption = None, as_json: JsonOption = False) -> int:
    """Check git, registry, keys and models. Keys are never shown."""
    findings = list(_findings(reach or []))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            state = (f"{finding.state:<7} ", _COLOURS[finding.state])
            print_styled([state, (f"{finding.about}: {finding.text}", "")])
            if finding.hint:
                print_text(f"        {finding.hint}")
    return 1 if any(finding.state == "error" for finding in findings) else 0


def _findings(reach: list[str]) -> Iterator[DoctorFinding]:
    from promptops.registry import engine_version

    yield DoctorFinding(
        "versions",
        "ok",
        f"promptops {__version__}, Python {platform.python_version()}, {engine_version()}",
    )
    yield _program()
    yield _git()
    try:
        settings = current_settings()
    except PromptopsError as error:
        yield DoctorFinding("project", "error", error.message, error.hint)
        return
    from promptops.cli.diagnostics.release import release_findings

    yield _project(settings)
    yield from _plans(settings)
    yield _registry(settings)
    yield from _spooled_runs(settings)
    yield from release_findings(settings)
    yield _models(settings)
    yield _providers()
    yield _provider_keys()
    yield _embedded_model()
    for model in reach:
        yield asyncio.run(_call_model(settings, model))


def _program() -> DoctorFinding:
    """Whether typing ``promptops`` starts this program, and not another tool of that name."""
    found = shutil.which("promptops")
    if found is None:
        return DoctorFinding(
            "program", "note", "promptops is not on PATH", "git promptops may be, or activate the environment"
        )
    if "promptops.cli" not in Path(found).read_text(encoding="utf-8", errors="replace"):
        return DoctorFinding(
            "program",
            "warning",
            f"{found} is another tool's promptops",
            "call this one as `git promptops` or `python -m promptops`, or put it first on PATH",
        )
    if "promptops" in {dist.name for dist in importlib.metadata.distributions()}:
        return DoctorFinding(
            "program",
            "warning",
            "another distribution called `promptops` is installed here and owns files of the same names",
            "pip uninstall promptops; pip install --force-reinstall git-promptops",
        )
    return DoctorFinding("program", "ok", found)


def _git() -> DoctorFinding:
    found = shutil.which("git")
    if found is None:
        return DoctorFinding("git", "error", "git is not on PATH", "install git 2.31 or newer")
    return DoctorFinding("git", "ok", found)


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
    from promptops.registry import RegistryDatabase, count_runs, find_damage

    if not settings.registry.exists():
        return DoctorFinding("registry", "note", f"{settings.registry} is made by the first run")
    try:
        with RegistryDatabase.open(settings.registry) as registry:
            problem, count = find_damage(registry), count_runs(registry)
            if problem:
                return DoctorFinding("registry", "error", f"{settings.registry} is damaged: {problem}")
            if not registry.writable:
                return DoctorFinding(
                    "registry", "warning", f"{settings.registry} cannot be written here; {count} runs"
                )
    except PromptopsError as error:
        return DoctorFinding("registry", "error", error.message, error.hint)
    return DoctorFinding("registry", "ok", f"{settings.registry}, {count} run{'s'[: count != 1]}")


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


def _models(settings: Settings) -> DoctorFinding:
    from promptops.providers.catalog import Catalog
    from promptops.providers.catalog_index import OLD_AFTER_DAYS

    catalog = Catalog.load(settings)
    told = f"prices, windows and retirement dates of {catalog.source}"
    age = (date.today() - date.fromisoformat(catalog.day)).days  # noqa: DTZ011 - the day where the person is
    if age > OLD_AFTER_DAYS:
        return DoctorFinding("models", "note", f"{told}, {age} days old", "pip install -U git-promptops")
    return DoctorFinding("models", "ok", told)


def _providers() -> DoctorFinding:
    from promptops.providers.litellm_client import INSTALL, installed

    if not installed():
        missing = "litellm is not installed: only OpenAI-compatible and embedded models can be called"
        return DoctorFinding("providers", "note", missing, INSTALL)
    return DoctorFinding("providers", "ok", f"litellm {importlib.metadata.version('litellm')}")


def _provider_keys() -> DoctorFinding:
    present = sorted(name for name, value in os.environ.items() if name.endswith("_API_KEY") and value)
    if not present:
        return DoctorFinding(
            "keys", "note", "no provider's key is set", "export OPENAI_API_KEY=… for openai/ models"
        )
    return DoctorFinding("keys", "ok", ", ".join(present))


def _embedded_model() -> DoctorFinding:
    from promptops.providers.local.server import embedded_status

    about, status = "embedded model", embedded_status(os.environ)
    if status.engine is None:
        return DoctorFinding(about, "note", "not installed", "pip install 'git-promptops[local]'")
    if not status.present:
        return DoctorFinding(
            about, "note", f"xllamacpp {status.engine}; the first run fetches {status.weights}"
        )
    if not status.verified:
        return DoctorFinding(about, "error", f"{status.weights} is not the file it should be", "delete it")
    override = " (PROMPTOPS_LOCAL_GGUF)" if status.overridden else ""
    return DoctorFinding(about, "ok", f"xllamacpp {status.engine}, {status.weights}{override}")


async def _call_model(settings: Settings, model: str) -> DoctorFinding:
    from promptops.providers import create_client
    from promptops.providers.types import CompletionRequest

    messages = ({"role": "user", "content": "Reply with OK."},)
    clock = time.perf_counter()
    try:
        adapter = create_client(model, settings, os.environ)
        try:
            reply = await adapter.complete(CompletionRequest(model=model, messages=messages, timeout=30))
        finally:
            await adapter.aclose()
    except PromptopsError as error:
        return DoctorFinding(model, "error", error.message, error.hint)
    return DoctorFinding(
        model, "ok", f"{reply.response_model} answered in {time.perf_counter() - clock:.2f} s"
    )
