"""``promptops monitor check``: has the provider, have the users, has the quality changed?"""

import os
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from promptops.cli.alerting import tell_people
from promptops.cli.case_distances import stale_cases
from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import (
    all_option,
    exit_code_option,
    format_option,
    restart_option,
    semantic_option,
    since_option,
)
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.model_calls import read_call_options
from promptops.cli.reports.monitor import print_checks
from promptops.config.clock import utc_moment, utc_text
from promptops.config.settings import Settings, current_settings
from promptops.console import note
from promptops.errors import ExitCode, Invalid, PromptopsError
from promptops.monitoring.check import LookRequest, TargetCheck, check_target
from promptops.monitoring.semantic_look import SemanticLook
from promptops.monitoring.targets import (
    Releases,
    Target,
    ask_for_retirements,
    find_released,
    find_served,
    find_targets,
    released_states,
    retirement_alarm,
    slices_of,
)
from promptops.registry import RegistryDatabase, open_with_waiting_runs, parse_time
from promptops.reports.numbers import pluralize
from promptops.runner.batch import BatchOptions

_LAST = "last"


class CheckFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"


TargetsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME[:CHANNEL]]...", help="Prompts or channels; or --all.", show_default=False),
]
AllOption = Annotated[bool, all_option("Every channel that serves a version or was called.")]
SinceOption = Annotated[
    str,
    since_option(
        "Also show alarms that are over: since the last check, or 7d, 2w or a date.", metavar="last|WHEN"
    ),
]
FormatOption = Annotated[CheckFormat, format_option("text, json, markdown, github.", metavar="FORMAT")]
ExitCodeOption = Annotated[bool, exit_code_option("Exit 1 on an alarm, 3 where too little is known.")]
AcknowledgeOption = Annotated[
    bool, typer.Option("--acknowledge", help="Accept what alarms now as normal, and learn it again.")
]
ProbesOption = Annotated[
    bool, typer.Option("--probes", help="First run the cases that `probes:` of promptops.yaml names.")
]
OnlineOption = Annotated[
    bool, typer.Option("--online", help="Also ask providers when they end models, once a day.")
]
SemanticOption = Annotated[
    str | None,
    semantic_option("Also ask this model for vectors of inputs: do they mean something else?"),
]
RestartOption = Annotated[bool, restart_option()]


@with_option_groups(without=("no_cache", "refresh", "on"), calls=read_call_options)
def monitor_check(
    names: TargetsArgument = None,
    every: AllOption = False,
    since: SinceOption = _LAST,
    form: FormatOption = CheckFormat.TEXT,
    exit_code: ExitCodeOption = False,
    acknowledge: AcknowledgeOption = False,
    restart: RestartOption = False,
    probes: ProbesOption = False,
    online: OnlineOption = False,
    semantic: SemanticOption = None,
    as_json: JsonOption = False,
    *,
    calls: BatchOptions,
) -> int:
    """Check what channels answered since the last check, and report what has drifted.

    Check as often as you like: at most one prompt in twenty has a false alarm in a year. The first
    three weeks after a release are the reference. Calls of a canary do not count.
    """
    if every == bool(names):
        raise Invalid("which channels?", hint="promptops monitor check NAME:CHANNEL, or --all")
    settings = current_settings()
    reader = _semantic_look(settings, semantic, calls)
    request = LookRequest(
        now=utc_moment(),
        semantic=reader,
        since=None if since == _LAST else parse_time(since),
        acknowledge=acknowledge,
        restart=restart,
    )
    releases = released_states(settings)
    stopped: PromptopsError | None = None
    if probes:
        stopped = _ask_probes(settings, releases, names or [], calls)
    checks: list[TargetCheck] = []
    with open_with_waiting_runs(settings) as registry:
        request = replace(request, now=utc_moment())  # as the registry's server has it
        targets = find_targets(registry, settings, releases, names or [])
        if online:
            stopped = _ask_providers(registry, targets, request.now) or stopped
        for target in targets:
            served = find_served(registry, releases, target)
            found = check_target(
                registry, *target, served, replace(request, slices=slices_of(settings, target))
            )
            retiring = retirement_alarm(registry, settings, target, utc_text(request.now)[:10])
            found = found.with_alarm(retiring) if retiring else found
            checks.append(found.with_notes(stale_cases(registry, settings, *target)))
    if reader is not None:
        stopped = _tell_of_vectors(reader) or stopped
    print_checks(checks, "json" if as_json else form.value)
    tell_people(settings)
    if stopped is not None:
        return stopped.exit_code
    return _exit_code(checks) if exit_code else ExitCode.OK


def _semantic_look(settings: Settings, model: str | None, calls: BatchOptions) -> SemanticLook | None:
    if model is None:
        return None
    from promptops.monitoring.paid_vectors import PaidVectors

    return SemanticLook(model, PaidVectors(settings, model, calls))


def _tell_of_vectors(reader: SemanticLook) -> PromptopsError | None:
    """Why not all were had."""
    asked = reader.vectors
    note(f"{reader.model}: vectors of {pluralize(asked.texts, 'input')}, ${asked.spent:.4f}")
    if reader.stopped is not None:
        note(f"promptops: {reader.stopped.message}\n  {reader.stopped.hint}")
    return reader.stopped


def _ask_providers(
    registry: RegistryDatabase, targets: Sequence[Target], now: float
) -> PromptopsError | None:
    """Why not all were asked."""
    failed = ask_for_retirements(registry, targets, os.environ, now)
    for provider, error in failed.items():
        note(f"{provider} was not asked for end dates of models: {error.message}")
    return next(iter(failed.values()), None)


def _ask_probes(
    settings: Settings, releases: Releases, names: Sequence[str], calls: BatchOptions
) -> PromptopsError | None:
    """Why not all were asked."""
    from promptops.cli.probe_answers import answer_all_probes, worst_stop

    with open_with_waiting_runs(settings) as registry:
        targets = find_targets(registry, settings, releases, names)
    released = [
        f"{prompt}:{channel}" for prompt, channel in targets if find_released(releases, prompt, channel)
    ]
    return worst_stop(answer_all_probes(settings, released, replace(calls, concurrency=4, cache="off")))


def _exit_code(checks: list[TargetCheck]) -> int:
    states = {check.state for check in checks}
    if "alarm" in states:
        return ExitCode.NO
    return ExitCode.OK if states == {"quiet"} else ExitCode.UNDECIDED
