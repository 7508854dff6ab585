"""One file of inputs run to its end: begun, or carried on where an earlier process left off."""

import asyncio
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO

from promptops.config.settings import Settings
from promptops.errors import OverBudget, Unavailable
from promptops.prompt.render import Rendered
from promptops.providers.types import ModelError
from promptops.registry.runs.batches import (
    Calls,
    Identity,
    begin_batch,
    done_lines,
    end_batch,
    run_of,
    spent_by,
    unfinished_batch,
)
from promptops.registry.runs.journal import Spool
from promptops.registry.runs.unit_hash import unit_key
from promptops.registry.store import Registry
from promptops.runner.batch.engine import Engine, Item, Options, Tally
from promptops.runner.batch.estimate import Estimate, refuse_above
from promptops.runner.batch.input_file import Line, Survey, read_lines, survey
from promptops.runner.batch.interrupt import interruptible
from promptops.runner.batch.items import ChannelCalls, VersionCalls
from promptops.runner.batch.output_file import FileResults, Results, StdoutResults, refuse_other_content
from promptops.runner.routing import GitSource, Serving
from promptops.versions.references import Reference
from promptops.versions.resolve import Version

OnProgress = Callable[[Tally, int], None]
"""Called with what has come of it so far, and the number of lines that were to be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is asked for."""

    version: Version  # of a channel, its stable one
    source: str  # what messages call the file
    channel: Reference | None = None  # each line meets the version that its unit falls on
    out: Path | None = None
    unit: str | None = None  # where a line says whom it is for
    overrides: Mapping[str, Any] = field(default_factory=dict)
    restart: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """What came of it."""

    batch_id: str
    lines: int
    earlier: int = 0  # lines that were done before
    repeated: list[int] = field(default_factory=list)  # calls begun by a process that died
    tally: Tally
    interrupted: bool = False
    over_budget: OverBudget | None = None
    given_up: ModelError | None = None

    @property
    def left(self) -> int:
        return self.lines - self.earlier - self.tally.done


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a batch before its first call."""

    batch_id: str
    survey: Survey
    done: "array[int]"
    spent: float

    @property
    def earlier(self) -> int:
        return sum(self.done[number] > 0 for number in self.survey.numbers)


def run_job(
    settings: Settings, options: Options, job: Job, file: BinaryIO, on_progress: OnProgress | None = None
) -> Report:
    """Run what is left of a batch. Every line is looked at before anything is called."""
    if job.out:
        refuse_other_content(job.out, job.source)
    found, costs = _survey(settings, options, job, file)
    with Registry.open(settings.registry) as registry:
        Spool(settings.registry).take_in(registry)
        known = _identify(registry, options, job, found)
        if options.max_cost is not None:
            left = [cost for number, cost in zip(found.numbers, costs, strict=True) if not known.done[number]]
            refuse_above(options.max_cost, known.spent, left)
        with _calls(registry, known) as calls:
            work = _Work(
                settings=settings,
                options=options,
                job=job,
                known=known,
                calls=calls,
                registry=registry,
                on_progress=on_progress,
            )
            report = _to_the_end(work, file)
            if not report.left and not report.tally.failed:
                end_batch(registry, known.batch_id)
                calls.remove()
    return report


def _survey(settings: Settings, options: Options, job: Job, file: BinaryIO) -> tuple[Survey, "array[float]"]:
    costs, prompt = array("d"), job.version.prompt
    if options.max_cost is None:
        return survey(file, job.source, prompt, job.unit), costs
    with Estimate(settings, options) as estimate:
        for version in (job.version, *_others(settings, job)):
            estimate.check(version.prompt)

        def look(rendered: Rendered) -> None:
            costs.append(estimate.of(prompt, rendered))

        return survey(file, job.source, prompt, job.unit, look), costs


def _others(settings: Settings, job: Job) -> tuple[Version, ...]:
    if job.channel is None:
        return ()
    with Serving(GitSource(settings), settings.registry) as serving:
        return serving.versions(job.channel)


def _identify(registry: Registry, options: Options, job: Job, found: Survey) -> _Known:
    prompt = job.version.prompt
    identity = Identity(
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
        return _Known(batch_id, found, array("q", bytes(8 * (found.last + 1))), 0.0)
    done = done_lines(registry, batch_id, found.last)
    return _Known(batch_id, found, done, spent_by(registry, batch_id))


@contextmanager
def _calls(registry: Registry, known: _Known) -> Iterator[Calls]:
    calls = Calls.open(registry.path, known.batch_id)
    try:
        yield calls
    finally:
        calls.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The part that runs in an event loop."""

    settings: Settings
    options: Options
    job: Job
    known: _Known
    calls: Calls
    registry: Registry
    on_progress: OnProgress | None

    async def perform(self, file: BinaryIO) -> Report:
        known = self.known
        report = Report(
            batch_id=known.batch_id,
            lines=len(known.survey.numbers),
            earlier=known.earlier,
            repeated=self.calls.cut_off(known.done),
            tally=Tally(),
        )
        with self._results() as results:
            async with Engine(self.settings, self.options, spent=known.spent) as engine:
                report.tally = engine.tally
                with interruptible(engine, report), _items(self) as item_of:
                    await self._pass_on(engine, file, results, report, item_of)
                report.given_up = engine.given_up
            self.calls.forget()
        return report

    async def _pass_on(
        self,
        engine: Engine,
        file: BinaryIO,
        results: Results,
        report: Report,
        item_of: Callable[[Line], Item],
    ) -> None:
        lines = (
            line for line in read_lines(file, self.job.source, self.job.unit) if line.number > results.kept
        )

        async def one(line: Line) -> dict[str, Any]:
            if seq := self.known.done[line.number]:
                return run_of(self.registry, seq)
            run = await engine.run(item_of(line))
            return run.as_json()

        failure: Exception | None = None
        try:
            async with aclosing(engine.each(lines, one)) as ended:
                async for result in ended:
                    failure = failure or _handed_on(results, result)
                    if failure:
                        engine.stop()  # what is under way has been asked for, and is logged all the same
                    if self.on_progress:
                        self.on_progress(engine.tally, report.lines - report.earlier)
        except OverBudget as error:
            report.over_budget = error
        if failure:
            raise failure

    def _results(self) -> Results:
        if self.job.out is None:
            return StdoutResults()
        done = self.known.done
        first = takewhile(done.__getitem__, self.known.survey.numbers)
        return FileResults(self.job.out, self.known.batch_id, first)


@contextmanager
def _items(work: "_Work") -> Iterator[Callable[[Line], Item]]:
    """What makes an item of a line."""
    settings, job, batch_id = work.settings, work.job, work.known.batch_id
    if job.channel is None:
        key = unit_key(work.registry)
        yield VersionCalls(job.version, job.overrides, key, batch_id, work.calls).item
        return
    source = GitSource(settings)
    with Serving(source, settings.registry) as serving:
        yield ChannelCalls(serving, source, job.channel, batch_id, work.calls).item


def _handed_on(results: Results, result: Mapping[str, Any]) -> Exception | None:
    try:
        results.put(result)
        results.flush()
    except (Unavailable, BrokenPipeError) as error:
        return error
    return None


def _to_the_end(work: "_Work", file: BinaryIO) -> Report:
    try:
        return asyncio.run(work.perform(file))
    except asyncio.CancelledError:  # the second Ctrl-C
        raise KeyboardInterrupt from None
