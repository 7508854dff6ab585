"""What ``doctor --gateway`` looks at: whether a gateway answers, and what it would serve here."""

import http.client
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from promptops.cli.diagnostics.finding import DoctorFinding

KEY_VARIABLE = "PROMPTOPS_GATEWAY_KEY"
_TIMEOUT_S = 10.0
_MAX_BYTES = 4_000_000
_SHOWN = 8


def gateway_findings(url: str) -> Iterator[DoctorFinding]:
    """``url`` with or without the /v1 that clients have behind it."""
    base = url.rstrip("/").removesuffix("/v1")
    if urlsplit(base).scheme not in ("http", "https") or not urlsplit(base).hostname:
        yield DoctorFinding("gateway", "error", f"{url} is no address", "write http://127.0.0.1:4455/v1")
        return
    try:
        ready, _ = _get(base, "/readyz")
        status, models = _get(base, "/v1/models")
    except (OSError, http.client.HTTPException, ValueError) as error:
        hint = "promptops serve starts one; the address is that of its first line"
        yield DoctorFinding("gateway", "error", f"{base} does not answer as a gateway: {error}", hint)
        return
    if ready != http.client.OK:
        yield DoctorFinding("gateway", "warning", f"{base} is not ready", "it is starting, or about to end")
    yield _models_finding(base, status, models)


def _models_finding(base: str, status: int, answer: Any) -> DoctorFinding:
    if status != http.client.OK:
        message = answer.get("error", {}).get("message", "") if isinstance(answer, dict) else ""
        hint = f"put a key of `promptops keys new` into {KEY_VARIABLE}"
        return DoctorFinding("gateway", "error", f"{base}/v1/models answers {status}: {message}", hint)
    names = [str(model["id"]) for model in answer["data"]]
    if not names:
        return DoctorFinding("gateway", "warning", f"{base} serves nothing", "promptops promote NAME@REV")
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return DoctorFinding(
        "gateway", "ok", f"{base} serves {', '.join(names[:_SHOWN])}{more}", _curl(base, answer["data"][0])
    )


def _curl(base: str, model: Any) -> str:
    inputs = {
        name: f"<{about['type']}>"
        for name, about in model["promptops"]["inputs"].items()
        if about["required"]
    }
    body = json.dumps({"model": model["id"], "inputs": inputs}, ensure_ascii=False)
    key = f' --oauth2-bearer "${KEY_VARIABLE}"' if os.environ.get(KEY_VARIABLE) else ""
    return f"curl {base}/v1/chat/completions -H 'Content-Type: application/json'{key} -d '{body}'"


def _get(base: str, path: str) -> tuple[int, Any]:
    address = urlsplit(base)
    secure = address.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(str(address.hostname), address.port, timeout=_TIMEOUT_S)
    key = os.environ.get(KEY_VARIABLE)
    try:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("GET", f"{address.path}{path}", headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read(_MAX_BYTES))
    finally:
        connection.close()
