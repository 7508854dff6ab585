"""``promptops release bundle``: what channels serve, in one file for places without git."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import out_option
from promptops.cli.progress import transfer_line
from promptops.config.settings import current_settings
from promptops.console import print_json, print_text
from promptops.release.bundle import write_bundle
from promptops.release.ledger import Ledger
from promptops.reports.numbers import pluralize

OutOption = Annotated[Path, out_option("The file, replaced whole where there is one.")]


def release_bundle(out: OutOption, as_json: JsonOption = False) -> None:
    """Write what channels serve to one file, for places without git.

    An application reads it with Workspace.from_bundle, and reads it again when it is replaced. It holds the
    release state as it is known here (`promptops release sync` fetches first), every version it names, and
    the judges that guards of these ask.
    """
    settings = current_settings()
    with Ledger(settings, on_transfer=transfer_line()) as ledger:
        ledger.commit_id()  # a clone of one branch fetches the state
    bundle = write_bundle(settings, out)
    if as_json:
        print_json({"file": str(out), **asdict(bundle)})
        return
    prompts, versions = pluralize(len(bundle.prompts), "prompt"), pluralize(bundle.versions, "version")
    print_text(f"{out}: {prompts}, {versions}, {bundle.bytes:,} bytes")
