"""How a page is drawn: templates in which all text is escaped, and files named by their digests."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from promptops import reports
from promptops.escapes import escape
from promptops.web.context import FORM_TOKEN, PROJECT, VIEWER

BASE = "/ui"
"""Where all pages are, also those of ``promptops ui``."""

NAV: web.AppKey[tuple[tuple[str, str], ...]] = web.AppKey("nav", tuple)
_HERE = Path(__file__).parent
_SHARED = Path(reports.__file__).parent
_STATIC = _HERE / "static"
_STYLES = (
    _SHARED / "base.css",
    _SHARED / "plots.css",
    _STATIC / "ui.css",
    *sorted(_STATIC.glob("[!u]*.css")),
)
_STATIC_FILES = {"ui.css": ("text/css", _STYLES), "ui.js": ("text/javascript", sorted(_STATIC.glob("*.js")))}
"""By name: the type, and the files that it consists of, since a page may have one of its own."""


def render_view(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page out of a template that extends ``base.html``."""
    shared = {
        "base": BASE,
        "csrf": request.get(FORM_TOKEN, ""),
        "nav": request.app.get(NAV, ()),
        "path": request.path.removeprefix(BASE) or "/",
        "project": request.app[PROJECT].settings.root.name,
        "read_only": request.app[PROJECT].read_only,
        "viewer": request.get(VIEWER),
    }
    text = _environment().get_template(template).render(shared | values)
    return web.Response(text=text, content_type="text/html", charset="utf-8", status=status)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader((_HERE / "templates", _SHARED)),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static_path
    return environment


def _visible(value: object) -> object:
    """Control and bidirectional characters as escapes; Markup is what a macro has escaped already."""
    return escape(value) if type(value) is str else value


@cache
def _static_files() -> dict[str, tuple[str, bytes]]:
    """By the name in addresses: the type and the content."""
    found = {}
    for name, (kind, parts) in _STATIC_FILES.items():
        content = b"".join(part.read_bytes() for part in parts)
        stem, _, suffix = name.partition(".")
        found[f"{stem}-{sha256(content).hexdigest()[:12]}.{suffix}"] = kind, content
    return found


def static_path(name: str) -> str:
    stem, _, suffix = name.partition(".")
    known = next(each for each in _static_files() if each.startswith(f"{stem}-") and each.endswith(suffix))
    return f"{BASE}/static/{known}"


async def send_static(request: web.Request) -> web.Response:
    """A file of our own. Its name changes with its content, so that it may be kept."""
    found = _static_files().get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    kind, content = found
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return web.Response(body=content, content_type=kind, charset="utf-8", headers=headers)
