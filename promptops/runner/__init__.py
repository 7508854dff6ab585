"""One version, one set of inputs, one logged run."""

from promptops.runner.results import is_shadow_sampled
from promptops.runner.run import PreparedRun, ReportedResult, Run, RunContext
from promptops.runner.runner import JournalProtocol, Runner

__all__ = [
    "JournalProtocol",
    "PreparedRun",
    "ReportedResult",
    "Run",
    "RunContext",
    "Runner",
    "is_shadow_sampled",
]
