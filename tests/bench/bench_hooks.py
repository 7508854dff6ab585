"""What a commit waits for its hook, as a whole process: one staged prompt, and none."""

import subprocess
import tempfile
from pathlib import Path

from pairs import PASS, PYTHON, ratio, show

PROMPT = "model: openai/gpt-4o-mini-2024-07-18\nmessages:\n  - {role: user, content: HELLO}\n"
HOOK = [PYTHON, "-P", "-m", "promptops", "hooks", "run"]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prompts/p.yaml"
        file.parent.mkdir()
        file.write_text(PROMPT, encoding="utf-8")
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
            subprocess.run(["git", *arguments], cwd=folder, check=True)
        for what in ("no prompt staged", "one prompt staged"):
            for hook in ("pre-commit", "lint", "diff"):
                _, _, times = ratio([*HOOK, hook], PASS, cwd=folder)
                show(f"hooks run {hook}, {what}", f"{times:.1f} × pass", "≤ 10")
            file.write_text(PROMPT.replace("HELLO", "Hello."), encoding="utf-8")
            subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
