"""A repository, read: revisions, files at a revision or in the index, the first-parent line of a branch."""

import posixpath
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from promptops.config.closing import Closing
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.entries import TreeEntry, split_names, tree_entries, tree_entry
from promptops.git.index import IndexListing
from promptops.git.process import CatFile, GitObject, MissingObject, run_git

STATE_BRANCH = "promptops-state"
VERIFIED_REF = f"refs/promptops/verified/{STATE_BRANCH}"
STATE_REF = f"refs/heads/{STATE_BRANCH}"
_STATE_REFS = re.compile(f"{STATE_REF}|refs/remotes/[^/]+/{STATE_BRANCH}")
_NEW_REFS_SECONDS = 1.0
INDEX = ""  # the revision that stands for the index, as in git's own ":path"
_LINK, _SUBMODULE, _TREE = "120000", "160000", "040000"
_LINK_MODES = {_LINK, _SUBMODULE}
_MAX_LINKS = 16
_MAX_LINK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Tip:
    """Where HEAD stands: its branch ("HEAD" when detached) and commit (None before the first)."""

    branch: str
    commit: str | None


class GitRepo(Closing):
    """Reads one repository. A context manager: the one long-lived child ends with it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._objects = CatFile(settings)
        self._index = IndexListing(settings)
        self._ancestry: set[tuple[str, str]] = set()  # commits: what was once so stays so
        self._lines: set[tuple[str, str]] = set()
        self._listed = 0.0  # when all refs were, on the monotonic clock
        self.links_followed = 0

    def close(self) -> None:
        self._objects.close()

    # revisions

    def resolve_commit(self, rev: str) -> str:
        """Full commit id of a revision; NotFound or Invalid name what else was meant, nothing is guessed."""
        if not rev or set(rev) & set("\n\0"):
            raise Invalid(f"`{rev!r}` is not a revision")
        answer = self._objects.ask(f"{rev}^{{commit}}")
        if f"short object ID {rev} is ambiguous" in answer.warning:
            raise self._ambiguous_id(rev)
        if f"refname '{rev}' is ambiguous" in answer.warning:
            raise self._ambiguous_name(rev)
        if "warning: log for" in answer.warning:  # git would take the oldest entry instead
            warning = answer.warning.partition("warning: ")[2].strip()
            raise NotFound(f"no revision `{rev}`: {warning}", hint="git reflog lists the entries there are")
        if answer.kind != "commit":
            return self._resolve_with_rev_parse(rev)
        return answer.oid

    def abbreviate(self, sha: str) -> str:
        """The shortest form of a commit id, from 7 digits on, that git understands today."""
        for length in (7, 10, 14):
            answer = self._objects.ask(f"{sha[:length]}^{{commit}}")
            if answer.oid == sha and not answer.warning:
                return sha[:length]
        return sha

    def tip(self) -> Tip:
        return Tip(self._branch(), self._heads.get("HEAD"))

    def refresh_refs(self) -> None:
        """Forget where refs stood: something here, or another process, may have moved them."""
        self.__dict__.pop("_heads", None)

    def reread_refs(self) -> None:
        """See where the state branches stand now, by the git that is at work; new ones within a second."""
        known = self.__dict__.get("_heads", {})
        names = list(known | {VERIFIED_REF: ""})
        self.refresh_refs()
        if STATE_REF not in known or time.monotonic() > self._listed + _NEW_REFS_SECONDS:
            return
        answers = dict(zip(names, self._objects.ask_many(names), strict=True))
        if all(answers[name].kind == "commit" for name in known):
            self._heads = {name: answer.oid for name, answer in answers.items() if answer.kind == "commit"}

    def state_heads(self) -> dict[str, str]:
        """The state branch, here and as last fetched from each remote: ref to commit."""
        return {name: oid for name, oid in self._heads.items() if name not in ("HEAD", VERIFIED_REF)}

    def verified_state(self) -> str | None:
        """The newest commit of the state branch of which every file is known to follow from its log."""
        return self._heads.get(VERIFIED_REF)

    @cached_property
    def _heads(self) -> dict[str, str]:
        """HEAD and the state branches, asked for in one go and once."""
        self._listed = time.monotonic()
        stdout = run_git(self.settings, "show-ref", "--head", STATE_BRANCH, ok=(0, 1))
        lines = (line.split(" ", 1) for line in stdout.decode("utf-8", "surrogateescape").splitlines())
        return {
            name: oid for oid, name in lines if name in ("HEAD", VERIFIED_REF) or _STATE_REFS.fullmatch(name)
        }

    def _branch(self) -> str:
        """Read without git, as nothing rests on it: it tells apart what is remembered of each branch."""
        head = self.settings.git_dir / "HEAD" if self.settings.git_dir else None
        text = head.read_text(encoding="utf-8", errors="backslashreplace") if head else ""
        return text.removeprefix("ref:").strip() if text.startswith("ref:") else "HEAD"

    def has_commits(self, rev: str = "HEAD") -> bool:
        return self._objects.ask(f"{rev}^{{commit}}").kind == "commit"

    def author(self, commit: str) -> str:
        """Who wrote a commit, as git log shows it."""
        output = run_git(self.settings, "log", "-1", "--format=%an <%ae>", commit, "--")
        return output.decode("utf-8", "replace").strip()

    def is_shallow(self) -> bool:
        common = self.settings.common_dir
        return common is not None and (common / "shallow").is_file()

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Of two commit ids."""
        if (older, newer) in self._ancestry:
            return True
        found = not run_git(self.settings, "rev-list", "-n1", older, f"^{newer}")
        if found:
            self._ancestry.add((older, newer))
        return found

    def continues(self, older: str, newer: str) -> bool:
        """Whether a branch led from one commit to the other: along first parents, not by way of a merge."""
        if older == newer or (older, newer) in self._lines:
            return True
        output = run_git(self.settings, "rev-list", "--first-parent", "--parents", newer, f"^{older}", "--")
        oldest = output.decode().splitlines()[-1:]
        found = oldest != [] and oldest[0].split()[1:2] == [older]
        if found:
            self._lines.add((older, newer))
        return found

    def common_ancestor(self, one: str, other: str) -> str | None:
        """The newest commit that both come from; None where they share no history."""
        bases = run_git(self.settings, "merge-base", one, other, ok=(0, 1)).decode().split()
        return bases[0] if bases else None

    def refs(self, *patterns: str) -> dict[str, str]:
        """Refs that match the patterns of ``git for-each-ref``, each with its object id."""
        stdout = run_git(self.settings, "for-each-ref", "--format=%(refname) %(objectname)", *patterns)
        pairs = (line.rsplit(" ", 1) for line in stdout.decode("utf-8", "surrogateescape").splitlines())
        return dict(pairs)

    # objects

    def read(self, rev: str, path: str) -> bytes:
        """A file's bytes at a revision or in the INDEX; ``path`` is from the top of the repository.

        A symbolic link is followed as long as it stays inside the folder of the prompts.
        """
        if "\n" not in path:
            answer = self._objects.ask(_object_name(rev, path))
            if _is_plain_file(answer):
                return answer.data
        return self.read_blob(self._follow(rev, path).oid)

    def read_many(self, wanted: Sequence[tuple[str, str]]) -> list[bytes]:
        """``read`` of many (revision, path), without waiting for each answer before the next question."""
        if any("\n" in path for _, path in wanted):
            return [self.read(rev, path) for rev, path in wanted]
        answers = list(self._objects.ask_many([_object_name(rev, path) for rev, path in wanted]))
        return [
            answer.data if _is_plain_file(answer) else self.read(rev, path)
            for answer, (rev, path) in zip(answers, wanted, strict=True)
        ]

    def reader(self, rev: str) -> Callable[[str], bytes]:
        """Read files below ``prompts/`` at one revision, or in the INDEX."""
        return lambda path: self.read(rev, f"{self.settings.prompts_path}/{path}")

    def read_blob(self, oid: str) -> bytes:
        answer = self._objects.ask(oid)
        if answer.kind == "missing":
            raise self._missing_error(oid)
        return answer.data

    def list_files(self, rev: str, folder: str) -> list[TreeEntry]:
        """Every file, link and submodule below a folder, at a revision or in the INDEX."""
        if rev == INDEX:
            return self._index.below(folder)
        found: list[TreeEntry] = []
        trees = [TreeEntry("", _TREE, f"{rev}^{{tree}}")]
        while trees:
            entries = list(self._expand(trees))
            found += (entry for entry in entries if entry.mode != _TREE and _is_within(entry.path, folder))
            trees = [
                entry
                for entry in entries
                if entry.mode == _TREE and (_is_within(entry.path, folder) or _is_within(folder, entry.path))
            ]
        return sorted(found, key=lambda entry: entry.path)

    def _expand(self, trees: Sequence[TreeEntry]) -> Iterator[TreeEntry]:
        """What stands in these folders."""
        answers = self._objects.ask_many([tree.oid for tree in trees])
        for tree, answer in zip(trees, answers, strict=True):
            if answer.kind != "tree":
                raise self._missing_error(tree.oid)
            yield from tree_entries(answer, tree.path)

    def _missing_error(self, oid: str) -> MissingObject:
        step = "git fetch --refetch --no-filter" if self._is_partial() else "git fsck"
        return MissingObject(f"the object {oid} is missing from this repository", hint=f"try: {step}")

    # links, and the errors where something is not there

    def _follow(self, rev: str, path: str) -> TreeEntry:
        wanted = path
        for _ in range(_MAX_LINKS):
            entry = self._walk(rev, path)
            if entry is None or entry.mode == _TREE or (entry.mode not in _LINK_MODES and entry.path != path):
                raise NotFound(f"no file {wanted} {_at(rev)}")
            if entry.mode == _SUBMODULE:
                raise Invalid(
                    f"{entry.path} is a submodule {_at(rev)}; prompts are read from this repository alone",
                    hint="copy the files in, or run promptops inside the submodule",
                )
            if entry.mode != _LINK:
                return entry
            path = self._link_target(rev, entry) + path[len(entry.path) :]
        raise Invalid(
            f"{wanted} {_at(rev)} is a symbolic link that leads in a circle", hint="replace it by the file"
        )

    def _link_target(self, rev: str, link: TreeEntry) -> str:
        target = self.read_blob(link.oid).decode("utf-8", "surrogateescape")
        landing = posixpath.normpath(posixpath.join(posixpath.dirname(link.path), target))
        inside = f"{self.settings.prompts_path}/"
        if not (link.path.startswith(inside) and landing.startswith(inside)):
            raise Invalid(
                f"{link.path} {_at(rev)} is a symbolic link that leaves {inside}: {target}",
                hint="replace it by the file",
            )
        self.links_followed += 1
        return landing

    def _walk(self, rev: str, path: str) -> TreeEntry | None:
        """The entry of ``path``, or of the first component on the way that is not a folder."""
        if rev == INDEX:
            return self._index.at(path)
        children = self._children(rev, posixpath.dirname(path))
        if children is not None:
            return children.get(path)
        parts, entry = path.split("/"), None
        for depth in range(len(parts)):
            entry = (self._children(rev, "/".join(parts[:depth])) or {}).get("/".join(parts[: depth + 1]))
            if entry is None or entry.mode != _TREE:
                break
        return entry

    def _children(self, rev: str, folder: str) -> dict[str, TreeEntry] | None:
        if "\n" in folder:
            stdout = run_git(self.settings, "ls-tree", "-z", "--full-tree", f"{rev}", "--", f"{folder}/")
            return {entry.path: entry for entry in map(tree_entry, split_names(stdout))}
        answer = self._objects.ask(f"{rev}:{folder}")
        if answer.kind != "tree":
            return None
        return {entry.path: entry for entry in tree_entries(answer, folder)}

    def _resolve_with_rev_parse(self, rev: str) -> str:
        """Revisions to which nothing can be appended (``:/text``), and the error for all others."""
        verify = ("rev-parse", "--verify", "--quiet", "--end-of-options", rev)
        oids = run_git(self.settings, *verify, ok=(0, 1, 128)).decode().split()
        oid = oids[0] if len(oids) == 1 else ""  # a range gives two
        answer = self._objects.ask(f"{oid}^{{commit}}") if oid else None
        if answer is not None and answer.kind == "commit":
            return answer.oid
        if oid and self._objects.ask(oid).kind in {"blob", "tree"}:
            raise Invalid(
                f"`{rev}` names a {self._objects.ask(oid).kind}, not a commit", hint="name a commit"
            )
        if not self.has_commits() and rev.startswith("HEAD"):
            raise NotFound("this repository has no commit yet", hint="git add prompts && git commit")
        raise NotFound(f"no revision `{rev}` in this repository", hint=self._nearest(rev))

    def _nearest(self, rev: str) -> str:
        if self.is_shallow():
            return "this clone is shallow; git fetch --unshallow brings the rest"
        from difflib import get_close_matches

        names = [name.split("/", 2)[-1] for name in self.refs("refs/heads", "refs/tags", "refs/remotes")]
        near = get_close_matches(rev, names, n=5)
        if near:
            return f"did you mean {' or '.join(near)}?"
        return "git log --oneline, git branch -a and git tag list what there is"

    def _ambiguous_id(self, rev: str) -> Invalid:
        oids = run_git(self.settings, "rev-parse", f"--disambiguate={rev}", ok=(0, 128)).decode().split()
        commits = [oid[:12] for oid in oids if self._objects.ask(oid).kind in {"commit", "tag"}]
        return Invalid(f"`{rev}` is ambiguous: {', '.join(commits)}", hint="write more digits of the commit")

    def _ambiguous_name(self, rev: str) -> Invalid:
        names = [*self.refs(f"refs/heads/{rev}", f"refs/tags/{rev}", f"refs/remotes/{rev}")]
        if re.fullmatch("[0-9a-f]{4,64}", rev):
            names += (
                run_git(self.settings, "rev-parse", f"--disambiguate={rev}", ok=(0, 128)).decode().split()
            )
        return Invalid(f"`{rev}` is ambiguous: {', '.join(names)}", hint="write one of them in full")

    def _is_partial(self) -> bool:
        common = self.settings.common_dir
        return common is not None and any((common / "objects" / "pack").glob("*.promisor"))


def _object_name(rev: str, path: str) -> str:
    return f"{rev}:{path}" if rev != INDEX else f":0:{path}"


def _is_within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _is_plain_file(answer: GitObject) -> bool:
    """A blob that cannot be a symbolic link: the text of one is a path, short and on one line."""
    return answer.kind == "blob" and (len(answer.data) >= _MAX_LINK_BYTES or b"\n" in answer.data)


def _at(rev: str) -> str:
    return f"at {rev[:12]}" if rev != INDEX else "in the index"
