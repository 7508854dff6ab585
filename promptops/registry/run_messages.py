"""The exact messages of a logged run, made again from its version and inputs and verified by their hash."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from promptops.errors import Invalid, NotFound
from promptops.registry.database import RegistryDatabase
from promptops.registry.queries.runs.queries import RunRecord
from promptops.registry.queries.versions import read_version_source

if TYPE_CHECKING:  # the template engine is loaded when messages are made, not when runs are listed
    from promptops.prompt import Prompt

PromptLoader = Callable[[str], "Prompt"]
_PREFIX = len("sha256:")


def rebuild_messages(
    registry: RegistryDatabase, run: RunRecord, load: PromptLoader | None = None
) -> list[dict[str, Any]]:
    """The messages that were sent. ``load`` reads ``NAME@COMMIT`` where the registry lacks the version.

    Raises NotFound when inputs or version were not kept, Invalid when the result is not what was sent.
    """
    _require_inputs(run)
    if (run["redacted"] or {}).get("inputs"):
        raise NotFound(
            f"the messages of run {run['run_id']} cannot be rebuilt: its inputs were redacted before they "
            "were logged",
            hint="what is kept of them is shown as it is",
        )
    return messages_as_sent(load_run_prompt(registry, run, load), run)


def messages_as_sent(prompt: "Prompt", run: RunRecord) -> list[dict[str, Any]]:
    """The messages that a run of this version sent; with what is kept of inputs that were redacted.

    Raises NotFound when inputs were not kept, Invalid when the result is not what was sent.
    """
    from promptops.prompt.render import messages_hash, render_prompt
    from promptops.prompt.untrusted import NO_NONCE

    _require_inputs(run)
    messages = render_prompt(prompt, run["inputs"], run["nonce"] or NO_NONCE).messages
    redacted = (run["redacted"] or {}).get("inputs")
    if not redacted and messages_hash(messages) != run["messages_hash"]:
        raise Invalid(
            f"the messages of run {run['run_id']} come out differently now than they were sent",
            hint="another version of promptops or of Jinja2 may have rendered them",
        )
    return [dict(message) for message in messages]


def _require_inputs(run: RunRecord) -> None:
    if run["inputs"] is None:
        raise NotFound(
            f"the messages of run {run['run_id']} cannot be rebuilt: the log has no inputs of it",
            hint="they were not stored (`log: {inputs: full}` keeps them from now on), or erased",
        )


def load_run_prompt(registry: RegistryDatabase, run: RunRecord, load: PromptLoader | None = None) -> "Prompt":
    """The very version that ran: from the registry, or else from the commit."""
    digest = run["digest"][_PREFIX:]
    stored = stored_prompt(registry, run["prompt"], digest)
    if stored is not None:
        return stored
    if load and run["commit_sha"] and not run["dirty"] and not run["overrides"]:
        prompt = load(f"{run['prompt']}@{run['commit_sha']}").with_digest(digest)
        if prompt is not None:
            return prompt
    raise NotFound(
        f"the version of run {run['run_id']} is neither in the registry nor in git",
        hint=f"it was {run['prompt']}@{run['digest'][: _PREFIX + 12]}",
    )


def stored_prompt(registry: RegistryDatabase, name: str, digest: str) -> "Prompt | None":
    """What the registry keeps of a version that ran: all that reached the model."""
    from promptops.prompt import from_canonical

    found = read_version_source(registry, name, digest)
    return from_canonical(name, json.loads(found[0]), json.loads(found[1])) if found else None
