"""Logged inputs held against the golden set, for `cases stats` and the verbs of monitoring."""

from typing import Any

from promptops.config.registry_location import may_exist
from promptops.config.settings import Settings
from promptops.errors import NotFound
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.monitoring.case_distance import CaseDistances, measure_distances
from promptops.registry import RegistryDatabase, parse_time
from promptops.reports.numbers import format_percent
from promptops.versions.resolve import Version, resolve_version

_SINCE = "30d"


def measure_logged_inputs(version: Version, settings: Settings) -> CaseDistances | None:
    """None where nothing is logged."""
    if not may_exist(settings.registry):
        return None
    with RegistryDatabase.open_existing(settings.registry) as registry:
        return _measure(registry, version, settings, None)


def _measure(
    registry: RegistryDatabase, version: Version, settings: Settings, channel: str | None
) -> CaseDistances:
    with open_golden_set(version, settings) as cases:
        return measure_distances(registry, version.prompt.name, channel, parse_time(_SINCE), cases)


def stale_cases(registry: RegistryDatabase, settings: Settings, prompt: str, channel: str) -> list[str]:
    """A sentence where the golden set of the working tree lacks what a channel's users send."""
    if settings.top is None:
        return []
    try:
        version = resolve_version(prompt, settings)
    except NotFound:  # it is released, and gone from the working tree
        return []
    if version.prompt.cases is None:
        return []
    found = _measure(registry, version, settings, channel)
    return [stale_sentence(prompt, found)] if found.is_stale else []


def stale_sentence(prompt: str, found: CaseDistances) -> str:
    share = format_percent(found.far / len(found.inputs))
    return (
        f"the golden set is stale: {share} of {len(found.inputs):,} logged inputs are farther from every "
        f"case than cases are from each other; promptops monitor inputs {prompt} lists them"
    )


def distances_as_json(found: CaseDistances | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "inputs": len(found.inputs),
        "far": found.far,
        "usual_distance": found.usual,
        "stale": found.is_stale,
    }
