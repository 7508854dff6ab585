"""Who may look at pages, and from where: hosts, one-time addresses, keys of people, a trusted proxy."""

import re
import time
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import urlsplit

from aiohttp import web

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.git.state_branch import read_git_identity
from promptops.registry import ApiKey, hash_secret, list_api_keys
from promptops.web.context import ROLES, Forbidden, Project, Role, Viewer
from promptops.web.pages import BASE
from promptops.web.sessions import PageSession, Sessions

LOCAL = "local"
_KEY = "key:"
_KEYS_AGE_S = 0.5  # after which a key that was revoked is seen to be
_MAX_SECRET = 200
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\s]+)(?::\d{1,5})?")
_PERSON = re.compile(r"[^\x00-\x20<>\x7f]+@[^\x00-\x20<>\x7f]+")
_COOKIE = "promptops-ui"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """``host``: where it listens; ``public_url``: how people's browsers name it, where that is another name.

    ``proxy_header``: in which the proxies of ``proxy_networks`` say who is there.
    """

    host: str = "127.0.0.1"
    port: int = 4456
    public_url: str = ""
    proxy_header: str = ""
    proxy_networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @property
    def is_personal(self) -> bool:
        """Whether nobody but people on this machine can reach it, so that an address alone lets them in."""
        return is_loopback_host(self.host) and not self.public_url and not self.proxy_header


class PageAccess:
    """Tells people by their cookies, or by what a trusted proxy says of them."""

    def __init__(self, project: Project, options: AccessOptions, sessions: Sessions | None = None) -> None:
        """``sessions``: those of the processes that share a port, made before they part."""
        self.options = options
        self.sessions = sessions or Sessions()
        self._project = project
        self._keys: dict[str, ApiKey] = {}
        self._keys_read = 0.0
        self._local_actor: str | None = None
        public = urlsplit(options.public_url)
        self._public_origin = f"{public.scheme}://{public.netloc}" if public.netloc else ""
        self._public_host = public.netloc.casefold()

    @property
    def cookie_name(self) -> str:
        """Of this server alone: browsers send a cookie to all ports of a machine."""
        return f"{_COOKIE}-{self.options.port}"

    @property
    def address(self) -> str:
        """Where the pages are."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        return f"{self._public_origin or f'http://{host}:{self.options.port}'}{BASE}/"

    def one_time_address(self, page: str = "") -> str:
        """The address that opens one session, on a page such as ``review/7``."""
        return f"{self.address}{page}?token={self.sessions.token.current}"

    @property
    def is_secure(self) -> bool:
        return self._public_origin.startswith("https:")

    def check_request(self, request: web.Request) -> None:
        """Raises Forbidden for a name that this server has not, and for a request of another site's page."""
        host = request.host.casefold()
        named = _HOST.fullmatch(host)
        name = named[1] if named else ""
        if host != self._public_host and not is_loopback_host(name) and not self._is_own_address(name):
            raise Forbidden(
                f"this server is not known as {request.host[:100]}",
                hint="promptops ui --public-url URL says by which name people reach it",
            )
        own = self._public_origin if host == self._public_host else f"http://{host}"
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site", "same-origin")
        changes = request.method not in {"GET", "HEAD"}
        if (origin and origin.casefold() != own) or (changes and not origin and site != "same-origin"):
            raise Forbidden("this was sent by a page of another site, and was not done")

    def _is_own_address(self, name: str) -> bool:
        """An address in figures, which nobody's name server can bend, where it listens to other machines."""
        try:
            return bool(ip_address(name.strip("[]"))) and not is_loopback_host(self.options.host)
        except ValueError:
            return False

    async def viewer(self, request: web.Request) -> tuple[Viewer, PageSession | None] | None:
        """Who sends a request, in which session (none by a proxy); None for whoever must sign in."""
        if person := self._proxied(request):
            return await self._person(person, f"proxy:{person}"), None
        session = self.sessions.read(request.cookies.get(self.cookie_name, ""))
        if session is None:
            return None
        if session.holder == LOCAL and self.options.is_personal:
            return await self._local(session), session
        key = (await self._active_keys()).get(session.holder.removeprefix(_KEY))
        if key is None or key.limits.role is None:
            return None
        return Viewer(
            name=key.tenant, role=_role(key.limits.role), session=session.id, actor=_actor(key.tenant)
        ), session

    async def sign_in(self, secret: str) -> PageSession | None:
        """A session for a person's key; None for one that is unknown, was revoked, or opens no pages."""
        self._keys_read = 0.0
        hashed = hash_secret(secret.strip()[:_MAX_SECRET])
        found = [key for key in (await self._active_keys()).values() if key.secret_hash == hashed]
        return self.sessions.open(_KEY + found[0].key_id) if found and found[0].limits.role else None

    def _proxied(self, request: web.Request) -> str:
        """Who is there, as a trusted proxy says; empty where none does."""
        header = self.options.proxy_header
        if not header or not request.remote:
            return ""
        address = ip_address(request.remote)
        if not any(address in network for network in self.options.proxy_networks):
            return ""
        named = request.headers.getall(header, [])
        if len(named) > 1 or (named and not _PERSON.fullmatch(named[0])):
            raise Forbidden(f"the header {header} must name one person, by an e-mail address")
        return named[0] if named else ""

    async def _person(self, person: str, session: str) -> Viewer:
        """Whoever has a key with a role has that role; the others may look."""
        keys = (await self._active_keys()).values()
        roles = [key.limits.role for key in keys if key.tenant == person and key.limits.role]
        role: Role = max(map(_role, roles), key=ROLES.index, default="viewer")
        return Viewer(name=person, role=role, session=session, has_signed_in=False, actor=_actor(person))

    async def _local(self, session: PageSession) -> Viewer:
        """Whoever runs the server may do what they may in their terminal, under the name that git has."""
        if self._local_actor is None:
            settings = self._project.settings
            self._local_actor = await self._project.read(
                lambda _: read_git_identity(settings).actor if settings.git_dir else ""
            )
        name = self._local_actor.partition(" <")[0] or "you"
        return Viewer(name=name, role="approver", session=session.id)

    async def _active_keys(self) -> dict[str, ApiKey]:
        if time.monotonic() - self._keys_read > _KEYS_AGE_S:
            keys = await self._project.read(list_api_keys)
            self._keys = {key.key_id: key for key in keys if key.revoked_at is None}
            self._keys_read = time.monotonic()
        return self._keys

    async def check_reachable(self) -> None:
        """Raises Invalid where nobody could get in."""
        if self.options.is_personal or self.options.proxy_header:
            return
        if not any(key.limits.role for key in (await self._active_keys()).values()):
            raise Invalid(
                "people on other machines need keys to see pages, and there are none",
                hint="promptops keys new ada@example.org --role approver makes one",
            )


ACCESS: web.AppKey[PageAccess] = web.AppKey("access", PageAccess)


def is_loopback_host(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _role(text: str) -> Role:
    return next((role for role in ROLES if role == text), "viewer")


def _actor(person: str) -> str:
    """As git writes people."""
    return f"{person.partition('@')[0]} <{person}>"
