"""A process that writes the state branch: ``ledger_writer.py FOLDER COUNT [release]``."""

import json
import os
import sys
import time
from pathlib import Path

from promptops.config.settings import find_settings
from promptops.release.ledger import Ledger
from promptops.release.rules import Move, Transition
from promptops.versions.release_state import ReleasedVersion, ReleaseState
from promptops.versions.resolve import resolve_version

PROMPT = "support/triage"


def turn(state: ReleaseState | None) -> Transition | None:
    rollout = state.channels["production"].rollout if state else None
    if rollout is None:  # not fetched yet
        return None
    if rollout.phase == "paused":
        return Transition(move=Move.RESUME, rollout=rollout, phase="progressing")
    return Transition(move=Move.PAUSE, rollout=rollout, phase="paused", reason="to and fro")


def main(folder: str, count: str, what: str = "turn") -> None:
    settings = find_settings(Path(folder), os.environ)
    generations = []
    with Ledger(settings) as ledger:
        if what == "release":
            sys.stdin.readline()
            found = resolve_version(f"{PROMPT}@HEAD", settings)
            move = Transition(
                move=Move.RELEASE, stable=ReleasedVersion("", found.prompt.digest, found.commit_sha)
            )
            ledger.commit_transition(PROMPT, "production", lambda _: move, now=time.time(), version=found)
            return
        for _ in range(int(count)):
            written = ledger.commit_transition(PROMPT, "production", turn, now=time.time())
            assert written.state is not None
            generations.append(written.state.generation)
    sys.stdout.write(json.dumps(generations))


main(*sys.argv[1:])
