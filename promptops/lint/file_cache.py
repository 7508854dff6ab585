"""Files below prompts/ as one run reads them: each once, and every question noted."""

from promptops.errors import Invalid
from promptops.prompt import FileReader


class FileCache:
    def __init__(self, read: FileReader) -> None:
        self._read = read
        self._kept: dict[str, bytes | Invalid] = {}

    def read(self, path: str) -> bytes:
        if path not in self._kept:
            try:
                self._kept[path] = self._read(path)
            except Invalid as error:
                self._kept[path] = error
        found = self._kept[path]
        if isinstance(found, bytes):
            return found
        raise found

    def recording_reader(self) -> tuple[FileReader, list[str]]:
        """A reader, and the list of all that is asked of it, found or not."""
        asked: list[str] = []

        def read(path: str) -> bytes:
            asked.append(path)
            return self.read(path)

        return read, asked

    def known(self, path: str) -> bytes | None:
        """A file's bytes if it has been read."""
        found = self._kept.get(path)
        return found if isinstance(found, bytes) else None

    def forget(self, path: str) -> None:
        self._kept.pop(path, None)
