"""What an exporter made, written where a person says."""

from collections.abc import Sequence
from pathlib import Path

from promptops.config.containment import resolve_output
from promptops.config.held_signals import held_signals
from promptops.config.safe_writes import WriteTarget
from promptops.errors import Invalid
from promptops.interop.model import ExportedFiles


def write_export(done: ExportedFiles, out: Path | None) -> Sequence[Path]:
    """Write one file to ``out``, several into it. Without ``out`` nothing is written: one file is printed."""
    if out is None or str(out) == "-":
        if len(done.files) > 1:
            names = ", ".join(done.files)
            raise Invalid(
                f"{done.form} takes {len(done.files)} files: {names}", hint="--out FOLDER writes them there"
            )
        return ()
    if len(done.files) == 1 and not out.is_dir():
        (text,) = done.files.values()
        WriteTarget.output(out).write(text.encode())
        return [out]
    paths = [out / name for name in done.files]
    targets = [WriteTarget(path, *resolve_output(path)) for path in paths]
    with held_signals():  # a program that reads them finds all
        for target, text in zip(targets, done.files.values(), strict=True):
            target.write(text.encode())
    return paths
