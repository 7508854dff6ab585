"""What shadow runs have found of a canary, for the phase that waits for them."""

from promptops.providers.types import RETRYABLE_ERRORS
from promptops.registry import RegistryDatabase, shadow_losses
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
    passes_nothing = all(before >= 1.0 for before, _ in answered) and verdict is not Verdict.BETTER
    enough = len(losses) >= gate.min_pairs or verdict is Verdict.WORSE
    sentence = (
        verdict_sentence(test.details(control, candidate, CHECKS_WORDING))
        if enough
        else f"{len(losses):,} of {gate.min_pairs:,} shadow pairs are there"
    )
    if enough and passes_nothing:
        verdict, sentence = (
            Verdict.UNDECIDED,
            f"{control} passes none of {len(losses):,} inputs: do the checks fit?",
        )
    return GateFinding(
        verdict=verdict if enough else None,
        sentence=sentence,
        command=_command(prompt, control_digest, candidate_digest, gate),
        details={
            "pairs": len(losses),
            "unanswered": len(pairs) - len(losses),
            "broke": losses.count(1.0),
            "fixed": losses.count(-1.0),
            "margin": margin,
            "e_values": test.e_values,
        },
    )


def _short_reference(digest: str) -> str:
    return f"sha256:{digest[:_SHORT]}"


def _command(prompt: str, control: str, candidate: str, gate: PlanShadowGate) -> str:
    """What makes the pairs that are missing."""
    budget = f" --max-cost {gate.max_usd:g}" if gate.max_usd is not None else ""
    versions = f"{prompt}@{_short_reference(candidate)} --against {prompt}@{_short_reference(control)}"
    margin = f" -o margin={gate.margin:g}" if gate.margin is not None else ""
    return f"promptops shadow run {versions} --sample {gate.sample} --until {gate.min_pairs}{margin}{budget}"
