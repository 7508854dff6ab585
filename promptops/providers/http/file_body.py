"""Bodies of requests that are read from the disk as they are sent."""

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

_PIECE = 64 * 1024


class FileBody:
    """A file as the body of a request, and the headers that go with it.

    It can be sent again: each iteration reads the file from its beginning.
    """

    def __init__(self, file: Path, *, content_type: str, head: bytes = b"", tail: bytes = b"") -> None:
        self.file = file
        self._head = head
        self._tail = tail
        length = len(head) + file.stat().st_size + len(tail)
        self.headers = {"Content-Type": content_type, "Content-Length": str(length)}

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self.file.open("rb") as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0 and (piece := file.read(min(_PIECE, left))):
                left -= len(piece)
                yield piece
        yield self._tail


class FileForm(FileBody):
    """A ``multipart/form-data`` body with one file (RFC 7578)."""

    def __init__(self, fields: Mapping[str, str], file: Path, *, content_type: str) -> None:
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"'
        super().__init__(
            file,
            content_type=f"multipart/form-data; boundary={boundary}",
            head=f"{''.join(parts)}{head}\r\nContent-Type: {content_type}\r\n\r\n".encode(),
            tail=f"\r\n--{boundary}--\r\n".encode(),
        )
