"""Ways of changing a state branch by hand, and the plumbing that does it."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from promptops.errors import NotFound
from promptops.prompt import load_prompt
from support.front_door import GREET, Repo
from support.git_repositories import GitFolder

STATE = "refs/heads/promptops-state"
MALLORY = {"GIT_AUTHOR_NAME": "Mallory", "GIT_AUTHOR_EMAIL": "mallory@example.org"}
Change = Callable[[dict[str, str]], dict[str, str | None]]


def by_hand(
    repo: Repo, change: Change, *, message: str = "a small correction", ref: str = STATE, git_dir: str = ""
) -> str:
    """Commit changed files to the state branch by plumbing, as Mallory. None takes a file away."""
    folder = GitFolder(Path(git_dir) if git_dir else repo.path)
    archive = repo.path.parent / "mallory.tar"
    folder.git("archive", "-o", str(archive), ref)
    with tarfile.open(archive) as members:
        files = {each.name: members.extractfile(each).read().decode() for each in members if each.isfile()}
    index = {"GIT_INDEX_FILE": str(repo.path.parent / "mallory-index")}
    folder.git("read-tree", ref, **index)
    for path, text in change(files).items():
        if text is None:
            folder.git("update-index", "--force-remove", path, **index)
        else:
            oid = folder.git("hash-object", "-w", "--stdin", text=text)
            folder.git("update-index", "--add", "--cacheinfo", f"100644,{oid},{path}", **index)
    tree = folder.git("write-tree", **index)
    commit = folder.git("commit-tree", tree, "-p", ref, "-m", message, **MALLORY)
    folder.git("update-ref", ref, commit)
    return commit


def digests(files: dict[str, str]) -> tuple[str, str]:
    """Those that production serves, and the one before."""
    found = json.loads(files["log/greet/2.json"])["after"]
    return found["stable"]["digest"], found["previous"]["digest"]


def hand_edited_digest(files: dict[str, str]) -> dict[str, str | None]:
    text = files["releases/greet.yaml"]
    now, before = digests(files)
    return {"releases/greet.yaml": text.replace(now, "x").replace(before, now).replace("x", before)}


def deleted_log(files: dict[str, str]) -> dict[str, str | None]:
    return {path: None for path in files if path.startswith("log/")}


def rewritten_log(files: dict[str, str]) -> dict[str, str | None]:
    """Both files say the same, and no transition leads there."""
    now, before = digests(files)
    swap = lambda text: text.replace(now, "x").replace(before, now).replace("x", before)
    paths = ("releases/greet.yaml", "log/greet/2.json")
    return {path: swap(files[path]) for path in paths}


def entry_without_trailers(files: dict[str, str]) -> dict[str, str | None]:
    """A log entry as promptops would write it, in a commit that promptops did not make."""
    entry = json.loads(files["log/greet/2.json"])
    back = {**entry["after"]["previous"], "since": "2026-11-28T00:00:00Z"}
    after = {"stable": back, "previous": entry["after"]["stable"]}
    move = {"move": "release", "stable": entry["after"]["previous"]}
    entry |= {"generation": 3, "subject": "x", "at": "2026-11-28T00:00:00Z", "transition": move}
    state = {"prompt": "greet", "generation": 3, "channels": {"production": after}}
    return {
        "log/greet/3.json": json.dumps(entry | {"after": after}),
        "releases/greet.yaml": json.dumps(state),
    }


def unreadable(_: dict[str, str]) -> dict[str, str | None]:
    return {"releases/greet.yaml": "prompt: greet\nchannels: [\n"}


def release_gone(_: dict[str, str]) -> dict[str, str | None]:
    return {"releases/greet.yaml": None}


def tampered_version(files: dict[str, str]) -> dict[str, str | None]:
    path = f"versions/greet/{digests(files)[1][7:19]}.yaml"
    return {path: files[path].replace("Greet {{", "Insult {{")}


def _only_yaml(file: str, text: str) -> bytes:
    if file != "greet.yaml":
        raise NotFound(file)
    return text.encode()


def forged_version(files: dict[str, str]) -> dict[str, str | None]:
    """Whole in itself, with a number that no release has given."""
    path = f"versions/greet/{digests(files)[1][7:19]}.yaml"
    text = files[path].replace("Greet {{", "Insult {{")
    prompt = load_prompt("greet", lambda file: _only_yaml(file, GREET.replace("Greet {{", "Insult {{")))
    text = text.replace("version: v1", "version: v9").replace(digests(files)[1], f"sha256:{prompt.digest}")
    return {f"versions/greet/{prompt.digest[:12]}.yaml": text}


def unlogged_version(files: dict[str, str]) -> dict[str, str | None]:
    """The version that nobody has released, made live."""
    forged = forged_version(files)
    digest = next(str(text) for text in forged.values()).partition("digest: ")[2].partition("\n")[0]
    now, before = digests(files)
    assert digest.strip('"') not in (now, before)
    text = files["releases/greet.yaml"].replace(now, digest.strip('"'))
    return forged | {"releases/greet.yaml": text}


def stray_file(_: dict[str, str]) -> dict[str, str | None]:
    return {"hooks/pre-commit": "#!/bin/sh\n"}


def foreign_release(files: dict[str, str]) -> dict[str, str | None]:
    """Of a prompt that was never released."""
    text = files["releases/greet.yaml"].replace("prompt: greet", "prompt: other")
    return {"releases/other.yaml": text}


def edited_readme(files: dict[str, str]) -> dict[str, str | None]:
    return {"README.md": files.get("README.md", "") + "\nAsk Mallory.\n"}


STATES = [
    hand_edited_digest,
    rewritten_log,
    entry_without_trailers,
    unreadable,
    release_gone,
    unlogged_version,
]
ALL = [*STATES, deleted_log, tampered_version]
BESIDE = [forged_version, stray_file, foreign_release, edited_readme]
