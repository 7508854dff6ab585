"""Known secrets are struck out of what is shown or kept: whole, cut, taken apart or in another encoding.

Secrets are the keys that go out with requests and those in the environment. Letters and digits alone are
compared, after escapes are read: so a key is found whatever stands between its pieces, URL-encoded, in
HTML, JSON, full-width letters, backwards, in base64, base32, base85 or other digits. A piece of it is found
from twelve letters and digits on.
"""

import os
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache, lru_cache
from itertools import chain
from typing import Any, NamedTuple

REDACTED = "***"
_MIN_SECRET_LENGTH = 6  # a shorter one is a placeholder, and part of other words
_MIN_KEY_LENGTH = 12  # of a variable that is only called a key, which may be that of a table
_PIECE = 12  # letters and digits that are no accident
_MIN_ENCODED = 8
_RARE_STEP = 4  # letters between the pieces that are looked for: fewer of them to keep
_MAX_SENT = 256
_NAMES = ("API_KEY", "APIKEY", "TOKEN", "SECRET", "SECRET_KEY", "PASSWORD", "PASSWD", "PASSPHRASE", "_PAT")
_IN_QUERY = ("key", "token", "secret", "password", "sig", "signature", "auth", "code")
_DATABASES = ("postgresql", "postgres")  # a name of theirs is a user, whose password libpq finds
_USER = r"(?:(?<=postgresql://)|(?<=postgres://))[^:@/?#\s\"'<>\\]+@(?![^/?#\s\"'<>\\]*@)"
_LOGIN = rf"(:(?:\\*/){{2}})(?!{_USER})[^/?#\s\"'<>\\]+@"  # of an address: a token, or name and password
_HEADER = (  # of requests, with whatever key: a library can have found one that is not known here
    r"((?:authorization|api-key)[\"']{0,2}\s{0,4}[:=,]\s{0,4}b?[\"']?(?:(?:basic|bearer|digest|token)\s{1,4})?)"
    r"(?!(?:basic|bearer|digest|token)\s)[^\s\"',;<>]{6,}"
)
_SCHEMES = ("basic ", "bearer ", "token ")
_TOKENS = (
    r"%(?:25)*(?P<percent>[0-9a-f]{2})"
    r"|\\+(?:(?-i:U)0000(?P<long>[0-9a-f]{4})|u(?P<u>[0-9a-f]{4})|u\{0*(?P<braces>[0-9a-f]{1,5})\}"
    r"|(?:x1b|033|e)\[[\d;]*m|x(?P<x>[0-9a-f]{2})|(?P<octal>[01]?[0-7]{2})|[nrtbf])"
    r"|\x1b\[[\d;]*m"  # colours
    r"|\b0x(?P<number>[0-9a-f]{2})\b"
    r"|&(?:amp;)*#0*(?P<decimal>\d{1,6});"
    r"|&(?:amp;)*#x0*(?P<hexadecimal>[0-9a-f]{1,5});"
    r"|&(?:amp;)*(?:amp|lt|gt|quot|apos|nbsp|shy|zwnj|zwj);"
    r"|</?(?:wbr|br|b|i|em|strong|code|mark|span|p)(?:\s[^<>]{0,200})?/?>"
    r"|(?P<plain>[^\W_]+)"
    r"|(?P<sign>[^\x00-\x7f])"  # that may be a letter in a circle
)
_BASES = {"decimal": 10, "octal": 8}
_ROT13 = {first + n: first + (n + 13) % 26 for first in (65, 97) for n in range(26)}
_MAX_TAIL = 4096
_sent: dict[str, None] = {}


class _Forms(NamedTuple):
    """How a secret may look. ``pieces`` are letters and digits, ``whole`` is too short for that."""

    whole: tuple[str, ...]
    pieces: frozenset[str]
    lengths: tuple[int, ...]


class _Letters(NamedTuple):
    """The letters and digits of a text in lower case, and the place of each in it."""

    text: str
    starts: list[int]
    ends: list[int]


def add_secret(secret: str | None) -> None:
    """Know a key that goes out with requests."""
    if secret and len(secret) >= _MIN_SECRET_LENGTH and secret not in _sent:
        while len(_sent) >= _MAX_SENT:
            del _sent[next(iter(_sent))]
        _sent[secret] = None


def add_environment_secrets(env: Mapping[str, str]) -> None:
    """Know all keys of an environment that a library takes its choice of."""
    for secret in _environment_secrets(env):
        add_secret(secret)


def redact(text: str) -> str:
    """A message without known secrets and their pieces, and without logins in addresses."""
    if not text:
        return text
    text = re.sub(_LOGIN, rf"\1{REDACTED}@", text) if "/" in text and "@" in text else text
    text = re.sub(_HEADER, rf"\1{REDACTED}", text, flags=re.IGNORECASE)
    forms = _forms_of_all(frozenset({*_sent, *_environment_secrets(os.environ)}))
    for form in forms.whole:
        text = text.replace(form, REDACTED)
    return _without_pieces(text, forms) if forms.pieces else text


def redact_sent_keys(text: str, *, cut: bool = False) -> str:
    """A long text, such as an answer, without the whole keys that were sent to whoever wrote it.

    ``cut``: it may have ended in the middle of one.
    """
    for secret in tuple(_sent):
        for form in _encodings(secret) if len(text) >= len(secret) else ():
            if form in text:
                text = text.replace(form, REDACTED)
    return text[:-_MAX_TAIL] + redact(text[-_MAX_TAIL:]) if cut else text


def redact_texts(value: Any) -> Any:
    """A JSON value with ``redact_sent_keys`` done to each of its texts."""
    if isinstance(value, str):
        return redact_sent_keys(value)
    if isinstance(value, Mapping):
        return {redact_sent_keys(str(key)): redact_texts(item) for key, item in value.items()}
    return [redact_texts(item) for item in value] if isinstance(value, list | tuple) else value


def _without_pieces(text: str, forms: _Forms) -> str:
    letters = _letters(text)
    struck: list[tuple[int, int]] = []
    for start, end in _spans(letters.text, forms):
        first, last = letters.starts[start], letters.ends[end - 1]
        if struck and first < struck[-1][1]:
            first = struck.pop()[0]
        struck.append((first, last))
    for first, last in reversed(struck):
        text = text[:first] + REDACTED + text[last:]
    return text


def _spans(text: str, forms: _Forms) -> list[tuple[int, int]]:
    """Where pieces stand, those that touch as one."""
    spans = [
        (start, start + length)
        for length in forms.lengths
        for start in range(len(text) - length + 1)
        if text[start : start + length] in forms.pieces
    ]
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _letters(text: str) -> _Letters:
    letters = _Letters("", [], [])
    parts: list[str] = []
    for token in _token_pattern().finditer(text):
        if token.lastgroup == "plain":
            parts.append(token[0])
            letters.starts.extend(range(token.start(), token.end()))
            letters.ends.extend(range(token.start() + 1, token.end() + 1))
        elif token.lastgroup and _lower(letter := _escaped_letter(token)).isalnum():
            parts.append(letter)
            letters.starts.append(token.start())
            letters.ends.append(token.end())
    return letters._replace(text="".join(map(_lower, chain.from_iterable(parts))))


@cache
def _token_pattern() -> re.Pattern[str]:
    """Compiled by the first message, as most commands have none."""
    return re.compile(_TOKENS, re.IGNORECASE)


def _escaped_letter(token: re.Match[str]) -> str:
    if token.lastgroup == "sign":
        return token[0]
    base = _BASES.get(str(token.lastgroup), 16)
    code = int(token[token.lastgroup or 0], base)
    return chr(code) if code <= 0x10FFFF else ""  # the last character


def _lower(letter: str) -> str:
    """The plain letter for one in any width or ring; one for one, as places are counted."""
    if not letter.isascii():
        letter = _plain(letter)
    lower = letter.lower()
    return lower if len(lower) == 1 else letter


def _plain(letter: str) -> str:
    from unicodedata import normalize

    plain = normalize("NFKC", letter)
    return plain if len(plain) == 1 else letter


@lru_cache(maxsize=8)
def _forms_of_all(secrets: frozenset[str]) -> _Forms:
    forms = [_forms(secret) for secret in sorted(secrets, key=len, reverse=True)]
    pieces = frozenset(chain.from_iterable(form.pieces for form in forms))
    whole = tuple(chain.from_iterable(form.whole for form in forms))
    return _Forms(whole, pieces, tuple(sorted({len(piece) for piece in pieces})))


def _forms(secret: str) -> _Forms:
    plain, *common = (_letters(form).text for form in (secret, *_base64(secret), *_spelt_otherwise(secret)))
    texts = [form for form in common if len(form) >= _MIN_ENCODED]
    if len(plain) >= _PIECE:
        texts.append(plain)
    pieces = set(chain.from_iterable(map(_pieces, texts)))
    pieces.update(*(_pieces(_letters(form).text, step=_RARE_STEP) for form in _in_rare_digits(secret)))
    return _Forms(() if len(plain) >= _PIECE else _encodings(secret), frozenset(pieces), ())


def _pieces(text: str, *, step: int = 1) -> Iterator[str]:
    length = min(_PIECE, len(text))
    if length < _MIN_ENCODED:
        return iter(())
    return (text[start : start + length] for start in range(0, len(text) - length + 1, step))


@lru_cache(maxsize=_MAX_SENT)
def _encodings(secret: str) -> tuple[str, ...]:
    """The whole secret as it is and in the common encodings."""
    from urllib.parse import quote

    url_safe = (form.translate(str.maketrans("+/", "-_")) for form in _base64(secret))
    forms = (secret, quote(secret, safe=""), *_base64(secret), *url_safe)
    return tuple(dict.fromkeys(form for form in forms if len(form) >= _MIN_SECRET_LENGTH))


def _base64(secret: str) -> Iterator[str]:
    """What base64 makes of it, wherever it begins in a longer text: the digits that it alone decides."""
    data = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        digits = b2a_base64(bytes(before) + data, newline=False).decode()
        yield digits[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]


def _spelt_otherwise(secret: str) -> tuple[str, ...]:
    return (secret.encode("utf-8", "surrogatepass").hex(), secret[::-1], secret.translate(_ROT13))


def _in_rare_digits(secret: str) -> Iterator[str]:
    """Base32 and base85, wherever they begin in a longer text: the blocks that a secret alone decides."""
    from base64 import a85encode, b32encode, b32hexencode, b85encode

    data = secret.encode("utf-8", "surrogatepass")
    yield " ".join(map(str, data))
    for encode, size in ((b32encode, 5), (b32hexencode, 5), (a85encode, 4), (b85encode, 4)):
        for start in range(size):
            yield encode(data[start : len(data) - (len(data) - start) % size]).decode()


def _environment_secrets(env: Mapping[str, str]) -> Iterable[str]:
    for name, value in env.items():
        value = value.strip()  # noqa: PLW2901 - as clients read it
        if _is_secret(name.upper(), value):
            yield value
        elif value.lower().startswith(_SCHEMES):
            yield from _credentials(value)
        elif "://" in value:
            yield from _secrets_in_url(value)
        elif name.upper().endswith("_PROXY") and "@" in value:
            yield from _secrets_in_url(f"//{value}")


def _credentials(header: str) -> Iterator[str]:
    """What stands in a header of authorization: a token, or name and password."""
    scheme, _, credentials = header.partition(" ")
    found = [credentials.strip()]
    if scheme.lower() == "basic":
        with suppress(ValueError):
            pair = a2b_base64(found[0]).decode("utf-8", "replace")
            found += [pair, pair.partition(":")[2]]
    yield from (secret for secret in found if len(secret) >= _MIN_SECRET_LENGTH)


def _is_secret(name: str, value: str) -> bool:
    if len(value) < _MIN_SECRET_LENGTH:
        return False
    if name.endswith(_NAMES):
        return True
    return name.endswith("KEY") and len(value) >= _MIN_KEY_LENGTH and any(map(str.isdigit, value))


def _secrets_in_url(url: str) -> Iterator[str]:
    from urllib.parse import parse_qsl, unquote, urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:
        return
    login = parts.netloc.rpartition("@")[0]
    name, _, password = login.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}"
    alone = "" if parts.scheme in _DATABASES else name  # of a web address: a token
    values = [password, unquote(password), pair if password else alone]
    values += [value for key, value in parse_qsl(parts.query) if key.lower().endswith(_IN_QUERY)]
    yield from (value for value in values if len(value) >= _MIN_SECRET_LENGTH)
