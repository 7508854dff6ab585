"""The gateway as a server: its routes, what guards them, how it starts and how it ends.

It runs on the event loop of the service that makes the calls, so that an answer changes no thread.
"""

import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address

from aiohttp import web

from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.errors import Invalid, PromptopsError, Unavailable
from promptops.gateway.answers import json_answer
from promptops.gateway.body import MAX_BODY_BYTES
from promptops.gateway.chat import ChatCompletions
from promptops.gateway.errors import NO_RETRY, ApiError, api_error
from promptops.gateway.models import ServedModels
from promptops.log import PackageLogger
from promptops.redaction import redact
from promptops.runner.retry import Limits
from promptops.service import RefreshableSource, Service
from promptops.service.periodic_sync import PeriodicSync

_LOG = PackageLogger("promptops.gateway")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MAX_HEADER_BYTES = 8190
_MAX_HEADERS = 100
_BACKLOG = 1024
_LIMITS = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """Where a gateway listens, and how long it waits."""

    host: str = "127.0.0.1"
    port: int = 4455
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
    ) -> None:
        if not is_loopback(options.host):
            raise Invalid(
                f"{options.host} can be reached from other machines", hint="listen on 127.0.0.1 or localhost"
            )
        self.options = options
        self._service = Service(settings, source, sync)
        self._ready = False
        self._runner: web.AppRunner | None = None
        policy = settings.serve.get("caller_parameters", "ignore")
        self._chat = ChatCompletions(self._service, options.limits, policy == "refuse")

    def start(self) -> int:
        """The port that it listens on. Raises Unavailable where that is taken."""
        try:
            return self._service.loop.result(self._start())
        except OSError as error:
            raise Unavailable(
                f"cannot listen on {self.options.host}:{self.options.port}: {error.strerror or error}",
                hint="stop what listens there, or name another port with --port",
            ) from None

    def close(self) -> None:
        """Take no more requests, finish those under way, and log what had to be cut off."""
        if self._runner:
            self._service.loop.result(self._drain(self._runner))
            self._runner = None
        self._service.close()

    async def _start(self) -> int:
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            handler_cancellation=True,  # a client that hangs up ends its call
            keepalive_timeout=self.options.idle_s,
            shutdown_timeout=self.options.drain_s,
            max_line_size=_MAX_HEADER_BYTES,
            max_field_size=_MAX_HEADER_BYTES,
            max_headers=_MAX_HEADERS,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port, backlog=_BACKLOG)
        await site.start()
        await self._service.serving()
        self._ready = True
        return int(self._runner.addresses[0][1])

    async def _drain(self, runner: web.AppRunner) -> None:
        self._ready = False
        await runner.cleanup()

    def _app(self) -> web.Application:
        models = ServedModels(self._service)
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat.post)
        app.router.add_get("/v1/models", models.list)
        app.router.add_get("/v1/models/{model:.+}", models.get)
        app.router.add_get("/livez", _live)
        app.router.add_get("/readyz", self._readiness)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever goes wrong is answered in the shape that clients read."""
        try:
            _check_host(request)
            return await handler(request)
        except ApiError as error:
            return _error_answer(error)
        except PromptopsError as error:
            return _error_answer(api_error(error))
        except web.HTTPException as error:
            return _error_answer(ApiError(error.status, f"{error.reason}: {request.path[:200]}"))
        except ConnectionError:
            raise  # nobody is left who could be answered
        except Exception as error:  # noqa: BLE001 - one request's failure is no other's
            trace = redact("".join(traceback.format_exception(error)))
            _LOG.warning(f"this is a bug. Please report it with these lines:\n{trace}")
            return _error_answer(ApiError(500, "unexpected error", "internal_error", headers=NO_RETRY))

    async def _readiness(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a handler has it
        return json_answer({"ready": self._ready}, status=200 if self._ready else 503)


async def _live(request: web.Request) -> web.Response:  # noqa: ARG001 - a handler has it
    return json_answer({"live": True})


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_host(request: web.Request) -> None:
    """A page of another site, whose name was made to mean this machine, is not answered."""
    name, _, port = request.host.rpartition(":")
    if not is_loopback(name if name and port.isdecimal() else request.host):
        raise ApiError(403, "this gateway answers on the loopback address alone", "wrong_host")


def _error_answer(error: ApiError) -> web.Response:
    return json_answer(error.as_json(), error.headers, error.status)
