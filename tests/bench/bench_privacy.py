"""What redaction finds: made-up values of each kind in sentences, false spans where there are none, and time.

Values come from Faker, which knows nothing of our patterns (``pip install faker``):

    python tests/bench privacy
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from promptops.privacy.kinds import FINDERS
from promptops.stats.intervals import wilson_interval

SHARED = Path(os.environ.get("PROMPTOPS_SHARED", Path(__file__).parents[3] / "shared"))
EACH = 600
LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "en_AU", "pt_BR", "pl_PL", "sv_SE",
    "de_AT",
)  # fmt: skip
FURTHER_LOCALES = (  # three patterns were widened after a first look at them
    "fi_FI", "da_DK", "no_NO", "cs_CZ", "pt_PT", "es_MX", "en_IN", "en_CA", "fr_CH", "de_CH", "hu_HU",
    "ro_RO", "tr_TR", "el_GR", "ja_JP", "en_IE", "es_CO", "hr_HR", "sk_SK", "fr_BE",
)  # fmt: skip
SENTENCES = (
    "You can reach me at {}.",
    "My details: {}, thanks in advance",
    "{}",
    "The customer wrote {} in the form (see the ticket of 2026-11-02).",
    "Please change it to '{}' for order 20391.",
    'He said: "{}"; I paid 49.90 EUR on 3 May.',
    "- {}\n- nothing else",
)
CLEAN = (
    "The parcel {n8} left on 2026-{m:02}-{d:02} at 10:{d:02}:33 and weighs {m}.{n3} kg.",
    "Invoice {n6}-{n4} of {d}.{m}.2026 over {n4},{d:02} EUR is open.",
    "Version {m}.{d}.{n3} of the app needs {n4} MB.",
    "Order #{n10} was placed {d} days ago; {n3} people looked at it.",
    "Room {n3}, seats {m}-{d}, from 9 to 17, pages {n3}-{n3}.",
    "The temperature rose from {m}.{d} to {d}.{m} within {n4} s.",
    "See https://example.org/articles/{n6}?lang=en&page={d} for more.",
    "SKU {n4}-AB-{n4}, batch L{n6}, EAN {n12}.",
)
MAIL = (
    "Dear team, my order 20391 of 2 November has not come yet, although you wrote that it would be here "
    "within three days. I paid 49.90 EUR at once. Could you please find out where it is, and write to me? "
)
KINDS_OF_DATA = {
    "PHONE_NUMBER": "phone",
    "CREDIT_CARD": "card",
    "US_SSN": "ssn",
    "IP_ADDRESS": "ip",
    "EMAIL_ADDRESS": "email",
    "IBAN_CODE": "iban",
}


def main() -> None:
    try:
        from faker import Faker
    except ImportError:
        print("  left out: it needs pip install faker")
        return
    Faker.seed(7)
    draw = random.Random(7)
    fakes = {locale: Faker(locale) for locale in LOCALES}
    spans = 0
    print(f"  {'kind':<10} {'found':>12}   {'at least (95 %)':>16}   extra spans")
    for kind, make in makers(fakes, draw).items():
        found, extra = recall(kind, make, draw)
        spans += EACH
        low = wilson_interval(found, EACH).low
        print(f"  {kind:<10} {found:>6,} / {EACH:,}   {low:>15.1%}   {extra}")
    clean = [sentence.format_map(Numbers(draw)) for sentence in CLEAN for _ in range(500)]
    false = sum(len(set(all_spans(text))) for text in clean)
    print(f"  false spans: {false} in {len(clean):,} sentences without personal data")
    others = [Faker(locale) for locale in FURTHER_LOCALES]
    found, _ = recall("phone", lambda: draw.choice(others).phone_number(), draw)
    low = wilson_interval(found, EACH).low
    print(f"  phone, of {len(others)} other countries: {found} / {EACH}, at least {low:.1%}")
    of_data()
    speed()


def makers(fakes: dict[str, Any], draw: random.Random) -> dict[str, Callable[[], str]]:
    us = fakes["en_US"]
    some = lambda: fakes[draw.choice(LOCALES)]
    token = lambda length: "".join(draw.choices(LETTERS, k=length))
    secrets = (
        lambda: f"ghp_{token(36)}",
        lambda: f"sk-ant-api03-{token(60)}",
        lambda: f"AKIA{token(16).upper()}",
        lambda: f"xoxb-{draw.randrange(10**11, 10**12)}-{token(24)}",
        lambda: f"hf_{token(34)}",
        lambda: f"sk_live_{token(24)}",
    )
    return {
        "email": lambda: str(getattr(some(), draw.choice(("email", "company_email", "free_email")))()),
        "phone": lambda: some().phone_number(),
        "card": lambda: grouped(us.credit_card_number(), 4, draw),
        "iban": lambda: grouped(some().iban(), 4, draw),
        "ip": lambda: str(getattr(us, draw.choice(("ipv4", "ipv6")))()),
        "ssn": us.ssn,
        "secret": lambda: str(secrets[draw.randrange(len(secrets))]()),
        "url_token": lambda: token(draw.randrange(8, 60)),
    }


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Numbers(dict[str, Any]):
    """``{n6}`` is a number of six digits."""

    def __init__(self, draw: random.Random) -> None:
        super().__init__(m=draw.randrange(1, 13), d=draw.randrange(1, 29))
        self.draw = draw

    def __missing__(self, name: str) -> int:
        size = int(name[1:])
        return self.draw.randrange(10 ** (size - 1), 10**size)


def grouped(value: str, size: int, draw: random.Random) -> str:
    parts = [value[at : at + size] for at in range(0, len(value), size)]
    return draw.choice(("", " ", " ")).join(parts)


def recall(kind: str, make: Callable[[], str], draw: random.Random) -> tuple[int, int]:
    """How many values are covered whole, and how many spans touch none."""
    found = extra = 0
    for _ in range(EACH):
        value = make()
        sentence = draw.choice(SENTENCES)
        if kind == "url_token":
            sentence = sentence.replace("{}", "https://example.org/reset?id=7&token={}")
        text = sentence.format(value)
        start = text.index(value)
        spans = list(all_spans(text))
        found += covered(start, start + len(value), spans)
        extra += sum(last <= start or first >= start + len(value) for first, last in spans)
    return found, extra


def all_spans(text: str) -> Iterator[tuple[int, int]]:
    for find in FINDERS.values():
        yield from find(text)


def covered(start: int, end: int, spans: list[tuple[int, int]]) -> bool:
    """By one span, or by several that touch."""
    at = start
    for first, last in sorted(spans):
        if first <= at < last:
            at = last
    return at >= end


def of_data() -> None:
    """Sentences that others have made, with names and addresses."""
    file = SHARED / "data/pii/generated_small.jsonl"
    if not file.is_file():
        return
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    false, counts = 0, {}
    for row in rows:
        spans = list(all_spans(row["text"]))
        for each in row["spans"]:
            hits, total = counts.get(each["type"], (0, 0))
            counts[each["type"]] = (hits + covered(each["start"], each["end"], spans), total + 1)
        known = [each for each in row["spans"] if each["type"] in KINDS_OF_DATA]
        false += sum(
            not any(first < each["end"] and each["start"] < last for each in known) for first, last in spans
        )
    print(f"  data/pii, {len(rows)} sentences, {false} false spans:")
    for kind, (hits, total) in sorted(counts.items()):
        print(f"    {kind:<18} {hits} / {total}")


def speed() -> None:
    """A mail with a few numbers, and one with hardly anything else."""
    dense = " ".join(sentence.format_map(Numbers(random.Random(1))) for sentence in CLEAN * 5)
    for name, text in (("a mail", MAIL * 9), ("numbers", dense)):
        print(f"  {name}:")
        timed(text[:1900] + " ada@example.org, +49 30 901820, 4111 1111 1111 1111")


def timed(text: str) -> None:
    kinds = [name for name in FINDERS if name != "secret"]
    for names in (kinds, [*FINDERS]):
        started, rounds = time.process_time(), 500
        for _ in range(rounds):
            for name in names:
                list(FINDERS[name](text))
        spent = (time.process_time() - started) / rounds * 1000
        print(f"    {len(names)} kinds on {len(text):,} characters: {spent:.2f} ms of processor time")


if __name__ == "__main__":
    main()
