"""A plan's content, whole and of the right shape, to values; and back to the content that is pinned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.errors import Invalid
from promptops.prompt.canonical_json import canonical_json, sha256_hex
from promptops.release.plan.defaults import base_plan
from promptops.release.plan.types import (
    DEFAULT_TAIL_MARGIN,
    Alpha,
    ObserveSettings,
    PlanApproval,
    PlanEvalGate,
    PlanMetric,
    PlanShadowGate,
    PlanStep,
    ReleasePlan,
)
from promptops.release.plan.values import MetricSource, PlanDocument, parse_source

_STEP_FORMS = "a step is {weight: …}, {approval: manual} or {reviewed: N}"


def read_plan(text: PlanDocument) -> ReleasePlan:
    """The plan, without digest. Raises InvalidAt for what the schema cannot say."""
    data = text.content
    observe = _observe(text, data["observe"])
    plan = ReleasePlan(
        name=text.name,
        eval=None if data["eval"] is None else _eval(data["eval"]),
        shadow=None if data["shadow"] is None else PlanShadowGate(**data["shadow"]),
        unit=data["unit"],
        steps=_steps(text, data["steps"]),
        approval=None if data["approval"] is None else _approval(data["approval"]),
        require=data["promote"].get("require", "all_guards"),
        min_calls=data["promote"].get("min_calls", 0),
        goals=tuple(data["promote"].get("goals", ())),
        quality=data["quality"],
        slices=None if data["slices"] is None else tuple(data["slices"]),
        on_inconclusive=data["on_inconclusive"],
        deadline=None if data["deadline"] is None else text.seconds(data["deadline"], ("deadline",)),
        alpha=Alpha(**data["alpha"]),
        observe=observe,
        metrics=_metrics(text, data["metrics"], observe),
    )
    _check_plan(text, plan)
    return plan


def _eval(data: Mapping[str, Any]) -> PlanEvalGate:
    return PlanEvalGate(**{key: value for key, value in data.items() if key != "against"})


def _approval(data: Mapping[str, Any]) -> PlanApproval:
    return PlanApproval(
        approvers=tuple(data.get("approvers", ())), own_change=data.get("own_change", "allow")
    )


def _observe(text: PlanDocument, data: Mapping[str, Any]) -> ObserveSettings:
    return ObserveSettings(**{key: text.seconds(value, ("observe", key)) for key, value in data.items()})


def _steps(text: PlanDocument, entries: list[Mapping[str, Any]]) -> tuple[PlanStep, ...]:
    steps: list[PlanStep] = []
    for index, entry in enumerate(entries):
        step = _step(text, entry, ("steps", index))
        before = next((one.weight_bp for one in reversed(steps) if one.weight_bp), 0)
        if step.weight_bp is not None and step.weight_bp < before:
            text.refuse(("steps", index, "weight"), "is below the step before: a canary only grows")
        if step.reviewed and not before:
            text.refuse(("steps", index), "wants outputs reviewed before there are any", "put a weight first")
        steps.append(step)
    if steps and not any(step.weight_bp for step in steps):
        text.refuse(("steps",), "never gives the canary a weight")
    return tuple(steps)


def _step(text: PlanDocument, entry: Mapping[str, Any], path: YamlPath) -> PlanStep:
    kinds = [key for key in ("weight", "approval", "reviewed") if key in entry]
    if len(kinds) != 1:
        text.refuse(path, f"says {' and '.join(kinds) or 'neither'}", _STEP_FORMS)
    if kinds != ["weight"] and len(entry) > 1:
        text.refuse(path, f"{kinds[0]} stands alone", "give the conditions to the step before")
    if "weight" not in entry:
        return PlanStep(approval="approval" in entry, reviewed=entry.get("reviewed"))
    return PlanStep(
        weight_bp=text.basis_points(entry["weight"], (*path, "weight")),
        min_canary=entry.get("min_canary", 0),
        min_duration=text.seconds(entry.get("min_duration", 0), (*path, "min_duration"), positive=False),
    )


def _metrics(
    text: PlanDocument, entries: list[Mapping[str, Any]], observe: ObserveSettings
) -> tuple[PlanMetric, ...]:
    metrics: dict[str, PlanMetric] = {}
    for index, entry in enumerate(entries):
        metric = _metric(text, entry, ("metrics", index), observe)
        if metric.name in metrics:
            text.refuse(("metrics", index, "name"), f"stands there twice: {metric.name}")
        metrics[metric.name] = metric
    return tuple(metrics.values())


def _metric(
    text: PlanDocument, entry: Mapping[str, Any], path: YamlPath, observe: ObserveSettings
) -> PlanMetric:
    try:
        source = parse_source(entry["source"])
    except Invalid as error:
        text.refuse((*path, "source"), f"of {entry['name']}: {error.message}", error.hint)
    _check_kind(text, entry, path, source)
    window = entry.get("window", observe.feedback_window if source.is_delayed else None)
    return PlanMetric(
        name=entry["name"],
        kind=entry["kind"],
        source=entry["source"].strip(),
        worse=entry["worse"],
        role=entry.get("role", "guard"),
        margin=_margin(text, entry, path),
        window=None if window is None else text.seconds(window, (*path, "window")),
        missing=entry.get("missing", "good" if source == MetricSource("outcome", "thumbs") else "exclude"),
        sample=entry.get("sample"),
        scale=_scale(text, entry, path),
        tail=_tail_margin(text, entry, path),
        tag=entry.get("tag"),
    )


def _check_kind(text: PlanDocument, entry: Mapping[str, Any], path: YamlPath, source: MetricSource) -> None:
    kind, name = entry["kind"], entry["name"]
    if source.is_binary and kind != "binary":
        problem = f"of {name} is {kind}, and {entry['source']} is yes or no"
        text.refuse((*path, "kind"), problem, "kind: binary")
    if source.is_binary is False and kind == "binary":
        text.refuse((*path, "kind"), f"of {name} is binary, and {entry['source']} is a number", _BINARY_HINT)
    if source.worse and entry["worse"] != source.worse:
        problem = f"of {name} is {entry['worse']}: of {entry['source']}, {source.worse} is worse"
        text.refuse((*path, "worse"), problem)
    if kind == "ratio" and entry["worse"] == "lower":
        text.refuse((*path, "worse"), f"of {name}: a ratio is of amounts where more is worse", _BINARY_HINT)
    for key, place in (("window", ("outcome", "judge")), ("sample", ("judge",))):
        if key in entry and source.place not in place:
            text.refuse((*path, key), f"of {name}: only {' and '.join(place)} metrics have one")


_BINARY_HINT = "compare it with a number (`run.latency_ms > 8000`) for kind: binary; amounts are kind: ratio"


def _margin(text: PlanDocument, entry: Mapping[str, Any], path: YamlPath) -> float:
    margin, where = float(entry["margin"]), (*path, "margin")
    if entry["kind"] == "ratio" and not 1.0 <= margin <= 64.0:  # as far as bounds are looked for
        text.refuse(where, f"of {entry['name']} is {margin:g}: a ratio from 1 to 64 (1.2 is 20 % more)")
    if entry["kind"] != "ratio" and not 0.0 <= margin <= 0.9:  # the engine needs room above
        text.refuse(where, f"of {entry['name']} is {margin:g}: a difference from 0 to 0.9 (0.03 is 3 points)")
    return margin


def _tail_margin(text: PlanDocument, entry: Mapping[str, Any], path: YamlPath) -> float | None:
    if entry["kind"] == "ratio":
        return None if entry.get("tail", 0.0) is None else float(entry.get("tail", DEFAULT_TAIL_MARGIN))
    if "tail" in entry:
        text.refuse((*path, "tail"), f"of {entry['name']}: only a ratio has one")
    return None


def _scale(text: PlanDocument, entry: Mapping[str, Any], path: YamlPath) -> tuple[float, float] | None:
    if (entry["kind"] == "score") != ("range" in entry):
        text.refuse(path, f"{entry['name']}: a score has a range, and nothing else has", "range: [1, 5]")
    if "range" not in entry:
        return None
    low, high = map(float, entry["range"])
    if low >= high:
        text.refuse((*path, "range"), f"of {entry['name']}: {low:g} is not below {high:g}")
    return low, high


def _check_plan(text: PlanDocument, plan: ReleasePlan) -> None:
    names = [each.name for each in plan.metrics]
    for index, goal in enumerate(plan.goals):
        if goal not in names:
            text.refuse(
                ("promote", "goals", index), f"is not a metric: {goal}", f"there are: {', '.join(names)}"
            )
    if plan.steps and not any(each.role in ("guard", "hard") for each in plan.metrics):
        text.refuse(("metrics",), "has no guard, so nothing could ever be promoted")
    if plan.require == "shadow_and_no_harm":
        _check_shadow_proof(text, plan)


def _check_shadow_proof(text: PlanDocument, plan: ReleasePlan) -> None:
    where = ("promote", "require")
    if plan.shadow is None or plan.shadow.require != "not_worse":
        text.refuse(
            where,
            "is shadow_and_no_harm, and no shadow phase has to show not worse",
            "shadow: {require: not_worse, sample: 600, margin: 0.04}",
        )
    if not plan.min_calls:
        text.refuse(
            where, "is shadow_and_no_harm: few calls find no harm", "promote: {min_calls: 800} says how many"
        )
    if not plan.steps:
        text.refuse(where, "is shadow_and_no_harm, and the plan has no steps in which harm could show")


def encode_plan(plan: ReleasePlan) -> dict[str, Any]:
    """The content that ``read_plan`` makes this plan of, with nothing left out; durations in seconds.

    ``approval``, ``quality``, ``slices``, ``min_calls`` and ``tail`` stand there only where they say
    something, so that plans of before keep their digests.
    """
    rule = plan.approval
    approval = rule and {"approvers": list(rule.approvers), "own_change": rule.own_change}
    return {
        "name": plan.name,
        "eval": plan.eval and {**_fields(plan.eval), "against": "stable"},
        "shadow": plan.shadow and _fields(plan.shadow),
        "unit": plan.unit,
        "steps": [_step_content(step) for step in plan.steps],
        "promote": {"require": plan.require, "goals": list(plan.goals)}
        | ({"min_calls": plan.min_calls} if plan.min_calls else {}),
        "on_inconclusive": plan.on_inconclusive,
        "deadline": None if plan.deadline is None else _number(plan.deadline),
        "alpha": _fields(plan.alpha),
        "observe": _fields(plan.observe),
        "metrics": [_metric_content(each) for each in plan.metrics],
        **({"approval": _without_empty(approval)} if approval else {}),
        **({"slices": list(plan.slices)} if plan.slices is not None else {}),
        **({"quality": plan.quality} if plan.quality != base_plan(plan.name)["quality"] else {}),
    }


def _without_empty(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value}


def _fields(value: Any) -> dict[str, Any]:
    found = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {name: _number(item) for name, item in found.items() if item is not None}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _step_content(step: PlanStep) -> dict[str, Any]:
    if step.weight_bp is None:
        return {"approval": "manual"} if step.approval else {"reviewed": step.reviewed}
    return {
        "weight": _number(step.weight_bp / 100),
        "min_canary": step.min_canary,
        "min_duration": _number(step.min_duration),
    }


def _metric_content(metric: PlanMetric) -> dict[str, Any]:
    content = _fields(metric)
    scale, tail = content.pop("scale", None), content.pop("tail", None)
    unusual = metric.kind == "ratio" and tail != DEFAULT_TAIL_MARGIN
    return (
        content
        | ({"range": list(map(_number, scale))} if scale else {})
        | ({"tail": tail} if unusual else {})
    )


def with_digest(plan: ReleasePlan) -> ReleasePlan:
    """The plan with the content that is pinned, and the digest of that."""
    content = encode_plan(plan)
    return replace(plan, content=content, digest=sha256_hex(canonical_json(content)))
