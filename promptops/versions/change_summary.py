"""What a reviewer is told of one prompt that changed."""

from collections.abc import Iterator, Mapping, Sequence

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Prompt
from promptops.prompt.cases import iter_lines, read_cases
from promptops.prompt.diff import PromptFieldChange, TextDiff, compare_prompts, text_diff
from promptops.versions.changed_prompts import PromptChange
from promptops.versions.snapshots import PromptSnapshot

DIGEST_KEYS = (
    "model",
    "fallback",
    "parameters",
    "inputs",
    "messages",
    "partials",
    "format",
    "output",
    "tools",
    "caller_tools",
    "guards",
)
_MAX_TEXT_BYTES = 1_000_000
UNCHANGED_NOTE = "the digest is unchanged: nothing that reaches the model changed"


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    pair: PromptChange
    changes: Sequence[PromptFieldChange]
    files: Sequence[TextDiff] = ()  # in full, where a side is not a prompt whose meaning could be compared
    notes: Sequence[str] = ()

    @property
    def same_digest(self) -> bool:
        old, new = self.pair.old.prompt, self.pair.new.prompt
        return old is not None and new is not None and old.digest == new.digest

    @property
    def word_counts(self) -> tuple[int, int]:
        """Words added and removed in all texts."""
        counts = [text.counts for change in self.changes for text in change.texts]
        counts += [text.counts for text in self.files]
        return sum(added for added, _ in counts), sum(removed for _, removed in counts)

    @property
    def headline(self) -> str:
        """In words what kind of change it is."""
        pair = self.pair
        status = f"renamed from {pair.old.name}" if pair.status == "renamed" else pair.status
        if any(side.problem for side in (pair.old, pair.new)):
            broken = [what for side, what in ((pair.old, "before"), (pair.new, "after")) if side.problem]
            return f"{status}; not a valid prompt {' and '.join(broken)}"
        words = ", ".join(change.words for change in self.changes)
        return f"{status}: {words}" if words else status


def summarize_change(pair: PromptChange) -> ChangeSummary:
    old, new = pair.old.prompt, pair.new.prompt
    if old is not None and new is not None:
        changes = _all_changes(pair, old, new)
        note = [UNCHANGED_NOTE] if old.digest == new.digest else []
        return ChangeSummary(pair, changes, notes=note)
    problems = [f"{side.reference}: {side.problem}" for side in (pair.old, pair.new) if side.problem]
    if problems:
        return ChangeSummary(pair, (), *_file_diffs(pair, problems))
    return ChangeSummary(pair, ())


def _all_changes(pair: PromptChange, old: Prompt, new: Prompt) -> list[PromptFieldChange]:
    changes = compare_prompts(old, new)
    found = {change.kind for change in changes}
    if pair.old.cases != pair.new.cases and pair.old.complete and pair.new.complete:
        changes = _with_cases(changes, _describe_case_changes(pair))
    if old.digest != new.digest and not found & {*DIGEST_KEYS}:
        changes = [*_unexplained_changes(old, new), *changes]
    if not changes and pair.status != "renamed":
        changes = [PromptFieldChange("file", ("nothing that has a meaning",))]
    return changes


def _unexplained_changes(old: Prompt, new: Prompt) -> Iterator[PromptFieldChange]:
    """What the digest sees and no rule puts into words: never pass over it in silence."""
    before, after = old.canonical(), new.canonical()
    for kind in DIGEST_KEYS:
        if before.get(kind) != after.get(kind):
            yield PromptFieldChange(kind, ("written in another way",))


def _with_cases(changes: Sequence[PromptFieldChange], lines: tuple[str, ...]) -> list[PromptFieldChange]:
    known = next((change for change in changes if change.kind == "cases"), PromptFieldChange("cases"))
    kept = [change for change in changes if change.kind != "cases"]
    at = sum(change.kind in (*DIGEST_KEYS, "checks") for change in kept)
    return [*kept[:at], PromptFieldChange("cases", (*known.lines, *lines)), *kept[at:]]


def _describe_case_changes(pair: PromptChange) -> tuple[str, ...]:
    try:
        before, after = _by_id(pair.old), _by_id(pair.new)
    except Invalid as error:
        return ("the golden set changed", error.message)
    added, removed = len(after.keys() - before), len(before.keys() - after)
    changed = sum(before[key] != after[key] for key in before.keys() & after)
    counts = [
        f"{n} {what}" for n, what in ((added, "added"), (removed, "removed"), (changed, "changed")) if n
    ]
    return (f"{len(before)} -> {len(after)} cases: {', '.join(counts) or 'in another order or layout'}",)


def _by_id(side: PromptSnapshot) -> Mapping[str, object]:
    if side.prompt is None or side.prompt.cases is None or side.cases is None:
        return {}
    return {
        case.id: (case.inputs, case.expected, case.checks, case.tags)
        for case in read_cases(side.prompt.cases, iter_lines(side.cases), side.prompt.inputs)
    }


def _file_diffs(pair: PromptChange, problems: list[str]) -> tuple[list[TextDiff], list[str]]:
    """The files themselves, as far as they are text."""
    found: list[TextDiff] = []
    notes = problems
    for path in sorted({*pair.old.files, *pair.new.files}):
        old, new = pair.old.files.get(path), pair.new.files.get(path)
        if old == new:
            continue
        reason = next(filter(None, map(_not_text, (old, new))), "")
        if reason:
            notes = [*notes, f"{path}: {reason}; its lines are not compared ({_size(old)} -> {_size(new)})"]
        else:
            found.append(text_diff(path, _decoded(old), _decoded(new)))
    if found:
        notes = [*notes, "so the text of the files is compared, not their meaning"]
    return found, notes


def _not_text(data: bytes | None) -> str:
    if data is None:
        return ""
    if len(data) > _MAX_TEXT_BYTES:
        return "a large file"
    return "binary" if b"\0" in data[:8000] else ""  # as git tells it


def _size(data: bytes | None) -> str:
    return "absent" if data is None else f"{len(data):,} bytes"


def _decoded(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
