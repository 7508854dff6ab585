"""A text written in the person's own editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from promptops.config.text import decode_input
from promptops.errors import Invalid

_DEFAULT = "vi"  # as git has it


def edit_text(text: str) -> str:
    """What is in the file when the editor has closed; nothing of it stays on the disk."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or _DEFAULT
    with tempfile.TemporaryDirectory(prefix="promptops-") as folder:
        file = Path(folder) / "message.md"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(command), str(file)], check=True)
            return decode_input(file.read_bytes(), "the message")
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            raise Invalid(
                f"the editor `{command}` failed: {error}", hint="the variables VISUAL and EDITOR name another"
            ) from None
