"""One version, one set of inputs, one logged run."""

from promptops.runner.results import in_shadow
from promptops.runner.run import Origin, Prepared, Reported, Run
from promptops.runner.runner import Journal, Runner

__all__ = ["Journal", "Origin", "Prepared", "Reported", "Run", "Runner", "in_shadow"]
