"""A promotion that is asked for, and what has become of it."""

from promptops.dataclass import dataclass
from promptops.release.context import Target
from promptops.release.ledger import TransitionResult

NO, UNDECIDED = 1, 3
DIRECT = "direct"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteRequest:
    """What is asked for. ``force`` needs a reason, and what it overrides is recorded."""

    reference: str
    channel: str | None = None
    plan: str | None = None
    force: bool = False
    unreviewed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteResult:
    """``code``: 0 when it serves everybody now or waits for its eval, else why not in ``reasons``."""

    target: Target
    code: int = 0
    written: TransitionResult | None = None
    reasons: tuple[str, ...] = ()
    command: str | None = None  # what makes the results that are missing
