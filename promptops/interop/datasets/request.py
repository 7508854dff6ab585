"""What a data set is asked to hold."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

from promptops.config.settings import LogSettings
from promptops.dataclass import dataclass
from promptops.prompt import Prompt
from promptops.prompt.cases import Case
from promptops.registry import RunFilter

DatasetFormat = Literal["openai-jsonl", "trl-sft", "trl-dpo", "parquet"]
FORMATS: tuple[str, ...] = get_args(DatasetFormat)

LoadPrompt = Callable[[str], Prompt]
"""The prompt that ``NAME@COMMIT`` names."""
ReadCases = Callable[[str], Iterable[Case]]
"""The golden set of ``NAME`` or ``NAME@COMMIT``; nothing where there is none."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """A figure of a run that has to be at least so large: an outcome, a judge's score, a check's number."""

    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """``filters``: the choice of runs as the person made it, for the manifest.

    ``edits``: better answers of people instead of the logged ones. ``redacted``: also runs of which something
    is replaced, as they are kept.
    """

    form: DatasetFormat
    runs: RunFilter
    filters: Mapping[str, Any]
    passed: bool = False
    minimums: tuple[Minimum, ...] = ()
    edits: bool = False
    redacted: bool = False
    log: LogSettings
    load: LoadPrompt
    read_cases: ReadCases
