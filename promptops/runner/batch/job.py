"""One file of inputs run to its end: begun, or carried on where an earlier process left off."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import OverBudget, Unavailable
from promptops.prompt.render import RenderedPrompt
from promptops.providers.types import ModelError
from promptops.registry import (
    BatchCallLog,
    BatchIdentity,
    RegistryDatabase,
    Spool,
    batch_spent_usd,
    begin_batch,
    done_lines,
    end_batch,
    find_provider_work,
    read_batch_run,
    redacted_lines,
    unfinished_batch,
    unit_key,
    without_held_text,
)
from promptops.runner.batch.engine import BatchEngine, BatchItem, OnProgress, RunTally
from promptops.runner.batch.estimate import CostEstimator, check_max_cost
from promptops.runner.batch.input_file import InputFileScan, InputLine, read_lines, scan_input_file
from promptops.runner.batch.interrupt import interruptible, run_interruptibly
from promptops.runner.batch.items import ChannelItems, VersionItems
from promptops.runner.batch.options import BatchOptions
from promptops.runner.batch.ordered_map import Pending
from promptops.runner.batch.output_file import (
    CallbackResultWriter,
    FileResultWriter,
    OnResult,
    ResultWriter,
    check_output_file,
)
from promptops.runner.batch.provider_jobs.parked import CallParked
from promptops.runner.batch.provider_jobs.passes import run_in_passes
from promptops.runner.batch.provider_jobs.work import (
    ProviderWork,
    WorkScope,
    called_models,
    open_work,
    refuse_while_waiting,
    require_batch_services,
)
from promptops.runner.batch.result_formats import ExpectedResult, ResultFormat
from promptops.runner.batch.shard import Shard
from promptops.runner.routing import GitSource, Router
from promptops.versions.references import Reference
from promptops.versions.resolve import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What is asked for."""

    version: Version  # of a channel, its stable one
    source: str  # what messages call the file
    channel: Reference | None = None  # each line meets the version that its unit falls on
    form: ResultFormat
    on_result: OnResult  # called with each result, in the order of the file, unless ``out`` takes them
    out: Path | None = None
    unit: str | None = None  # where a line says whom it is for
    overrides: Mapping[str, Any] = field(default_factory=dict)
    restart: bool = False
    shard: Shard | None = None  # the part of the lines that is run; the others are of the same batch


@dataclass(slots=True, kw_only=True)
class BatchReport:
    """What came of it."""

    batch_id: str
    lines: int
    earlier: int = 0  # lines that were done before
    repeated_lines: list[int] = field(default_factory=list)  # calls begun by a process that died
    tally: RunTally
    interrupted: bool = False
    over_budget: OverBudget | None = None
    aborted_by: ModelError | None = None
    cancelled: bool = False  # the job of its calls was

    @property
    def left(self) -> int:
        return self.lines - self.earlier - self.tally.done


@dataclass(frozen=True, slots=True)
class _BatchState:
    """What is known of a batch before its first call."""

    batch_id: str
    survey: InputFileScan
    done: "array[int]"
    spent: float

    @property
    def earlier(self) -> int:
        return sum(self.done[number] > 0 for number in self.survey.numbers)


def run_batch(
    settings: Settings,
    options: BatchOptions,
    job: BatchJob,
    file: BinaryIO,
    on_progress: OnProgress | None = None,
) -> BatchReport:
    """Run what is left of a batch. Every line is looked at before anything is called."""
    require_batch_services(settings, options, called_models([job.version.prompt]))
    if job.out:
        check_output_file(job.out, job.source, job.form)
    found, costs = _scan_input(settings, options, job, file)
    with ExitStack() as stack:
        registry = stack.enter_context(RegistryDatabase.open(settings.registry))
        Spool(settings.registry).replay(registry)
        known = _load_state(registry, options, job, found)
        scope = _work_scope(job, known)
        waits = find_provider_work(registry, scope.key) is not None  # and is paid for
        if options.max_cost is not None and not waits:
            left = [cost for number, cost in zip(found.numbers, costs, strict=True) if not known.done[number]]
            check_max_cost(options.max_cost, known.spent, left)
        with _calls(registry, known, job.shard, may_restart=not waits) as calls:
            work = _BatchRun(
                settings=settings,
                options=options,
                job=job,
                known=known,
                calls=calls,
                registry=registry,
                on_progress=on_progress,
                work=open_work(stack, settings, options, scope),
                handed_on=_HandedOn(),
            )
            report = run_in_passes(
                work.work, lambda: run_interruptibly(work.perform(file)), lambda report: report.interrupted
            )
            if not report.left and not report.tally.failed:
                if job.shard is None:  # a shard knows nothing of the others
                    end_batch(registry, known.batch_id)
                calls.remove()
    return report


def _scan_input(
    settings: Settings, options: BatchOptions, job: BatchJob, file: BinaryIO
) -> tuple[InputFileScan, "array[float]"]:
    costs, prompt = array("d"), job.version.prompt
    if options.max_cost is None:
        return scan_input_file(file, job.source, prompt, job.unit, shard=job.shard), costs
    with CostEstimator(settings, options) as estimate:
        for version in (job.version, *_channel_versions(settings, job)):
            estimate.check(version.prompt)

        def look(rendered: RenderedPrompt) -> None:
            costs.append(estimate.of(prompt, rendered))

        return scan_input_file(file, job.source, prompt, job.unit, look, job.shard), costs


def _channel_versions(settings: Settings, job: BatchJob) -> tuple[Version, ...]:
    if job.channel is None:
        return ()
    with Router(GitSource(settings), settings.registry) as serving:
        return serving.versions(job.channel)


def _load_state(
    registry: RegistryDatabase, options: BatchOptions, job: BatchJob, found: InputFileScan
) -> _BatchState:
    prompt = job.version.prompt
    identity = BatchIdentity(
        file_hash=found.file_hash,
        prompt=prompt.name,
        # a batch on a channel goes on whatever the channel serves by now
        digest=f"channel:{job.channel.channel}" if job.channel else prompt.digest,
        options={"unit": job.unit, "cache": options.cache},
    )
    earlier = unfinished_batch(registry, identity)
    if earlier and (job.restart or options.provider is None):
        refuse_while_waiting(registry, _work_key(earlier, job.shard))
    if earlier and job.restart:
        end_batch(registry, earlier)
    batch_id = begin_batch(registry, identity, reference=job.version.reference, lines=found.total)
    done = done_lines(registry, batch_id, found.last)
    lines = found.numbers if job.shard else None
    return _BatchState(batch_id, found, done, batch_spent_usd(registry, batch_id, lines))


def _work_key(batch_id: str, shard: Shard | None) -> str:
    return f"batch:{batch_id}{shard.suffix if shard else ''}"


def _work_scope(job: BatchJob, known: _BatchState) -> WorkScope:
    key = _work_key(known.batch_id, job.shard)
    return WorkScope(verb="batch", key=key, prompt=job.version.prompt.name, spent=known.spent)


@contextmanager
def _calls(
    registry: RegistryDatabase, known: _BatchState, shard: Shard | None, *, may_restart: bool
) -> Iterator[BatchCallLog]:
    suffix = shard.suffix if shard else None
    calls = BatchCallLog.open(registry.path, known.batch_id, suffix, may_restart=may_restart)
    try:
        yield calls
    finally:
        calls.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _BatchRun:
    """The part that runs in an event loop."""

    settings: Settings
    options: BatchOptions
    job: BatchJob
    known: _BatchState
    calls: BatchCallLog
    registry: RegistryDatabase
    on_progress: OnProgress | None
    work: ProviderWork | None
    handed_on: "_HandedOn"

    async def perform(self, file: BinaryIO) -> BatchReport:
        known = self.known
        report = BatchReport(
            batch_id=known.batch_id,
            lines=len(known.survey.numbers),
            earlier=known.earlier,
            repeated_lines=self.calls.interrupted_lines(known.done),
            tally=RunTally(),
        )
        with self._results() as results:
            self._ask_redacted_again(results.kept)
            report.earlier = known.earlier
            async with BatchEngine(self.settings, self.options, spent=known.spent, work=self.work) as engine:
                report.tally = engine.tally
                with interruptible(engine, report), _item_builder(self) as item_of:
                    await self._write_results(engine, file, results, report, item_of)
                report.aborted_by = engine.aborted_by
            report.cancelled = self._is_closed
            self.calls.forget()
        return report

    async def _write_results(
        self,
        engine: BatchEngine,
        file: BinaryIO,
        results: ResultWriter,
        report: BatchReport,
        item_of: Callable[[InputLine], BatchItem],
    ) -> None:
        job = self.job
        lines = (
            line
            for line in read_lines(file, job.source, job.version.prompt, job.unit, job.shard)
            if line.number > results.kept
        )

        async def one(line: InputLine) -> _LineResult | Pending[_LineResult]:
            if seq := self.known.done[line.number]:
                return line.number, without_held_text(self.registry, read_batch_run(self.registry, seq))
            return await _result_of(engine, item_of(line), line.number)

        failure: Exception | None = None
        complete = True  # so far: what stands behind a line without a result is written in a later pass
        try:
            async with aclosing(engine.each(lines, one)) as ended:
                async for number, result in ended:
                    complete = complete and (result is not None or self._is_closed)
                    if complete and result is not None and number > self.handed_on.line:
                        failure = failure or _write_result(results, result)
                        self.handed_on.line = number if self.job.out is None else 0
                    if failure:
                        engine.stop()  # what is under way has been asked for, and is logged all the same
                    if self.on_progress:
                        self.on_progress(engine.tally, report.lines - report.earlier)
        except OverBudget as error:
            report.over_budget = error
        report.over_budget = report.over_budget or engine.over_budget
        if failure:
            raise failure

    @property
    def _is_closed(self) -> bool:
        """Whether a line that has no answer now gets none later either."""
        return self.work is not None and self.work.is_closed

    def _ask_redacted_again(self, kept: int) -> None:
        """The log has no longer what these lines were answered, unless the file of results has it."""
        done = self.known.done
        for line in redacted_lines(self.registry, self.known.batch_id):
            if kept < line < len(done):
                done[line] = 0

    def _results(self) -> ResultWriter:
        if self.job.out is None:
            return CallbackResultWriter(self.job.on_result)
        batch_id, done = self.known.batch_id, self.known.done
        numbers = takewhile(done.__getitem__, self.known.survey.numbers)
        expected = (ExpectedResult(batch_id, line, partial(self._run_id, done[line])) for line in numbers)
        return FileResultWriter(self.job.out, self.job.form, expected)

    def _run_id(self, seq: int) -> str:
        return str(read_batch_run(self.registry, seq)["run_id"])


@dataclass(slots=True)
class _HandedOn:
    """The last line whose result was handed on, of results that no file keeps."""

    line: int = 0


_LineResult = tuple[int, dict[str, Any] | None]


async def _result_of(engine: BatchEngine, item: BatchItem, number: int) -> _LineResult | Pending[_LineResult]:
    """The result of a line; None for one that waits for a provider, or that nothing may be spent on."""
    try:
        pending = await engine.call(item)
    except CallParked:
        return number, None
    except OverBudget as error:
        if engine.work is None:
            raise
        engine.over_budget = error
        return number, None
    return pending.then(lambda run: (number, run.as_json()))


@contextmanager
def _item_builder(work: "_BatchRun") -> Iterator[Callable[[InputLine], BatchItem]]:
    """What makes an item of a line."""
    settings, job, batch_id = work.settings, work.job, work.known.batch_id
    if job.channel is None:
        key = unit_key(work.registry)
        yield VersionItems(job.version, job.overrides, key, batch_id, work.calls).item
        return
    source = GitSource(settings)
    with Router(source, settings.registry) as serving:
        yield ChannelItems(serving, source, job.channel, batch_id, work.calls).item


def _write_result(results: ResultWriter, result: Mapping[str, Any]) -> Exception | None:
    try:
        results.put(result)
        results.flush()
    except (Unavailable, BrokenPipeError) as error:
        return error
    return None
