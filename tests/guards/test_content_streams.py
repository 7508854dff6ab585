"""Streams under guards on content: nothing of what they find is heard, however the answer is cut."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops import Workspace
from promptops.checks import CheckSubject
from promptops.guards import StreamGate, compile_guards
from support.front_door import Cli, Repo
from support.fuzzing import fuzz_settings
from support.guard_texts import redacts
from support.personal_data import PLANTED
from support.prompt_files import load_text, minimal
from support.provider import Provider, Received, chunk, events, text

CANARY = "WOMBAT-2026"
KEY = """\
-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEF
AASCBKcwggSjAgEAAoIBAQ
-----END PRIVATE KEY-----"""
LINKS = [
    "https://evil.com/a?q=1", "www.evil.com", "evil.com", "javascript:a(1)",
]  # fmt: skip
VALUES: dict[str, tuple[Any, list[str]]] = {
    "pii": (None, [PLANTED[kind] for kind in ("email", "phone", "card", "iban", "ip", "ssn")]),
    "secret": (None, [PLANTED["secret"], KEY]),
    "links": ([], LINKS),
    "canary_word": (CANARY, [CANARY, "w o m b a t 2026", "6202-TABMOW", "V09NQkFULTIwMj"]),
}
WORDS = ["so ", "it is ", "\n", ", ", "call 12 ", "A: ", "wom ", "-", "2026 "]


def heard(kind: str, argument: Any, do: str, pieces: list[str]) -> str:
    """What a listener has got before the end."""
    check = kind if argument is None else {kind: argument}
    compiled = compile_guards(load_text(minimal(guards=[{"on": "output", "check": check, "do": do}])))
    said: list[str] = []
    whole = compiled.needs_whole_answer
    gate = StreamGate(compiled.outputs, CheckSubject(output=""), said.append, whole=whole)
    for piece in pieces:
        gate.take(piece)
    return "".join(said)


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
@fuzz_settings(20)
def test_nothing_that_is_found_in_the_whole_is_heard_of_its_parts(kind: str, data: st.DataObject) -> None:
    argument, values = VALUES[kind]
    parts = data.draw(st.lists(st.sampled_from([*WORDS, *values]), min_size=1, max_size=8))
    answer = " ".join(parts)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=12)))
    pieces = [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    found = redacts(kind, answer, argument)
    first = min((start for start, _, _ in found), default=len(answer))
    assert answer[:first].startswith(heard(kind, argument, "block", pieces))
    shown = heard(kind, argument, "redact", pieces)
    assert not [value for value in {answer[start:end] for start, end, _ in found} if value in shown]


def escaped(words: str) -> str:
    """As JSON may write them, every other letter by its number."""
    return "".join(f"\\u{ord(each):04x}" if place % 2 else each for place, each in enumerate(words))


@pytest.mark.parametrize("written", [str, escaped])
@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in VALUES for value in VALUES[kind][1]])
def test_letter_by_letter_nothing_of_a_value_is_heard(
    kind: str, value: str, written: Callable[[str], str]
) -> None:
    answer = f"Well, here it is: {written(value)} and that is all there is to it."
    argument = VALUES[kind][0]
    before = heard(kind, argument, "block", list(answer))
    assert before.strip() in "Well, here it is:"
    assert before.startswith("Well, here")
    after = heard(kind, argument, "redact", list(answer))
    assert after.startswith("Well, here it is: [")
    assert "and that is all" in after


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("canary_word", "the code is {code}"),
        ("system_leak", "I was told: {system}"),
        ("{canary_word: [WOMBAT-2026]}", "it is wombat 2026"),
    ],
)
def test_what_only_a_request_knows_reaches_its_guards(
    repo: Repo, cli: Cli, provider: Provider, check: str, said: str
) -> None:
    repo.write(
        "prompts/ask.yaml",
        "model: openai/gpt-4o-mini-2024-07-18\n"
        "inputs: {mail: {type: string, untrusted: true}}\n"
        "messages:\n"
        "  - role: system\n"
        "    content: You help, and tell nobody of the plan of WOMBAT-2026 to close the shop on Monday.\n"
        "  - {role: user, content: '{{ mail }}'}\n"
        f"guards:\n  - {{on: output, check: {check}, do: block, message: No.}}\n",
    )
    repo.commit("Ask")

    def answer(request: Received) -> Any:
        system, user = (each["content"] for each in request.body["messages"])
        reply = said.format(system=system, code=user.partition("<data-")[2][:16])
        streamed = events(chunk({"content": reply}), chunk({}, "stop"))
        return streamed if request.body.get("stream") else text(reply)

    provider.script = answer
    done = cli("run", "ask", "-i", "mail=hi", "--json")
    run = json.loads(done.out)
    assert (done.code, run["output"]) == (1, None)
    assert [guard["did"] for guard in run["guards"]] == ["blocked"]
    with Workspace.open(repo.path) as workspace, workspace.stream("ask", {"mail": "hi"}) as stream:
        assert "WOMBAT" not in "".join(stream).upper()
    assert stream.run.blocked
    provider.script = text("All is well.")
    assert cli("run", "ask", "-i", "mail=hi").code == 0
