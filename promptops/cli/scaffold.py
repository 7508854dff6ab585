"""New files: a project's first prompt, further prompts, and what editors and git need to know."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from promptops._version import __version__
from promptops.config.containment import check_inside
from promptops.config.settings import Settings
from promptops.config.settings_schema import SETTINGS_FILE
from promptops.errors import Invalid
from promptops.escapes import escape
from promptops.prompt import PROMPT_SCHEMA, check_prompt_name

SCHEMA_FILE = ".prompt.schema.json"  # in the prompts folder; the first line of every new prompt names it
CI_TEMPLATES_DIR = Path(__file__).with_name("ci")
PROMOTE_SCRIPT = "promote.sh"
GITATTRIBUTES_LINES = (
    "prompts/**/*.yaml diff=promptops",
    "prompts/**/*.yml diff=promptops",
)  # in .gitattributes
DIFF_CONFIG = "git config diff.promptops.textconv 'promptops diff --textconv'"
STARTER_DIR = Path(__file__).with_name("starter")
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
    return [
        *_write_schema(settings),
        *_copy_starter(settings),
        *_add_lines(_writable(settings, ".gitignore"), GITIGNORE_LINES),
    ]


def write_gitattributes(settings: Settings) -> list[Path]:
    """Tell git that prompts have a diff driver; which program that is, each clone configures itself."""
    return _add_lines(_writable(settings, ".gitattributes"), GITATTRIBUTES_LINES)


def has_gitattributes(settings: Settings) -> bool:
    file = settings.root / ".gitattributes"
    return file.is_file() and b"diff=promptops" in file.read_bytes()


def write_workflows(settings: Settings) -> list[Path]:
    """Write the workflows for pull requests and for releases; one that is there stays as it is."""
    if settings.top is None:
        raise Invalid("a bare repository has no folder for workflows", hint="do this in a clone")
    name = re.sub(r"\W+", "-", f"promptops {settings.prefix}".strip())
    folder = settings.top / ".github/workflows"
    files = {
        "github.yml": folder / f"{name}.yml",
        "release.yml": folder / f"{name}-release.yml",
    }
    return [
        to
        for template, to in files.items()
        if _write_if_missing(
            check_inside(to, settings.top), _fill_template(CI_TEMPLATES_DIR / template, name, settings)
        )
    ]


def write_promote_script(settings: Settings) -> list[Path]:
    """Write the script that starts a canary and ticks until it is decided."""
    file = _writable(settings, PROMOTE_SCRIPT)
    return (
        [file]
        if _write_if_missing(file, (CI_TEMPLATES_DIR / PROMOTE_SCRIPT).read_text(encoding="utf-8"))
        else []
    )


def _fill_template(template: Path, name: str, settings: Settings) -> str:
    text = template.read_text(encoding="utf-8")
    registry = os.path.relpath(settings.registry, settings.top)
    for named in (settings.prefix, registry):
        if not named.isprintable() or "${{" in named:
            hint = "rename it: GitHub would compute what stands between ${{ and }}"
            raise Invalid(f"{escape(named)} cannot stand in a workflow", hint=hint)
    values = {
        "@TITLE@": _yaml_text(name),
        "@RELEASE@": _yaml_text(f"{name} release"),
        "@MARKER@": _yaml_text(f"<!-- {name} -->"),
        "@KEY@": re.sub(r"[^A-Za-z0-9-]", "-", name),
        "@PATHS@": _yaml_text(
            [f"{settings.prompts_path}/**", f"{settings.prefix}/{SETTINGS_FILE}".lstrip("/")]
        ),
        "@VERSION@": __version__,
        "@DIRECTORY@": _yaml_text(settings.prefix or "."),
        "@REGISTRY@": _yaml_text(f"{registry}*"),
    }
    return re.sub(r"@[A-Z]+@", lambda mark: values[mark[0]], text)  # in one go: a folder may be called @NAME@


def _yaml_text(value: str | list[str]) -> str:
    """A value of a workflow in quotes, which JSON shares with YAML."""
    return json.dumps(value, ensure_ascii=False)


def _write_if_missing(file: Path, text: str) -> bool:
    if file.exists():
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return True


def write_prompt(settings: Settings, name: str, model: str, description: str) -> list[Path]:
    """Write a prompt to fill in, and its cases. Raises Invalid rather than overwrite anything."""
    file = settings.prompts / f"{name}.yaml"
    cases = settings.prompts / f"{name}.cases.jsonl"
    for path in (file, settings.prompts / f"{name}.yml", cases):
        if check_inside(path, settings.inside).exists():
            raise Invalid(f"{os.path.relpath(path)} exists", hint="choose another name, or edit that file")
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = os.path.relpath(settings.prompts / SCHEMA_FILE, file.parent)
    text = PROMPT_TEMPLATE.format(
        schema=schema,
        description=json.dumps(description, ensure_ascii=False),
        model=json.dumps(model),
        cases=json.dumps(f"{name}.cases.jsonl"),
    )
    file.write_text(text, encoding="utf-8")
    cases.write_text(CASES_TEMPLATE, encoding="utf-8")
    return [*_write_schema(settings), file, cases]


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


def _writable(settings: Settings, name: str) -> Path:
    return check_inside(settings.root / name, settings.inside)


def _write_schema(settings: Settings) -> list[Path]:
    """Bring the file that editors read up to this release."""
    file = check_inside(settings.prompts / SCHEMA_FILE, settings.inside)
    text = schema_text()
    if file.exists() and file.read_text(encoding="utf-8") == text:
        return []
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return [file]


def _copy_starter(settings: Settings) -> list[Path]:
    """The first prompt, unless there is any prompt already."""
    prompts = check_inside(settings.prompts, settings.inside)
    if any(prompts.rglob("*.y*ml")):
        return []
    targets = {prompts / source.name: source for source in sorted(STARTER_DIR.iterdir()) if source.is_file()}
    for target, source in targets.items():
        check_inside(target, settings.inside).write_bytes(source.read_bytes())
    return list(targets)


def _add_lines(file: Path, lines: Sequence[str]) -> list[Path]:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [line for line in lines if line not in text.splitlines()]
    if not missing:
        return []
    separator = "" if not text or text.endswith("\n") else "\n"
    file.write_text(text + separator + "".join(f"{line}\n" for line in missing), encoding="utf-8")
    return [file]
