"""One file of inputs run to its end: begun, or carried on where an earlier process left off."""

from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import field
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
    read_batch_run,
    redacted_lines,
    unfinished_batch,
    unit_key,
)
from promptops.runner import Run
from promptops.runner.batch.engine import BatchEngine, BatchItem, BatchOptions, OnProgress, RunTally
from promptops.runner.batch.estimate import CostEstimator, check_max_cost
from promptops.runner.batch.input_file import InputFileScan, InputLine, read_lines, scan_input_file
from promptops.runner.batch.interrupt import interruptible, run_interruptibly
from promptops.runner.batch.items import ChannelItems, VersionItems
from promptops.runner.batch.ordered_map import Pending
from promptops.runner.batch.output_file import (
    CallbackResultWriter,
    FileResultWriter,
    OnResult,
    ResultWriter,
    check_output_file,
)
from promptops.runner.routing import GitSource, Router
from promptops.versions.references import Reference
from promptops.versions.resolve import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchJob:
    """What is asked for."""

    version: Version  # of a channel, its stable one
    source: str  # what messages call the file
    channel: Reference | None = None  # each line meets the version that its unit falls on
    on_result: OnResult  # called with each result, in the order of the file, unless ``out`` takes them
    out: Path | None = None
    unit: str | None = None  # where a line says whom it is for
    overrides: Mapping[str, Any] = field(default_factory=dict)
    restart: bool = False


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
    if job.out:
        check_output_file(job.out, job.source)
    found, costs = _scan_input(settings, options, job, file)
    with RegistryDatabase.open(settings.registry) as registry:
        Spool(settings.registry).replay(registry)
        known = _load_state(registry, options, job, found)
        if options.max_cost is not None:
            left = [cost for number, cost in zip(found.numbers, costs, strict=True) if not known.done[number]]
            check_max_cost(options.max_cost, known.spent, left)
        with _calls(registry, known) as calls:
            work = _BatchRun(
                settings=settings,
                options=options,
                job=job,
                known=known,
                calls=calls,
                registry=registry,
                on_progress=on_progress,
            )
            report = run_interruptibly(work.perform(file))
            if not report.left and not report.tally.failed:
                end_batch(registry, known.batch_id)
                calls.remove()
    return report


def _scan_input(
    settings: Settings, options: BatchOptions, job: BatchJob, file: BinaryIO
) -> tuple[InputFileScan, "array[float]"]:
    costs, prompt = array("d"), job.version.prompt
    if options.max_cost is None:
        return scan_input_file(file, job.source, prompt, job.unit), costs
    with CostEstimator(settings, options) as estimate:
        for version in (job.version, *_channel_versions(settings, job)):
            estimate.check(version.prompt)

        def look(rendered: RenderedPrompt) -> None:
            costs.append(estimate.of(prompt, rendered))

        return scan_input_file(file, job.source, prompt, job.unit, look), costs


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
    batch_id = unfinished_batch(registry, identity)
    if batch_id and job.restart:
        end_batch(registry, batch_id)
        batch_id = None
    if batch_id is None:
        batch_id = begin_batch(registry, identity, reference=job.version.reference, lines=len(found.numbers))
        return _BatchState(batch_id, found, array("q", bytes(8 * (found.last + 1))), 0.0)
    done = done_lines(registry, batch_id, found.last)
    return _BatchState(batch_id, found, done, batch_spent_usd(registry, batch_id))


@contextmanager
def _calls(registry: RegistryDatabase, known: _BatchState) -> Iterator[BatchCallLog]:
    calls = BatchCallLog.open(registry.path, known.batch_id)
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
            async with BatchEngine(self.settings, self.options, spent=known.spent) as engine:
                report.tally = engine.tally
                with interruptible(engine, report), _item_builder(self) as item_of:
                    await self._write_results(engine, file, results, report, item_of)
                report.aborted_by = engine.aborted_by
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
            for line in read_lines(file, job.source, job.version.prompt, job.unit)
            if line.number > results.kept
        )

        async def one(line: InputLine) -> dict[str, Any] | Pending[dict[str, Any]]:
            if seq := self.known.done[line.number]:
                return read_batch_run(self.registry, seq)
            return (await engine.call(item_of(line))).then(Run.as_json)

        failure: Exception | None = None
        try:
            async with aclosing(engine.each(lines, one)) as ended:
                async for result in ended:
                    failure = failure or _write_result(results, result)
                    if failure:
                        engine.stop()  # what is under way has been asked for, and is logged all the same
                    if self.on_progress:
                        self.on_progress(engine.tally, report.lines - report.earlier)
        except OverBudget as error:
            report.over_budget = error
        if failure:
            raise failure

    def _ask_redacted_again(self, kept: int) -> None:
        """The log has no longer what these lines were answered, unless the file of results has it."""
        done = self.known.done
        for line in redacted_lines(self.registry, self.known.batch_id):
            if kept < line < len(done):
                done[line] = 0

    def _results(self) -> ResultWriter:
        if self.job.out is None:
            return CallbackResultWriter(self.job.on_result)
        done = self.known.done
        first = takewhile(done.__getitem__, self.known.survey.numbers)
        return FileResultWriter(self.job.out, self.known.batch_id, first)


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
