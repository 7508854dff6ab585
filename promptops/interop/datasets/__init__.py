"""Logged runs as data sets for training: what may go in, in which shape, and what was left out and why."""

from promptops.interop.datasets.export import DatasetReport, export_dataset
from promptops.interop.datasets.request import FORMATS, DatasetFormat, DatasetRequest, Minimum
from promptops.interop.datasets.selection import describe_reason
from promptops.interop.datasets.trained_on import TrainedCase, find_trained_cases, read_manifest_runs

__all__ = [
    "FORMATS",
    "DatasetFormat",
    "DatasetReport",
    "DatasetRequest",
    "Minimum",
    "TrainedCase",
    "describe_reason",
    "export_dataset",
    "find_trained_cases",
    "read_manifest_runs",
]
