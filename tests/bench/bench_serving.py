"""What serving a channel costs a call in process: placed by its unit, resolved, rendered.

Beside it mlflow's own way, a prompt from its cache and formatted, where mlflow is installed: with the same
text in both. Best of several rounds; every call has another unit and other inputs.
"""

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from promptops.prompt.render import render_prompt
from promptops.runner.routing import GitSource, Router
from promptops.versions.references import parse_reference
from support.git_repositories import GitFolder, new_repository
from support.release_states import released, write_state

CALLS, ROUNDS = 20_000, 5
TARGET, AGAINST_MLFLOW = 20_000, 0.5
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {{ticket: string, language: {{type: string, enum: [en, de], default: en}}}}
messages:
  - {{role: system, content: "{text} Answer in {{{{ language }}}} with the name of one queue, nothing else."}}
  - {{role: user, content: "Ticket: {{{{ ticket }}}}"}}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = new_repository(Path(place))
        for number, text in enumerate(("You route support tickets.", "You sort support tickets."), 1):
            folder.commit(text, {"prompts/triage.yaml": PROMPT.format(text=text)}, day=number)
        stable, canary = (released(folder, "triage", rev, v) for rev, v in (("HEAD~1", "v1"), ("HEAD", "v2")))
        write_state(folder, "triage", stable, canary, weight_bp=1000)
        ours = _served(folder)
    print(f"place + resolve + render  {ours:>10,.0f} calls/s   to reach {TARGET:,}")
    if importlib.util.find_spec("mlflow") is None:
        print("mlflow is not installed: nothing to hold it against")
        return
    theirs = _mlflow()
    print(f"mlflow load + format      {theirs:>10,.0f} calls/s")
    print(f"ratio                     {ours / theirs:>10.2f}           to reach {AGAINST_MLFLOW}")


def _served(folder: GitFolder) -> float:
    settings = folder.settings()
    reference = parse_reference("triage:production", settings)
    with Router(GitSource(settings), settings.registry) as serving:

        def once(number: int) -> None:
            placed = serving.place(reference, f"user-{number}")
            render_prompt(placed.version.prompt, {"ticket": f"Where is order {number}?"})

        return _rate(once)


def _mlflow() -> float:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with tempfile.TemporaryDirectory() as place:
        import mlflow  # type: ignore[import-not-found]

        mlflow.set_tracking_uri(f"sqlite:///{place}/mlflow.db")
        template = [
            {
                "role": "system",
                "content": "You route support tickets. Answer in {{ language }} with one queue.",
            },
            {"role": "user", "content": "Ticket: {{ ticket }}"},
        ]
        mlflow.genai.register_prompt(name="triage", template=template)

        def once(number: int) -> None:
            prompt = mlflow.genai.load_prompt("prompts:/triage/1")
            prompt.format(ticket=f"Where is order {number}?", language="en")

        return _rate(once)


def _rate(once: Callable[[int], None]) -> float:
    """Calls a second in the best round."""
    best = float("inf")
    once(0)
    for _ in range(ROUNDS):
        clock = time.perf_counter()
        for number in range(CALLS):
            once(number)
        best = min(best, time.perf_counter() - clock)
    return CALLS / best
