"""``promptops diff`` as a whole process: of two versions, and over 100 prompts after 1,000 commits."""

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pairs import PASS, PROMPTOPS, ratio, show

PROMPTS, COMMITS = 100, 1_000
PROMPT = """\
description: Route a support ticket.
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, seed: {number}}}
inputs: {{ticket: string}}
messages:
  - role: system
    content: |
      You route support tickets of team {name}. This is revision {number}.
      {{% include "partials/tone.md" %}}
{filler}
  - role: user
    content: "{{{{ ticket }}}}"
"""
FILLER = "\n".join(f"      - Rule {n}: answer with one queue, and never with two." for n in range(20))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-diff-") as name:
        folder = Path(name)
        build(folder)
        for arguments, target in [
            (["p0@HEAD~1", "p0@HEAD"], "-"),
            (["p99@HEAD~1", "p99@HEAD"], "<= 22"),
            (["HEAD~1..HEAD"], "-"),
            (["HEAD~10..HEAD"], "-"),
            (["HEAD~10..HEAD", "--name-only"], "-"),
            (["tone~1..tone"], "-"),
            (["HEAD~999..HEAD"], "-"),
        ]:
            ours, _, times = ratio([*PROMPTOPS, "diff", *arguments], PASS, cwd=folder, runs=9)
            show(f"diff {' '.join(arguments)} x pass", f"{times:.1f} ({ours * 1000:.0f} ms)", target)
        tree, _, _ = ratio(["git", "diff-tree", "-r", "HEAD~10", "HEAD"], PASS, cwd=folder, runs=9)
        show("git diff-tree -r HEAD~10 HEAD", f"{tree * 1000:.0f} ms", "-")


def build(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    command = ["git", "-C", str(folder), "fast-import", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        for piece in stream():
            child.stdin.write(piece)
    for step in ("repack -adq", "reset -q --hard"):
        subprocess.run(["git", "-C", str(folder), *step.split()], check=True, capture_output=True)


def stream() -> Iterator[bytes]:
    """A first commit with every prompt, one that changes the partial of all, then one prompt a commit."""
    first = [("prompts/partials/tone.md", "Be brief.\n")]
    yield commit("start", [*first, *((f"prompts/p{n}.yaml", text(n, 0)) for n in range(PROMPTS))])
    yield commit("tone", [("prompts/partials/tone.md", "Be brief and kind.\n")])
    yield b"reset refs/heads/tone\nfrom refs/heads/main\n\n"
    for number in range(1, COMMITS):
        yield commit("change", [(f"prompts/p{number % PROMPTS}.yaml", text(number % PROMPTS, number))])


def text(prompt: int, number: int) -> str:
    return PROMPT.format(name=f"t{prompt}", number=number, filler=FILLER)


def commit(message: str, files: list[tuple[str, str]]) -> bytes:
    lines = [b"commit refs/heads/main\ncommitter A <a@example.org> 1600000000 +0000\n"]
    lines.append(b"data %d\n%s\n" % (len(message), message.encode()))
    for path, content in files:
        data = content.encode()
        lines.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data))
    return b"".join(lines)


if __name__ == "__main__":
    main()
