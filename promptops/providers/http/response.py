"""``http.client``'s reading of a reply, bounded and strict where it is neither."""

import re
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import BufferedIOBase

from promptops.providers.http.body import MAX_INFORMATIONAL

_MAX_LINE = 64 * 1024
_MAX_HEADERS = 100
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,12}[ \t]*(;[^\r\n]*)?\r?\n")
_SWITCHING = 101  # the last that is said before another protocol: no news, but an answer


class _HeadReader:
    """Notices a head that breaks off, which ``http.client`` takes for its end, or for no HTTP."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self.stream = stream
        self.ended = self.cut = False

    def readline(self, limit: int = -1) -> bytes:
        line = self.stream.readline(limit)
        self.ended = line in (b"\r\n", b"\n")
        self.cut = not line.endswith(b"\n") and len(line) != limit
        return line

    def close(self) -> None:
        """Leave the stream to the response, which closes it in the end."""


class BoundedResponse(HTTPResponse):
    """Overrides the few methods of ``HTTPResponse`` that read in a loop, or take what is not a number."""

    def begin(self) -> None:
        stream = self.fp
        head = _HeadReader(stream)
        self.fp = head  # type: ignore[assignment]  # as much of a file as reading a head takes
        try:
            super().begin()
        except HTTPException:
            if head.cut:
                raise ConnectionResetError from None
            raise
        finally:
            self.fp = stream
        if not head.ended:
            raise ConnectionResetError
        lengths = set(self.headers.get_all("Content-Length", ()))
        if len(lengths) > 1 or not all(
            re.fullmatch(r"\s*\d{1,18}\s*", length, re.ASCII) for length in lengths
        ):
            raise HTTPException("its length is not a number")

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(MAX_INFORMATIONAL + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # it is not in the stubs
            if not 100 <= status < 200 or status == _SWITCHING:  # news, not the reply
                return version, status, reason
            self._skip_lines()
        raise HTTPException("too much news before the reply")

    def _get_chunk_left(self) -> int | None:
        if self.chunk_left == 0:
            end = self.fp.read(2)
            if len(end) < 2:  # a line's end
                raise IncompleteRead(end)
            if end != b"\r\n":
                raise HTTPException("a chunk that ends elsewhere than its size says")
            self.chunk_left = None  # else the end of the chunk would be read once more, whatever it is
        return super()._get_chunk_left()  # type: ignore[misc, no-any-return]  # it is not in the stubs

    def _read_next_chunk_size(self) -> int:
        line = self.fp.readline(_MAX_LINE)
        if not line.endswith(b"\n") and len(line) < _MAX_LINE:
            raise IncompleteRead(line)
        if not _CHUNK_SIZE.fullmatch(line):
            raise HTTPException("not the size of a chunk")
        return int(line.partition(b";")[0], 16)

    def _read_and_discard_trailer(self) -> None:
        self._skip_lines()

    def _skip_lines(self) -> None:
        """Read to an empty line."""
        for _ in range(_MAX_HEADERS + 1):
            line = self.fp.readline(_MAX_LINE)
            if len(line) == _MAX_LINE:
                break
            if not line.endswith(b"\n"):
                raise IncompleteRead(line)
            if line in (b"\r\n", b"\n"):
                return
        raise HTTPException("too many lines")
