"""Options of the verbs that answer inputs with two versions, and what they say together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field  # whose parameters become options
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from promptops.cli.options.evaluation import NoWorseOption
from promptops.cli.options.flags import (
    inputs_option,
    judge_option,
    restart_option,
    sample_option,
    semantic_option,
    shard_option,
)
from promptops.cli.options.model_calls import JobsOption, MaxCostOption, OnOption
from promptops.cli.options.provider_batch import AT_ONCE, ProviderOptions
from promptops.cli.options.run_filters import filter_by_reference
from promptops.config.settings import Settings
from promptops.errors import Invalid, WrongUsage
from promptops.evaluation.engine import DEFAULT_MARGIN, SEED
from promptops.evaluation.shadow.embedding_similarity import EmbeddingOptions, embedding_options
from promptops.evaluation.shadow.input_sampling import SamplingPlan
from promptops.registry import RunFilter, parse_time
from promptops.runner.batch import BatchOptions, Shard
from promptops.runner.batch.ray.place import ray_address
from promptops.runner.retry import Limits

LastOption = Annotated[
    int | None, typer.Option("--last", min=1, metavar="N", help="The latest N different inputs (200).")
]
SampleOption = Annotated[
    int | None, sample_option("N different inputs drawn at random.", metavar="N", min_value=1)
]
ReplayFileOption = Annotated[
    Path | None, inputs_option("These inputs: lines as for batch, cases with `expected`.")
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="KEY=VALUE",
        help="Only logged inputs with this since, words, channel, tag, error, kind, min-cost or min-latency; "
        "stratify=tag or =channel takes as many of each, redacted=yes also those that were redacted. "
        "May be repeated.",
    ),
]
RecordedOption = Annotated[bool, typer.Option("--recorded", help="Compare with the logged answers.")]
UntilOption = Annotated[
    str,
    typer.Option(
        "--until", metavar="WHEN", help="verdict, all inputs, or N pairs at least unless it is worse."
    ),
]
PairJudgeOption = Annotated[
    str | None,
    judge_option("A judge of pairs (a, b), asked in both orders.", metavar="PROMPT"),
]
SemanticOption = Annotated[
    str | None,
    semantic_option(
        "Also compare answers by embedding similarity with this model (not counted in --max-cost)."
    ),
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--option",
        metavar="KEY=VALUE",
        help="Set retries, timeout, rpm, tpm, assume-cost, seed, margin or semantic-from. May be repeated.",
    ),
]
ShardReplayOption = Annotated[
    str | None,
    shard_option("Make each N-th pair, from pair I on; without it all are compared, and none is made again."),
]
RestartReplayOption = Annotated[bool, restart_option()]


_LARGEST = 1e12  # no rate, time or cost is larger; infinity and nan are no numbers here


class StratifyBy(StrEnum):
    tag = "tag"
    channel = "channel"


def _read_pairs(
    option: str, pairs: Sequence[str] | None, readers: Mapping[str, Callable[[str], Any]]
) -> dict[str, Any]:
    """KEY=VALUE each, by what reads the values. Raises Invalid."""
    values: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals or key not in readers:
            raise Invalid(f"{option} {pair}: not KEY=VALUE of a known key", hint=", ".join(readers))
        try:
            values[key.replace("-", "_")] = readers[key](text)
        except ValueError as error:
            raise Invalid(f"{option} {pair}: {error}", hint=f"{option} {key}=VALUE") from None
    return values


def _number(low: float, high: float = _LARGEST) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be at least {low:g}, at most {high:g}")
        return value

    return read


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    within = _number(low, high)

    def read(text: str) -> int:
        return int(within(str(int(text))))

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSelection:
    """``--select``: which logged inputs."""

    since: str | None = None
    words: str = ""
    channel: str | None = None
    tag: str | None = None
    error: str | None = None
    kind: str | None = None
    min_cost: float | None = None
    min_latency: float | None = None
    stratify: Literal["tag", "channel"] | None = None
    redacted: bool = False

    @classmethod
    def read(cls, pairs: Sequence[str] | None) -> "LogSelection":
        text = dict.fromkeys(("since", "words", "channel", "tag", "error", "kind"), str)
        numbers = dict.fromkeys(("min-cost", "min-latency"), _number(0.0))
        choices = {"stratify": _stratify, "redacted": _yes}
        return cls(**_read_pairs("--select", pairs, {**text, **numbers, **choices}))


def _stratify(text: str) -> str:
    return StratifyBy(text).value


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSelection:
    """Which inputs are replayed: of a file, or of the log."""

    file: Path | None = None
    last: int | None = None
    sample: int | None = None
    log: LogSelection = field(default_factory=LogSelection)

    @classmethod
    def read(
        cls, file: Path | None, last: int | None, sample: int | None, select: Sequence[str] | None
    ) -> "InputSelection":
        """Raises Invalid for options that contradict each other."""
        options = [
            ("--last", last),
            ("--sample", sample),
            *((f"--select {pair}", pair) for pair in select or ()),
        ]
        given = [name for name, value in options if value is not None]
        if file is not None and given:
            raise Invalid(f"--inputs FILE gives the inputs, and {given[0]} chooses from the log")
        if last is not None and sample is not None:
            raise Invalid("--last takes the latest inputs and --sample any: give one of them")
        return cls(file=file, last=last, sample=sample, log=LogSelection.read(select))

    def plan(self, prompt: str, settings: Settings) -> SamplingPlan | None:
        """None where a file gives the inputs."""
        if self.file is not None:
            return None
        log = self.log
        matching = RunFilter(
            since=parse_time(log.since) if log.since else None,
            channel=log.channel,
            tag=log.tag,
            error=log.error,
            kind=log.kind,
            min_cost=log.min_cost,
            min_latency=log.min_latency,
        )
        return SamplingPlan(
            filter=filter_by_reference(matching, prompt, settings),
            words=log.words,
            last=self.last,
            sample=self.sample,
            stratify=log.stratify,
            since=log.since,
            redacted=log.redacted,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySettings:
    """``-o``: what is seldom set."""

    retries: int = 5
    timeout: float = 120.0
    rpm: float | None = None
    tpm: float | None = None
    assume_cost: float | None = None
    seed: int = SEED
    margin: float = DEFAULT_MARGIN
    semantic_from: float | None = None

    @classmethod
    def read(cls, pairs: Sequence[str] | None) -> "ReplaySettings":
        readers: dict[str, Callable[[str], Any]] = {
            "retries": _whole_number(0, 100),
            "timeout": _number(0.001),
            "rpm": _number(0.001),
            "tpm": _number(1.0),
            "assume-cost": _number(0.0),
            "seed": _whole_number(0, 1 << 32),
            "margin": _number(0.0, 0.99),
            "semantic-from": _number(-1.0, 1.0),
        }
        return cls(**_read_pairs("-o", pairs, readers))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """``--until``: when no further pair is needed."""

    full: bool = False
    min_pairs: int = 0

    @classmethod
    def read(cls, text: str) -> "StopRule":
        if text in ("verdict", "all"):
            return cls(full=text == "all")
        if not text.isascii() or not text.isdigit():
            raise Invalid(f"--until {text}: not a number of pairs", hint="verdict, all, or a number")
        return cls(min_pairs=int(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """How pairs are made, whichever two versions are compared."""

    inputs: InputSelection
    settings: ReplaySettings
    until: StopRule
    recorded: bool = False
    noise: bool = False
    judge: str | None = None
    semantic: str | None = None
    no_worse_than: float | None = None
    jobs: int = 4
    max_cost: float | None = None
    restart: bool = False
    shard: Shard | None = None
    on: str | None = None
    provider: ProviderOptions = AT_ONCE

    @property
    def margin(self) -> float:
        return self.settings.margin if self.no_worse_than is None else self.no_worse_than

    @property
    def embeddings(self) -> EmbeddingOptions | None:
        return embedding_options(self.semantic, self.settings.semantic_from)

    @property
    def calls(self) -> BatchOptions:
        """Nothing is taken from the cache: both versions are asked now."""
        return BatchOptions(
            concurrency=self.jobs,
            limits=Limits(retries=self.settings.retries, timeout=self.settings.timeout),
            rpm=self.settings.rpm,
            tpm=self.settings.tpm,
            max_cost=self.max_cost,
            assume_cost=self.settings.assume_cost,
            cache="off",
            on=self.on,
        )


def read_replay_options(
    *,
    last: LastOption = None,
    sample: SampleOption = None,
    file: ReplayFileOption = None,
    select: SelectOption = None,
    recorded: RecordedOption = False,
    until: UntilOption = "verdict",
    judge: PairJudgeOption = None,
    semantic: SemanticOption = None,
    no_worse_than: NoWorseOption = None,
    jobs: JobsOption = 4,
    max_cost: MaxCostOption = None,
    options: SettingOption = None,
    restart: RestartReplayOption = False,
    shard: ShardReplayOption = None,
    on: OnOption = None,
) -> ReplayOptions:
    """Raises Invalid for values that cannot be meant."""
    if recorded and file:
        raise Invalid("--recorded needs answers of the log", hint="leave out --inputs")
    part = _read_shard(shard, restart=restart, gated=no_worse_than is not None)
    return ReplayOptions(
        inputs=InputSelection.read(file, last, sample, select),
        settings=ReplaySettings.read(options),
        until=StopRule.read(until),
        recorded=recorded,
        judge=judge,
        semantic=semantic,
        no_worse_than=no_worse_than,
        jobs=jobs,
        max_cost=max_cost,
        restart=restart,
        shard=part,
        on=None if on is None else ray_address(on),
    )


def _read_shard(text: str | None, *, restart: bool, gated: bool) -> Shard | None:
    if text is None:
        return None
    shard = Shard.parse(text)
    if restart:
        raise WrongUsage("--restart would begin the other shards again as well", hint="leave out --shard")
    if gated:
        raise WrongUsage(
            f"--no-worse-than judges all pairs, and --shard {shard} makes some", hint="leave one of them out"
        )
    return shard
