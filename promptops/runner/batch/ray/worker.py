"""What runs on a machine of the cluster: it calls models, and knows nothing of runs, logs and budgets.

Keys come from the environment of that machine. Nothing is written there.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.providers import create_client
from promptops.providers.catalog import Catalog
from promptops.providers.catalog_index import load_index
from promptops.providers.types import Completion, CompletionRequest, ErrorType, ModelClient, ModelError
from promptops.redaction import redact_sent_keys
from promptops.runner.retry import without_sent_keys
from promptops.trace_context import OUTGOING, TraceContext

_GATHER_S = 0.002  # that answers are waited for, so that one message carries many


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """One call to be made. ``trace``: what the provider is told of the run."""

    number: int
    request: CompletionRequest
    trace: TraceContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFailure:
    """A ModelError as it travels: exceptions are pickled by their positional arguments alone."""

    type: ErrorType
    message: str
    status: int | None = None
    retry_after: float | None = None
    partial: str = ""
    hint: str = ""
    completion: Completion | None = None

    @classmethod
    def of(cls, error: ModelError) -> "RemoteFailure":
        return cls(
            type=error.type,
            message=error.message,
            status=error.status,
            retry_after=error.retry_after,
            partial=redact_sent_keys(error.partial, cut=True) if error.partial else "",
            hint=error.hint,
            completion=without_sent_keys(error.completion) if error.completion else None,
        )

    def error(self) -> ModelError:
        error = ModelError(
            self.type,
            self.message,
            status=self.status,
            retry_after=self.retry_after,
            partial=self.partial,
            hint=self.hint,
        )
        error.completion = self.completion
        return error


Answer = tuple[int, Completion | RemoteFailure]


class CallWorker:
    """The actor. ``models``: those of the settings, without which a model of one's own is unknown."""

    def __init__(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        self._catalog = Catalog(load_index(os.environ), models)
        self._clients: dict[str, ModelClient] = {}
        self._ended: list[Answer] = []
        self._news = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    async def ready(self) -> None:
        """Come back when this worker has started."""

    async def exchange(self, calls: Sequence[RemoteCall]) -> list[Answer]:
        """Begin these calls, and come back with what has ended of all, when something has.

        An earlier exchange that still waits comes back at once: this one waits now.
        """
        self._news.set()
        news = self._news = asyncio.Event()
        for call in calls:
            task = asyncio.create_task(self._make(call))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        if not self._ended:
            await news.wait()
        if self._ended:
            await asyncio.sleep(_GATHER_S)
        ended, self._ended = self._ended, []
        return ended

    async def _make(self, call: RemoteCall) -> None:
        OUTGOING.set(call.trace)
        answer: Completion | RemoteFailure
        try:
            answer = without_sent_keys(await self._client(call.request.model).complete(call.request))
        except ModelError as error:
            answer = RemoteFailure.of(error)
        except PromptopsError as error:  # of a client that cannot be made here
            answer = RemoteFailure(type="bad_request", message=error.message, hint=error.hint)
        self._ended.append((call.number, answer))
        self._news.set()

    def _client(self, model: str) -> ModelClient:
        if model not in self._clients:
            self._clients[model] = create_client(model, None, os.environ, pooled=True, catalog=self._catalog)
        return self._clients[model]
