"""Where the links of a text lead: addresses, markdown, HTML, bare domains, as programs read them.

What is not allowed is forbidden, so a host need not be known to be bad. A text is looked at as it is written
and with its escapes undone (``&#58;``, ``%2F``), since what shows it may undo them.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from promptops.checks.types import CheckSubject, CheckVerdict, Found
from promptops.privacy.plain_text import PlainText, beyond_ascii, written_plainly

_MAX_ADDRESS = 2_000  # characters of one that are looked at
_LAST_WORD = re.compile(r"\S*\Z")
_MAX_SHOWN = 3
_IN_ADDRESS = rf"[^\s<>\"'`|{{}}]{{1,{_MAX_ADDRESS}}}"
_COLON = re.compile(r":(?<=[A-Za-z0-9+.\t\r\n-]:)(?=\S| [\w.]{1,40}[(=])")  # not that of a sentence
_MAX_SCHEME = 50  # characters, with tabs and line ends in it
_SCHEME_REVERSED = re.compile(r"[A-Za-z0-9+.-]{1,30}")
_WEB_SCHEMES = ("http", "https", "ws", "wss", "ftp")
# programs that show pages take \ for /, and do with any number of them
_AFTER_WEB_SCHEME = re.compile(rf"[/\\]{{0,8}}{_IN_ADDRESS}")
_AFTER_SCHEME = re.compile(rf"[/\\]{{2,8}}{_IN_ADDRESS}")
_GAP = r"[\t\r\n]{0,3}"
_SCRIPT_REVERSED = re.compile(rf"(?i){_GAP}(?:{_GAP.join('tpircsavaj')}|{_GAP.join('tpircsbv')})(?![\w-])")
_AFTER_SCRIPT = re.compile(rf"(?:[^\s<>\"'`]|[ ]?[\w.]{{1,40}}[(=])[^\s<>\"'`]{{0,{_MAX_ADDRESS}}}")
_AFTER_DATA = re.compile(
    rf"(?i)(?:[a-z]{{1,20}}/[a-z0-9.+-]{{1,60}}(?:;[\w=.+-]{{1,60}}){{0,5}}|;base64),[^\s<>\"'`]{{0,{_MAX_ADDRESS}}}"
)
_NO_SCHEME = re.compile(rf"(?<=[(:=<\"' \t])[/\\]{{2}}[^\s<>\"'`)|/\\][^\s<>\"'`)|]{{1,{_MAX_ADDRESS}}}")
_BEFORE_NO_SCHEME = re.compile(r"(?:\]\(|\]:|=|url\()[ \t<\"']{0,4}\Z", re.IGNORECASE)
_MAX_BEFORE = 10
# A bare domain is a link to many programs; of other endings (.py, .md, .txt) it is mostly the name of a file.
# Capitals are those of a sentence that begins without a space before it: "I like it.It works."
_ENDINGS = (
    "net|org|edu|gov|mil|int|info|biz|io|ai|app|dev|co|me|tv|cc|ly|gg|xyz|site|online|shop|store|tech|cloud|link"
    "|click|top|live|club|icu|page|web|blog|news|space|website|world|zone|ru|cn|uk|de|fr|es|it|nl|be|ch|at|eu|us|ca"
    "|au|jp|kr|br|in|pl|se|no|dk|fi|cz|pt|gr|tr|ua|ir|mx|ar|za|nz|ie|il|hk|tw|sg|onion|su"
)
_OTHER_DOTS = "\u3002\uff0e\uff61"
_DOT = f"[.{_OTHER_DOTS}]"
_AFTER_DOT = (
    rf"(?:{_ENDINGS}|{_ENDINGS.upper()}|[cC][oO][mM]|(?i:net|org)|xn--[a-z0-9-]{{1,59}})(?![\w-]|{_DOT}[\w-])"
    rf"(?:[/?#:][^\s<>\"'`|]{{0,{_MAX_ADDRESS}}})?"
)
_ENDING = re.compile(rf"\.{_AFTER_DOT}")
_ENDING_OF_ANY_DOT = re.compile(_DOT + _AFTER_DOT)
_LABELS_REVERSED = re.compile(rf"[\w-]{{1,63}}(?:{_DOT}[\w-]{{1,63}}){{0,8}}(?![\w@/\\.-])")
_WWW = re.compile(
    rf"(?i)(?<![\w@/\\.-])www\.(?:[\w-]{{1,63}}\.){{0,8}}[\w-]{{2,63}}(?:[/?#:][^\s<>\"'`|]{{0,{_MAX_ADDRESS}}})?"
)
_MAX_NAME = 253  # characters of a domain
_AUTHORITY = re.compile(r"[^/?#]*")
_LEFT_OUT = str.maketrans("", "", "\t\r\n")
_AT_END = ".,;:!?)]}*_~"
_ALLOWED_SCHEMES = ("http", "https")


class Link(NamedTuple):
    start: int
    end: int
    host: str  # as DNS has it; empty where there is none
    scheme: str


def only_allowed_links(subject: CheckSubject, allowed: Sequence[str]) -> CheckVerdict:
    found = forbidden_links(subject.output, allowed)
    places = list(dict.fromkeys(_shown(host) for _, _, host in found))
    more = f" and {len(places) - _MAX_SHOWN} more" if len(places) > _MAX_SHOWN else ""
    leads = f"{', '.join(places[:_MAX_SHOWN])}{more}"
    return CheckVerdict(not found, f"{len(found)} of the links lead to what is not allowed: {leads}")


def link_spans(text: str, allowed: Sequence[str]) -> Sequence[Found]:
    return [(start, end, "link") for start, end, _ in forbidden_links(text, allowed)]


def unfinished_link(text: str, _: Any) -> int:
    """Where the last word begins: a link goes on until a space."""
    last = _LAST_WORD.search(text[-_MAX_ADDRESS:])
    return len(text) - (len(last[0]) if last else 0)


def forbidden_links(text: str, allowed: Sequence[str]) -> list[tuple[int, int, str]]:
    """Start, end and host (else scheme) of the links that lead elsewhere, in their order; none overlap."""
    names = _allowed_names(tuple(allowed))
    found = [*_forbidden(text, names)]
    if plain := written_plainly(text):
        found += [_as_written(plain, link) for link in _forbidden(plain.text, names)]
    merged: list[tuple[int, int, str]] = []
    for start, end, host in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]), merged[-1][2])
        else:
            merged.append((start, end, host))
    return merged


def _as_written(plain: PlainText, link: tuple[int, int, str]) -> tuple[int, int, str]:
    start, end, host = link
    return plain.written_at(start), plain.written_at(end - 1) + 1, host


def _forbidden(text: str, names: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    for link in links_in(text):
        if link.scheme not in _ALLOWED_SCHEMES or not _is_allowed(link.host, names):
            yield link.start, link.end, link.host or f"{link.scheme}:"


def _is_allowed(host: str, names: frozenset[str]) -> bool:
    """``*.example.org`` allows what is below it, and not the name itself, as in certificates."""
    if host in names:
        return True
    parts = host.split(".")
    return any("*." + ".".join(parts[at:]) in names for at in range(1, min(len(parts), 10)))


def links_in(text: str) -> Iterator[Link]:
    """All links; mailto: and tel: are none, as they lead to no host."""
    covered = [*_addresses(text)]
    if "\\" in text or text.count("//") > text.count("://"):
        covered += (
            Link(*found.span(), _host(found[0].lstrip("/\\")), "https")
            for found in _NO_SCHEME.finditer(text)
            if _BEFORE_NO_SCHEME.search(text, max(0, found.start() - _MAX_BEFORE), found.start())
        )
    yield from covered
    yield from _outside(_bare_domains(text), sorted(link[:2] for link in covered))


def _addresses(text: str) -> Iterator[Link]:
    """What begins with a scheme, found by the colon behind it."""
    end = 0
    for colon in _COLON.finditer(text):
        at = colon.start()
        if at < end:
            continue
        before = text[max(end, at - _MAX_SCHEME) : at][::-1]
        if link := _script(text, at, before) or _address(text, at, before):
            end = link.end
            yield link


def _script(text: str, at: int, before: str) -> Link | None:
    scheme = _SCRIPT_REVERSED.match(before)
    after = _AFTER_SCRIPT.match(text, at + 1) if scheme else None
    return Link(at - scheme.end(), after.end(), "", "javascript") if scheme and after else None


def _address(text: str, at: int, before: str) -> Link | None:
    found = _SCHEME_REVERSED.match(before)
    scheme = found[0][::-1].lstrip("0123456789+.-").lower() if found else ""
    if not scheme:
        return None
    start = at - len(scheme)
    if scheme == "data":
        after = _AFTER_DATA.match(text, at + 1)
        return Link(start, after.end(), "", scheme) if after else None
    after = (_AFTER_WEB_SCHEME if scheme in _WEB_SCHEMES else _AFTER_SCHEME).match(text, at + 1)
    if not after:
        return None
    quote, address, end = text[start - 1 : start], after[0], after.end()
    close = text.find(quote, end, start + _MAX_ADDRESS) if quote and quote in "\"'" else -1
    if close > 0:  # an attribute of HTML, in which tabs and line ends are left out
        address, end = text[at + 1 : close].translate(_LEFT_OUT), close
    else:
        address = address.rstrip(_AT_END)
        end = at + 1 + len(address)
    return Link(start, end, _host(address.lstrip("/\\")), scheme)


def _bare_domains(text: str) -> Iterator[Link]:
    others = not set(_OTHER_DOTS).isdisjoint(beyond_ascii(text))
    for found in (_ENDING_OF_ANY_DOT if others else _ENDING).finditer(text):
        start = max(0, found.start() - _MAX_NAME)
        before = _LABELS_REVERSED.match(text[start : found.start()][::-1])
        if before:
            end = found.start() + len(found[0].rstrip(_AT_END))
            first = found.start() - before.end()
            yield Link(first, end, _host(text[first:end]), "https")
    if "www." in text.lower():
        for found in _WWW.finditer(text):
            yield Link(found.start(), found.start() + len(found[0].rstrip(_AT_END)), _host(found[0]), "https")


def _outside(links: Iterator[Link], covered: Sequence[tuple[int, int]]) -> Iterator[Link]:
    """Those that are no part of an address."""
    for link in links:
        place = bisect_right(covered, (link.start, len(covered) and covered[-1][1] + 1))
        if not place or covered[place - 1][1] <= link.start:
            yield link


def _host(address: str) -> str:
    """The host that a browser asks: what stands behind the last @ and before the port.

    Empty where programs disagree: some end the host at a backslash, others read on to an @ behind it.
    """
    authority = _AUTHORITY.match(address)
    assert authority is not None  # noqa: S101 - it matches nothing as well
    before, at, name = authority[0].rpartition("@")
    name, slash, after = name.partition("\\")
    if "\\" in before or (slash and at and "@" in after):
        return ""
    if not name.startswith("["):
        name = name.partition(":")[0]
    return host_name(name)


@lru_cache(maxsize=1024)
def host_name(name: str) -> str:
    """A name as DNS has it, in letters of ASCII; what cannot be one stays, and is no host that is allowed."""
    name = name.strip().rstrip(".").casefold()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name


@lru_cache(maxsize=64)
def _allowed_names(allowed: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        f"*.{host_name(name[2:])}" if name.startswith("*.") else host_name(name) for name in allowed
    )


def links_problem(allowed: Sequence[str]) -> str:
    """What is no host: an address, a path, a star elsewhere than in front."""
    for name in allowed:
        plain = name.removeprefix("*.")
        if "{{" not in name and (not plain.strip(". ") or re.search(r"[/\\:@*?#\s]", plain)):
            return f"`{name}` is not a host: write `example.org`, or `*.example.org` for what is below it"
    return ""


def _shown(host: str) -> str:
    """The end of a name alone: what stands before it may hold what must not be told."""
    return ".".join(host.split(".")[-2:])[-40:]
