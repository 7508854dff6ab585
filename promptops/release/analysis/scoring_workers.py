"""A long log that nobody has looked at is scored by several processes, one canary each, slice by slice.

A worker keeps what it has scored after every slice, so nothing is lost with it, and it ends with the process
that has started it: whatever is left is scored by whoever looks next.
"""

import os
import pickle
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from promptops.log import PackageLogger
from promptops.registry import RegistryDatabase, read_exposure
from promptops.release.analysis.update import PROGRESS_S, AnalysisRequest, score_slice

_LONG = 10_000  # calls of one canary, and three times as many of all: a worker takes half a second to start
_MAX_WORKERS = 4  # what they have scored is written by one after the other
_LOG = PackageLogger("promptops.release")


@dataclass(slots=True)
class _Worker:
    child: "subprocess.Popen[bytes]"
    look: int | None = None  # the place of what it is at

    def send(self, place: int, look: AnalysisRequest) -> None:
        assert self.child.stdin  # noqa: S101 - a pipe
        self.look = place
        pickle.dump(look, self.child.stdin)
        self.child.stdin.flush()

    def receive(self) -> tuple[int, bool]:
        assert self.child.stdout  # noqa: S101 - a pipe
        scored, more = pickle.load(self.child.stdout)  # noqa: S301 - of our own process
        return scored, more


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
    behind = [read_exposure(registry, look.rollout.id, as_ticked=True).behind for look in looks]
    long = [at for at, count in enumerate(behind) if count > _LONG]
    workers = min(len(long), _usable_processors(), _MAX_WORKERS)
    backlog = _Backlog([looks[at] for at in long], [behind[at] for at in long])
    if workers < 2 or sum(backlog.behind) < 3 * _LONG or not registry.writable:
        workers, backlog = 0, _Backlog((), ())
    places = {looks[at].rollout.id: place for place, at in enumerate(long)} if workers else {}
    with ExitStack() as stack:
        steps = _work(backlog, [_start(registry.path, stack) for _ in range(workers)])
        for look in looks:
            while places.get(look.rollout.id, -1) not in {-1, *backlog.done}:
                next(steps)
            yield look.rollout.id


def _work(backlog: _Backlog, workers: Sequence[_Worker]) -> Iterator[None]:
    """Hand out slices and take what has come of them, once for each ``next``."""
    said, total = monotonic(), sum(backlog.behind)
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.child.stdout or 0, selectors.EVENT_READ, worker)
            _hand_out(backlog, worker)
        while len(backlog.done) < len(backlog.looks):
            for key, _ in selector.select():
                if not _take(backlog, key.data):
                    selector.unregister(key.fileobj)
            if not selector.get_map():  # no worker is left
                backlog.done.update(range(len(backlog.looks)))
            if monotonic() - said > PROGRESS_S:
                said = monotonic()
                _LOG.info(f"{total - sum(backlog.left):,} of {total:,} calls scored")
            yield


def _take(backlog: _Backlog, worker: _Worker) -> bool:
    """Whether the worker goes on. One that fails leaves its log to who looks next, and says what is wrong."""
    place = worker.look
    if place is None:
        return False
    try:
        scored, more = worker.receive()
        backlog.left[place] = max(0, backlog.left[place] - scored)
        if more:
            worker.send(place, backlog.looks[place])
            return True
    except (EOFError, OSError, pickle.UnpicklingError):
        backlog.done.add(place)
        return False
    backlog.left[place] = 0
    backlog.done.add(place)
    return _hand_out(backlog, worker)


def _hand_out(backlog: _Backlog, worker: _Worker) -> bool:
    worker.look = None
    with suppress(OSError):
        if backlog.waiting:
            place = backlog.waiting.popleft()
            worker.send(place, backlog.looks[place])
    return worker.look is not None


def _start(registry: Path, stack: ExitStack) -> _Worker:
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", __name__, str(registry)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C ends this process, and its end ends the worker
    )
    stack.enter_context(child)
    return _Worker(child)


def _usable_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(path: Path) -> None:
    """Score the slices that are asked for until nobody asks any more."""
    ask, answer = open(0, "rb", closefd=False), open(1, "wb", closefd=False)  # noqa: SIM115 - pipes
    with suppress(EOFError, OSError), RegistryDatabase.open(path) as registry:
        before: dict[str, int] = {}
        while True:
            look: AnalysisRequest = pickle.load(ask)  # noqa: S301 - of the process that has started this one
            scored = score_slice(registry, look)
            calls = scored.tests.instant.calls
            pickle.dump((calls - before.get(look.rollout.id, 0), scored.more), answer)
            before[look.rollout.id] = calls
            answer.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
