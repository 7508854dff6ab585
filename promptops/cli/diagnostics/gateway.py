"""What ``doctor --gateway`` looks at: whether a gateway answers, and what it would serve here."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from promptops.cli.diagnostics.finding import DoctorFinding
from promptops.providers.errors import excerpt, provider_message
from promptops.providers.http.exchange import exchange
from promptops.providers.http.network import parse_address
from promptops.providers.json_body import decode_event, decode_json
from promptops.providers.types import ModelError
from promptops.redaction import add_secret

KEY_VARIABLE = "PROMPTOPS_GATEWAY_KEY"
_TIMEOUT_S = 10.0
_SHOWN = 8
_OK = 200


def gateway_findings(url: str) -> Iterator[DoctorFinding]:
    """``url`` with or without the /v1 that clients have behind it."""
    base = url.rstrip("/").removesuffix("/v1")
    try:
        parse_address(base)
    except ModelError as error:
        yield DoctorFinding("gateway", "error", error.message, "write http://127.0.0.1:4455/v1")
        return
    try:
        ready, _ = _get(base, "/readyz")
        status, body = _get(base, "/v1/models")
        served = _served(body) if status == _OK else {}
    except (ModelError, ValueError) as error:
        said = error.message if isinstance(error, ModelError) else str(error)
        hint = "promptops serve starts one; the address is that of its first line"
        yield DoctorFinding("gateway", "error", f"{base} does not answer as a gateway: {said}", hint)
        return
    if ready != _OK:
        yield DoctorFinding("gateway", "warning", f"{base} is not ready", "it is starting, or about to end")
    yield _served_finding(base, served) if status == _OK else _refused_finding(base, status, body)


def _refused_finding(base: str, status: int, body: bytes) -> DoctorFinding:
    try:
        message = provider_message(decode_event(body))
    except ValueError:
        message = excerpt(body)
    hint = f"put a key of `promptops keys new` into {KEY_VARIABLE}"
    return DoctorFinding("gateway", "error", f"{base}/v1/models answers {status}: {message}", hint)


def _served_finding(base: str, served: Mapping[str, dict[str, str]]) -> DoctorFinding:
    names = list(served)
    if not names:
        return DoctorFinding("gateway", "warning", f"{base} serves nothing", "promptops promote NAME@REV")
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    text = f"{base} serves {', '.join(names[:_SHOWN])}{more}"
    return DoctorFinding("gateway", "ok", text, _curl(base, names[0], served[names[0]]))


def _served(body: bytes) -> dict[str, dict[str, str]]:
    """What each model requires: the types of its inputs. Raises ValueError for what no gateway answers."""
    try:
        return {
            str(model["id"]): _required(model["promptops"]["inputs"]) for model in decode_json(body)["data"]
        }
    except (AttributeError, KeyError, TypeError):
        raise ValueError("its /v1/models is not a list of prompts") from None


def _required(inputs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: str(about["type"]) for name, about in inputs.items() if about["required"]}


def _curl(base: str, name: str, required: Mapping[str, str]) -> str:
    inputs = {each: f"<{kind}>" for each, kind in required.items()}
    body = json.dumps({"model": name, "inputs": inputs}, ensure_ascii=False)
    key = f' --oauth2-bearer "${KEY_VARIABLE}"' if os.environ.get(KEY_VARIABLE) else ""
    place = shlex.quote(f"{base}/v1/chat/completions")
    return f"curl {place} -H 'Content-Type: application/json'{key} -d {shlex.quote(body)}"


def _get(base: str, path: str) -> tuple[int, bytes]:
    key = os.environ.get(KEY_VARIABLE)
    add_secret(key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    reply = exchange("GET", f"{base}{path}", headers, timeout_s=_TIMEOUT_S)
    return reply.status, reply.body
