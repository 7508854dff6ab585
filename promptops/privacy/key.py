"""The key that pseudonyms are made with: of the environment, else of a file that only its owner reads.

It is no part of the registry: whoever has both can try all telephone numbers.
"""

import os
from contextlib import suppress
from pathlib import Path

from promptops.errors import Invalid, Unavailable

PRIVACY_KEY_VARIABLE = (
    "PROMPTOPS_PRIVACY_KEY"  # the key of several hosts that are to make the same pseudonyms
)
_KEY_BYTES = 32
_MAX_BYTES = 4096


def read_privacy_key(file: Path | None) -> bytes:
    """The key; the file is made by the first who asks. Raises Invalid or Unavailable."""
    if text := os.environ.get(PRIVACY_KEY_VARIABLE):
        return text.encode("utf-8", "surrogateescape")
    if file is None:
        raise Invalid("there is no place for the key of pseudonyms", hint=f"set {PRIVACY_KEY_VARIABLE}")
    try:
        if not file.exists():
            _make_key(file)
        with file.open("rb") as stream:
            key = stream.read(_MAX_BYTES)
    except OSError as error:
        raise Unavailable(f"the key of pseudonyms {file}: {error.strerror}") from error
    if len(key) < _KEY_BYTES:
        raise Invalid(f"{file} is no key of pseudonyms", hint="restore it, or remove it for a new one")
    return key


def _make_key(file: Path) -> None:
    """Whole or not at all, and once: of several processes the first one's stays."""
    new = file.with_name(f"{file.name}.{os.getpid()}.{os.urandom(4).hex()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, os.urandom(_KEY_BYTES))
        os.fsync(descriptor)
        with suppress(FileExistsError):
            os.link(new, file)
    finally:
        os.close(descriptor)
        new.unlink()
