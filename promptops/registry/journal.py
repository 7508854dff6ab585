"""How a run reaches the registry, and where it goes when the registry can't take it.

A registry that is locked, full or read-only must not cost the caller the answer, nor the log the run: with
``log: {on_error: spool}`` (the default) what could not be written is kept in a file beside the registry,
which the next run that finds the registry writable takes in. With ``fail`` nothing is called unlogged.
"""

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from promptops.config.locks import LOCK_TIMEOUT_S, file_lock, lock_attempt
from promptops.config.registry_location import RegistryLocation, local_file
from promptops.config.settings import LogSettings, Settings
from promptops.errors import PromptopsError, Unavailable
from promptops.log import PackageLogger, with_hint
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import compact_json
from promptops.registry.database import BUSY_TIMEOUT_S, LogPosition, RegistryDatabase
from promptops.registry.errors import EngineError, StaleRegistry
from promptops.registry.log_redaction import redact_finished_run, redact_started_run
from promptops.registry.queries.versions import save_version
from promptops.registry.records import CheckResult, FinishedRun, GuardDecision, StartedRun

_LOG = PackageLogger("promptops.registry")


_VersionKey = tuple[str, str, str | Literal[False] | None]
_MAX_BYTES = 1 << 28  # of one run that waits
_NOT_A_RUN = (  # what reading a file and storing what it says can raise, where that is not a run
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    IsADirectoryError,
    PermissionError,
    *EngineError,
)


class NoJournal:
    """Runs that are not logged."""

    def start(self, run: StartedRun, prompt: Prompt) -> None: ...

    def finish(self, run_id: str, end: FinishedRun) -> None: ...

    def close(self) -> None: ...


class RegistryJournal:
    """Logs runs to the project's registry, or beside it."""

    def __init__(self, settings: Settings, *, busy_s: float = BUSY_TIMEOUT_S) -> None:
        self._path = settings.registry
        self._busy_s = busy_s
        self._spool = Spool(settings.registry)
        self._log = settings.log
        self._registry: RegistryDatabase | None = None
        self._under_way: dict[str, StartedRun] = {}
        self._versions: set[_VersionKey] = set()

    def start(self, run: StartedRun, prompt: Prompt) -> None:
        """Log that a call is about to be made. Raises when that is possible neither here nor beside it."""
        as_made, run = run, redact_started_run(run, self._log)
        self._under_way[run.run_id] = run
        try:
            registry = self._open()
            self._record_version(registry, as_made, prompt)
            registry.start(run)
        except PromptopsError as error:
            if self._log.on_error == "fail" or not self._keep(run, None, error):
                del self._under_way[run.run_id]
                raise

    def log_group(
        self,
        starts: Sequence[tuple[StartedRun, Prompt]],
        ends: Sequence[tuple[str, FinishedRun]],
        *,
        waits: bool = True,
    ) -> None:
        """``start`` and ``finish`` of many runs in one transaction: all of it, or it raises.

        Without ``waits`` it raises at once where somebody else is writing.
        """
        registry = self._open()
        started = [redact_started_run(run, self._log) for run, _ in starts]
        for run, prompt in starts:
            self._record_version(registry, run, prompt)
        new = {run.run_id: run for run in started}
        rows = [(name, redact_finished_run(self._run(name, new), end, self._log)) for name, end in ends]
        registry.log_group(started, rows, waits=waits)
        self._under_way.update(new)
        for run_id, _ in ends:
            del self._under_way[run_id]

    def _run(self, run_id: str, new: Mapping[str, StartedRun]) -> StartedRun:
        return new.get(run_id) or self._under_way[run_id]

    def _record_version(self, registry: RegistryDatabase, run: StartedRun, prompt: Prompt) -> None:
        """Once for each version, as a program calls the same ones again and again."""
        if not self._knows_version(run):
            record_prompt_version(registry, run, prompt, self._log)
            self._versions.add(_version_of(run))

    def _knows_version(self, run: StartedRun) -> bool:
        return _version_of(run) in self._versions

    def resume(self, run_id: str) -> StartedRun:
        """The run of another process, to be finished by this one. Raises Invalid when it has ended."""
        run = self._spool.started(run_id)
        if run is None:
            from promptops.registry.queries.runs.queries import unfinished_run

            run = unfinished_run(self._open(), run_id)
        self._under_way[run.run_id] = run
        return run

    def add_rules(self, run_id: str, rules: Mapping[str, Any]) -> None:
        """What the prompt of a resumed run says on redaction, which its row does not."""
        self._under_way[run_id] = replace(self._under_way[run_id], log=rules)

    def finish(self, run_id: str, end: FinishedRun) -> None:
        """Log how a call ended. With ``fail`` raises when it can't be; else the answer goes on its way."""
        run = self._under_way.pop(run_id)
        end = redact_finished_run(run, end, self._log)
        try:
            if not self._spool.complete(run, end):
                self._open().finish(run_id, end)
        except PromptopsError as error:
            if self._log.on_error == "fail":
                raise
            if not self._keep(run, end, error):
                _LOG.warning(with_hint(f"run {run_id} has NOT been logged: {error.message}", error.hint))

    def close(self) -> None:
        if self._registry:
            self._registry.close()

    def _keep(self, run: StartedRun, end: FinishedRun | None, error: PromptopsError) -> bool:
        """Whether a run that the registry could not take is safe elsewhere."""
        if not self._spool.put(run, end, self._release_position(run.run_id, error)):
            return False
        _report_spooled(error, self._spool)
        return True

    def _release_position(self, run_id: str, error: PromptopsError) -> LogPosition | None:
        """The place that a run was to have. What has left its path is opened again by the next who asks."""
        if self._registry is None:
            return None
        place = self._registry.release_position(run_id)
        if isinstance(error, StaleRegistry):
            self._registry.close()
            self._registry = None
            self._versions.clear()
        return place

    def _open(self) -> RegistryDatabase:
        if self._registry is None:
            self._registry = RegistryDatabase.open(self._path, busy_s=self._busy_s)
            self._spool.replay(self._registry)
        return self._registry


class Spool:
    """Runs that wait beside the registry, a file each, until it can be written again."""

    def __init__(self, registry: RegistryLocation, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.folder = local_file(registry).with_name(f"{local_file(registry).name}-spool")
        self._lock_timeout_s = lock_timeout_s
        self._lock = self.folder / "lock"  # so that no run is taken in while its end is being written

    def put(self, run: StartedRun, end: FinishedRun | None, place: LogPosition | None = None) -> bool:
        """Whether the run is on disk. ``place`` is the one that it was to have in the registry."""
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            with file_lock(self._lock, self._lock_timeout_s):
                self._write(run, end, place)
        except (OSError, Unavailable):
            return False
        return True

    def complete(self, run: StartedRun, end: FinishedRun) -> bool:
        """Write how a waiting run ended; False when it isn't waiting here, or no longer."""
        if not os.path.exists(f"{self.folder}/{run.run_id}.json"):  # noqa: PTH110 - at the end of every call
            return False
        try:
            with file_lock(self._lock, self._lock_timeout_s):
                waiting = self._file(run.run_id).exists()
                if waiting:
                    self._write(run, end, _place_in(self._file(run.run_id)))
        except OSError as error:
            raise Unavailable(
                f"{self.folder} cannot be written: {error.strerror}", hint="free some space on its disk"
            ) from error
        return waiting

    def started(self, run_id: str) -> StartedRun | None:
        """A run that waits here and has not ended yet."""
        file = self._file(run_id)
        if not run_id.isalnum() or not os.path.lexists(file):
            return None
        try:
            run, end, _ = _read_spooled_run(file)
        except _NOT_A_RUN:  # it is set aside where all that waits is taken in
            return None
        return run if end is None else None

    def waiting(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def damaged(self) -> list[Path]:
        """What waited and could not be taken in, and is set aside."""
        return sorted(self.folder.glob("*.damaged"))

    def _leftovers(self) -> list[Path]:
        return [file for file in self.folder.glob("*.new") if file.is_file()]

    def replay(self, registry: RegistryDatabase, most: int | None = None) -> bool:
        """Move what waits into the registry, or so many runs of it; whether that was all."""
        if not registry.writable or not (self.waiting() or self._leftovers()):
            return True
        with lock_attempt(self._lock, self._lock_timeout_s) as held:
            if not held:  # another process is at it
                return False
            for leftover in self._leftovers():  # of who was killed while writing
                leftover.unlink()
            files = self.waiting()
            for file in files[:most]:
                _replay_file(registry, file)
        return most is None or len(files) <= most

    def _write(self, run: StartedRun, end: FinishedRun | None, place: LogPosition | None) -> None:
        text = json.dumps({**run_as_record(run, end), "place": place})
        _write_durably(self._file(run.run_id), text)

    def _file(self, run_id: str) -> Path:
        return self.folder / f"{run_id}.json"


def _version_of(run: StartedRun) -> _VersionKey:
    return run.prompt, run.digest, not (run.dirty or run.overrides) and run.commit_sha


def _replay_file(registry: RegistryDatabase, file: Path) -> None:
    """One that cannot be taken in is set aside: the others must not wait for it."""
    try:
        registry.replay(*_read_spooled_run(file))
    except _NOT_A_RUN as error:
        aside = file.rename(file.with_suffix(".damaged"))
        reason = str(error) or type(error).__name__
        _LOG.warning(f"a run that waited cannot be read ({reason}), and is set aside as {aside}")
    else:
        file.unlink()


def _place_in(file: Path) -> LogPosition | None:
    try:
        return _read_spooled_run(file)[2]
    except _NOT_A_RUN:
        return None


def _read_record(file: Path) -> Any:
    """What a file of the folder says. A pipe or a device would be waited for without end."""
    found = file.lstat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError("it is a folder")
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BYTES:
        raise ValueError(f"it is not a file of at most {_MAX_BYTES:,} bytes")
    return json.loads(file.read_text(encoding="utf-8"))


def _read_spooled_run(file: Path) -> tuple[StartedRun, FinishedRun | None, LogPosition | None]:
    record = _read_record(file)
    place = record.get("place")
    run, end = run_from_record(record)
    return run, end, (place[0], place[1]) if place else None


def _write_durably(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.replace(file)


def run_as_record(run: StartedRun, end: FinishedRun | None) -> dict[str, Any]:
    """A run as JSON has it, outside the registry."""
    return {"started": asdict(run), "finished": asdict(end) if end else None}


def run_from_record(record: Mapping[str, Any]) -> tuple[StartedRun, FinishedRun | None]:
    run, end = StartedRun(**record["started"]), record["finished"]
    if end is None:
        return run, None
    checks = tuple(CheckResult(**each) for each in end["checks"])
    guards = tuple(GuardDecision(**each) for each in end.get("guards", ()))
    return run, FinishedRun(**{**end, "checks": checks, "guards": guards})


def _report_spooled(error: PromptopsError, spool: Spool) -> None:
    where = f"the run is kept in {spool.folder} and taken in by the next run that can write the registry"
    _LOG.warning(with_hint(error.message, where))


def record_prompt_version(
    registry: RegistryDatabase, run: StartedRun, prompt: Prompt, log: LogSettings
) -> None:
    """Nothing is kept of a version that a setting of the call has made, where that is to be redacted."""
    if run.overrides and redact_started_run(run, log).overrides != run.overrides:
        return
    save_version(
        registry,
        run.prompt,
        run.digest,
        compact_json(prompt.canonical()),  # in the order it is sent, so that a replay is the same to the byte
        commit_sha=None if run.dirty or run.overrides else run.commit_sha,
        path=prompt.path,
        log=compact_json(prompt.log) if prompt.log else None,
    )
