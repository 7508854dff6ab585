"""Values in forms that people use beside the usual one, and what is no value."""

from pathlib import Path

import pytest

from promptops.config.redaction_rules import RedactionRule
from promptops.privacy.redactor import redactor_of

PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOY\n-----END PGP PRIVATE KEY BLOCK-----"
SSH2 = "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/5\n---- END SSH2 ENCRYPTED PRIVATE KEY ----"
PUTTY = "PuTTY-User-Key-File-3: ssh-rsa\nPrivate-Lines: 1\nAAAA\nPrivate-MAC: 0f"


def redacted(kind: str, text: str) -> str:
    return redactor_of((RedactionRule(name=kind),), Path()).text(text, {})


@pytest.mark.parametrize(
    ("kind", "before", "value", "after"),
    [
        *(
            ("phone", before, value, " is mine")
            for before, value in (
                ("Tel. ", "2071234567"),
                ("phone: ", "5551234"),
                ("my mobile number is ", "9876543210"),
                ("Handy ", "1701234567"),
                ("home_phone=", "2071234567"),
                ('{"telephone": ', "4915112345678"),
                ("https://wa.me/", "491701234567"),
                ("a ", "138 0013 8000"),
                ("a ", "8 (495) 123-45-67"),
            )
        ),
        ("card", "card_", "4111_1111_1111_1111", ".pdf"),
        *(
            ("iban", before, value, ".")
            for before, value in (
                ("to ", "DE 89 3704 0044 0532 0130 00"),
                ("to IBAN", "DE89370400440532013000"),
                ("to ", "DE89_3704_0044_0532_0130_00"),
                ("to ", "GB82/WEST/1234/5698/7654/32"),
            )
        ),
        *(
            ("ssn", before, value, ".")
            for before, value in (
                ("a ", "078.05.1120"),
                ("a ", "078 - 05 - 1120"),
                ("social_security_number=", "078051120"),
                ("SS# ", "078051120"),
            )
        ),
        *(("secret", "a ", key, "\nb") for key in (PGP, SSH2, PUTTY)),
        *(
            ("secret", f"https://{user}:", password, "@example.org/a")
            for user, password in (("u", "p"), ("ada", "htt"), ("ada", "hunter2"))
        ),
    ],
)
def test_another_form_of_a_value(kind: str, before: str, value: str, after: str) -> None:
    assert redacted(kind, f"{before}{value}{after}") == f"{before}[{kind}]{after}"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("phone", "order number 12345678"),
        ("phone", "a telephone for 2071234567 euros"),
        ("phone", "my mobile plan 2024123456"),
        ("phone", "vol. 2 (2019) 123-145-67"),
        ("iban", "at 20 people came, and 12 of them at 10 in the morning"),
        ("iban", "DE 89 3704 0044 0532 0130 01"),
        ("ssn", "078.05-1120"),
        ("secret", "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----"),
    ],
)
def test_what_only_looks_like_one(kind: str, text: str) -> None:
    assert redacted(kind, text) == text
