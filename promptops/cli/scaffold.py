"""New files: a project's first prompt, further prompts, and what editors and git need to know."""

import json
import os
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from promptops._version import __version__
from promptops.config.containment import resolve_inside
from promptops.config.registry_location import local_file
from promptops.config.safe_writes import WriteTarget
from promptops.config.settings import Settings
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.errors import Invalid
from promptops.escapes import escape
from promptops.prompt import PROMPT_SCHEMA, check_prompt_name
from promptops.providers.endpoints import is_direct, key_variable
from promptops.versions.resolve import prompt_names, resolve_version

SCHEMA_FILE = ".prompt.schema.json"  # in the prompts folder; the first line of every new prompt names it
CI_TEMPLATES_DIR = Path(__file__).with_name("ci")
PROMOTE_SCRIPT = "promote.sh"
GITATTRIBUTES_LINES = (
    "prompts/**/*.yaml diff=promptops",
    "prompts/**/*.yml diff=promptops",
)  # in .gitattributes
DIFF_CONFIG = "git config diff.promptops.textconv 'promptops diff --textconv'"
STARTER_DIR = Path(__file__).with_name("starter")
JUDGES_DIR = Path(__file__).with_name("judges")
GITIGNORE_LINES = ("registry.db", "registry.db-*")
PROMPT_TEMPLATE = """\
# yaml-language-server: $schema={schema}
description: {description}
model: {model}
parameters: {{temperature: 0, max_tokens: 200}}
inputs:
  text: string
messages:
  - role: system
    content: You are a careful assistant.
  - role: user
    content: "{{{{ text }}}}"
checks:
  - max_chars: 1000
cases: {cases}
"""
CASES_TEMPLATE = '{"id": "first", "inputs": {"text": "Replace me with a real input."}}\n'


def start_project(settings: Settings) -> list[Path]:
    """Write what a repository of prompts needs and lacks. Returns the files written."""
    return [*write_prompt_schema(settings), *_copy_starter(settings), *ignore_registry(settings)]


def ignore_registry(settings: Settings) -> list[Path]:
    """Keep the log of runs out of git, whoever adds all files."""
    return _add_lines(_writable(settings, ".gitignore"), GITIGNORE_LINES)


def write_gitattributes(settings: Settings) -> list[Path]:
    """Tell git that prompts have a diff driver; which program that is, each clone configures itself."""
    return _add_lines(_writable(settings, ".gitattributes"), GITATTRIBUTES_LINES)


def has_gitattributes(settings: Settings) -> bool:
    file = settings.root / ".gitattributes"
    return file.is_file() and b"diff=promptops" in file.read_bytes()


def write_workflows(settings: Settings) -> list[Path]:
    """Write the workflows for pull requests, their evals and releases; one that is there stays as it is."""
    top = settings.work_tree
    folder = top / ".github/workflows"
    name = _workflow_name(settings, folder)
    files = {
        "github.yml": folder / f"{name}.yml",
        "eval.yml": folder / f"{name}-eval.yml",
        "release.yml": folder / f"{name}-release.yml",
    }
    return [
        to
        for template, to in files.items()
        if _write_if_missing(
            WriteTarget.inside(to, top),
            _fill_template(CI_TEMPLATES_DIR / template, name, settings),
        )
    ]


def _workflow_name(settings: Settings, folder: Path) -> str:
    """Two folders that letters and digits do not tell apart get two files."""
    name = re.sub(r"\W+", "-", f"promptops {settings.prefix}".strip())
    known = folder / f"{name}.yml"
    folders = (
        re.findall(r"^ *FOLDER: (.+)$", known.read_text("utf-8"), re.MULTILINE) if known.is_file() else []
    )
    if not folders or _yaml_text(settings.prefix or ".") in folders:
        return name
    return f"{name}-{sha256(settings.prefix.encode()).hexdigest()[:6]}"


def write_promote_script(settings: Settings) -> list[Path]:
    """Write the script that starts a canary and ticks until it is decided."""
    script = _writable(settings, PROMOTE_SCRIPT)
    text = (CI_TEMPLATES_DIR / PROMOTE_SCRIPT).read_text(encoding="utf-8")
    return [script.path] if _write_if_missing(script, text) else []


def _fill_template(template: Path, name: str, settings: Settings) -> str:
    text = template.read_text(encoding="utf-8")
    registry = os.path.relpath(local_file(settings.registry), settings.inside)
    for named in (settings.prefix, registry):
        if not named.isprintable() or "${{" in named:
            hint = "rename it: GitHub computes what stands between ${{ and }}, and would not show the rest"
            raise Invalid(f"{escape(named)} cannot stand in a workflow", hint=hint)
    keys, extras = _model_needs(settings)
    values = {
        "@TITLE@": _yaml_text(name),
        "@EVAL@": _yaml_text(f"{name} eval"),
        "@EVALMARKER@": _yaml_text(f"<!-- {name} eval -->"),
        "@PACKAGE@": f"git-promptops[{','.join(extras)}]" if extras else "git-promptops",
        "@SECRETS@": "\n".join(f"          {key}: ${{{{ secrets.{key} }}}}" for key in keys),
        "@RELEASE@": _yaml_text(f"{name} release"),
        "@MARKER@": _yaml_text(f"<!-- {name} -->"),
        "@KEY@": re.sub(r"[^A-Za-z0-9-]", "-", name),
        "@PATHS@": _yaml_text(
            [
                f"{_literal(settings.prompts_path)}/**",
                _literal(f"{settings.prefix}/{SETTINGS_FILE}".lstrip("/")),
            ]
        ),
        "@VERSION@": __version__,
        "@DIRECTORY@": _yaml_text(settings.prefix or "."),
        "@REGISTRY@": _yaml_text(f"{'./' if registry[0] in '!#~' else ''}{_literal(registry)}*"),
    }
    return re.sub(r"@[A-Z]+@", lambda mark: values[mark[0]], text)  # in one go: a folder may be called @NAME@


def _model_needs(settings: Settings) -> tuple[list[str], list[str]]:
    """The variables with keys of the models that prompts are pinned to, and the extras to call them."""
    keys, extras = set(), set()
    for name in prompt_names(settings):
        for provider in _providers(name, settings):
            if provider == "local":
                extras.add("local")
            else:
                keys.add(key_variable(provider))
                extras.update([] if is_direct(provider) else ["providers"])
    return sorted(keys) or ["OPENAI_API_KEY"], sorted(extras)


def _providers(name: str, settings: Settings) -> set[str]:
    try:
        prompt = resolve_version(name, settings).prompt
    except Invalid:
        return set()  # lint says what is wrong with it
    return {pin.partition("/")[0] for pin in (prompt.model, *prompt.fallback)}


def _literal(path: str) -> str:
    """A path in a pattern of GitHub's, where it names itself alone."""
    return re.sub(r"[\\*?+\[\]!]", r"\\\g<0>", path)


def _yaml_text(value: str | list[str]) -> str:
    """A value of a workflow in quotes, which JSON shares with YAML."""
    return json.dumps(value, ensure_ascii=False)


def _write_if_missing(file: WriteTarget, text: str) -> bool:
    if file.real.exists():
        return False
    file.write(text.encode(), new=True)
    return True


def write_prompt(settings: Settings, name: str, model: str, description: str) -> list[Path]:
    """Write a prompt to fill in, and its cases. Raises Invalid rather than overwrite anything."""
    file, cases, other = (
        WriteTarget.inside(settings.prompts / f"{name}{end}", settings.work_tree)
        for end in (".yaml", ".cases.jsonl", ".yml")
    )
    _refuse_existing(file, cases, other)
    schema = os.path.relpath(settings.prompts / SCHEMA_FILE, file.path.parent)
    text = PROMPT_TEMPLATE.format(
        schema=schema,
        description=json.dumps(description, ensure_ascii=False),
        model=json.dumps(model),
        cases=json.dumps(f"{name}.cases.jsonl"),
    )
    file.write(text.encode(), new=True)
    cases.write(CASES_TEMPLATE.encode(), new=True)
    return [*write_prompt_schema(settings), file.path, cases.path]


def write_judge(settings: Settings, name: str, judge: str, model: str) -> list[Path]:
    """Write a judge that is shipped. Raises Invalid rather than overwrite anything."""
    file, other = (
        WriteTarget.inside(settings.prompts / f"{name}{end}", settings.work_tree) for end in (".yaml", ".yml")
    )
    _refuse_existing(file, other)
    text = (JUDGES_DIR / f"{judge}.yaml").read_text(encoding="utf-8")
    schema = os.path.relpath(settings.prompts / SCHEMA_FILE, file.path.parent)
    text = text.replace(f"../{SCHEMA_FILE}", schema, 1)
    text = re.sub(r"^model: .*$", lambda _: f"model: {json.dumps(model)}", text, count=1, flags=re.MULTILINE)
    file.write(text.encode(), new=True)
    return [*write_prompt_schema(settings), file.path]


def _refuse_existing(*targets: WriteTarget) -> None:
    for target in targets:
        if target.real.exists():
            shown = os.path.relpath(target.path)
            raise Invalid(f"{shown} exists", hint="choose another name, or edit that file")


def new_prompt_name(written: str, settings: Settings) -> str:
    """The name of a prompt that is to be, given as a name or as the path of its file. Raises Invalid."""
    path = Path(os.path.abspath(written))  # noqa: PTH100 - resolve() would follow a linked folder
    is_file = written.endswith((".yaml", ".yml"))
    if path.is_relative_to(settings.prompts) and (is_file or _leads_into_prompts(written, settings)):
        written = path.relative_to(settings.prompts).as_posix()
    elif is_file:
        name = Path(written).stem
        hint = f"promptops new {name} writes {settings.prompts_path}/{name}.yaml"
        raise Invalid(f"{written} is not below {settings.prompts}", hint=hint)
    written = written.removesuffix(".yaml").removesuffix(".yml")
    check_prompt_name(written)
    return written


def _leads_into_prompts(written: str, settings: Settings) -> bool:
    """Whether a name is a path that begins with the folder of prompts, and with no folder in there."""
    first = Path(written).parts[0] if Path(written).parts else ""
    return first == settings.prompts.name and not (settings.prompts / first).exists()


def schema_text() -> str:
    return json.dumps(PROMPT_SCHEMA, ensure_ascii=False, indent=2) + "\n"


def _writable(settings: Settings, name: str) -> WriteTarget:
    return WriteTarget.inside(settings.root / name, settings.work_tree)


def write_prompt_schema(settings: Settings) -> list[Path]:
    """Bring the file that editors read up to this release."""
    file = WriteTarget.inside(settings.prompts / SCHEMA_FILE, settings.work_tree)
    text = schema_text().encode()
    if file.read() == text:
        return []
    file.write(text)
    return [file.path]


def _copy_starter(settings: Settings) -> list[Path]:
    """The first prompt, unless there is any prompt already."""
    if any(resolve_inside(settings.prompts, settings.inside).rglob("*.y*ml")):
        return []
    written = []
    for source in sorted(STARTER_DIR.iterdir()):
        if source.is_file():
            target = WriteTarget.inside(settings.prompts / source.name, settings.work_tree)
            target.write(source.read_bytes())
            written.append(target.path)
    return written


def _add_lines(file: WriteTarget, lines: Sequence[str]) -> list[Path]:
    text = file.read()
    missing = [line.encode() for line in lines if line.encode() not in text.splitlines()]
    if not missing:
        return []
    separator = b"" if not text or text.endswith(b"\n") else b"\n"
    file.write(text + separator + b"".join(line + b"\n" for line in missing))
    return [file.path]
