"""Requests of OpenAI's API, and uses of its reusable prompts in a folder of code, as prompt files.

OpenAI has no way to export a reusable prompt. What a call says of it becomes a prompt with its inputs, in
which the text is missing until a person pastes it; the gateway takes the call as it is.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.interop.accounts import KeyAccounts, value_at
from promptops.interop.model import Finding, ImportedSource, PromptDraft
from promptops.interop.openai.literals import Call, Expression, expressions_in, plain_data, prompt_of
from promptops.interop.openai.request import RequestReader, use_note
from promptops.interop.openai.settings import ANSWER_KEYS
from promptops.interop.openai.uses import (
    COMMANDS,
    JAVASCRIPT,
    PYTHON,
    Mention,
    mentions_in,
    requests_in,
    reusable_requests,
)
from promptops.interop.pins import NO_MODEL, pin_model
from promptops.interop.reader import SourceFile, walk_files
from promptops.interop.target import ImportTarget, slug, unique_names

if TYPE_CHECKING:
    from promptops.lint.context import LintProject

_SHORT_ID = 13  # characters of an id that name a prompt: `pmpt_` and eight digits
_ENDINGS = (
    *(*PYTHON, *JAVASCRIPT, *COMMANDS),
    *(
        ".json",
        ".yaml",
        ".yml",
        ".toml",
        ".env",
        ".ini",
        ".go",
        ".java",
        ".cs",
        ".rb",
        ".php",
        ".kt",
        ".swift",
    ),
    *(".rs", ".ipynb", ".vue", ".svelte", ".html", ".tf"),
)
"""Files of a folder that are looked through for ids."""


_GATEWAY = (
    "`promptops serve` answers the calls as they are, with OPENAI_BASE_URL=http://127.0.0.1:4455/v1",
    "a `version` in a call is then one that is released here: leave it out at first",
)


@dataclass(frozen=True, slots=True)
class FoundCall:
    file: str
    call: Call

    @property
    def place(self) -> str:
        return f"{self.file}:{self.call.line}"


@dataclass(frozen=True, slots=True)
class _UnnamedDraft:
    """A prompt that is not named yet. ``wanted``: what it would be called."""

    wanted: str
    content: dict[str, Any]
    cases: Sequence[Mapping[str, Any]]
    imported: Mapping[str, Any]
    prompt_id: str = ""


def read_openai(file: SourceFile, target: ImportTarget, project: "LintProject") -> ImportedSource:
    calls = requests_in(file)
    mentions = mentions_in(file, calls)
    if not calls and not mentions:
        raise Invalid(
            f"{file.shown}: no request of OpenAI's API found",
            hint="JSON of a request, or code that makes one: .py, .js, .ts, .sh with curl",
        )
    found = [FoundCall(file.shown, call) for call in calls]
    outside = [(file.shown, mention) for mention in mentions]
    return _OpenAiImporter(target, project).read(file.shown, found, outside, file.stem)


def read_openai_folder(folder: Path, target: ImportTarget, project: "LintProject") -> ImportedSource:
    """Every use of a reusable prompt in the code of a folder."""
    found: list[FoundCall] = []
    outside: list[tuple[str, Mention]] = []
    unread: list[Finding] = []
    for name in sorted(walk_files(folder)):
        if not name.lower().endswith(_ENDINGS):
            continue
        try:
            file = SourceFile(folder / name)
        except (Invalid, NotFound) as error:
            unread.append(Finding("(the file)", "lost", error.message, str(folder / name)))
            continue
        if b"pmpt_" not in file.data and b"prompt" not in file.data:
            continue
        calls, problem = reusable_requests(file)
        mentions = mentions_in(file, calls)
        if problem and mentions:
            unread.append(Finding("(the file)", "lost", problem, file.shown))
        found += [FoundCall(file.shown, call) for call in calls]
        outside += [(file.shown, mention) for mention in mentions]
    if not found and not outside:
        raise NotFound(
            f"no use of a reusable prompt (pmpt_…) in {folder}", hint="name the folder of the code"
        )
    return _OpenAiImporter(target, project).read(str(folder), found, outside, folder.name, unread)


class _OpenAiImporter:
    def __init__(self, target: ImportTarget, project: "LintProject") -> None:
        self.target = target
        self.project = project
        self.findings: list[Finding] = []
        self.steps: list[str] = []
        self.without_model = 0

    def read(
        self,
        path: str,
        found: Sequence[FoundCall],
        outside: Sequence[tuple[str, Mention]],
        stem: str,
        unread: Iterable[Finding] = (),
    ) -> ImportedSource:
        drafts = [draft for group in _grouped(found) for draft in self.drafts(group, stem)]
        known = {draft.prompt_id for draft in drafts}
        for file, mention in outside:
            self.findings.append(self.mention(file, mention, known))
        self.findings += unread
        prompts = self.named(drafts)
        self.say_next(drafts, prompts)
        return ImportedSource(
            source="openai", path=path, prompts=prompts, findings=self.findings, steps=self.steps
        )

    def drafts(self, group: Sequence[FoundCall], stem: str) -> Iterator[_UnnamedDraft]:
        """The prompt of a call, or of all calls of one reusable prompt."""
        first = group[0]
        first = self.without_answer(first)
        keys = _accounts(first)
        reader = RequestReader(first.call.body, keys, self.pinned, logged=first is not group[0])
        unread = _unread_request(first.call)
        content = {} if unread else reader.read()
        if unread or not content["messages"]:
            why = unread or "there is no message in it"
            self.findings.append(Finding("(the request)", "lost", why, first.file, first.call.line))
            self.findings += [] if unread else keys.findings()
            return
        others = [self.other_call(each, first, reader) for each in group[1:]]
        self.findings += [*keys.findings(), *(one for findings in others for one in findings)]
        if content["model"] == NO_MODEL and "model" not in first.call.body:
            self.without_model += 1
        complete = reader.case.keys() == reader.inputs.keys() and bool(reader.case)
        reusable = prompt_of(first.call.body)
        name = first.call.body.get("name")
        wanted = name if isinstance(name, str) and slug(name) and reusable else stem
        prompt_id = reusable[0] if reusable else ""
        if prompt_id and wanted == stem:
            wanted = prompt_id[:_SHORT_ID]
        yield _UnnamedDraft(
            wanted, content, [{"inputs": reader.case}] if complete else [], reader.imported, prompt_id
        )

    def without_answer(self, found: FoundCall) -> FoundCall:
        """What was asked for, of a logged response."""
        body = found.call.body
        if body.get("object") != "response":
            return found
        answer = [key for key in body if key in ANSWER_KEYS]
        note = f"of this one answer: {', '.join(answer)}"
        self.findings.append(Finding("(the answer)", "changed", note, found.file, found.call.line))
        asked = {key: value for key, value in body.items() if key not in ANSWER_KEYS}
        return FoundCall(found.file, Call(found.call.line, asked, found.call.api))

    def other_call(self, found: FoundCall, first: FoundCall, reader: RequestReader) -> list[Finding]:
        """A further call of a reusable prompt: its variables count, the rest where the first has it too."""
        keys = _accounts(found)
        reusable = prompt_of(found.call.body)
        given = reusable[1].get("variables") if reusable else None
        for source in given if isinstance(given, Mapping) else ():
            reader.inputs.setdefault(reader.names[source], "string")
        for key, value in found.call.body.items():
            mine, same = plain_data(value), plain_data(first.call.body.get(key))
            if key == "prompt" and reusable:
                keys.change((key,), f"{use_note(*reusable)}; as at {first.place}")
            elif mine == same:
                keys.change((key,), f"as at {first.place}")
            else:
                keys.lose((key,), f"the prompt is taken from {first.place}, which does not have this")
        return keys.findings()

    def mention(self, file: str, mention: Mention, known: set[str]) -> Finding:
        if mention.prompt_id in known:
            return Finding(mention.prompt_id, "changed", "a prompt here has this id", file, mention.line)
        why = "no call could be read there: its variables are unknown"
        return Finding(mention.prompt_id, "lost", why, file, mention.line)

    def pinned(self, written: Any) -> tuple[str, str]:
        if self.target.model:
            return self.target.model, f"`{self.target.model}`, as --model says"
        pin = pin_model(written, self.project) if isinstance(written, str) else None
        if pin:
            return pin.model, pin.note
        if isinstance(written, Expression):
            return (
                NO_MODEL,
                f"line {written.line}: `{written.source}` is known only when the code runs: pin a model",
            )
        return NO_MODEL, f"no provider of `{written}` is known here: pin a model"

    def named(self, drafts: Sequence[_UnnamedDraft]) -> list[PromptDraft]:
        names = unique_names([self.target.prompt(draft.wanted) for draft in drafts])
        return [
            PromptDraft(name=name, content=draft.content, cases=draft.cases, imported=draft.imported)
            for name, draft in zip(names, drafts, strict=True)
        ]

    def say_next(self, drafts: Sequence[_UnnamedDraft], prompts: Sequence[PromptDraft]) -> None:
        if self.without_model:
            self.steps.append("where no model is named, pin one: --model does so for all")
        reusable = [(one.prompt_id, made) for one, made in zip(drafts, prompts, strict=True) if one.prompt_id]
        for prompt_id, made in reusable:
            if any(
                "paste_the_text_of_" in str(message.get("content")) for message in made.content["messages"]
            ):
                version = made.imported["prompt"].get("version")
                which = f"{prompt_id}, version {version}," if isinstance(version, str) else prompt_id
                self.steps.append(f"paste the text of {which} from OpenAI's dashboard into {made.name}")
        if reusable:
            aliases = ", ".join(f"{prompt_id}: {made.name}" for prompt_id, made in reusable)
            self.steps += [f"in promptops.yaml: serve: {{aliases: {{{aliases}}}}}", *_GATEWAY]


def _grouped(found: Sequence[FoundCall]) -> list[list[FoundCall]]:
    groups: dict[str, list[FoundCall]] = {}
    for number, each in enumerate(found):
        reusable = prompt_of(each.call.body)
        groups.setdefault(reusable[0] if reusable else f"#{number}", []).append(each)
    return list(groups.values())


def _accounts(found: FoundCall) -> KeyAccounts:
    def line_of(path: tuple[str | int, ...]) -> int:
        first = next(expressions_in(value_at(found.call.body, path)), None) if path else None
        return first.line if first else found.call.line

    return KeyAccounts(found.call.body, found.file, line_of)


def _unread_request(call: Call) -> str:
    late = call.body.get("-d")
    if isinstance(late, Expression):
        return f"line {late.line}: the data of curl is not literal JSON: {late.source}"
    holder = call.body.get("prompt")
    if isinstance(holder, Mapping) and not prompt_of(call.body):
        given = next((holder[key] for key in ("id", "prompt_id", "promptId") if key in holder), None)
        if isinstance(given, Expression):
            late = f"the id `{given.source}` is known only when the code runs"
            return f"line {given.line}: {late}: import it by hand"
    return ""
