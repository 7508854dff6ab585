"""Many runs at once: bounded, budgeted, resumable."""

from promptops.runner.batch.engine import CacheUse, Engine, Item, Options, Tally
from promptops.runner.batch.estimate import Estimate, refuse_above
from promptops.runner.batch.interrupt import interruptible
from promptops.runner.batch.job import Job, Report, run_job

__all__ = [
    "CacheUse",
    "Engine",
    "Estimate",
    "Item",
    "Job",
    "Options",
    "Report",
    "Tally",
    "interruptible",
    "refuse_above",
    "run_job",
]
