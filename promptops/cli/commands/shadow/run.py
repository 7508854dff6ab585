"""``promptops shadow run``: two versions on real inputs, in front of no user."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from promptops.cli.commands.shadow.arguments import InputSelection, build_shadow_requests
from promptops.cli.commands.shadow.migration import build_migration_requests
from promptops.cli.commands.shadow.output import (
    FormatOption,
    OutOption,
    ShadowFormat,
    shadow_exit_code,
    write_comparisons,
)
from promptops.cli.commands.shadow.rollout_gate import prepare_rollout_shadow
from promptops.cli.options.common import JsonOption
from promptops.cli.options.evaluation import MarginOption
from promptops.cli.options.model_calls import (
    AssumeCostOption,
    MaxCostOption,
    RetriesOption,
    RpmOption,
    TpmOption,
)
from promptops.cli.options.overrides import TimeoutOption
from promptops.cli.options.release import YesOption
from promptops.cli.options.run_filters import (
    ChannelFilter,
    CostFilter,
    ErrorFilter,
    KindFilter,
    LatencyFilter,
    SinceFilter,
    TagFilter,
)
from promptops.cli.progress import Progress
from promptops.config.settings import Settings, current_settings
from promptops.console import note
from promptops.errors import Invalid
from promptops.evaluation.engine import DEFAULT_MARGIN, SEED
from promptops.evaluation.shadow.embedding_similarity import embedding_options
from promptops.evaluation.shadow.replay import ReplayOutcome, replay
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.runner.batch import BatchOptions, RunTally
from promptops.runner.retry import Limits

_LABEL_WIDTH = 28  # characters beside a progress bar; the end of a label tells models apart


class StratifyBy(StrEnum):
    tag = "tag"
    channel = "channel"


ReferenceArgument = Annotated[
    str | None,
    typer.Argument(metavar="REF", help="The candidate: NAME, NAME@REV, NAME:CHANNEL or a prompt file."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(metavar="REF", help="The control (NAME:production where it is released, else NAME@HEAD)."),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Every prompt pinned to OLD of --model OLD=NEW, in one table.")
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model", metavar="MODEL", help="The candidate is the control with this model; several: one each."
    ),
]
LastOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="The latest N different inputs (200).")
]
SampleOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="N different inputs drawn at random.")
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--inputs", metavar="FILE", help="These inputs: lines as for batch, and cases with `expected`."
    ),
]
WordsOption = Annotated[
    str, typer.Option(metavar="WORDS", help="Whose inputs or output hold these, as runs search.")
]
StratifyOption = Annotated[
    StratifyBy | None, typer.Option(metavar="BY", help="As many inputs of each tag, or of each channel.")
]
RecordedOption = Annotated[bool, typer.Option("--recorded", help="Compare with what was answered then.")]
AaOption = Annotated[
    bool, typer.Option("--aa", help="Run the control twice: how much it differs from itself.")
]
FullOption = Annotated[bool, typer.Option("--full", help="Go through all inputs, though the verdict is in.")]
MinPairsOption = Annotated[
    int, typer.Option("--min-pairs", min=0, metavar="N", help="Go on until then, unless it is worse.")
]
JudgeOption = Annotated[
    str | None, typer.Option(metavar="PROMPT", help="A judge of pairs (a, b), asked in both orders.")
]
SemanticOption = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL", help="Also compare answers by this model's vectors; their cost is in no budget."
    ),
]
SemanticFromOption = Annotated[
    float | None,
    typer.Option(min=-1.0, max=1.0, metavar="COSINE", help="From which they count as alike (0.9)."),
]
NoWorseOption = Annotated[
    float | None,
    typer.Option(
        "--no-worse-than",
        metavar="MARGIN",
        min=0.0,
        max=0.99,
        help="Exit 0 only if not worse, 1 if so, 3 if undecided.",
    ),
]
RolloutOption = Annotated[
    str | None,
    typer.Option(
        "--rollout", metavar="NAME[:CHANNEL]", help="The pairs that this rollout's plan wants; needs --yes."
    ),
]
SeedOption = Annotated[int, typer.Option(help="Of the inputs drawn and of the order of calls.")]
RestartOption = Annotated[bool, typer.Option("--restart", help="Begin again instead of carrying on.")]
JobsOption = Annotated[int, typer.Option("-j", "--jobs", min=1, max=1024, help="Pairs at once at most.")]


def shadow_run(
    reference: ReferenceArgument = None,
    against: AgainstOption = None,
    all_: AllOption = False,
    models: ModelsOption = None,
    last: LastOption = None,
    since: SinceFilter = None,
    sample: SampleOption = None,
    file: FileOption = None,
    words: WordsOption = "",
    channel: ChannelFilter = None,
    tag: TagFilter = None,
    error: ErrorFilter = None,
    kind: KindFilter = None,
    min_cost: CostFilter = None,
    min_latency: LatencyFilter = None,
    stratify: StratifyOption = None,
    recorded: RecordedOption = False,
    aa: AaOption = False,
    full: FullOption = False,
    min_pairs: MinPairsOption = 0,
    judge: JudgeOption = None,
    semantic: SemanticOption = None,
    semantic_from: SemanticFromOption = None,
    margin: MarginOption = DEFAULT_MARGIN,
    no_worse_than: NoWorseOption = None,
    jobs: JobsOption = 4,
    max_cost: MaxCostOption = None,
    assume_cost: AssumeCostOption = None,
    retries: RetriesOption = 5,
    timeout: TimeoutOption = 120.0,
    rpm: RpmOption = None,
    tpm: TpmOption = None,
    seed: SeedOption = SEED,
    restart: RestartOption = False,
    rollout: RolloutOption = None,
    yes: YesOption = False,
    form: FormatOption = ShadowFormat.text,
    as_json: JsonOption = False,
    out: OutOption = None,
) -> int:
    """Answer real inputs with two versions, in front of no user, until it is clear which does better.

    Inputs are the log's, each once; both versions are asked now. The same command goes on where an earlier
    one stopped: no finished pair is made again.
    """
    settings = current_settings()
    if rollout is not None:
        if reference or against or all_ or models or recorded or aa:
            raise Invalid("--rollout says itself which versions are compared", hint="give it alone")
        wanted = prepare_rollout_shadow(settings, rollout, yes=yes)
        reference, against, min_pairs = wanted.candidate, wanted.control, wanted.gate.min_pairs
        sample = wanted.gate.sample if file is None and last is None else sample
        max_cost = min((each for each in (max_cost, wanted.left_usd) if each is not None), default=None)
    filters = {
        "channel": channel, "tag": tag, "error": error, "kind": kind, "min_cost": min_cost,
        "min_latency": min_latency,
    }  # fmt: skip
    inputs = InputSelection(
        last=last, since=since, sample=sample, file=file, words=words, stratify=stratify, filters=filters
    )
    inputs.check()
    if recorded and (file or aa):
        raise Invalid("--recorded needs answers of the log", hint="leave out --inputs and --aa")
    options = BatchOptions(
        concurrency=jobs,
        limits=Limits(retries=retries, timeout=timeout),
        rpm=rpm,
        tpm=tpm,
        max_cost=max_cost,
        assume_cost=assume_cost,
        cache="off",
    )
    more = {
        "inputs": inputs, "recorded": recorded, "aa": aa, "full": full, "min_pairs": min_pairs,
        "judge": judge, "semantic": embedding_options(semantic, semantic_from), "seed": seed,
        "restart": restart,
        "margin": margin if no_worse_than is None else no_worse_than,
    }  # fmt: skip
    if all_:
        requests = build_migration_requests(settings, reference, models or [], more)
    elif reference is None:
        raise Invalid("which prompt?", hint="promptops shadow run NAME@REV, or --all --model OLD=NEW")
    else:
        requests = build_shadow_requests(reference, against, models or [], settings, **more)
    outcomes = _replay_all(settings, options, requests, lenient=all_)
    write_comparisons(
        [each.comparison for each in outcomes], "json" if as_json else form.value, out, whole_project=all_
    )
    if rollout is not None:
        note(f"next: promptops tick {wanted.target}")
    return shadow_exit_code(outcomes, gate=no_worse_than is not None)


def _replay_all(
    settings: Settings, options: BatchOptions, requests: Sequence[ShadowRequest], *, lenient: bool
) -> list[ReplayOutcome]:
    """One after another. ``lenient``: a prompt that cannot be tried is said to be so, unless all cannot."""
    outcomes: list[ReplayOutcome] = []
    problem: Invalid | None = None
    for each in requests:
        try:
            outcomes.append(_replay_one(settings, options, each))
        except Invalid as error:
            if not lenient:
                raise
            problem = error
            note(f"{each.candidate.label}: not tried: {error.message}")
    if problem and not outcomes:
        raise problem
    return outcomes


def _replay_one(settings: Settings, options: BatchOptions, request: ShadowRequest) -> ReplayOutcome:
    label = request.candidate.label
    with Progress(label if len(label) <= _LABEL_WIDTH else f"…{label[1 - _LABEL_WIDTH :]}") as bar:

        def draw(tally: RunTally, total: int) -> None:
            rate = tally.done / max(monotonic() - tally.since, 0.001)
            bar.show(tally.done, total, failed=tally.failed, usd=tally.spent_usd, rate=rate)

        return replay(settings, options, request, draw)
