"""Where alerts are sent: a webhook, Slack, GitHub's issues, a command."""

import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, Unavailable
from promptops.escapes import escape_line, shorten
from promptops.providers.http.exchange import exchange
from promptops.providers.http.transport import HttpReply
from promptops.providers.json_body import decode_json
from promptops.providers.openai.response import as_count, as_list, as_mapping, as_text
from promptops.providers.types import ModelError
from promptops.redaction import add_secret, redact

Payload = Mapping[str, Any]
_TIMEOUT_S = 15.0
_COMMAND_S = 60.0
_MAX_NAME = 80
_MAX_SAID = 4_096  # bytes of what a command says
_MADE = range(200, 300)
_ACTIVE = re.compile(r"@|://|www\.|\]\(", re.IGNORECASE)
_MAX_TITLE = 250  # characters; GitHub takes 256
_MAX_DETAILS = 50_000  # characters; GitHub takes 65,536 in all
_QUOTES = "'''"
_GONE = (404, 410)  # an issue that somebody has deleted


class AlertDestination(Protocol):
    """``name``: what its deliveries are stored under. ``edits``: whether it shows open alerts as they are."""

    @property
    def name(self) -> str: ...

    @property
    def edits(self) -> bool: ...

    def send(self, payload: Payload, reply: str | None) -> str | None:
        """Tell of one event; ``reply`` is what was returned for the opening of the same alert.

        Raises Unavailable where it could not be sent, Invalid where settings are wrong.
        """
        ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """JSON, signed where there is a secret: ``X-Promptops-Signature-256: sha256=HMAC`` of the body."""

    name: str
    url: str
    secret: str = ""
    edits: bool = False

    def send(self, payload: Payload, reply: str | None) -> str | None:
        del reply
        body = _encoded(payload)
        headers = {"Content-Type": "application/json", "X-Promptops-Delivery": str(payload["delivery"])}
        if self.secret:
            headers["X-Promptops-Signature-256"] = f"sha256={signature(self.secret, body)}"
        _expect_made(_exchange("POST", self.url, headers, body), self.name)
        return None


def signature(secret: str, body: bytes) -> str:
    """HMAC-SHA256 in hexadecimal digits, as GitHub signs its webhooks."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook of Slack, or of what takes the same: Mattermost, Rocket.Chat, Discord's /slack."""

    name: str
    url: str
    edits: bool = False

    def send(self, payload: Payload, reply: str | None) -> str | None:
        del reply
        body = _encoded({"text": _inert(message(payload))})
        headers = {"Content-Type": "application/json"}
        _expect_made(_exchange("POST", self.url, headers, body), self.name)
        return None


def _inert(text: str) -> str:
    """Text that mentions nobody and links to nothing, in Slack and in what reads Markdown instead."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ACTIVE.sub(lambda found: f"{found[0][0]}\u200b{found[0][1:]}", escaped)


@dataclass(frozen=True, slots=True)
class GitHubIssue:
    """An issue for each alert: edited while it is open, closed with a comment when it is over."""

    name: str
    api: str
    repository: str
    token: str
    edits: bool = True

    def send(self, payload: Payload, reply: str | None) -> str | None:
        content = {"title": shorten(payload["title"], _MAX_TITLE), "body": _issue_body(payload)}
        if payload["event"] == "opened":
            return self._open(payload, content)
        if reply is None:
            return None
        over = payload["event"] == "resolved"
        edited = self._ask("PATCH", f"/issues/{reply}", {"state": "closed"} if over else content)
        if edited.status in _GONE:
            return reply
        _expect_made(edited, self.name)
        if over:
            words = {"body": f"Over since {payload['resolved_at']}."}
            _expect_made(self._ask("POST", f"/issues/{reply}/comments", words), self.name)
        return reply

    def _open(self, payload: Payload, content: Mapping[str, Any]) -> str:
        """The issue that is there already, where a process was cut off, or has lost its registry."""
        state = "all" if payload["happened"] else "open"
        there = self._ask("GET", f"/issues?state={state}&sort=created&direction=desc&per_page=100")
        if number := _issue_with(there, _marker(payload)):
            return number
        made = self._ask("POST", "/issues", content)
        _expect_made(made, self.name)
        return _issue_number(made)

    def _ask(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> HttpReply:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        body = b"" if content is None else _encoded(content)
        return _exchange(method, f"{self.api}/repos/{self.repository}{path}", headers, body)


def _issue_number(made: HttpReply) -> str:
    if number := _number_of(_parsed(made)):
        return number
    raise Unavailable("GitHub's answer names no issue")


def _issue_with(there: HttpReply, marker: str) -> str | None:
    issues = as_list(_parsed(there)) if there.status in _MADE else ()
    return next(
        (_number_of(each) for each in issues if marker in (as_text(as_mapping(each).get("body")) or "")), None
    )


def _number_of(issue: Any) -> str | None:
    """As it stands in a path."""
    number = as_count(as_mapping(issue).get("number"))
    return str(number) if number else None


def _parsed(reply: HttpReply) -> Any:
    try:
        return decode_json(reply.body)
    except ValueError:
        return None


def _marker(payload: Payload) -> str:
    """By which the issue of an alert is known."""
    return f"<!-- promptops alert {hashlib.sha256(payload['key'].encode()).hexdigest()[:16]} -->"


def _issue_body(payload: Payload) -> str:
    """What is data stands in blocks of code, where it is no Markdown and mentions nobody."""
    details = json.dumps(payload["details"], ensure_ascii=False, indent=2)
    blocks = (("text", payload["text"]), ("json", shorten(details, _MAX_DETAILS)))
    shown = "\n\n".join(f"```{name}\n{text.replace('```', _QUOTES)}\n```" for name, text in blocks)
    return f"{_marker(payload)}\n{shown}\n"


@dataclass(frozen=True, slots=True)
class Command:
    """A program that reads the JSON from its standard input, in the project's folder."""

    name: str
    words: Sequence[str]
    folder: Path
    edits: bool = False

    def send(self, payload: Payload, reply: str | None) -> str | None:
        del reply
        with tempfile.TemporaryFile() as said:  # no pipe: what it leaves running may hold that open
            code = self._run(_encoded(payload), said)
            if code:
                said.seek(max(0, said.seek(0, os.SEEK_END) - _MAX_SAID))
                words = redact(escape_line(said.read().decode("utf-8", "replace")))[-_MAX_NAME:]
                raise Unavailable(f"{self.name} ended with {code}: {words}")
        return None

    def _run(self, given: bytes, said: IO[bytes]) -> int:
        try:
            started = subprocess.Popen(
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd=self.folder,
                start_new_session=True,
            )
        except OSError as error:
            problem = error.strerror or str(error)
            raise Unavailable(f"{self.name}: {problem}", hint="see `alerts:` in promptops.yaml") from None
        try:
            started.communicate(given, timeout=_COMMAND_S)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"{self.name} has not ended within {_COMMAND_S:g} s") from None
        finally:
            if started.returncode is None:
                _kill_group(started)
        return started.returncode


def _kill_group(started: "subprocess.Popen[bytes]") -> None:
    """The command and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def _encoded(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")


def find_destinations(
    settings: Settings, env: Mapping[str, str]
) -> list[tuple[AlertDestination, frozenset[str]]]:
    """Those of ``alerts: to``, each with the kinds that it is told; none means all of them.

    One that is named twice is one, which is told what either says: nobody hears of an alert twice.
    """
    found: dict[str, tuple[AlertDestination, frozenset[str]]] = {}
    for entry in settings.file.alerts.get("to", ()):
        kinds = frozenset(entry.get("on", ()))
        for each in _destinations_of(entry, settings, env):
            known = found.get(each.name, (each, kinds))[1]
            found[each.name] = each, known | kinds if known and kinds else frozenset()
    return list(found.values())


def _destinations_of(
    entry: Mapping[str, Any], settings: Settings, env: Mapping[str, str]
) -> list[AlertDestination]:
    found: list[AlertDestination] = []
    if webhook := entry.get("webhook"):
        secret = _variable(webhook["secret_env"], env) if "secret_env" in webhook else ""
        add_secret(secret)
        found.append(Webhook(f"webhook {webhook['url_env']}", find_address(webhook, env), secret))
    if slack := entry.get("slack"):
        found.append(Slack(f"slack {slack['url_env']}", find_address(slack, env)))
    if (github := entry.get("github")) is not None:
        token = _variable(github.get("token_env", "GITHUB_TOKEN"), env)
        add_secret(token)
        repository = github.get("repository_env", "GITHUB_REPOSITORY")
        api = env.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
        found.append(GitHubIssue(f"github {repository}", api, _variable(repository, env), token))
    if command := entry.get("command"):
        found.append(Command(f"command {_short_name(command)}", tuple(command), settings.root))
    return found


def _short_name(command: Sequence[str]) -> str:
    """Of a long command its beginning, and what tells it from others that begin alike."""
    words = " ".join(command)
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return words if len(words) <= _MAX_NAME else f"{words[:_MAX_NAME]}… ({digest})"


def find_address(named: Mapping[str, str], env: Mapping[str, str]) -> str:
    """An address by the variable that holds it; it is often a secret itself, so no message shows it."""
    url = _variable(named["url_env"], env)
    add_secret(url)
    return url


def _variable(name: str, env: Mapping[str, str]) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise Invalid(f"alerts: {name} is not set", hint=f"set the environment variable {name}")
    return value


def message(payload: Payload) -> str:
    """One alert in words."""
    head = "over" if payload["event"] == "resolved" else payload["kind"]
    return f"[{head}] {payload['title']}\n{payload['text']}"


def _exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
    try:
        return exchange(method, url, headers, body, timeout_s=_TIMEOUT_S)
    except ModelError as error:
        raise Unavailable(error.message, hint=error.hint) from None


def _expect_made(reply: HttpReply, name: str) -> None:
    if reply.status not in _MADE:
        raise Unavailable(f"{name} answers {reply.status}", hint="see what its variable holds")
