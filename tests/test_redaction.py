"""Secrets are struck out of messages in whatever form they come back."""

import base64
import codecs
import html
import json
import time
from urllib.parse import quote

import pytest

from promptops.redaction import add_secret, redact, redact_sent_keys

KEY = "sk-proj-" + "".join(chr(65 + (n * 7) % 26) + chr(97 + (n * 11) % 26) + str(n % 10) for n in range(52))
PASSWORD = "pass+w0/rd"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:{quote(PASSWORD, safe='')}@proxy.example:3128")


def longest_piece(secret: str, text: str) -> int:
    """The length of the longest part of a secret that a text still holds."""
    return max(
        (
            end - start
            for start in range(len(secret))
            for end in range(start + 1, len(secret) + 1)
            if secret[start:end] in text
        ),
        default=0,
    )


def entities(text: str) -> str:
    return "".join(f"&#x{ord(letter):x};" for letter in text)


ECHOES = {
    "as it is": KEY,
    "cut at the end": KEY[:148],
    "cut at the beginning": KEY[60:],
    "over two lines": f"{KEY[:70]}\n{KEY[70:]}",
    "in pieces": '", "'.join(KEY[at : at + 20] for at in range(0, len(KEY), 20)),
    "in single letters": " ".join(KEY),
    "URL-encoded": "".join(f"%{ord(letter):02X}" for letter in KEY),
    "URL-encoded twice": quote(quote("".join(f"%{ord(letter):02x}" for letter in KEY))),
    "JSON escapes": json.dumps("".join(f"\\u{ord(letter):04x}" for letter in KEY)),
    "hexadecimal escapes": "".join(f"\\x{ord(letter):02x}" for letter in KEY),
    "HTML": f"<p>{html.escape(KEY)}</p>",
    "HTML entities": entities(KEY),
    "HTML with places to break": "<wbr>".join(KEY[at : at + 8] for at in range(0, len(KEY), 8)),
    "hexadecimal": KEY.encode().hex(),
    "hexadecimal numbers": ", ".join(f"0x{ord(letter):02x}" for letter in KEY),
    "decimal numbers": str(list(KEY.encode())),
    "octal escapes": "".join(f"\\{ord(letter):03o}" for letter in KEY),
    "escapes in braces": "".join(f"\\u{{{ord(letter):x}}}" for letter in KEY),
    "long escapes": "".join(f"\\U{ord(letter):08x}" for letter in KEY),
    "JSON escapes twice": json.dumps(json.dumps("".join(f"\\u{ord(letter):04x}" for letter in KEY))),
    "backwards": KEY[::-1],
    "full-width": "".join(chr(ord(letter) + 0xFEE0) for letter in KEY),
    "in circles": "".join(
        chr(ord(letter) - 97 + 0x24D0) if letter.islower() else letter for letter in KEY.swapcase()
    ),
    "in bold of mathematics": "".join(
        chr(ord(letter) - 97 + 0x1D41A) if letter.islower() else letter for letter in KEY
    ),
    "with accents beside": "\u0301".join(KEY),
    "soft hyphens": "\u00ad".join(KEY),
    "HTML with classes": '<span class="s1">'.join(KEY[at : at + 8] for at in range(0, len(KEY), 8)),
    "in colours": "\x1b[31m".join(KEY[at : at + 8] for at in range(0, len(KEY), 8)),
    "in escaped colours": "\\x1b[1;31m".join(KEY[at : at + 8] for at in range(0, len(KEY), 8)),
    "in another alphabet of letters": codecs.encode(KEY, "rot13"),
    "UTF-16": KEY.encode("utf-16-le").decode("latin-1"),
    "UTF-16 as it is printed": repr(KEY.encode("utf-16-be")),
    "upper case": KEY.upper(),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES.keys())
def test_an_echoed_key_is_struck_out(echo: str) -> None:
    shown = redact(f"401: incorrect key {echo} provided, see the manual")

    assert "***" in shown
    assert shown.startswith("401: incorrect key ")
    assert shown.endswith(" provided, see the manual")
    assert longest_piece(KEY, shown) < 4
    assert len(shown) < 100


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
@pytest.mark.parametrize(
    "encode",
    [
        base64.b64encode,
        base64.urlsafe_b64encode,
        base64.encodebytes,
        base64.b32encode,
        base64.b32hexencode,
        base64.a85encode,
        base64.b85encode,
    ],
)
def test_a_key_in_other_digits_is_struck_out(before: str, encode: object) -> None:
    encoded = encode(f"{before}{KEY}".encode()).decode()  # type: ignore[operator]  # functions alike

    shown = redact(f"got Basic {encoded}")

    assert longest_piece(encoded, shown.removeprefix("got Basic ")) < 12


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_wherever_a_text_was_cut_little_of_a_key_stays(cut: int) -> None:
    assert longest_piece(KEY, redact(("x" * 180 + KEY + "y" * 40)[:cut])) < 12


def test_a_password_of_a_proxy_is_struck_out_in_each_of_its_forms() -> None:
    pair = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()

    shown = redact(f"{PASSWORD} {quote(PASSWORD, safe='')} Basic {pair} http://ada:{PASSWORD}@proxy.example")

    assert PASSWORD not in shown
    assert quote(PASSWORD, safe="") not in shown
    assert longest_piece(pair, shown) < 8


def test_logins_in_addresses_are_struck_out_although_nobody_knew_them() -> None:
    assert redact("fatal: https://x:ghp_abc@github.com/a/b") == "fatal: https://***@github.com/a/b"


def test_a_key_that_goes_out_is_known_although_no_variable_holds_it() -> None:
    add_secret("key-that-was-given-by-hand")

    assert redact("no: key-that-was-given-by-hand") == "no: ***"
    assert redact_sent_keys("an answer with key-that-was-given-by-hand") == "an answer with ***"


def test_placeholders_and_names_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "none")
    monkeypatch.setenv("PARTITION_KEY", "production")
    text = "none of production: 100% of `\\u00e9` at https://example.org/a?b=c, Größe İstanbul"

    assert redact(text) == text


def test_a_long_text_costs_little() -> None:
    text = "The model does not exist or you do not have access to it. " * 1000
    clock = time.process_time()

    redact(text)

    assert time.process_time() - clock < 1


@pytest.mark.parametrize(
    "echo",
    [
        "Authorization: Basic YWRhOnN3b3JkZmlzaA==",
        "{'Authorization': 'Bearer swordfish-1'}",
        '{"x-api-key":"swordfish-1"}',
        "(b'proxy-authorization', b'Basic YWRhOnN3b3JkZmlzaA==')",
        "authorization=swordfish-1",
        "http://ada:swordfish@proxy.example/x",
        '{"url":"https:\\/\\/ada:swordfish@proxy.example"}',
    ],
)
def test_a_credential_that_is_not_known_is_struck_out_where_its_place_says_so(echo: str) -> None:
    shown = redact(redact(f"failed: {echo} at 7"))
    assert shown == redact(f"failed: {echo} at 7")
    assert "***" in shown
    assert longest_piece("swordfish", shown) < 4
    assert longest_piece("YWRhOnN3b3JkZmlzaA", shown) < 4
    assert shown.endswith(" at 7")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATEWAY_HEADER", "Basic YWRhOnN3b3JkZmlzaA=="),
        ("GATEWAY_HEADER", "bearer swordfish"),
        ("HTTP_PROXY", "ada:swordfish@proxy.example:3128"),
        ("all_proxy", "socks5://ada:swordfish@proxy.example"),
    ],
)
def test_a_credential_of_the_environment_is_known(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert longest_piece("swordfish", redact("it said swordfish to me")) < 4


@pytest.mark.parametrize(
    "text", ["needs basic authentication", "the api-key is missing", "Authorization: none"]
)
def test_words_about_credentials_stay(text: str) -> None:
    assert redact(text) == text


def test_the_user_of_a_database_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is often called as the program, which every message names."""
    monkeypatch.setenv("PROMPTOPS_REGISTRY", "postgresql://promptops@db.example.org/promptops")
    monkeypatch.setenv("MIRROR", "https://swordfish-1@mirror.example")
    monkeypatch.setenv("DATABASE_URL", "postgres://grace:tunafish@db.example.org/shop")
    text = "promptops: no runs of grace in postgresql://promptops@db.example.org/promptops"
    assert redact(text) == text
    for login in ("ada:swordfish@", "ada@swordfish:x@", ":swordfish@"):
        assert redact(f"in postgres://{login}db.example.org/x") == "in postgres://***@db.example.org/x"
    assert redact("swordfish-1 and tunafish") == "*** and ***"


@pytest.mark.slow
def test_no_message_is_redacted_for_long() -> None:
    started = time.process_time()
    for text in (
        "authorization:" * 20_000,
        "://a@" * 50_000,
        ":" + "/" * 200_000,
        "api-key " * 30_000,
        ":\\" * 60_000,
    ):
        redact(text)
    assert time.process_time() - started < 5
