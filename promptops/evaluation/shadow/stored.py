"""Shadow runs read back from the registry: by the same counts as when they were made."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptops.evaluation.result import worse_check_losses
from promptops.evaluation.shadow.aggregator import ShadowAggregator, ShadowRunInfo
from promptops.evaluation.shadow.embedding_similarity import EmbeddingOptions
from promptops.evaluation.shadow.pair import UNANSWERED_ERRORS, ShadowPair, pair_from_runs
from promptops.evaluation.shadow.result import ExclusionCounts, ShadowComparison, SideInfo
from promptops.registry import RegistryDatabase, StoredShadowRun, pair_runs, shadow_run_spent_usd


def stored_comparison(registry: RegistryDatabase, row: StoredShadowRun) -> ShadowComparison:
    """What a shadow run has found so far, or in the end."""
    about = row.about
    semantic = about.get("semantic")
    aggregator = ShadowAggregator(
        about["primary"],
        about["margin"],
        EmbeddingOptions(**semantic) if semantic else None,
        one_look=about.get("one_look", False),  # so, too
    )
    for pair in stored_pairs(registry, row):
        aggregator.add(pair)
    control, candidate = side_infos(about)
    left = {**about["left"], "reasons": tuple(map(tuple, about["left"]["reasons"]))}
    info = ShadowRunInfo(
        shadow_id=row.shadow_id,
        prompt=row.prompt,
        control=control,
        candidate=candidate,
        planned=row.pairs,
        seed=about["seed"],
        left=ExclusionCounts(**left),
        mode=about["mode"],
        started_at=row.started_at,
    )
    return aggregator.result(
        info, stopped=about["stopped"], spent_usd=shadow_run_spent_usd(registry, row.shadow_id)
    )


def stored_pairs(registry: RegistryDatabase, row: StoredShadowRun) -> Iterator[ShadowPair]:
    """The pairs that a shadow run has counted, in their order."""
    counted = row.about.get("counted")  # not of runs of before it was noted
    for number, runs in pair_runs(registry, row.shadow_id):
        if counted is not None and number > counted:
            return
        if pair := pair_from_runs(number, runs):
            yield pair


def stored_summary(registry: RegistryDatabase, row: StoredShadowRun) -> dict[str, Any]:
    """The short of it: as it was kept at the end, else counted now."""
    summary: dict[str, Any] | None = row.about["summary"]
    return summary or summarize_comparison(stored_comparison(registry, row))


def summarize_comparison(comparison: ShadowComparison) -> dict[str, Any]:
    return {
        "control": comparison.control.label,
        "candidate": comparison.candidate.label,
        "mode": comparison.mode,
        "verdict": comparison.verdict,
        "sentence": comparison.sentence,
        "pairs": comparison.pairs,
        "planned": comparison.planned,
        "broke": comparison.broke_total,
        "fixed": comparison.fixed_total,
        "worse_checks": worse_check_losses(comparison.checks, comparison.worse_checks),
        "stopped": comparison.stopped,
        "spent_usd": comparison.spent_usd,
    }


def side_infos(about: Mapping[str, Any]) -> tuple[SideInfo, SideInfo]:
    return SideInfo(**about["control"]), SideInfo(**about["candidate"])


def answered_runs(
    pairs: Iterable[tuple[int, Sequence[Mapping[str, Any]]]],
) -> dict[int, dict[str, Mapping[str, Any]]]:
    """By number and arm, the calls that need not be made again: those that were answered."""
    return {number: {run["arm"]: run for run in runs if _was_answered(run)} for number, runs in pairs}


def _was_answered(run: Mapping[str, Any]) -> bool:
    if run["state"] == "started":
        return False
    return run["error"] is None or run["error"]["type"] not in UNANSWERED_ERRORS
