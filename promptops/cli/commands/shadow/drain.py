"""``promptops shadow drain``: answer what waits for the shadows of channels."""

from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import jobs_option, wait_option
from promptops.cli.options.model_calls import RetriesOption
from promptops.cli.options.overrides import TimeoutOption
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.runner.retry import Limits

WaitOption = Annotated[bool, wait_option("Where another drain is at work, wait for its end.")]
JobsOption = Annotated[int, jobs_option(max_value=256)]


def shadow_drain(
    wait: WaitOption = False,
    jobs: JobsOption = 4,
    retries: RetriesOption = 2,
    timeout: TimeoutOption = 60.0,
    as_json: JsonOption = False,
) -> None:
    """Answer what waits for the shadows of channels.

    `run` and `batch` start one in the background after their answers; this is for what a killed one left.
    """
    from promptops.evaluation.shadow.live.drain import drain

    done = drain(
        current_settings(), concurrency=jobs, limits=Limits(retries=retries, timeout=timeout), wait=wait
    )
    if as_json:
        left = [{**each.about, "error": error.message} for each, error in done.left.items()]
        print_json({"answered": done.answered, "left_out": done.left_out, "left": left})
    elif done.elsewhere:
        note("another drain is at work; --wait waits for its end")
    else:
        out = "".join(f", {jobs:,} {why}" for why, jobs in done.left_out.items())
        print_text(f"{done.answered:,} answered{out}")
    if done.left:
        raise next(iter(done.left.values()))
