"""The state branch: transitions as commits, here and at the remote."""

from promptops.release.ledger.ledger import Ledger
from promptops.release.ledger.result import TransitionResult

__all__ = ["Ledger", "TransitionResult"]
