"""Which messages of two versions belong together, and what differs between those that do."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from promptops.dataclass import dataclass
from promptops.prompt import ImageFile, ImageInput, Insert, Message, Part, Text
from promptops.prompt.canonical_json import canonical_json, sha256_hex
from promptops.prompt.diff.values import differences

Entry = Message | Insert
MessagePair = tuple[int | None, int | None]
_SHORT = 8


@dataclass(frozen=True, slots=True)
class TextChange:
    """A text that differs; None where one side has no such text."""

    where: str
    old: str | None
    new: str | None


MessageChange = TextChange | str  # what is not text is said in words


def compare_messages(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[MessageChange]:
    for i, j in _pair_messages(old, new):
        if j is None:
            yield from _added_or_removed(old[i], i, "removed") if i is not None else ()
        elif i is None:
            yield from _added_or_removed(new[j], j, "added")
        else:
            yield from _changed(old[i], new[j], j)


def _pair_messages(old: Sequence[Entry], new: Sequence[Entry]) -> Iterator[MessagePair]:
    before, after = ([canonical_json(one.canonical()) for one in side] for side in (old, new))
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            yield from _pair_by_role(old, new, range(a, b), range(c, d))


def _pair_by_role(
    old: Sequence[Entry], new: Sequence[Entry], before: range, after: range
) -> Iterator[MessagePair]:
    roles = [_role(old[i]) for i in before], [_role(new[j]) for j in after]
    for tag, a, b, c, d in SequenceMatcher(None, *roles, autojunk=False).get_opcodes():
        gone, come = before[a:b], after[c:d]
        if tag == "equal" or (len(gone) == len(come) and _differ_only_in_role(old, new, gone, come)):
            yield from zip(gone, come, strict=True)
        else:
            yield from ((i, None) for i in gone)
            yield from ((None, j) for j in come)


def _role(entry: Entry) -> str:
    return f"insert {entry.name}" if isinstance(entry, Insert) else entry.role


def _differ_only_in_role(old: Sequence[Entry], new: Sequence[Entry], gone: range, come: range) -> bool:
    """Whether only roles differ."""
    contents = [
        [one.content if isinstance(one, Message) else None for one in side]
        for side in ((old[i] for i in gone), (new[j] for j in come))
    ]
    return None not in contents[0] and _texts(contents[0]) == _texts(contents[1])


def _texts(contents: Sequence[Sequence[Part] | None]) -> list[list[Mapping[str, str]]]:
    return [[part.canonical() for part in content or ()] for content in contents]


def _label(entry: Entry, index: int) -> str:
    return f"messages[{index}] {_role(entry)}"


def _added_or_removed(entry: Entry, index: int, verb: str) -> Iterator[MessageChange]:
    label = _label(entry, index)
    parts = entry.content if isinstance(entry, Message) else ()
    if len(parts) != 1 or not isinstance(parts[0], Text):  # one text says by itself that it came or went
        yield f"{label} {verb}"
    for number, part in enumerate(parts):
        where = _part_label(label, entry, number)
        if isinstance(part, Text):
            text = part.template
            yield TextChange(where, text, None) if verb == "removed" else TextChange(where, None, text)
        else:
            yield f"{where}: {_image(part)} {verb}"


def _changed(old: Entry, new: Entry, index: int) -> Iterator[MessageChange]:
    if isinstance(old, Insert) or isinstance(new, Insert):
        return  # paired by their name: the same
    label = _label(new, index)
    if old.role != new.role:
        yield f"messages[{index}]: role {old.role} -> {new.role}"
    yield from _parts(old.content, new.content, label, new)
    for difference in differences(dict(old.extras), dict(new.extras)):
        yield f"{label}: {difference}"


def _parts(old: Sequence[Part], new: Sequence[Part], label: str, entry: Entry) -> Iterator[MessageChange]:
    kinds = [type(part).__name__ for part in old], [type(part).__name__ for part in new]
    for tag, a, b, c, d in SequenceMatcher(None, *kinds, autojunk=False).get_opcodes():
        if tag == "equal":
            for one, other, number in zip(old[a:b], new[c:d], range(c, d), strict=True):
                yield from _part_changed(one, other, _part_label(label, entry, number))
            continue
        for verb, parts, start in (("removed", old[a:b], a), ("added", new[c:d], c)):
            for number, part in enumerate(parts, start):
                yield from _part_added_or_removed(part, f"{label} part {number + 1}", verb)


def _part_label(label: str, entry: Entry, number: int) -> str:
    one_part = isinstance(entry, Message) and len(entry.content) == 1
    return label if one_part else f"{label} part {number + 1}"


def _part_changed(old: Part, new: Part, where: str) -> Iterator[MessageChange]:
    if isinstance(old, Text) and isinstance(new, Text):
        if old.template != new.template:
            yield TextChange(where, old.template, new.template)
    elif _image(old) != _image(new):
        yield f"{where}: {_image(old)} -> {_image(new)}"


def _part_added_or_removed(part: Part, where: str, verb: str) -> Iterator[MessageChange]:
    if isinstance(part, Text):
        text = part.template
        yield TextChange(where, text, None) if verb == "removed" else TextChange(where, None, text)
    else:
        yield f"{where}: {_image(part)} {verb}"


def _image(part: Part) -> str:
    if isinstance(part, ImageInput):
        return f"image input `{part.name}`"
    if isinstance(part, ImageFile):
        return f"image {part.path} ({len(part.data):,} bytes, sha256:{sha256_hex(part.data)[:_SHORT]})"
    return "text"
