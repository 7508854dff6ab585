"""Whether a shadow run says yes. Pure."""

from dataclasses import dataclass

from promptops.evaluation.shadow.result import ShadowComparison

YES, NO, UNDECIDED = 0, 1, 3


@dataclass(frozen=True, slots=True)
class ShadowDecision:
    code: int
    reason: str = ""


def decide_shadow(found: ShadowComparison) -> ShadowDecision:
    """No where it is worse, or goes unanswered more often; yes where it is shown not to be worse."""
    first = found.questions[0]
    unanswered = next((each for each in found.questions if each.name == "unanswered"), None)
    if first.verdict == "worse" and not first.not_worse:
        return ShadowDecision(NO, first.sentence)
    if unanswered and unanswered.verdict == "worse" and not unanswered.not_worse:
        return ShadowDecision(NO, unanswered.sentence)
    if first.not_worse:
        return ShadowDecision(YES)
    return ShadowDecision(UNDECIDED, f"undecided: {first.sentence}")
