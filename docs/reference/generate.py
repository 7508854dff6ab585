"""What the pages say of commands, keys and codes, made from the program: ``cog -r docs/reference/*.md``."""

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

from digest_keys import digest_rows

from promptops.checks import CHECK_KINDS
from promptops.cli.main import main
from promptops.cli.verbs import GROUPS, VERBS, VerbPath, leaf_verbs
from promptops.config.settings_schema import SETTINGS_SCHEMA
from promptops.errors import EXIT_CODES
from promptops.interop.datasets.parquet import COLUMNS
from promptops.lint import RULES
from promptops.prompt import PROMPT_SCHEMA

os.environ.update(COLUMNS="80", NO_COLOR="1")


def parquet_columns() -> str:
    rows = (f"| `{name}` | `{kind}` |" for name, kind in COLUMNS.items())
    return "\n".join(("\n| column | type |", "|---|---|", *rows, ""))


def commands() -> str:
    """Every verb's help, group by group."""
    return "\n".join(_group(group) for group in GROUPS)


def _group(group: str) -> str:
    paths = leaf_verbs(name for name, verb in VERBS.items() if verb.group == group)
    return f"## {group}\n\n" + "\n".join(_command(path) for path in paths)


def _command(path: VerbPath) -> str:
    return f"### {' '.join(path)}\n\n```text\n{_help(path)}\n```\n"


def _help(path: VerbPath) -> str:
    shown = io.StringIO()
    with redirect_stdout(shown):
        main([*path, "--help"])
    return "\n".join(line.rstrip() for line in shown.getvalue().strip().splitlines())


def exit_codes() -> str:
    return "| exit | meaning |\n|---|---|\n" + "\n".join(
        f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()
    )


def checks() -> str:
    return "| check | passes when |\n|---|---|\n" + "\n".join(
        f"| `{name}` | {kind.summary} |" for name, kind in CHECK_KINDS.items()
    )


def lint_rules() -> str:
    return "| rule | severity | finds |\n|---|---|---|\n" + "\n".join(
        f"| `{name}` | {rule.severity} | {rule.summary} |" for name, rule in RULES.items()
    )


def prompt_keys() -> str:
    return _keys(PROMPT_SCHEMA)


def version_keys() -> str:
    """Which keys make another version, found by changing each."""
    return "| another | makes another version |\n|---|---|\n" + "\n".join(digest_rows())


def settings_keys() -> str:
    return _keys(SETTINGS_SCHEMA)


def _keys(schema: Mapping[str, Any]) -> str:
    return "| key | meaning |\n|---|---|\n" + "\n".join(_key_rows(schema))


def _key_rows(schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    for name, key in schema["properties"].items():
        yield f"| `{name}`{' (required)' if name in required else ''} | {key.get('description', '')} |"
