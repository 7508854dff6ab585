"""``promptops run --watch``: an answer after each save that changes what is sent."""

from dataclasses import replace

from promptops.cli.planned_call import RunOptions
from promptops.cli.run_execution import RunExecution
from promptops.cli.watching import UnchangedRequest, WatchedFiles, watch
from promptops.runner import PreparedRun


def watch_run(execution: RunExecution, reference: str, options: RunOptions) -> int:
    files = WatchedFiles(execution.settings, reference, options.inputs, options.inputs_file)
    options = replace(options, reads_stdin=False)
    sent: set[tuple[str, str | None]] = set()

    def before(prepared: PreparedRun) -> None:
        files.loaded(prepared.version.prompt.closure)
        now = prepared.started.digest, prepared.started.inputs_hash
        if now in sent:
            raise UnchangedRequest
        sent.clear()
        sent.add(now)

    watched = replace(execution, before=before)
    return watch(files, lambda: watched.run(reference, options))
