"""What shadow runs have found of a canary, for the phase that waits for them."""

from collections.abc import Mapping
from typing import Any

from promptops.providers.types import RETRYABLE_ERRORS
from promptops.registry import RegistryDatabase, list_shadow_runs_comparing, shadow_losses
from promptops.release.analysis.eval_gate import judge_yardstick, worse_checks
from promptops.release.analysis.findings import GateFinding
from promptops.release.plan import PlanShadowGate
from promptops.stats.sequential_pairs import SequentialPairedTest
from promptops.stats.verdicts import CHECKS_WORDING, Verdict, verdict_sentence

_SHORT = 12
_UNANSWERED = RETRYABLE_ERRORS | {"authentication", "not_found", "interrupted"}


def shadow_gate(
    registry: RegistryDatabase,
    prompt: str,
    control_digest: str,
    candidate_digest: str,
    gate: PlanShadowGate,
    *,
    names: tuple[str, str] | None = None,
) -> GateFinding:
    """The verdict on all pairs that these two versions have ever answered: beginning again forgets nothing.

    The finding's ``verdict`` is None below ``min_pairs``, unless the candidate is worse already. ``names``
    are those of control and candidate.
    """
    margin = gate.effective_margin
    control, candidate = names or (_short_reference(control_digest), _short_reference(candidate_digest))
    pairs = shadow_losses(registry, prompt, candidate_digest, control_digest)
    answered = [
        (before, after)
        for control_error, before, candidate_error, after in pairs
        if control_error not in _UNANSWERED and candidate_error not in _UNANSWERED
    ]
    losses = [after - before for before, after in answered]
    test = SequentialPairedTest(margin)
    for loss in losses:
        test.add(loss)
    verdict = test.verdict
    enough = len(losses) >= gate.min_pairs or verdict is Verdict.WORSE
    command = _command(prompt, control_digest, candidate_digest, gate)
    sentence = (
        verdict_sentence(test.details(control, candidate, CHECKS_WORDING))
        if enough
        else f"{len(losses):,} of {gate.min_pairs:,} shadow pairs are there"
    )
    finding = GateFinding(
        verdict=verdict if enough else None,
        sentence=sentence,
        command=command,
        details={
            "pairs": len(losses),
            "unanswered": len(pairs) - len(losses),
            "broke": losses.count(1.0),
            "fixed": losses.count(-1.0),
            "margin": margin,
            "e_values": test.e_values,
        },
    )
    passed = gate.require == "undecided_ok" and any(after < 1.0 for _, after in answered)
    nothing = all(before >= 1.0 for before, _ in answered) and not passed
    return judge_yardstick(
        finding,
        f"{control} passes none of {len(losses):,} inputs" if nothing else "",
        worse_checks(_latest_summary(registry, prompt, candidate_digest, control_digest), candidate, margin),
        command,
    )


def _latest_summary(
    registry: RegistryDatabase, prompt: str, candidate: str, control: str
) -> Mapping[str, Any]:
    """What the latest shadow run that has come to an end found in short."""
    runs = list_shadow_runs_comparing(registry, prompt, candidate, control)
    return next((run.about["summary"] for run in runs if run.about.get("summary")), {})


def _short_reference(digest: str) -> str:
    return f"sha256:{digest[:_SHORT]}"


def _command(prompt: str, control: str, candidate: str, gate: PlanShadowGate) -> str:
    """What makes the pairs that are missing."""
    budget = f" --max-cost {gate.max_usd:g}" if gate.max_usd is not None else ""
    versions = f"{prompt}@{_short_reference(candidate)} --against {prompt}@{_short_reference(control)}"
    margin = f" -o margin={gate.margin:g}" if gate.margin is not None else ""
    return f"promptops shadow run {versions} --sample {gate.sample} --until {gate.min_pairs}{margin}{budget}"
