"""What promptops itself has written, and somebody or something has changed: state branch, exports, spool."""

import base64
import json
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promptops.errors import Invalid
from promptops.registry import RegistryDatabase, Spool, StartedRun
from promptops.registry.release_export_reader import read_export_header, read_exported_runs
from promptops.release.bundle import BundleSource
from promptops.release.ledger.serialize import encode_channel
from promptops.release.ledger.transition_log import TransitionRecord, decode_record
from promptops.versions.release_state import ReleaseState, decode_release, decode_snapshot
from support.fuzzing import damaged_json, fuzz_settings, settle

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

DIGEST = "4c" * 32
VERSION = {"version": "v1", "digest": f"sha256:{DIGEST}", "commit": "3f2c", "since": "2026-11-02T09:14:00Z"}
ROLLOUT = {
    "id": "r1",
    "canary": VERSION,
    "plan": DIGEST,
    "phase": "progressing",
    "step": 1,
    "weight_bp": 500,
    "salt": "s",
    "unit": "session",
    "started": "2026-11-02T09:14:00Z",
    "step_started": "2026-11-02T09:14:00Z",
    "deadline": "2026-12-02T09:14:00Z",
    "reason": "why",
    "signals": ["a"],
}
CHANNEL = {
    "stable": VERSION,
    "previous": VERSION,
    "rollout": ROLLOUT,
    "shadow": {**VERSION, "sample_bp": 5, "max_usd": 1.5},
}
RELEASE = {"prompt": "p", "generation": 3, "project": "", "channels": {"production": CHANNEL}}
SNAPSHOT = {
    "prompt": "p",
    "version": "v1",
    "digest": f"sha256:{DIGEST}",
    "commit": "3f2c",
    "files": {"p.yaml": "model: m", "x.png": {"base64": base64.b64encode(b"x").decode()}},
}
RECORD = {
    "prompt": "p",
    "channel": "production",
    "id": "t1",
    "generation": 3,
    "at": "2026-11-02T09:14:00Z",
    "subject": "s",
    "transition": {
        "move": "promote",
        "actor": "ada",
        "reason": "r",
        "stable": VERSION,
        "rollout": ROLLOUT,
        "signals": ["x"],
    },
    "after": CHANNEL,
    "version": DIGEST,
    "plan": None,
    "evidence": None,
}


@given(text=damaged_json([RELEASE]))
@example(
    text=json.dumps(
        {**RELEASE, "channels": {"c": {"shadow": {**CHANNEL["shadow"], "max_usd": "x"}}}}
    ).encode()
)
@example(
    text=json.dumps(
        {**RELEASE, "channels": {"c": {**CHANNEL, "rollout": {**CHANNEL["rollout"], "reason": [[]]}}}}
    ).encode()
)
@fuzz_settings(100)
def test_releases_are_decoded_or_invalid(text: bytes) -> None:
    state = settle(lambda: decode_release(text, "p"))
    assert isinstance(state, ReleaseState | Invalid)
    if isinstance(state, ReleaseState):
        assert [state.live(DIGEST), *map(encode_channel, state.channels.values())]


@given(text=damaged_json([SNAPSHOT]))
@example(text=json.dumps({**SNAPSHOT, "files": {"x": {"base64": "é"}}}).encode())
@fuzz_settings(50)
def test_a_frozen_version_is_decoded_or_invalid(text: bytes) -> None:
    settle(lambda: decode_snapshot(text, f"versions/p/{DIGEST[:12]}.yaml", "p"))


@given(text=damaged_json([RECORD]))
@example(text=b"[" * 100_000)
@fuzz_settings(75)
def test_an_entry_of_the_log_is_decoded_or_invalid(text: bytes) -> None:
    assert isinstance(settle(lambda: decode_record(text, "log/p/3.json")), TransitionRecord | Invalid)


BUNDLE = {
    "format": 1,
    "commit": "3f2c",
    "made_at": "2026-11-02T09:14:00Z",
    "settings": "log: {inputs: hash}",
    "files": {"releases/p.yaml": json.dumps(RELEASE), "judges/j/4c.yaml": json.dumps(SNAPSHOT)},
    "judges": {"j": "judges/j/4c.yaml"},
}


@given(content=damaged_json([BUNDLE]))
@example(content=b"[" * 100_000)
@example(content=json.dumps({**BUNDLE, "files": {"releases/p.yaml": 5}}).encode())
@example(content=json.dumps({**BUNDLE, "files": {"releases/p.yaml": "\ud800"}}).encode())
@example(content=json.dumps({**BUNDLE, "settings": "\ud800"}).encode())
@example(content=json.dumps({**BUNDLE, "judges": {"j": []}}).encode())
@fuzz_settings(60)
def test_a_bundle_is_served_or_invalid(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bundle").write_bytes(content)
    assert isinstance(settle(lambda: BundleSource(tmp_path / "bundle")), BundleSource | Invalid)


HEADER = {
    "format": "promptops-release/1",
    "registry_id": "r",
    "unit_key_id": "u",
    "since_seq": 0,
    "through_seq": 2,
    "gaps": [{"writer_id": "w", "after": 4, "before": 6, "at": "t"}],
    "exported_at": "t",
}
RUN = {
    "run_id": "01J00000000000000000000000",
    "writer_id": "w",
    "writer_counter": 1,
    "kind": "run",
    "state": "ok",
    "started_at": "2026-11-02T09:14:00Z",
    "prompt": "p",
    "digest": DIGEST,
    "trial": 0,
    "request_model": "m",
    "weight_bp": 500,
    "cost_usd": 0.5,
    "outcomes": [["check", "x", 1, 0.5, "2026-11-02T09:14:00Z", "2026-11-02T09:14:00Z"]],
}


@given(line=damaged_json([HEADER]))
@example(line=json.dumps(HEADER).replace('"after": 4', '"after": 1e999').encode())
@fuzz_settings(50)
def test_the_header_of_an_export_is_read_or_invalid(line: bytes) -> None:
    settle(lambda: read_export_header("x", line))


@given(lines=st.lists(damaged_json([RUN, {"end": 1}]), max_size=3))
@fuzz_settings(50)
def test_the_runs_of_an_export_are_read_or_invalid(lines: list[bytes]) -> None:
    settle(lambda: list(read_exported_runs("x", lines)))


RUN_ID = "01J00000000000000000000000"
STARTED = StartedRun(
    run_id=RUN_ID,
    started_at="2026-11-02T09:14:00Z",
    reference="p",
    prompt="p",
    digest=DIGEST,
    request_model="m",
    messages_hash=DIGEST,
)
WAITING = {"started": asdict(STARTED), "finished": None, "place": ["w", 1]}


@given(text=damaged_json([WAITING]))
@fuzz_settings(25)
def test_a_waiting_run_is_taken_in_or_set_aside(tmp_path: Path, text: bytes) -> None:
    registry = tmp_path / "registry.db"
    spool = Spool(registry)
    spool.folder.mkdir(exist_ok=True)
    (spool.folder / f"{RUN_ID}.json").write_bytes(text)
    assert isinstance(spool.started(RUN_ID), StartedRun | None)
    with RegistryDatabase.open(registry) as database:
        settle(lambda: spool.replay(database))
    assert spool.waiting() == []
