"""The sources of imports: how a file of each is told from others, and the function that reads it.

To add one, write its function in a file of its own and a line in ``SOURCES``. ``names`` are patterns of file
names that only this tool has; ``fits`` looks at what is in any other file. Modules are loaded late.
"""

import fnmatch
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, WrongUsage
from promptops.interop.model import ImportedSource
from promptops.interop.reader import SourceFile, walk_files
from promptops.interop.target import ImportTarget

if TYPE_CHECKING:
    from promptops.lint.context import LintProject

AUTO = "auto"
Importer = Callable[[SourceFile, ImportTarget, "LintProject"], ImportedSource]
FolderImporter = Callable[[Path, ImportTarget, "LintProject"], ImportedSource]
Fits = Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """``reader``: ``module:function`` of an ``Importer``. ``names``: patterns of file names.

    ``fits``: whether the mapping in a YAML or JSON file is one; ``has``: words in a file that is neither.
    ``folder_reader``: reads a folder as one source; ``in_folders``: patterns of files that may be one. Both
    hold where the source is named.
    """

    title: str
    reader: str
    names: Sequence[str]
    fits: Fits | None = None
    has: Sequence[bytes] = ()
    folder_reader: str = ""
    in_folders: Sequence[str] = ()

    def read(self, path: Path, target: ImportTarget, project: "LintProject") -> ImportedSource:
        if path.is_dir():
            read_folder: FolderImporter = _loaded(self.folder_reader)
            return read_folder(path, target, project)
        read_file: Importer = _loaded(self.reader)
        return read_file(SourceFile(path), target, project)


def _loaded(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


def _is_promptfoo(data: Mapping[str, Any]) -> bool:
    return "prompts" in data and not data.keys().isdisjoint(("providers", "targets", "tests", "scenarios"))


def _is_prompt_yml(data: Mapping[str, Any]) -> bool:
    return "messages" in data and not data.keys().isdisjoint(
        ("modelParameters", "testData", "evaluators", "responseFormat", "jsonSchema")
    )


def _is_openai(data: Mapping[str, Any]) -> bool:
    """A request, a prompt or a response of OpenAI's, and no prompt file of ours."""
    if _is_prompt_yml(data) or not data.keys().isdisjoint(("inputs", "parameters", "providers")):
        return False
    if data.get("object") == "response" or str(data.get("id")).startswith("pmpt_"):
        return True
    prompt = data.get("prompt")
    if isinstance(prompt, dict):
        return "id" in prompt
    return "model" in data and not data.keys().isdisjoint(("input", "instructions", "messages"))


LLM_KEYS = frozenset(
    {
        *("prompt", "system", "model", "options", "defaults", "schema_object", "extract", "extract_last"),
        *("fragments", "system_fragments", "attachments", "attachment_types", "tools", "functions"),
    }
)


def _is_llm(data: Mapping[str, Any]) -> bool:
    """What `llm --save` writes: these keys and no others, with one text at least."""
    texts = [data[key] for key in ("prompt", "system") if key in data]
    return bool(texts) and data.keys() <= LLM_KEYS and all(isinstance(text, str) for text in texts)


SOURCES: dict[str, Source] = {
    "llm": Source(
        title="templates of llm: `llm templates path` names their folder",
        reader="promptops.interop.llm_templates.importer:read_llm",
        names=(),
        fits=_is_llm,
        in_folders=("*.yaml",),
    ),
    "openai": Source(
        title="requests of OpenAI's API in JSON or code, uses of its reusable prompts in a folder",
        reader="promptops.interop.openai.importer:read_openai",
        folder_reader="promptops.interop.openai.importer:read_openai_folder",
        names=(),
        fits=_is_openai,
        has=(b"pmpt_", b"responses.create", b"completions.create", b"/v1/responses", b"/v1/chat/completions"),
    ),
    "prompt-yml": Source(
        title="`.prompt.yml` files of GitHub Models",
        reader="promptops.interop.prompt_yml.importer:read_prompt_yml",
        names=("*.prompt.yml", "*.prompt.yaml"),
        fits=_is_prompt_yml,
    ),
    "dotprompt": Source(
        title="dotprompt files, as Genkit and Firebase have them",
        reader="promptops.interop.dotprompt.importer:read_dotprompt",
        names=("*.prompt",),
    ),
    "prompty": Source(
        title="Prompty files, of its first and second format",
        reader="promptops.interop.prompty.importer:read_prompty",
        names=("*.prompty",),
    ),
    "promptfoo": Source(
        title="promptfoo configurations, also those that OpenAI Evals exports",
        reader="promptops.interop.promptfoo.importer:read_promptfoo",
        names=("promptfooconfig*.yaml", "promptfooconfig*.yml", "promptfooconfig*.json"),
        fits=_is_promptfoo,
    ),
}


def split_words(words: Sequence[str]) -> tuple[str, list[str]]:
    """The source and the paths of ``import [SOURCE] [PATH…]``. Without a path: here."""
    first, *paths = words
    if first in SOURCES or first == AUTO:
        return first, paths or ["."]
    if not os.path.lexists(first):
        raise NotFound(f"no file or source `{first}`", hint=_what_is_meant(first))
    return AUTO, list(words)


def _what_is_meant(word: str) -> str:
    if "/" in word or "." in word:
        return "check the path; files are read from this machine alone"
    near = get_close_matches(word, SOURCES, 1)
    return f"{f'did you mean {near[0]}? ' if near else ''}sources are: {', '.join([AUTO, *SOURCES])}"


def find_sources(source: str, paths: Sequence[str]) -> list[tuple[str, Path, Path]]:
    """Every file to read, with its source and where it is below the folder that was named.

    Folders are looked through for files by their names.
    """
    return [found for path in paths for found in _find(source, Path(path))]


def _find(source: str, path: Path) -> list[tuple[str, Path, Path]]:
    if not path.is_dir() or (source != AUTO and SOURCES[source].folder_reader):
        return [(source if source != AUTO else _detect(path), path, Path())]
    wanted = SOURCES if source == AUTO else {source: SOURCES[source]}
    found = [
        (name, path / file, Path(file).parent)
        for file in sorted(walk_files(path))
        for name in _by_name(file, wanted, named=source != AUTO)
    ]
    if not found:
        patterns = ", ".join(pattern for each in wanted.values() for pattern in each.names)
        raise NotFound(
            f"no file to import in {path}", hint=f"name the file; by itself only these are found: {patterns}"
        )
    return found


def _by_name(path: str, sources: Mapping[str, Source], *, named: bool = False) -> list[str]:
    base = Path(path).name.lower()
    return [
        name
        for name, source in sources.items()
        for patterns in [(*source.names, *(source.in_folders if named else ()))]
        if any(fnmatch.fnmatchcase(base, pattern) for pattern in patterns)
    ]


def _detect(path: Path) -> str:
    """By the name, else by what is in it. Raises WrongUsage where several sources fit, or none."""
    found = _by_name(path.name, SOURCES)
    if len(found) != 1:
        found = _by_content(SourceFile(path), found or list(SOURCES))
    if len(found) == 1:
        return found[0]
    what = f"looks like {' and '.join(found)}" if found else "is not recognised as a file of another tool"
    candidates = ", ".join(found or SOURCES)
    other = "" if found else "; for a file of none of them: promptops new NAME, and copy its text"
    raise WrongUsage(
        f"{path} {what}",
        hint=f"name the source: promptops import SOURCE {path}, one of {candidates}{other}",
    )


def _by_content(file: SourceFile, names: Sequence[str]) -> list[str]:
    by_words = [name for name in names if any(word in file.data for word in SOURCES[name].has)]
    try:
        data = file.json() if file.name.endswith(".json") else file.yaml().data
    except Invalid:
        return by_words
    fits = [name for name in names if (test := SOURCES[name].fits) and isinstance(data, dict) and test(data)]
    return fits or by_words
