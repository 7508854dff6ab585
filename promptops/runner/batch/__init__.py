"""Many runs at once: bounded, budgeted, resumable."""

from promptops.runner.batch.engine import BatchEngine, BatchItem, BatchOptions, CacheUse, OnProgress, RunTally
from promptops.runner.batch.estimate import CostEstimator, check_max_cost
from promptops.runner.batch.interrupt import interruptible, run_interruptibly
from promptops.runner.batch.job import BatchJob, BatchReport, run_batch
from promptops.runner.batch.ordered_map import Pending

__all__ = [
    "BatchEngine",
    "BatchItem",
    "BatchJob",
    "BatchOptions",
    "BatchReport",
    "CacheUse",
    "CostEstimator",
    "OnProgress",
    "Pending",
    "RunTally",
    "check_max_cost",
    "interruptible",
    "run_batch",
    "run_interruptibly",
]
