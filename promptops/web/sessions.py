"""Sessions in signed cookies: nothing is kept, so that all processes behind a port know them."""

import base64
import binascii
import hmac
import mmap
import secrets
import struct
import time

from promptops.dataclass import dataclass

IDLE_S = 12 * 3600.0  # a page that was left open overnight asks again who is there
_WHOLE_S = 7 * 86_400.0
_RENEW_S = 600.0
_MAX_COOKIE = 1_000


@dataclass(frozen=True, slots=True)
class PageSession:
    """``holder``: what it was opened with. Times in seconds since the epoch."""

    id: str
    holder: str
    began: float
    seen: float


class Sessions:
    """Signs and reads sessions. One is made before processes fork, so that all have its key."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self.token = OneTimeToken(self)

    def open(self, holder: str) -> PageSession:
        now = time.time()
        return PageSession(secrets.token_urlsafe(16), holder, now, now)

    def cookie(self, session: PageSession) -> str:
        text = "\n".join((session.id, session.holder, f"{session.began:.0f}", f"{session.seen:.0f}"))
        payload = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        return f"{payload}.{self.sign('session', payload)}"

    def read(self, cookie: str, now: float | None = None) -> PageSession | None:
        """The session of a cookie; None for one that is forged, of another server, or over."""
        payload, _, signature = cookie[:_MAX_COOKIE].rpartition(".")
        if not _is_same(signature, self.sign("session", payload)):
            return None
        try:
            raw = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
            name, holder, began, seen = raw.decode().split("\n")
            found = PageSession(name, holder, float(began), float(seen))
        except (binascii.Error, UnicodeError, ValueError):
            return None
        moment = time.time() if now is None else now
        over = moment - found.seen > IDLE_S or moment - found.began > _WHOLE_S
        return None if over else found

    def renewed(self, session: PageSession) -> PageSession | None:
        """The session as it is to be sent again; None while the one that is out will do."""
        now = time.time()
        if now - session.seen < _RENEW_S:
            return None
        return PageSession(session.id, session.holder, session.began, now)

    def sign(self, purpose: str, text: str) -> str:
        digest = hmac.digest(self._key, _raw(f"{purpose}\n{text}"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def form_token(self, session: str) -> str:
        """What each form of a session holds, which no other site can read."""
        return self.sign("form", session)

    def is_form_token(self, token: str, session: str) -> bool:
        return _is_same(token, self.form_token(session))


class OneTimeToken:
    """A token that opens one session; then another takes its place. Processes that fork later share it."""

    def __init__(self, sessions: "Sessions") -> None:
        self._sessions = sessions
        self._used = mmap.mmap(-1, mmap.PAGESIZE)  # how many were used; memory that forks share

    @property
    def current(self) -> str:
        return self._sessions.sign("address", str(self._count()))

    def redeem(self, token: str) -> bool:
        """Whether this is the token that opens a session now; it opens no other one."""
        count = self._count()
        if not _is_same(token, self.current):
            return False
        self._used[:8] = struct.pack("<q", count + 1)
        return True

    def _count(self) -> int:
        return int(struct.unpack("<q", self._used[:8])[0])


def _is_same(given: str, own: str) -> bool:
    """In a time that does not tell how much of it is."""
    return hmac.compare_digest(_raw(given), _raw(own))


def _raw(text: str) -> bytes:
    """Also of what a client has sent that is no UTF-8."""
    return text.encode("utf-8", "surrogatepass")
