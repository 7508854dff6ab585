"""Whole processes against ``python -c pass``, and a logged run against a bare ``http.client`` script."""

import os
import subprocess
import tempfile
from pathlib import Path

from pairs import PASS, PROMPTOPS, PYTHON, ratio, show

from support.provider import Provider, text

PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {name: string}
messages:
  - {role: system, content: You greet people.}
  - {role: user, content: "Greet {{ name }}."}
"""
BARE = """
import http.client, json
connection = http.client.HTTPConnection("127.0.0.1", PORT)
body = {"model": "m", "messages": [{"role": "user", "content": "Greet Ada."}]}
connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
print(json.loads(connection.getresponse().read())["choices"][0]["message"]["content"])
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Provider(text("Hello Ada")) as provider:
        environment = {**os.environ, "OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "k"}
        _make_repository(Path(folder))
        for arguments, target in [
            (["--help"], "≤ 6.5"),
            (["--version"], "≤ 6.5"),
            (["render", "greet", "-i", "name=Ada"], "≤ 10"),
            (["render", "greet@HEAD", "-i", "name=Ada"], "≤ 12"),
        ]:
            ours, _, times = ratio([*PROMPTOPS, *arguments], PASS, cwd=folder)
            show(f"{' '.join(arguments)} × python -c pass", f"{times:.1f} ({ours * 1000:.0f} ms)", target)
        bare = [PYTHON, "-c", BARE.replace("PORT", str(provider.port))]
        run = [*PROMPTOPS, "run", "greet", "-i", "name=Ada"]
        ours, theirs, times = ratio(run, bare, cwd=folder, env=environment)
        measured = f"{times:.1f} ({ours * 1000:.0f}/{theirs * 1000:.0f} ms)"
        show("run, logged durably × bare http.client script", measured, "≤ 4")


def _make_repository(folder: Path) -> None:
    (folder / "prompts").mkdir()
    (folder / "prompts/greet.yaml").write_text(PROMPT, encoding="utf-8")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "Greet"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
