"""``promptops show``: one version, as it was resolved."""

import json
from typing import Any

from promptops.cli.options.common import JsonOption, ReferenceArgument
from promptops.config.settings import current_settings
from promptops.console import print_json, print_styled, print_text
from promptops.versions.resolve import Version, resolve_version, with_provenance


def show(reference: ReferenceArgument, as_json: JsonOption = False) -> None:
    """Show one version of a prompt: the file as resolved, its digest and where it comes from."""
    settings = current_settings()
    version = with_provenance(resolve_version(reference, settings), settings)
    if as_json:
        print_json(_as_json(version))
        return
    for label, value in _facts(version):
        print_styled([(f"{label:<9} ", "dim"), (value, "")])
    for path, text in _files(version):
        print_styled([(f"── {path}", "bold")])
        print_text(text, end="" if text.endswith("\n") else "\n")


def _facts(version: Version) -> list[tuple[str, str]]:
    facts = [
        ("version", version.pasteable),
        ("digest", f"sha256:{version.prompt.digest}"),
        ("from", _origin(version)),
        ("model", version.prompt.model),
        ("inputs", ", ".join(version.prompt.inputs)),
    ]
    return [(label, value) for label, value in facts if value]


def _origin(version: Version) -> str:
    commit = f" {version.commit_sha[:10]}" if version.commit_sha else ""
    if version.source == "registry":
        return "the registry: it ran, and no commit has it"
    if version.source in ("commit", "release"):
        return f"{version.source}{commit}"
    if not version.commit_sha:
        return f"{version.source}, nothing committed yet"
    return f"{version.source}, {'changed since' if version.dirty else 'as in'} commit{commit}"


def _files(version: Version) -> list[tuple[str, str]]:
    """The prompt file and the partials that its meaning rests on, or what the registry kept of them."""
    prompt = version.prompt
    if version.source == "registry":
        return [("as logged", json.dumps(prompt.canonical(), ensure_ascii=False, indent=2))]
    return [(prompt.path, prompt.document.source), *sorted(prompt.partials.items())]


def _as_json(version: Version) -> dict[str, Any]:
    prompt = version.prompt
    return {
        "prompt": prompt.name,
        "reference": version.reference,
        "pasteable": version.pasteable,
        "digest": f"sha256:{prompt.digest}",
        "version": version.version,
        "channel": version.channel,
        "source": version.source,
        "commit_sha": version.commit_sha,
        "dirty": version.dirty,
        "description": prompt.description,
        "metadata": dict(prompt.metadata),
        "files": list(prompt.closure),
        "resolved": prompt.canonical(),
    }
