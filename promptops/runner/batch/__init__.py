"""Many runs at once: bounded, budgeted, resumable."""

from promptops.runner.batch.engine import BatchEngine, BatchItem, OnProgress, RunTally
from promptops.runner.batch.estimate import CostEstimator, check_max_cost
from promptops.runner.batch.interrupt import interruptible, run_interruptibly
from promptops.runner.batch.job import BatchJob, BatchReport, run_batch
from promptops.runner.batch.options import BatchOptions, CacheUse
from promptops.runner.batch.ordered_map import Pending
from promptops.runner.batch.output_file import OnResult
from promptops.runner.batch.result_formats import CsvResults, JsonResults, ResultFormat
from promptops.runner.batch.shard import Shard, take_shard

__all__ = [
    "BatchEngine",
    "BatchItem",
    "BatchJob",
    "BatchOptions",
    "BatchReport",
    "CacheUse",
    "CostEstimator",
    "CsvResults",
    "JsonResults",
    "OnProgress",
    "OnResult",
    "Pending",
    "ResultFormat",
    "RunTally",
    "Shard",
    "check_max_cost",
    "interruptible",
    "run_batch",
    "run_interruptibly",
    "take_shard",
]
