"""Prompts of other tools, read and written; logged runs as data sets.

A new importer is one file and one function::

    # promptops/interop/mine.py
    def read_mine(file: SourceFile, target: ImportTarget, project: LintProject) -> ImportedSource: ...

and one line in the table of ``sources.py``, which says how its files are told from others.

- ``reader.SourceFile`` reads within limits, and never outside of the file's own folder.
- ``accounts.KeyAccounts`` is told of every key what became of it, and reports those that nobody mentioned as
  not importable, so that nothing is lost in silence.
- ``target.ImportTarget`` gives names, ``pins.pin_model`` turns a provider's name into a model to pin.
- What the function returns are values of ``model.py``. ``writing.py`` makes files of them, lints them, and
  writes all or nothing; ``cli/commands/import.py`` prints the report.
- What a prompt file cannot say goes into ``PromptDraft.imported``, and so under ``metadata.imported``.

A new exporter is a function from prompts to files, and one line in the table of ``exporters.py``.
"""
