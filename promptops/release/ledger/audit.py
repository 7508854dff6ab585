"""Whether every file of the state branch is what its transitions left, commit by commit.

The transitions are made again on what is known to be good. A file that none of them leaves as it is counts as
tampered with until a later commit brings it back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from promptops.errors import Invalid
from promptops.git.repo import GitRepo
from promptops.git.state_history import FileChange, StateCommit, read_state_commits
from promptops.prompt import load_prompt
from promptops.release.ledger.serialize import encode_channel
from promptops.release.ledger.transition_log import TransitionRecord, decode_record, record_path
from promptops.release.plan import load_pinned_plan
from promptops.release.rules import apply_transition
from promptops.release.tampering import BranchAudit, Tampering
from promptops.release.timestamps import parse_timestamp
from promptops.versions.release_reader import read_release_of_any_project, read_release_states
from promptops.versions.release_state import (
    ChannelState,
    ReleaseState,
    decode_release,
    decode_snapshot,
    plan_path,
    release_path,
    snapshot_path,
)

BRANCH_FILES = ("README.md", "CODEOWNERS")
_RECORD_TRAILERS = {"Prompt": "prompt", "Channel": "channel", "Generation": "generation"}


def audit_history(repo: GitRepo, base: str | None, head: str) -> BranchAudit:
    """Look at every commit after ``base``, of which all is known to be good; None: from the first one."""
    replay = _Replay(repo, base)
    for commit in read_state_commits(repo.settings, base, head):
        replay.add(commit)
    return BranchAudit(
        head=head,
        tampering=tuple(_with_prompts(repo, head, list(replay.open.values()))),
        good_commits=replay.good_commits,
        states={name: state for name, state in replay.states.items() if state is not None},
    )


class _Replay:
    """What the branch holds by its transitions alone, so far."""

    def __init__(self, repo: GitRepo, base: str | None) -> None:
        self._repo = repo
        self._base = base
        self._last = base
        self.open: dict[str, Tampering] = {}
        self.states: dict[str, ReleaseState | None] = {}
        self.good_commits: dict[str, str | None] = {}

    def add(self, commit: StateCommit) -> None:
        changes = {change.path: change for change in commit.changes}
        problems = dict.fromkeys(changes, _UNEXPLAINED)
        if commit.parents == () and self._last is None and self._repo.is_shallow():
            self._add_boundary(changes, problems)
        else:
            self._add_commit(commit, changes, problems)
        for path in {**changes, **problems}:
            self._settle(commit, changes.get(path) or FileChange(path, "", "", ""), problems.get(path))
        self._last = commit.oid

    # what a commit may change

    def _add_commit(
        self, commit: StateCommit, changes: Mapping[str, FileChange], problems: dict[str, str]
    ) -> None:
        if commit.trailers.get("Transition") == "init":
            for path in BRANCH_FILES:
                problems.pop(path, None)
        for record in self._records(changes, problems):
            self._add_record(commit, record, changes, problems)
        self._add_restored(commit, changes, problems)

    def _records(
        self, changes: Mapping[str, FileChange], problems: dict[str, str]
    ) -> Iterator[TransitionRecord]:
        """The entries that a commit adds to the log, in order; what is not the next entry is a problem."""
        paths = [path for path in changes if path.startswith("log/") and path.endswith(".json")]
        for path in sorted(paths, key=lambda path: (len(path), path)):
            change = changes[path]
            if not change.new or not change.is_plain:
                continue
            try:
                record = decode_record(self._repo.read_blob(change.new), path)
            except Invalid as error:
                problems[path] = error.message
                continue
            if path == record_path(record.prompt, record.generation):
                yield record

    def _add_record(
        self,
        commit: StateCommit,
        record: TransitionRecord,
        changes: Mapping[str, FileChange],
        problems: dict[str, str],
    ) -> None:
        """Make the transition again; what it leaves has no problem any more."""
        path = record_path(record.prompt, record.generation)
        state = self.state(record.prompt)
        try:
            new = _next_state(self._repo, state, record)
        except Invalid as error:
            problems[path] = error.message
            return
        except (TypeError, ValueError, AttributeError) as error:  # of values that no release has written
            problems[path] = f"it cannot be read: {error}"
            return
        if not _names_record(commit, record):
            problems[path] = "the commit does not name this transition by its trailers"
            return
        problems.pop(path, None)
        self._explain_record(record, new, changes, problems)

    def _explain_record(
        self,
        record: TransitionRecord,
        state: ReleaseState,
        changes: Mapping[str, FileChange],
        problems: dict[str, str],
    ) -> None:
        """The state that a transition leaves, and the files that it brings beside it."""
        path = release_path(record.prompt)
        stored = _read_state(self._repo, changes.get(path), record.prompt)
        problems[path] = "edited by hand: it is not what its transition left"
        if stored and _is_same_state(stored, state, first=self.states.get(record.prompt) is None):
            problems.pop(path)
            state = stored
        self.states[record.prompt] = state
        for added, problem in _added_files(self._repo, record, changes):
            problems[added] = problem
            if not problem:
                problems.pop(added)

    def _add_restored(
        self, commit: StateCommit, changes: Mapping[str, FileChange], problems: dict[str, str]
    ) -> None:
        """What ``release recover`` brings back; by hand the same bytes are as good."""
        recovers = commit.trailers.get("Transition") == "recover"
        for path, change in changes.items():
            known = self.open.get(path)
            prompt = _state_prompt(path)
            state = self.state(prompt) if recovers and prompt else None
            stored = _read_state(self._repo, change, prompt) if state else None
            if (known and change.new == known.good) or (stored and state and _is_same_state(stored, state)):
                problems.pop(path, None)

    def _add_boundary(self, changes: Mapping[str, FileChange], problems: dict[str, str]) -> None:
        """A shallow clone begins here: each state has to follow from the last entries of its log."""
        for record in sorted(self._records(changes, problems), key=lambda each: each.generation):
            known = self.states.get(record.prompt)
            channels = {**(known.channels if known else {}), record.channel: record.after}
            state = ReleaseState(record.prompt, record.generation, channels)
            problems.pop(record_path(record.prompt, record.generation), None)
            self.states.pop(record.prompt, None)
            self._explain_record(record, state, changes, problems)
        for path in changes:
            if path in BRANCH_FILES:
                problems.pop(path, None)

    # what has become of it

    def _settle(self, commit: StateCommit, change: FileChange, problem: str | None) -> None:
        prompt, known = _state_prompt(change.path), self.open.get(change.path)
        if problem is None:
            self.open.pop(change.path, None)
            if prompt:
                self.good_commits.pop(prompt, None)
            return
        self.open[change.path] = Tampering(
            path=change.path,
            commit=commit.oid,
            author=commit.author,
            problem=problem,
            prompts=_prompts_of(change.path),
            good=known.good if known else change.old,
        )
        if prompt:
            self.good_commits.setdefault(prompt, self._last)

    def state(self, prompt: str) -> ReleaseState | None:
        if prompt not in self.states:
            self.states[prompt] = self._state_at_base(prompt)
        return self.states[prompt]

    def _state_at_base(self, prompt: str) -> ReleaseState | None:
        return read_release_of_any_project(self._repo, self._base, prompt) if self._base else None


_UNEXPLAINED = "edited by hand: no transition in the log explains the change"


def _next_state(repo: GitRepo, state: ReleaseState | None, record: TransitionRecord) -> ReleaseState:
    """The state after a transition. Raises Invalid where it does not follow from the state before."""
    due = state.generation + 1 if state else 1
    if record.generation != due:
        raise Invalid(f"the log's next entry is number {due}, not {record.generation}")
    before = state.channels.get(record.channel, ChannelState()) if state else ChannelState()
    after = apply_transition(before, record.transition, parse_timestamp(record.at))
    if encode_channel(after) != encode_channel(record.after):
        raise Invalid("what it says of the channel does not follow from its transition")
    channels = {**(state.channels if state else {}), record.channel: record.after}
    return ReleaseState(record.prompt, due, channels, state.project if state else repo.settings.prefix)


def _read_state(repo: GitRepo, change: FileChange | None, prompt: str) -> ReleaseState | None:
    if change is None or not change.new or not change.is_plain:
        return None
    try:
        return decode_release(repo.read_blob(change.new), prompt)
    except Invalid:
        return None


def _is_same_state(one: ReleaseState, other: ReleaseState, *, first: bool = False) -> bool:
    """``first``: of a first transition, which does not say of which project it is."""
    channels = [
        {name: encode_channel(each) for name, each in state.channels.items()} for state in (one, other)
    ]
    same = channels[0] == channels[1] and one.generation == other.generation
    return same and (first or one.project == other.project)


def _names_record(commit: StateCommit, record: TransitionRecord) -> bool:
    """By its trailers; a merged proposal that has lost them, by its subject."""
    trailers = commit.trailers
    named = all(
        trailers.get(key) == str(getattr(record, attribute)) for key, attribute in _RECORD_TRAILERS.items()
    )
    if named and trailers.get("Transition") == record.transition.move:
        return True
    return bool(record.subject) and any(record.subject in line for line in commit.message.splitlines())


def _added_files(
    repo: GitRepo, record: TransitionRecord, changes: Mapping[str, FileChange]
) -> Iterator[tuple[str, str]]:
    """The files that a transition may bring beside its state, each with what is wrong with it, or ""."""
    if record.version and (change := changes.get(snapshot_path(record.prompt, record.version))):
        yield change.path, _snapshot_problem(repo, change, record)
    if record.plan and (change := changes.get(plan_path(record.plan))):
        yield change.path, _plan_problem(repo, change, record.plan)
    if record.evidence and (change := changes.get(record.evidence)):
        about = record.transition.evidence_rollout.id if record.transition.evidence_rollout else record.prompt
        its_own = change.path == f"evidence/{about}/{record.generation}.json"
        sound = its_own and change.new and change.is_plain
        yield change.path, "" if sound else "it is not evidence of the transition that names it"


def _snapshot_problem(repo: GitRepo, change: FileChange, record: TransitionRecord) -> str:
    if not change.new or not change.is_plain:
        return "it is not a frozen version"
    return snapshot_problem(repo.read_blob(change.new), change.path, record.prompt)


def snapshot_problem(text: bytes, path: str, prompt: str) -> str:
    """What is wrong with a frozen version; "" where it reads as the digest that it is named by."""
    try:
        frozen = decode_snapshot(text, path, prompt)
        read = load_prompt(prompt, frozen.read)
    except Invalid as error:
        return error.message
    if read.with_digest(frozen.digest):
        return ""
    return f"it reads as sha256:{read.digest[:12]}, not as sha256:{frozen.digest[:12]}"


def _plan_problem(repo: GitRepo, change: FileChange, digest: str) -> str:
    if not change.new or not change.is_plain:
        return "it is not a plan"
    try:
        load_pinned_plan(repo.read_blob(change.new), digest)
    except Invalid as error:
        return error.message
    return ""


def _state_prompt(path: str) -> str:
    """The prompt whose state a file is; "" for other files."""
    inside = path.startswith("releases/") and path.endswith(".yaml")
    return path[len("releases/") : -len(".yaml")] if inside else ""


def _prompts_of(path: str) -> frozenset[str]:
    """The prompts that a file is about, by its path alone."""
    folder, _, rest = path.partition("/")
    if folder == "releases":
        return frozenset({rest.removesuffix(".yaml")})
    if folder in ("versions", "log") and "/" in rest:
        return frozenset({rest.rpartition("/")[0]})
    return frozenset()


def _with_prompts(repo: GitRepo, head: str, found: list[Tampering]) -> Iterator[Tampering]:
    """Plans and evidence concern the prompts whose canary rests on them."""
    shared = [each for each in found if each.path.startswith(("plans/", "evidence/"))]
    states = list(read_release_states(repo, head).values()) if shared else []
    for each in found:
        concerned = {state.prompt for state in states if _rests_on(state, each.path)}
        yield replace(each, prompts=frozenset(concerned)) if each in shared else each


def _rests_on(state: ReleaseState, path: str) -> bool:
    rollouts = [channel.rollout for channel in state.channels.values() if channel.rollout]
    return any(path == plan_path(each.plan) or path.startswith(f"evidence/{each.id}/") for each in rollouts)
