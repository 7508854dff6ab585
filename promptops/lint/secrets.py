"""The rule on secrets: keys and tokens in text that is committed and sent."""

from collections.abc import Iterator

from promptops.config.text import Problem, find_position
from promptops.privacy.secrets import secrets_in_text


def find_secrets(path: str, text: str) -> Iterator[Problem]:
    """One finding a secret; its text stays out of the message."""
    hint = "revoke it, then remove it from the file and from history"
    for kind, _, start in secrets_in_text(text):
        yield Problem("", f"this looks like a secret ({kind})", path, find_position(text, start), hint)
