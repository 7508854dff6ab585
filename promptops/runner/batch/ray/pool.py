"""The workers of a batch: one on each machine of a Ray cluster that has a processor to give.

A worker is asked to make calls, many by one message, and its answers come the same way. Pace, budget, cache
and log are those of the batch, in the process that began it; so a worker that dies takes no more with it than
the calls that it had under way. Each of them has failed (``cut_off``), and is made again like any other.
"""

import asyncio
import logging
import os
import pkgutil
import secrets
import socket
import warnings
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Self

from promptops._version import __version__
from promptops.config.settings import Settings
from promptops.errors import Invalid, PromptopsError, Unavailable
from promptops.log import PackageLogger
from promptops.providers.types import Completion, CompletionRequest, ModelClient, ModelError, OnText
from promptops.runner.batch.ray.place import LOCAL
from promptops.runner.batch.ray.worker import CallWorker, RemoteCall, RemoteFailure
from promptops.trace_context import OUTGOING

_LOG = PackageLogger("promptops.runner")
_CONNECT_S = 10.0
_START_S = 60.0  # within which a worker of a cluster must answer
_STORE_BYTES = 80 << 20  # of a cluster of our own: requests and answers are small, and travel by message
_DEATHS = 3  # of workers of one machine in a row that have answered nothing
_INSTALL_HINT = f"pip install git-promptops=={__version__}, into the environment that `ray start` runs in"
_MAX_PROBLEM = 300  # characters of what Ray says


class RayWorkers:
    """Use as a context. Ray knows one cluster a process, so that there is one of these at a time."""

    def __init__(self, address: str, settings: Settings) -> None:
        self._address = address
        self._models: Mapping[str, Any] = {name: dict(entry) for name, entry in settings.models.items()}
        self._nodes: list[_RayNode] = []

    def __enter__(self) -> Self:
        """Raises Unavailable where the cluster is not reached or has no processor to give."""
        _connect(self._address)
        try:
            nodes = _nodes()
            if self._address != LOCAL:  # which runs this very Python
                _check_versions(nodes)
            self._nodes = [_RayNode(id_, name, self._models) for id_, name in nodes]
            for node in self._nodes:  # else calls would wait there, and go out together
                _look_at(node.name, node.ready(), "make calls")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        for node in self._nodes:
            node.close()
        ray.shutdown()

    def __len__(self) -> int:
        return len(self._nodes)

    def client(self, local: ModelClient) -> ModelClient:
        """A client whose calls the workers make. ``local`` says how a request is known, and calls nothing."""
        return _RemoteClient(local, self)

    async def complete(self, request: CompletionRequest) -> Completion:
        """Made by the worker that has the fewest calls under way."""
        usable = [node for node in self._nodes if node.deaths < _DEATHS]
        if not usable:
            raise ModelError(
                "call_failed",
                f"the Ray workers die as they start: {self._nodes[0].problem}",
                hint="their logs are in /tmp/ray/session_latest/logs on those machines",
            )
        return await min(usable, key=lambda node: node.load).complete(request)


class _RemoteClient:
    def __init__(self, local: ModelClient, workers: RayWorkers) -> None:
        self.name = local.name
        self._local = local
        self._workers = workers

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        completion = await self._workers.complete(request)
        weights = getattr(self._local, "response_model", None)  # of the embedded model, with their hash
        if weights is not None and completion.response_model != weights:
            raise ModelError(
                "bad_request", f"a worker has {completion.response_model}, and this machine has {weights}"
            )
        if on_text is not None:
            on_text(completion.text)
        return completion

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        return self._local.identity(request)

    async def aclose(self) -> None:
        await self._local.aclose()


class _RayNode:
    """One machine, and the worker on it; another one when that has died."""

    def __init__(self, node_id: str, name: str, models: Mapping[str, Any]) -> None:
        self._node_id = node_id
        self.name = name
        self._models = models
        self._worker = self._start()
        self.deaths = 0
        self.problem = ""

    @property
    def load(self) -> int:
        return self._worker.load

    def ready(self) -> Any:
        """Ray's reference to the start of the worker."""
        return self._worker.ready()

    async def complete(self, request: CompletionRequest) -> Completion:
        worker = self._worker
        try:
            answer = await worker.call(request)
        except _RemoteWorkerDied as died:
            if self._worker is worker:  # the first call that hears of it
                self._replace(died)
            raise ModelError(
                "cut_off", f"the Ray worker on {self.name} died during the call: {died}"
            ) from None
        self.deaths = 0
        if isinstance(answer, RemoteFailure):
            raise answer.error()
        return answer

    def _replace(self, died: "_RemoteWorkerDied") -> None:
        self.deaths += 1
        self.problem = str(died)
        if self.deaths < _DEATHS:
            _LOG.warning(f"the Ray worker on {self.name} died, and another one is started; {died}")
            self._worker = self._start()
        else:
            _LOG.warning(f"the Ray worker on {self.name} died again, and gets no more calls; {died}")

    def _start(self) -> "_RemoteWorker":
        import ray

        actor = ray.remote(CallWorker).options(num_cpus=1, scheduling_strategy=_on_node(self._node_id))
        return _RemoteWorker(actor.remote(self._models))

    def close(self) -> None:
        self._worker.close()


class _RemoteWorkerDied(Exception):
    """Says why, in short."""


class _RemoteWorker:
    """The calls that one actor has under way."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[Completion | RemoteFailure]] = {}
        self._unsent: list[RemoteCall] = []
        self._exchanges: set[asyncio.Task[None]] = set()

    @property
    def load(self) -> int:
        return len(self._waiting)

    def ready(self) -> Any:
        return self._actor.ready.remote()

    async def call(self, request: CompletionRequest) -> Completion | RemoteFailure:
        """Raises _RemoteWorkerDied."""
        number = next(self._numbers)
        answer: asyncio.Future[Completion | RemoteFailure] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        if not self._unsent:
            asyncio.get_running_loop().call_soon(self._send)  # with all that is asked for in this turn
        self._unsent.append(RemoteCall(number, request, OUTGOING.get()))
        try:
            return await answer
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        import ray

        for exchange in self._exchanges:
            exchange.cancel()
        ray.kill(self._actor)

    def _send(self) -> None:
        calls, self._unsent = self._unsent, []
        exchange = asyncio.create_task(self._exchange(calls))
        self._exchanges.add(exchange)

    async def _exchange(self, calls: Sequence[RemoteCall]) -> None:
        from ray.exceptions import RayError

        try:
            sent = self._actor.exchange.remote(calls)
            for number, answer in await asyncio.wrap_future(sent.future()):
                _settle(self._waiting.get(number), answer)
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            died = isinstance(error, RayError | ConnectionError)
            for waiting in list(self._waiting.values()):
                _settle(waiting, _RemoteWorkerDied(_in_short(error)) if died else error)
        finally:
            if (this := asyncio.current_task()) is not None:
                self._exchanges.discard(this)
        if self._waiting and not self._exchanges and not self._unsent:
            self._send()


def _settle(waiting: "asyncio.Future[Any] | None", answer: object) -> None:
    if waiting is None or waiting.done():  # nobody waits any more
        return
    if isinstance(answer, Exception):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)


def _connect(address: str) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is loaded
    if address == LOCAL and "RAY_AUTH_MODE" not in os.environ:  # Ray listens on all addresses of the machine
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray
    from ray._private import worker

    # Ray says on stdout that a worker died, in the middle of results; nothing public keeps it from that.
    worker.print_to_stdstream = lambda *_, **__: None
    _check_listens(address)
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tips for programs of Ray
            ray.init(
                address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(own if address == LOCAL else {}),
            )
    except Exception as error:  # noqa: BLE001 - Ray raises whatever comes along
        raise Unavailable(
            f"no Ray cluster at {address}: {_in_short(error)}",
            hint="`ray status` on its head shows whether it runs; Ray and Python must be the same everywhere",
        ) from None


def _check_listens(address: str) -> None:
    """Raises Unavailable at once where nobody listens: Ray would try for a quarter of an hour."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise Unavailable(
            f"no Ray cluster at {address}: {error}", hint="`ray status` on its head shows whether it runs"
        ) from None


def _nodes() -> list[tuple[str, str]]:
    """Id and address of each machine that has a processor to give."""
    import ray

    nodes = [
        (node["NodeID"], node["NodeManagerAddress"])
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU", 0) >= 1
    ]
    if not nodes:
        raise Unavailable("the Ray cluster has no machine with a processor to give")
    return nodes


def _check_versions(nodes: Sequence[tuple[str, str]]) -> None:
    """Every machine has this package, and the same. Raises Invalid or Unavailable."""
    import ray

    look = ray.remote(pkgutil.resolve_name)  # a function that is there before the package is
    found = [
        look.options(num_cpus=1, scheduling_strategy=_on_node(node_id)).remote(
            "promptops._version:__version__"
        )
        for node_id, _ in nodes
    ]
    for (_, name), version in zip(nodes, found, strict=True):
        has = _look_at(name, version, "import promptops")
        if has != __version__:
            raise Invalid(
                f"the Ray worker on {name} has promptops {has}, and this is {__version__}", hint=_INSTALL_HINT
            )


def _look_at(name: str, reference: Any, what: str) -> Any:
    """What a worker comes back with. Raises Invalid where it cannot, Unavailable where it takes long."""
    import ray

    try:
        return ray.get(reference, timeout=_START_S)
    except ray.exceptions.GetTimeoutError:
        raise Unavailable(
            f"no worker of {name} has started within {_START_S:g} s: all its processors may be taken",
            hint="`ray status` shows who uses them",
        ) from None
    except ray.exceptions.RayError as error:
        raise Invalid(
            f"the Ray worker on {name} cannot {what}: {_in_short(error)}", hint=_INSTALL_HINT
        ) from None


def _on_node(node_id: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def _in_short(error: BaseException) -> str:
    """What an error of Ray says: its cause, or the first line that is not the head of a traceback."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, PromptopsError | ImportError):
        return str(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if "creation task" in lines[0] else 0][:_MAX_PROBLEM]
