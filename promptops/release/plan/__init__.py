"""Release plans: what ``plans`` in promptops.yaml says, checked and with its defaults."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from promptops.config.settings import SettingsFile
from promptops.config.yaml import Document, parse_yaml
from promptops.errors import Invalid, NotFound
from promptops.prompt.canonical_json import canonical_json, sha256_hex
from promptops.prompt.types import Prompt
from promptops.release.plan.defaults import BUILT_IN, CHANNEL_PLANS, base_plan
from promptops.release.plan.loader import read_plan, with_digest
from promptops.release.plan.types import (
    Alpha,
    MetricKind,
    MetricRole,
    MissingPolicy,
    ObserveSettings,
    PlanEvalGate,
    PlanMetric,
    PlanShadowGate,
    PlanStep,
    ReleasePlan,
)
from promptops.release.plan.values import MetricSource, parse_source, plan_document
from promptops.versions.references import suggest_nearest
from promptops.versions.release_state import plan_path

__all__ = [
    "BUILT_IN",
    "Alpha",
    "MetricKind",
    "MetricRole",
    "MetricSource",
    "MissingPolicy",
    "ObserveSettings",
    "PlanEvalGate",
    "PlanMetric",
    "PlanShadowGate",
    "PlanStep",
    "ReleasePlan",
    "decode_plan",
    "dump_plan",
    "fit_plan",
    "load_pinned_plan",
    "matches_pattern",
    "named_plan",
    "parse_source",
    "plan_errors",
    "plan_for",
]


def decode_plan(name: str, content: Mapping[str, Any], document: Document | None = None) -> ReleasePlan:
    """A plan as written, with what it leaves out from the built-in one of its name, else from ``default``.

    ``document``: the settings file that it stands in, for the places in messages. Raises InvalidAt.
    """
    written = plan_document(name, content, document)
    base = base_plan(name)
    whole = {key: _merge(base[key], content[key]) if key in content else base[key] for key in base}
    plan = read_plan(replace(written, content=whole))
    return with_digest(replace(plan, metrics_given="metrics" in content))


def plan_for(file: SettingsFile, prompt: str, channel: str, chosen: str | None = None) -> ReleasePlan:
    """The plan that a prompt is released to a channel by.

    ``chosen`` (``--plan``), else the first of ``releases`` that matches, else the channel's, else default.
    """
    listed = next(
        (str(one["plan"]) for one in file.releases if matches_pattern(one["prompts"], prompt)), None
    )
    own = file.channels.get(channel, {}).get("plan")
    return named_plan(file, chosen or listed or own or CHANNEL_PLANS.get(channel, "default"))


def named_plan(file: SettingsFile, name: str) -> ReleasePlan:
    if name in file.plans:
        return decode_plan(name, file.plans[name], file.document)
    if name not in BUILT_IN:
        known = [*file.plans, *(each for each in BUILT_IN if each not in file.plans)]
        raise NotFound(f"no plan `{name}` in promptops.yaml", hint=suggest_nearest(name, known, ""))
    return decode_plan(name, {})


def plan_errors(file: SettingsFile) -> Iterator[Invalid]:
    """What is wrong with the plans of a settings file, also those that nothing asks for yet."""
    listed = [str(one["plan"]) for one in file.releases]
    asked = [str(one["plan"]) for one in file.channels.values() if "plan" in one]
    for name in dict.fromkeys([*file.plans, *listed, *asked]):
        try:
            named_plan(file, name)
        except Invalid as error:
            yield error


def matches_pattern(pattern: str, prompt: str) -> bool:
    """Whether a prompt's name fits: ``*`` within a folder, ``**`` over folders, ``?`` a letter."""
    reached = {0}  # how much of the name each start of the pattern can stand for
    for part in re.findall(r"\*\*|.", pattern, re.DOTALL):
        reached = _reach(part, prompt, reached)
        if not reached:
            break
    return len(prompt) in reached


def _reach(part: str, prompt: str, reached: set[int]) -> set[int]:
    if part == "**":
        return set(range(min(reached), len(prompt) + 1))
    if part == "*":
        further = set(reached)
        for at, letter in enumerate(prompt):
            if at in further and letter != "/":
                further.add(at + 1)
        return further
    rest = ((at, prompt[at : at + 1]) for at in reached)
    return {at + 1 for at, letter in rest if letter and (letter == part or (part == "?" and letter != "/"))}


def fit_plan(plan: ReleasePlan, prompt: Prompt) -> ReleasePlan:
    """The plan without the built-in metrics that a prompt has no source for.

    Raises Invalid where a written metric's source is lacking, or a goal would be left out.
    """
    lacking = {
        each.name: why for each in plan.metrics if (why := _missing_source(parse_source(each.source), prompt))
    }
    for name in (each for each in lacking if plan.metrics_given or each in plan.goals):
        raise Invalid(
            f"plan {plan.name}: the metric {name} has no source: {lacking[name]}",
            hint=f"take it out of plans.{plan.name}, or choose another plan with --plan",
        )
    return with_digest(
        replace(plan, metrics=tuple(each for each in plan.metrics if each.name not in lacking))
    )


def _missing_source(source: MetricSource, prompt: Prompt) -> str:
    names = [check.name for check in prompt.checks]
    if not names and (source.place == "checks" or (source.place, source.name) == ("run", "checks_failed")):
        return f"{prompt.name} has no checks"
    if source.place == "check" and source.name not in names:
        return (
            f"{prompt.name} has no check {source.name} ({suggest_nearest(source.name, names, 'it has none')})"
        )
    return ""


def dump_plan(plan: ReleasePlan) -> str:
    """YAML of the plan with all defaults, as it is kept on the state branch."""
    import yaml

    return str(yaml.safe_dump(dict(plan.content), sort_keys=True, allow_unicode=True, width=100))


def load_pinned_plan(text: bytes | str, digest: str) -> ReleasePlan:
    """A plan as ``dump_plan`` wrote it. Raises Invalid where it is not the one that was pinned."""
    path = plan_path(digest)
    content = parse_yaml(text if isinstance(text, bytes) else text.encode(), path).data
    if not isinstance(content, dict) or sha256_hex(canonical_json(content)) != digest:
        raise Invalid(
            f"{path} is not the plan that was pinned when the rollout began",
            hint="git log promptops-state -- plans says who changed it; promptops release recover repairs it",
        )
    return decode_plan(str(content.pop("name", "pinned")), content)


def _merge(base: Any, given: Any) -> Any:
    return {**base, **given} if isinstance(base, dict) and isinstance(given, dict) else given
