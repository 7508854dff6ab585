"""What the index holds of a project, listed once."""

from promptops.config.settings import Settings
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.errors import Invalid
from promptops.git.entries import TreeEntry, index_entry, split_names
from promptops.git.process import run_git

_EMPTY_BLOBS = frozenset(  # by sha1 and by sha256
    {
        "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
    }
)


class IndexListing:
    """Asks git at most once for the project's own files, and once for each folder elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._own = (settings.prompts_path, "/".join(filter(None, (settings.prefix, SETTINGS_FILE))))
        self._known: dict[tuple[str, ...], list[TreeEntry]] = {}

    def below(self, folder: str) -> list[TreeEntry]:
        """Every file, link and submodule below a folder; of a file, itself."""
        return [entry for entry in self._listed(folder) if not folder or _is_at_or_below(entry.path, folder)]

    def at(self, path: str) -> TreeEntry | None:
        """The entry of a path, or of the link or submodule above it."""
        for entry in self._listed(path):
            if _is_at_or_below(path, entry.path):
                if entry.stage:
                    raise Invalid(
                        f"{entry.path} has a merge conflict in the index",
                        hint=f"resolve it, then: git add {entry.path}",
                    )
                return entry
        return None

    def _listed(self, path: str) -> list[TreeEntry]:
        if self._settings.top is None:
            raise Invalid("a bare repository has no index", hint="name a revision, such as NAME@HEAD")
        own = any(_is_at_or_below(path, each) for each in self._own)
        asked = self._own if own else (path or ".",)
        if asked not in self._known:
            stdout = run_git(self._settings, "ls-files", "-s", "-z", "--", *asked)
            self._known[asked] = self._added([index_entry(line) for line in split_names(stdout)], asked)
        return self._known[asked]

    def _added(self, entries: list[TreeEntry], asked: tuple[str, ...]) -> list[TreeEntry]:
        """Without those that `git add -N` announces: the index has their names and nothing of them."""
        if not any(entry.oid in _EMPTY_BLOBS for entry in entries):
            return entries
        shown = run_git(self._settings, "diff-files", "--name-only", "-z", "--diff-filter=A", "--", *asked)
        announced = set(split_names(shown))
        return [entry for entry in entries if entry.path not in announced]


def _is_at_or_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
