"""What guards without a model take: whole runs with seven of them and with none, in turn, in CPU time."""

import asyncio
import statistics
import time

from promptops.checks import CheckSubject
from promptops.errors import NotFound
from promptops.guards import StreamGate, compile_guards
from promptops.prompt import load_prompt
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion, CompletionRequest, OnText
from promptops.registry import NoJournal
from promptops.runner import Runner
from promptops.versions.resolve import Version

ROUNDS, RUNS = 21, 200
MAIL = "Dear team, my parcel of 2 November has not come yet. Could you find out where it is and write to me? "
CATALOG = Catalog.load()
TEXT = (MAIL * 30)[:2048]
PROMPT = """\
model: openai/gpt-5.4-mini-2026-03-17
inputs: {mail: string}
messages: [{role: user, content: "{{ mail }}"}]
"""
GUARDS = r"""guards:
  - {on: input, check: {not: {regex: '(?i)ignore .{0,20}instructions'}}, do: block}
  - {on: input, check: {not: {regex: 'ORDER-\d+'}}, do: redact}
  - {on: input, check: {not: {icontains: system prompt}}, do: block}
  - {on: output, check: {not: {regex: 'sk-[A-Za-z0-9]{20,}'}}, do: redact}
  - {on: output, check: {not: {contains_any: [zebra, lemon, CANARY-81]}}, do: block}
  - {on: output, check: {not: {regex: '\b[\w.+-]{1,64}@[\w-]{1,63}\.\w{2,10}\b'}}, do: redact}
  - {on: output, check: {max_chars: 4000}, do: flag}
"""


STREAMED = (
    r"{not: {regex: 'ORDER-\d+'}}",
    "{not: {contains_any: [zebra, lemon, CANARY-81]}}",
    "pii",
    "secret",
    "{links: []}",
)
PIECE = 4  # characters


def main() -> None:
    asyncio.run(compare())
    for check in STREAMED:
        stream(check)


def stream(check: str) -> None:
    """An answer in small pieces, held back by one guard that redacts."""
    found = version(f"{PROMPT}guards: [{{on: output, check: {check}, do: redact}}]\n")
    guards = compile_guards(found.prompt)
    pieces = [TEXT[at : at + PIECE] for at in range(0, len(TEXT), PIECE)]
    clock = time.process_time()
    for _ in range(ROUNDS):
        heard: list[str] = []
        gate = StreamGate(guards.outputs, CheckSubject(output=""), heard.append, whole=False)
        for piece in pieces:
            gate.take(piece)
        gate.passed(TEXT)
    took = (time.process_time() - clock) / ROUNDS / len(pieces) * 1e6
    print(f"  a piece of a stream held back for {check}: {took:.0f} us of CPU")


async def compare() -> None:
    plain, guarded = (version(PROMPT + more) for more in ("", GUARDS))
    await seconds(plain), await seconds(guarded)
    pairs = [(await seconds(plain), await seconds(guarded)) for _ in range(ROUNDS)]
    added = statistics.median((ours - theirs) / RUNS * 1000 for theirs, ours in pairs)
    bare = statistics.median(theirs / RUNS * 1000 for theirs, _ in pairs)
    print(f"  7 guards, 2 KB in and 2 KB out: {added:.3f} ms of CPU added to a run (target 0.3 ms)")
    print(f"  a run without guards, nothing logged: {bare:.3f} ms")


async def seconds(subject: Version) -> float:
    runner = Runner(lambda _: Echo(), CATALOG, NoJournal())
    clock = time.process_time()
    for _ in range(RUNS):
        await runner.run(subject, {"mail": TEXT})
    return time.process_time() - clock


def version(text: str) -> Version:
    def read(path: str) -> bytes:
        if path != "p.yaml":
            raise NotFound(path)
        return text.encode()

    return Version(prompt=load_prompt("p", read), reference="p", source="working tree", pasteable="p")


class Echo:
    """Answers with what it is sent."""

    async def complete(self, request: CompletionRequest, on_text: OnText | None = None) -> Completion:
        return Completion(text=request.messages[-1]["content"], response_model="echo", finish_reason="stop")

    def identity(self, request: CompletionRequest) -> tuple[str, str, bytes]:
        return "echo", "", request.messages[-1]["content"].encode()

    async def aclose(self) -> None: ...
