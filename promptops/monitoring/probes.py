"""Probes: fixed cases that a channel's version answers again and again, so that a changed model shows.

They are asked at temperature 0 where the model takes one, bypass the cache, and are logged as runs of the
kind ``probe``, which no rate, rollout or golden set counts.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, OverBudget, Unavailable
from promptops.prompt import Check, with_overrides
from promptops.providers.catalog import Catalog
from promptops.runner import RunContext
from promptops.runner.batch import BatchEngine, BatchItem, BatchOptions
from promptops.versions.resolve import Version

_TEMPERATURE = "parameters.temperature"


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """Which cases are probes of a channel: those with these ids, else as promptops.yaml says."""

    tag: str | None = None
    cases: int = 10
    repeats: int = 3
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeCase:
    id: str
    inputs: Mapping[str, Any]
    expected: Any = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTally:
    """What has come of the probes of one channel. ``stopped``: why not all were asked."""

    target: str
    answered: int = 0
    failed: int = 0
    spent_usd: float = 0.0
    stopped: OverBudget | Unavailable | None = None


def probe_plan(settings: Settings, target: str, ids: tuple[str, ...]) -> ProbePlan | None:
    """That of NAME:CHANNEL, else that of NAME; None where there is none, and the prompt names no ids."""
    found = settings.probes.get(target, settings.probes.get(target.rpartition(":")[0]))
    return None if found is None and not ids else ProbePlan(**(found or {}), ids=ids)


async def answer_probes(
    settings: Settings,
    target: str,
    version: Version,
    cases: Sequence[ProbeCase],
    options: BatchOptions,
    repeats: int,
) -> ProbeTally:
    """Ask them all. Calls that fail are logged and count; a budget stops before it is passed."""
    if not cases:
        raise Invalid(
            f"{target} has no cases to probe with",
            hint="`probes:` names ids in the prompt, or a tag in promptops.yaml",
        )
    asked, overrides = _at_temperature_0(settings, version)
    items = [
        BatchItem(
            version=asked,
            inputs=case.inputs,
            origin=RunContext(
                kind="probe",
                overrides=overrides,
                case_id=case.id,
                trial=trial,
                expected=case.expected,
                checks=case.checks,
            ),
        )
        for case in cases
        for trial in range(repeats)
    ]
    stopped: OverBudget | Unavailable | None = None
    async with BatchEngine(settings, options) as engine:
        try:
            async with aclosing(engine.runs(items)) as runs:
                async for _ in runs:
                    pass
        except OverBudget as error:
            stopped = error
        tally, aborted = engine.tally, engine.aborted_by
    if stopped is None and tally.failed and (aborted or tally.failed == tally.done):
        stopped = Unavailable(
            f"{tally.failed:,} probes of {target} failed", hint="promptops runs list --kind probe --error any"
        )
    return ProbeTally(
        target=target,
        answered=tally.done - tally.failed,
        failed=tally.failed,
        spent_usd=tally.spent_usd,
        stopped=stopped,
    )


def _at_temperature_0(settings: Settings, version: Version) -> tuple[Version, Mapping[str, Any]]:
    """A model that thinks takes no temperature."""
    prompt = version.prompt
    thinks = Catalog.load(settings).supports(prompt.model, "reasoning")
    if "temperature" not in prompt.parameters and thinks is not False:
        return version, {}
    overrides = {_TEMPERATURE: 0}
    return replace(version, prompt=with_overrides(prompt, settings=overrides)), overrides
