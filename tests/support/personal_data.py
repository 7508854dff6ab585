"""Made-up personal data, and a project that redacts it."""

import json

from support.provider import Answer, Received, events, reply, status, text

PLANTED = {
    "email": "ada.lovelace@example.org",
    "phone": "+49 30 901820",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ip": "203.0.113.77",
    "ssn": "219-09-9999",
    "secret": "ghp_aB3dE5gH7jK9mN1pQ3sT5vX7zA2cF4hJ6kL8",
    "url_token": "wombat-in-the-address",
    "order": "ORDER-77120-X",
    "animal": "the quiet quokka",
}
SENTENCE = (
    "I am {email} or {phone}, paid {ssn} with {card} from {iban} at {ip}; {secret}, {order}, {animal}, see "
    "https://example.org/a?token={url_token}&x=1"
).format(**PLANTED)
PATTERN = {"regex": r"ORDER-\d+-X", "name": "order"}
KINDS = [name for name in PLANTED if name not in ("order", "animal")]
SETTINGS = "log:\n" + "".join(
    f"  {line}\n"
    for line in (
        f"redact: {json.dumps([*KINDS, PATTERN, {'python': 'own.redactors:animals', 'name': 'animal'}])}",
    )
)
REDACTORS = """\
def animals(text):
    animal = "the quiet quokka"
    start = text.find(animal)
    return [] if start < 0 else [(start, start + len(animal))]
"""
TOOL_CALL = {
    "id": "1",
    "type": "function",
    "function": {"name": "f", "arguments": json.dumps({"a": SENTENCE})},
}
QUOTES = (
    lambda: text(f"You said: {SENTENCE}"),
    lambda: reply({"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}, finish="tool_calls"),
    lambda: reply({"role": "assistant", "content": "ok", "reasoning": SENTENCE}),
    lambda: status(400, f"cannot say {SENTENCE}"),
    lambda: text(SENTENCE[: SENTENCE.index("1111 1111") + 3], finish="length"),
    lambda: events({"error": {"message": SENTENCE}}),
)


def quoting(request: Received) -> Answer:
    """Says what it was asked, in the way that the number at the end of the question names."""
    if request.body["model"].startswith("gpt-4o-2024"):  # the judge
        return text(json.dumps({"score": 5, "reason": SENTENCE}))
    last = json.dumps(request.body["messages"]).rstrip('"}] ')[-1]
    return QUOTES[int(last) % len(QUOTES) if last.isdigit() else 0]()


def found_in(data: bytes) -> list[str]:
    """The kinds of which a telling piece of the planted value stands somewhere."""
    return [kind for kind, value in PLANTED.items() if any(piece in data for piece in _pieces(value))]


def _pieces(value: str) -> list[bytes]:
    """Its beginning, its end and what is between them; of a short value all."""
    size = max(8, len(value) // 2 + 2)
    return [
        value[start : start + size].encode() for start in (0, (len(value) - size) // 2, len(value) - size)
    ]
