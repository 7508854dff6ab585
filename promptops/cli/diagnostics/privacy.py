"""Personal data that the log holds: kinds and places, never values."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.config.redaction_rules import REDACTION_KINDS, RedactionRule
from promptops.config.settings import Settings
from promptops.errors import Invalid
from promptops.reports.numbers import pluralize

_PLACES = ("inputs", "output", "tool_calls", "attempts", "metadata", "error", "checks", "outcomes")


def personal_data_findings(settings: Settings, runs: int) -> Iterator[DoctorFinding]:
    """What a sample of the log holds that the kinds built in, and those of the project, would find."""
    from promptops.registry import RegistryDatabase, sample_runs

    with RegistryDatabase.open_existing(settings.registry) as registry:
        sampled = sample_runs(registry, runs)
    found: Counter[tuple[str, str, str]] = Counter()
    for run in sampled:
        found.update(_kinds_in(run, settings))
    for (prompt, place, kind), count in sorted(found.items()):
        text = f"{kind} in {place} of {prompt}: {count:,} of {pluralize(len(sampled), 'run')}"
        yield DoctorFinding("privacy", "warning", text)
    if not found:
        yield DoctorFinding("privacy", "ok", f"no kind that is known in {pluralize(len(sampled), 'run')}")


def _kinds_in(run: Mapping[str, Any], settings: Settings) -> set[tuple[str, str, str]]:
    from promptops.privacy.redactor import RedactionError, redactor_of

    rules = (*map(RedactionRule, REDACTION_KINDS), *settings.log.redact)
    kinds: set[tuple[str, str, str]] = set()
    try:
        redactor = redactor_of(rules, settings.root)
        for place in _PLACES:
            found: Counter[str] = Counter()
            redactor.value(run[place], found)
            kinds |= {(run["prompt"], place, kind) for kind in found}
    except RedactionError as error:
        raise Invalid(str(error), hint="correct the rule in promptops.yaml") from None
    return kinds
