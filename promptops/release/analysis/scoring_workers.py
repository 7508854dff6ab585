"""A long log that nobody has looked at is scored by several processes, one canary each, slice by slice.

A worker keeps what it has scored after every slice, so nothing is lost with it, and it ends with the process
that has started it: whatever is left is scored by whoever looks next.
"""

import gc
import os
import pickle
import selectors
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from promptops.config.locks import lock_attempt
from promptops.config.registry_location import RegistryLocation, exact_text, local_file, registry_location
from promptops.dataclass import dataclass
from promptops.log import PackageLogger
from promptops.registry import RegistryDatabase, read_exposures
from promptops.release.analysis.update import PROGRESS_S, AnalysisRequest, score_slice

_LONG = 10_000  # calls of one canary, and three times as many of all: a worker takes half a second to start
_MAX_WORKERS = 4  # what they have scored is written by one after the other
_AHEAD = 2  # canaries that a worker knows of: it does not wait for what the verb does between them
_PER_PROCESSOR = 2  # so that others compute while one writes
_PROGRESS = struct.Struct("q?")
_LOG = PackageLogger("promptops.release")


@dataclass(slots=True)
class _Worker:
    child: "subprocess.Popen[bytes]"
    looks: deque[int] = field(default_factory=deque)  # the places of what it is at, and of what comes next

    def send(self, place: int, look: AnalysisRequest) -> None:
        assert self.child.stdin  # noqa: S101 - a pipe
        self.looks.append(place)
        pickle.dump(look, self.child.stdin)
        self.child.stdin.flush()

    def receive(self) -> tuple[int, bool] | None:
        """How many calls were scored, and whether there may be more of the log. None once it has ended."""
        assert self.child.stdout  # noqa: S101 - a pipe
        # no buffer in between: the selector looks at the pipe
        data = os.read(self.child.stdout.fileno(), _PROGRESS.size)
        return _PROGRESS.unpack(data) if len(data) == _PROGRESS.size else None


@dataclass(slots=True)
class _Backlog:
    """Long logs, each with how many calls are behind. Done ones are scored, or left to who looks next."""

    looks: Sequence[AnalysisRequest]
    behind: Sequence[int]
    waiting: deque[int] = field(init=False)
    done: set[int] = field(default_factory=set)
    left: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.waiting, self.left = deque(range(len(self.looks))), list(self.behind)


def score_together(registry: RegistryDatabase, looks: Sequence[AnalysisRequest]) -> Iterator[str]:
    """Score what is long; gives the rollouts in their order, each as soon as nothing of it is left."""
    known = read_exposures(registry, [look.rollout.id for look in looks], as_ticked=True)
    behind = [known[look.rollout.id].behind for look in looks]
    long = [at for at, count in enumerate(behind) if count > _LONG]
    workers = min(len(long), _PER_PROCESSOR * _usable_processors(), _MAX_WORKERS)
    backlog = _Backlog([looks[at] for at in long], [behind[at] for at in long])
    if workers < 2 or sum(backlog.behind) < 3 * _LONG or not registry.writable:
        workers, backlog = 0, _Backlog((), ())
    places = {looks[at].rollout.id: place for place, at in enumerate(long)} if workers else {}
    with ExitStack() as stack:
        steps = _work(backlog, _start_all(registry.path, workers, stack))
        for look in looks:
            while places.get(look.rollout.id, -1) not in {-1, *backlog.done}:
                next(steps)
            yield look.rollout.id


def _work(backlog: _Backlog, workers: Sequence[_Worker]) -> Iterator[None]:
    """Hand out slices and take what has come of them, once for each ``next``."""
    reported, total = monotonic(), sum(backlog.behind)
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.child.stdout or 0, selectors.EVENT_READ, worker)
            for _ in range(_AHEAD):
                _hand_out(backlog, worker)
        while len(backlog.done) < len(backlog.looks):
            for key, _ in selector.select():
                if not _take(backlog, key.data):
                    selector.unregister(key.fileobj)
            if not selector.get_map():  # no worker is left
                backlog.done.update(range(len(backlog.looks)))
            if monotonic() - reported > PROGRESS_S:
                reported = monotonic()
                _LOG.info(f"{total - sum(backlog.left):,} of {total:,} calls scored")
            yield


def _take(backlog: _Backlog, worker: _Worker) -> bool:
    """Whether the worker goes on. One that fails leaves its log to who looks next, and says what is wrong."""
    found = worker.receive()
    if found is None:
        backlog.done.update(worker.looks)
        return False
    (scored, more), place = found, worker.looks[0]
    backlog.left[place] = max(0, backlog.left[place] - scored) if more else 0
    if not more:
        backlog.done.add(worker.looks.popleft())
        _hand_out(backlog, worker)
    return bool(worker.looks)


def _hand_out(backlog: _Backlog, worker: _Worker) -> None:
    if backlog.waiting:
        place = backlog.waiting.popleft()
        with suppress(OSError):  # found when it is listened to
            worker.send(place, backlog.looks[place])


def _start_all(registry: RegistryLocation, count: int, stack: ExitStack) -> list[_Worker]:
    """They write in turns: SQLite lets those that wait sleep for longer and longer."""
    folder = stack.enter_context(TemporaryDirectory(prefix="promptops-"))
    return [_start(registry, Path(folder, "turns"), stack) for _ in range(count)]


def _start(registry: RegistryLocation, turns: Path, stack: ExitStack) -> _Worker:
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(local_file(registry).parent), str(turns)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PROMPTOPS_REGISTRY": exact_text(registry)},  # it may hold a password
        start_new_session=True,  # Ctrl-C ends this process, and its end ends the worker
    )
    stack.enter_context(child)
    return _Worker(child)


def _usable_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(path: RegistryLocation, turns: Path) -> None:
    """Score the slices that are asked for until nobody asks any more."""
    gc.disable()  # a fifteenth of the time, spent on rows of the log, none of which holds another
    turn = partial(lock_attempt, turns, None)
    ask = open(0, "rb", closefd=False)  # noqa: SIM115 - a pipe
    with suppress(EOFError, OSError), RegistryDatabase.open(path, bulk=True) as registry:
        while True:
            look: AnalysisRequest = pickle.load(ask)  # noqa: S301 - of the process that has started this one
            before, more = 0, True
            while more:
                scored = score_slice(registry, look, turn)
                calls, more = scored.tests.instant.calls, scored.more
                os.write(1, _PROGRESS.pack(calls - before, more))
                before = calls


if __name__ == "__main__":
    home = Path(sys.argv[1])
    _serve(registry_location(os.environ["PROMPTOPS_REGISTRY"], home, home), Path(sys.argv[2]))
