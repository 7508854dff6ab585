"""The gateway as a server: its routes, what guards them, how it starts and how it ends.

It runs on the event loop of the service that makes the calls, so that an answer changes no thread.
"""

import asyncio
import math
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from aiohttp import web

from promptops.config.closing import Closing
from promptops.config.settings import LogSettings, Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.gateway.access import Access, is_loopback
from promptops.gateway.answering import Answering
from promptops.gateway.answers import json_answer
from promptops.gateway.body import MAX_BODY_BYTES
from promptops.gateway.call_route import CallRoute
from promptops.gateway.chat_request import UNIT_HEADER, ChatReader
from promptops.gateway.embeddings import EmbeddingsRoute
from promptops.gateway.errors import NO_RETRY, ApiError, api_error
from promptops.gateway.idempotency import HEADER as IDEMPOTENCY_HEADER
from promptops.gateway.item_references import ItemReferences
from promptops.gateway.metrics import CONTENT_TYPE, GatewayMetrics
from promptops.gateway.models import ServedModels
from promptops.gateway.passthrough import Passthrough
from promptops.gateway.responses_request import ResponsesReader
from promptops.gateway.run_records import RunRecords
from promptops.gateway.server_log import LackOfFilesReport, http_logger
from promptops.gateway.workers import listen
from promptops.log import PackageLogger
from promptops.providers.catalog import Catalog
from promptops.redaction import redact
from promptops.registry import SharedState, redact_text
from promptops.runner.retry import Limits
from promptops.service import RefreshableSource, Service
from promptops.service.key_ring import KeyReader, KeyRing
from promptops.service.periodic_sync import PeriodicSync
from promptops.service.service import POLL_INTERVAL_S

_LOG = PackageLogger("promptops.gateway")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_HEADER_BYTES = 8190
_BACKLOG = 1024
_POSTED = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/feedback")
_UNDER_V1 = ("/chat/completions", "/responses", "/embeddings", "/feedback", "/models", "/runs")
_GIVEN_ONCE = ("Authorization", IDEMPOTENCY_HEADER, UNIT_HEADER)
_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Where a gateway listens, and how long it waits."""

    host: str = "127.0.0.1"
    port: int = 4455
    shared: Path | None = None  # where the processes that share the port keep what they count
    member: int = 0  # which of them this one is
    read_only: bool = False  # shows what there is, and neither calls nor logs
    limits: Limits = _LIMITS
    idle_s: float = 75.0  # after which a connection without a whole request is closed
    drain_s: float = 30.0  # for which the end waits for answers that are under way


class Gateway(Closing):
    """Serves one project. ``start`` returns when it listens, ``close`` when all that it began has ended."""

    def __init__(
        self,
        settings: Settings,
        source: RefreshableSource,
        options: GatewayOptions = GatewayOptions(),
        sync: PeriodicSync | None = None,
        mounted: Mapping[str, web.Application] = MappingProxyType({}),
    ) -> None:
        """``mounted``: what else is served, by its prefix; it looks after its own callers."""
        self.options = options
        self._mounted = mounted
        self._service = Service(settings, source, sync)
        self._log = settings.log
        self._ready = False
        self.serves_nothing = False  # when it began to listen
        self._published = 0  # answers, at the last time
        self._runner: web.AppRunner | None = None
        self._keys = KeyReader(settings)
        shared = self._shared = SharedState(options.shared, options.member) if options.shared else None
        self._access = Access(KeyRing(shared))
        self._watching: asyncio.Task[None] | None = None
        refuse = settings.serve.get("caller_parameters") == "refuse"
        self._metrics = GatewayMetrics()
        for counts in shared.published(own=True) if shared else ():
            self._metrics.include(counts, ended=True)
        answering = Answering(self._service, self._access, self._metrics, settings.log, shared)
        aliases = settings.serve.get("aliases", {})
        allowed = settings.serve.get("passthrough") == "log"
        providers = Catalog.load(settings).providers() if allowed else ()
        models = self._passthrough = Passthrough(aliases, providers, allowed=allowed)
        limits = options.limits
        chat = ChatReader(limits=limits, passthrough=models, refuse_parameters=refuse)
        responses = ResponsesReader(
            limits=limits, passthrough=models, aliases=aliases, refuse_parameters=refuse
        )
        self._embeddings = EmbeddingsRoute(answering, models, limits)
        self._chat = CallRoute(answering, chat.read)
        self._responses = CallRoute(answering, responses.read, ItemReferences(self._service).resolve)
        self._records = RunRecords(self._service, self._access, settings)

    def start(self, listening: socket.socket | None = None) -> int:
        """The port that it listens on. Raises Unavailable where that is taken."""
        own = listening or listen(self.options.host, self.options.port)
        try:
            return self._service.loop.result(self._start(own))
        except BaseException:
            own.close()
            raise

    def close(self) -> None:
        """Take no more requests, finish those under way, and log what had to be cut off."""
        if self._runner:
            self._service.loop.result(self._drain(self._runner))
            self._runner = None
        self._service.close()
        self._keys.close()
        if self._shared:
            self._shared.close()

    async def _start(self, listening: socket.socket) -> int:
        self._access.ring.apply(await self._service.read(self._keys.read))
        if not is_loopback(self.options.host) and not self._access.ring.has_active:
            raise Invalid(
                f"{self.options.host} can be reached from other machines, and there are no keys",
                hint="promptops keys new TENANT makes one; without keys listen on 127.0.0.1",
            )
        asyncio.get_running_loop().set_exception_handler(LackOfFilesReport())
        self._watching = asyncio.create_task(self._watch())
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            logger=http_logger(),
            handler_cancellation=True,  # a client that hangs up ends its call
            keepalive_timeout=self.options.idle_s,
            shutdown_timeout=self.options.drain_s,
            auto_decompress=False,  # a small body would be a large one, all at once
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
        )
        await self._runner.setup()
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            listening.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, math.ceil(self.options.idle_s * 1_000)
            )
        site = web.SockSite(self._runner, listening, backlog=_BACKLOG)
        await site.start()
        self.serves_nothing = not await self._service.serving()
        self._ready = True
        return int(self._runner.addresses[0][1])

    async def _watch(self) -> None:
        """A key that was revoked is refused within a second. What cannot be read stays as it was."""
        while True:
            with suppress(PromptopsError):
                self._publish()
            await asyncio.sleep(POLL_INTERVAL_S)
            with suppress(PromptopsError):
                self._access.ring.apply(await self._service.read(self._keys.read))

    def _publish(self) -> None:
        """Let the other processes see what this one counts, where it has counted something."""
        if self._shared and (answers := self._metrics.answers) != self._published:
            self._shared.publish(self._metrics.counts())
            self._published = answers

    async def _drain(self, runner: web.AppRunner) -> None:
        self._ready = False
        await runner.cleanup()
        await self._embeddings.close()
        if self._watching:
            self._watching.cancel()
        with suppress(PromptopsError):
            self._publish()

    def _app(self) -> web.Application:
        models = ServedModels(self._service, self._access, self._passthrough)
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat.post)
        app.router.add_post("/v1/responses", self._responses.post)
        app.router.add_post("/v1/embeddings", self._embeddings.post)
        app.router.add_get("/v1/models", models.list)
        app.router.add_get("/v1/models/{model:.+}", models.get)
        app.router.add_post("/v1/feedback", self._records.add_feedback)
        app.router.add_get("/v1/runs/{run_id}", self._records.get)
        app.router.add_get("/metrics", self._show_metrics)
        app.router.add_get("/livez", _live)
        app.router.add_get("/readyz", self._readiness)
        for prefix, other in self._mounted.items():
            app.add_subapp(prefix, other)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever goes wrong is answered in the shape that clients read."""
        if any(request.path.startswith(f"{prefix}/") for prefix in self._mounted):
            return await handler(request)
        try:
            self._check(request)
            answer = await handler(request)
        except ConnectionError:
            raise  # nobody is left who could be answered
        except Exception as error:  # noqa: BLE001 - one request's failure is no other's
            found = _as_api_error(error, request, self._log)
            answer = json_answer(found.as_json(), found.headers, found.status)
        self._metrics.count_answer(answer.status)
        return answer

    def _check(self, request: web.Request) -> None:
        """Raises ApiError for what no handler takes."""
        self._access.check_host(request)
        for name in _GIVEN_ONCE:
            if len(request.headers.getall(name, ())) > 1:  # by a proxy and by a client: whose holds?
                raise ApiError(400, f"the header {name} is given more than once", "invalid_value")
        if self.options.read_only and request.method == "POST":
            raise ApiError(403, "this gateway is read-only: it calls and logs nothing", "read_only")

    async def _show_metrics(self, request: web.Request) -> web.Response:
        """For whoever may see what all tenants use."""
        caller = self._access.caller(request)
        if not caller.usage.limits.metrics and caller.key is not None:
            raise ApiError(403, "this key may not read the metrics (keys new --metrics)", "not_allowed")
        others = self._shared.published(own=False) if self._shared else ()
        return web.Response(body=self._metrics.text(others).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _readiness(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a handler has it
        return json_answer({"ready": self._ready}, status=200 if self._ready else 503)


def _unknown_url(error: web.HTTPException, path: str) -> ApiError:
    """What clients hear whose base URL lacks ``/v1``, or who ask for more than there is."""
    if path.startswith(_UNDER_V1):
        hint = "the base URL ends in /v1"
    else:
        hint = (
            f"there are POST {', '.join(_POSTED)}; GET /v1/models, /v1/runs/ID, /metrics, /livez and /readyz"
        )
    allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return ApiError(error.status, f"{error.reason}: {path[:200]}; {hint}", "unknown_url", headers=allowed)


async def _live(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler has it
    return json_answer({"live": True})


def _as_api_error(error: Exception, request: web.Request, log: LogSettings) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PromptopsError):
        return api_error(error)
    if isinstance(error, web.HTTPException):
        unknown = error.status in (404, 405)
        return _unknown_url(error, request.path) if unknown else ApiError(error.status, error.reason)
    trace = redact_text(redact("".join(traceback.format_exception(error))), log)
    _LOG.warning(f"this is a bug. Please report it with these lines:\n{trace}")
    return ApiError(500, "unexpected error", "internal_error", headers=NO_RETRY)
