"""Who calls, and what they may call."""

from functools import lru_cache
from ipaddress import ip_address

from aiohttp import web

from promptops.dataclass import dataclass
from promptops.gateway.errors import NO_RETRY, ApiError
from promptops.gateway.patterns import matches
from promptops.gateway.references import check_served_reference
from promptops.registry import ApiKey, KeyLimits
from promptops.service.key_ring import KeyRing
from promptops.service.key_usage import KeyUsage

_SCHEME = "bearer "
_MAX_SECRET = 200


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request: a key, or nobody where there are no keys."""

    key: ApiKey | None
    usage: KeyUsage

    @property
    def tenant(self) -> str | None:
        return self.key.tenant if self.key else None

    @property
    def key_id(self) -> str | None:
        return self.key.key_id if self.key else None

    def may_call(self, reference: str) -> bool:
        return matches(reference, self.usage.limits.allow)

    def may_call_model(self, model: str) -> bool:
        """Whether a model may be called without a prompt."""
        return matches(model, self.usage.limits.models)

    def check_reference(self, text: str) -> str:
        """Raises NotFound for what is not served to anybody, ApiError for what this key may not call."""
        reference = check_served_reference(text, revisions=self.usage.limits.revisions)
        if not self.may_call(reference):
            allowed = ", ".join(self.usage.limits.allow)
            raise ApiError(403, f"this key may not call {reference}, but {allowed}", "not_allowed", "model")
        return reference


class Access:
    """Tells callers by their keys. While no key was ever made everybody on this machine may call."""

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self._anybody = Caller(None, KeyUsage(KeyLimits(), ring.store))

    def caller(self, request: web.Request) -> Caller:
        """Raises ApiError where a key is needed and there is none, or an unknown one."""
        if self.ring.empty:
            return self._anybody
        given = request.headers.get("Authorization", "")
        if given[: len(_SCHEME)].lower() != _SCHEME:
            raise _unauthorized("a key is needed: Authorization: Bearer KEY")
        key = self.ring.find(given[len(_SCHEME) :].strip()[:_MAX_SECRET])
        if key is None:
            raise _unauthorized("the key is unknown, or was revoked")
        return Caller(key, self.ring.usage(key))

    def check_host(self, request: web.Request) -> None:
        """Without keys a page of another site, whose name was made to mean this machine, is not answered."""
        name, _, port = request.host.rpartition(":")
        if self.ring.empty and not is_loopback(name if name and port.isdecimal() else request.host):
            raise ApiError(
                403, "without keys this gateway answers on the loopback address alone", "wrong_host"
            )


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, "invalid_api_key", headers={"WWW-Authenticate": "Bearer", **NO_RETRY})
