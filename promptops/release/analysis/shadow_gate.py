"""What shadow runs have found of a canary, for the phase that waits for them."""

from promptops.providers.types import RETRYABLE_ERRORS
from promptops.registry import RegistryDatabase, shadow_losses
from promptops.release.analysis.findings import GateFinding
from promptops.release.plan import PlanShadowGate
from promptops.stats.confidence_sequences import mean_bounds
from promptops.stats.eprocess import Hypothesis, e_value, paired_test
from promptops.stats.verdicts import CHECKS_WORDING, Verdict, VerdictDetails, decide_verdict, verdict_sentence

MARGIN = 0.03
ALPHA = 0.05
_SHORT = 12
_UNANSWERED = RETRYABLE_ERRORS | {"authentication", "not_found", "interrupted"}


def shadow_gate(
    registry: RegistryDatabase,
    prompt: str,
    control_digest: str,
    candidate_digest: str,
    gate: PlanShadowGate,
    *,
    margin: float = MARGIN,
    names: tuple[str, str] | None = None,
) -> GateFinding:
    """The verdict on all pairs that these two versions have ever answered: beginning again forgets nothing.

    The finding's ``verdict`` is None below ``min_pairs``, unless the candidate is worse already. ``names``
    are those of control and candidate.
    """
    control, candidate = names or (_short_reference(control_digest), _short_reference(candidate_digest))
    pairs = shadow_losses(registry, prompt, candidate_digest, control_digest)
    losses = [b - a for said, a, told, b in pairs if said not in _UNANSWERED and told not in _UNANSWERED]
    tests = {
        "worse": paired_test(Hypothesis.WORSE, 0.0),
        "not worse": paired_test(Hypothesis.NOT_WORSE, margin),
        "better": paired_test(Hypothesis.NOT_WORSE, 0.0),
    }
    for loss in losses:
        for test in tests.values():
            test.update(loss)
    worse, not_worse, better = (test.rejects(ALPHA) for test in tests.values())
    word = decide_verdict(worse=worse, not_worse=not_worse, better=better)
    enough = len(losses) >= gate.min_pairs or word is Verdict.WORSE
    finding = VerdictDetails(
        verdict=word,
        subject=candidate,
        against=control,
        wording=CHECKS_WORDING,
        bounds=mean_bounds(losses, ALPHA, -1.0, 1.0) if losses else None,
        count=len(losses),
        margin=margin,
        counted="pairs",
    )
    said = (
        verdict_sentence(finding)
        if enough
        else f"{len(losses):,} of {gate.min_pairs:,} shadow pairs are there"
    )
    return GateFinding(
        verdict=word if enough else None,
        sentence=said,
        command=_command(prompt, control_digest, candidate_digest, gate),
        details={
            "pairs": len(losses),
            "unanswered": len(pairs) - len(losses),
            "broke": losses.count(1.0),
            "fixed": losses.count(-1.0),
            "margin": margin,
            "e_values": {name: e_value(test.log_e) for name, test in tests.items()},
        },
    )


def _short_reference(digest: str) -> str:
    return f"sha256:{digest[:_SHORT]}"


def _command(prompt: str, control: str, candidate: str, gate: PlanShadowGate) -> str:
    """What makes the pairs that are missing."""
    budget = f" --max-cost {gate.max_usd:g}" if gate.max_usd is not None else ""
    versions = f"{prompt}@{_short_reference(candidate)} --against {prompt}@{_short_reference(control)}"
    return f"promptops shadow run {versions} --sample {gate.sample} --min-pairs {gate.min_pairs}{budget}"
