"""What ``--model`` and ``--set`` change, for the verbs that run a version."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from promptops.cli.options.flags import timeout_option
from promptops.errors import Invalid
from promptops.prompt import with_overrides
from promptops.versions.resolve import Version

TimeoutOption = Annotated[float, timeout_option("Seconds that one attempt may take.", min_value=0.001)]


def local_model_override(version: Version) -> str | None:
    """The model that PROMPTOPS_LOCAL_GGUF puts in the place of an embedded one, as if given by --model."""
    if not version.prompt.model.startswith("local/"):
        return None
    from promptops.providers.local.weights import override_model_name  # zip files and more, for few prompts

    return override_model_name(os.environ)


def apply_overrides(
    version: Version, model: str | None, settings: Mapping[str, Any]
) -> tuple[Version, dict[str, Any]]:
    """The version with ``--model`` and ``--set`` applied, under its own digest, and what they changed."""
    overrides = {**({"model": model} if model else {}), **settings}
    if not overrides:
        return version, {}
    if version.channel:
        raise Invalid(
            f"{version.reference}: a channel serves what was released, without --model or --set",
            hint=f"override {version.prompt.name} or {version.prompt.name}@REV instead",
        )
    prompt = with_overrides(version.prompt, model=model, settings=settings)
    return replace(version, prompt=prompt), overrides
