"""Trailers of a commit message that say what the commit changes in prompts."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from promptops.config.settings import Settings
from promptops.git.process import git_error, run_git, start_git

TRAILER_KEY = "Prompt-change"
_SCISSORS_LINE = re.compile(
    rb"^\S+ -{24} >8 -{24}$", re.MULTILINE
)  # below it stands what `git commit -v` shows


def write_trailers(settings: Settings, file: Path, lines: Sequence[str]) -> None:
    """Make these the message's trailers of ours. A message that git would refuse stays refused."""
    message = file.read_bytes()
    if _is_empty_or_template(settings, message):
        return
    if read_trailers(settings, message) == list(lines):
        return
    words = [word for line in lines for word in ("--trailer", f"{TRAILER_KEY}: {line}")]
    options = ("--no-divider", "--where", "end", "--if-exists", "add", "--if-missing", "add")
    text = _without_our_trailers(settings, message)
    file.write_bytes(
        _pipe_through_git(settings, text, "interpret-trailers", *options, *words) if words else text
    )


def read_trailers(settings: Settings, message: bytes) -> list[str]:
    """Our trailers in a message, without their key."""
    parsed = _pipe_through_git(settings, message, "interpret-trailers", "--parse", "--no-divider")
    prefix = f"{TRAILER_KEY}: "
    lines = parsed.decode("utf-8", "surrogateescape").splitlines()
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]


def is_amending(settings: Settings, message: bytes) -> bool:
    """Whether a message is that of HEAD, by our trailers: git tells its hooks no more of ``--amend``."""
    ours = read_trailers(settings, message)
    return bool(ours) and ours == read_trailers(settings, run_git(settings, "log", "-1", "--format=%B"))


def _without_our_trailers(settings: Settings, message: bytes) -> bytes:
    gone = {os.fsencode(f"{TRAILER_KEY}: {line}") for line in read_trailers(settings, message)}
    kept = (line for line in message.splitlines(keepends=True) if line.rstrip(b"\r\n") not in gone)
    text = b"".join(kept)
    return (
        text if text.endswith(b"\n") else text + b"\n"
    )  # a merge's has none, and git would add no blank line


def _is_empty_or_template(settings: Settings, message: bytes) -> bool:
    """Whether git will take the message for empty, or for a template that nobody filled in."""
    text = _message_body(settings, message)
    if not text:
        return True
    template = run_git(settings, "config", "--type=path", "--get", "commit.template", ok=(0, 1))
    if not template or settings.top is None:
        return False
    try:
        given = (settings.top / os.fsdecode(template.removesuffix(b"\n"))).read_bytes()
    except OSError:
        return False
    return text == _message_body(settings, given)


def _message_body(settings: Settings, message: bytes) -> bytes:
    found = _SCISSORS_LINE.search(message)
    plain = _pipe_through_git(settings, message[: found.start()] if found else message, "stripspace", "-s")
    return b"".join(
        line for line in plain.splitlines(keepends=True) if not line.startswith(b"Signed-off-by: ")
    ).strip()


def _pipe_through_git(settings: Settings, text: bytes, *command: str) -> bytes:
    with start_git(settings, command, stdin=subprocess.PIPE) as child:
        stdout, stderr = child.communicate(text)
    if child.returncode:
        raise git_error(stderr, command[0])
    return stdout
