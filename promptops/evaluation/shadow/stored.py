"""Shadow runs read back from the registry: by the same counts as when they were made."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptops.evaluation.shadow.embedding_similarity import Semantic
from promptops.evaluation.shadow.pair import UNANSWERED, pair_of
from promptops.evaluation.shadow.result import Comparison, Left, Party
from promptops.evaluation.shadow.running_comparison import Comparing, Frame
from promptops.registry.shadow.runs import ShadowRow, pair_runs, spent_on
from promptops.registry.store import Registry


def comparison_of(registry: Registry, row: ShadowRow) -> Comparison:
    """What a shadow run has found so far, or in the end."""
    about = row.about
    semantic = about.get("semantic")
    comparing = Comparing(about["primary"], about["margin"], Semantic(**semantic) if semantic else None)
    for number, runs in pair_runs(registry, row.shadow_id):
        if pair := pair_of(number, runs):
            comparing.add(pair)
    control, candidate = parties(about)
    left = {**about["left"], "reasons": tuple(map(tuple, about["left"]["reasons"]))}
    frame = Frame(
        shadow_id=row.shadow_id,
        prompt=row.prompt,
        control=control,
        candidate=candidate,
        planned=row.pairs,
        seed=about["seed"],
        left=Left(**left),
        mode=about["mode"],
        started_at=row.started_at,
    )
    return comparing.result(frame, stopped=about["stopped"], spent_usd=spent_on(registry, row.shadow_id))


def summary_of(registry: Registry, row: ShadowRow) -> dict[str, Any]:
    """The short of it: as it was kept at the end, else counted now."""
    kept: dict[str, Any] | None = row.about["summary"]
    return kept or summary(comparison_of(registry, row))


def summary(found: Comparison) -> dict[str, Any]:
    return {
        "control": found.control.label,
        "candidate": found.candidate.label,
        "mode": found.mode,
        "verdict": found.verdict,
        "sentence": found.sentence,
        "pairs": found.pairs,
        "planned": found.planned,
        "broke": found.broke_total,
        "fixed": found.fixed_total,
        "stopped": found.stopped,
        "spent_usd": found.spent_usd,
    }


def parties(about: Mapping[str, Any]) -> tuple[Party, Party]:
    return Party(**about["control"]), Party(**about["candidate"])


def known_runs(
    pairs: Iterable[tuple[int, Sequence[Mapping[str, Any]]]],
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """By number and arm, the calls that need not be made again: those that were answered."""
    return {number: {run["arm"]: run for run in runs if _answered(run)} for number, runs in pairs}


def _answered(run: Mapping[str, Any]) -> bool:
    return run["error"] is None or run["error"]["type"] not in UNANSWERED
