"""The log of runs: written, read back, in transactions; several writers at once. On every engine."""

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from promptops.config.registry_location import RegistryLocation, exact_text, local_file
from promptops.errors import Invalid, NotFound
from promptops.registry import EngineError, RegistryDatabase, RunFilter, get_run, new_run_id
from promptops.registry.queries.runs.queries import iterate_runs
from promptops.registry.queries.versions import save_version
from promptops.registry.ulid import normalize_id_prefix
from support.forked_commands import ForkedPopen
from support.logged_runs import DIGEST, a_failure, a_run, an_end, check
from support.paths import SUPPORT


def others_read(location: RegistryLocation, sql: str) -> list[tuple[Any, ...]]:
    """What another program reads."""
    with RegistryDatabase.open(location) as other:
        return [tuple(row) for row in other.read(sql)]


def test_a_started_run_is_on_disk_before_the_call(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        run = a_run()
        assert registry.start(run) == 1
        assert others_read(location, "SELECT run_id, state FROM runs") == [(run.run_id, "started")]
        assert others_read(location, "SELECT inputs FROM run_texts") == [('{"ticket":"My parcel is late"}',)]


def test_a_run_comes_back_as_it_was_logged(location: RegistryLocation) -> None:
    run = a_run(
        parameters={"temperature": 0},
        overrides={"model": "x"},
        metadata={"tags": ["vip"]},
        channel="production",
    )
    end = an_end(
        tool_calls=({"id": "1"},),
        attempts=({"model": "m", "latency_ms": 1.0},),
        checks=(check("short"), check("json", passed=False, value=0.5, message="not JSON")),
    )
    with RegistryDatabase.open(location) as registry:
        registry.start(run)
        registry.finish(run.run_id, end)
        found = get_run(registry, run.run_id)
    assert found["checks"] == [
        {"name": "short", "pass": True, "value": None, "message": ""},
        {"name": "json", "pass": False, "value": 0.5, "message": "not JSON"},
    ]
    assert found["digest"] == f"sha256:{DIGEST}"
    assert found["parameters"] == {"temperature": 0}
    assert found["tool_calls"] == [{"id": "1"}]
    assert found["attempts"] == [{"model": "m", "latency_ms": 1.0}]
    assert found["state"] == "finished"
    assert found["error"] is None
    assert others_read(location, "SELECT tag FROM run_tags") == [("vip",)]
    assert others_read(location, "SELECT checks_failed FROM runs") == [(1,)]


def test_the_view_for_people(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        run = a_run(commit_sha="3f2c9e1" + "0" * 33, dirty=True)
        registry.record([(run, an_end(checks=(check("json", passed=False), check("short", passed=False))))])
        with registry.write() as connection:
            connection.execute(
                "INSERT INTO outcomes (run_seq, source, name, value, text, occurred_at, recorded_at) "
                "VALUES (1, 'person', 'thumbs', 1, 'good', '', '')"
            )
    columns = "prompt, version, model, output, checks_failed, feedback, cost_usd, latency_ms"
    assert others_read(location, f"SELECT {columns} FROM run_log") == [
        ("support/triage", "3f2c9e1 + edits", "gpt-4o-mini-2024-07-18", "delivery", "json, short",
         "thumbs 1.0: good", 0.001, 120.0)
    ]  # fmt: skip


def test_a_batch_is_one_transaction(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        one, two = a_run(), a_run()
        assert registry.record([(one, an_end()), (two, a_failure())]) == [1, 2]
        with pytest.raises(EngineError):
            registry.record([(a_run(), an_end()), (one, an_end())])
        assert registry.read_one("SELECT count(*) FROM runs") == 2
        assert registry.start(a_run()) > 2
        counters = [row[0] for row in registry.read("SELECT writer_counter FROM runs ORDER BY seq")]
    assert counters == [1, 2, 5]  # what was not written leaves a hole


def test_ending_a_run_never_loses_it(location: RegistryLocation) -> None:
    run = a_run()
    with RegistryDatabase.open(location) as registry:
        registry.start(run)
        with RegistryDatabase.open(location) as other, other.write() as connection:
            connection.execute("DELETE FROM runs")
        registry.finish(run.run_id, an_end())
        assert get_run(registry, run.run_id)["output"] == "delivery"
        with pytest.raises(Invalid, match="has ended already"):
            registry.finish(run.run_id, an_end())
        with pytest.raises(NotFound, match="no run"):
            registry.finish(new_run_id(), an_end())


def test_a_group_is_logged_whole_or_not_at_all(location: RegistryLocation) -> None:
    first, second, third = (a_run(metadata={"tags": ["night"]}) for _ in range(3))
    with RegistryDatabase.open(location) as registry:
        assert registry.log_group([first, second], []) == [1, 2]
        ends = [(run.run_id, an_end(checks=(check(passed=False),))) for run in (first, second)]
        with pytest.raises(Invalid, match="has ended already"):
            registry.log_group([third], [*ends, ends[0]])
        assert registry.read_one("SELECT count(*) FROM runs WHERE state = 'started'") == 2
        assert registry.log_group([third], ends) > [2]
        with pytest.raises(Invalid, match="has ended already"):
            registry.finish_all([(third.run_id, an_end()), ends[0]])
        with pytest.raises(NotFound, match="no run"):
            registry.finish_all([(third.run_id, an_end()), ("0" * 26, an_end())])
        counts = registry.read(
            "SELECT state, count(*), sum(checks_failed) FROM runs GROUP BY state ORDER BY state"
        )
        assert [tuple(row) for row in counts] == [("finished", 2, 2), ("started", 1, None)]
        assert registry.read_one("SELECT count(*) FROM outcomes") == 2
        assert registry.read_one("SELECT count(*) FROM run_tags") == 3
        outputs = [row[0] for row in registry.read("SELECT output FROM run_texts ORDER BY seq")]
    assert outputs == ["delivery", "delivery", None]


def test_a_run_kept_elsewhere_is_taken_in_once(location: RegistryLocation) -> None:
    lost, begun = a_run(), a_run()
    with RegistryDatabase.open(location) as registry:
        registry.start(begun)
        for _ in range(2):
            registry.replay(lost, an_end(output="lost"))
            registry.replay(begun, an_end(output="begun"))
        outputs = [row[0] for row in registry.read("SELECT output FROM run_texts ORDER BY seq")]
    assert outputs == ["begun", "lost"]


def test_a_sequence_number_is_never_used_again(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        registry.record([(a_run(), an_end()), (a_run(), an_end())])
        with registry.write() as connection:
            connection.execute("DELETE FROM runs")
        assert registry.start(a_run()) == 3


def test_text_that_utf8_cannot_hold_does_not_cost_the_row(location: RegistryLocation) -> None:
    inputs = {"ticket": "half \ud83d a pair, \0 and \u202e"}
    output = "half \ud83d, whole 😀, split " + "\ud83d" + "\ude00"
    with RegistryDatabase.open(location) as registry:
        run = a_run(inputs=inputs, metadata={"tags": "lone \udc00"})
        registry.record([(run, an_end(output=output, checks=(check(message="\udfff"),)))])
        found = get_run(registry, run.run_id)
    assert found["inputs"] == inputs
    assert (
        found["output"] == "half \\ud83d, whole 😀, split 😀"
    )  # as it was sent, and no other broken character
    assert found["checks"][0]["message"] == "\\udfff"


def test_hostile_inputs_come_back_byte_for_byte(location: RegistryLocation, shared: Path) -> None:
    files = sorted((shared / "data/hostile-inputs").glob("*.jsonl"))
    lines = b"".join(file.read_bytes() for file in files).splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    assert texts
    with RegistryDatabase.open(location) as registry:
        registry.record([(a_run(inputs={"ticket": text}), an_end(output=text)) for text in texts])
        found = [(run["inputs"]["ticket"], run["output"]) for run in iterate_runs(registry, RunFilter())]
    assert found == [(text, text) for text in texts]


def test_a_version_is_kept_once_and_learns_its_commit(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        save_version(registry, "a", DIGEST, '{"format":1}', path="a.yaml")
        save_version(registry, "a", DIGEST, "never read")
        save_version(registry, "a", DIGEST, '{"format":1}', commit_sha="c0ffee", path="a.yaml")
        save_version(registry, "a", DIGEST, "never read", commit_sha="other")
    columns = "prompt, digest, source, commit_sha, path"
    assert others_read(location, f"SELECT {columns} FROM versions") == [
        ("a", DIGEST, '{"format":1}', "c0ffee", "a.yaml")
    ]


def test_run_ids_sort_by_time_and_take_typing_errors() -> None:
    ids = [new_run_id() for _ in range(100)]
    assert {len(run_id) for run_id in ids} == {26}
    assert len(set(ids)) == 100
    assert sorted(run_id[:10] for run_id in ids) == [run_id[:10] for run_id in ids]
    assert normalize_id_prefix("01jdil") == "01JD11"
    assert [normalize_id_prefix(text) for text in ("", "u", "a-b", "0" * 27)] == [None] * 4


def test_an_open_transaction_is_undone_by_an_error(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        with pytest.raises(EngineError), registry.write() as connection:  # noqa: PT012 - a block
            connection.execute("DELETE FROM meta")
            connection.execute("nonsense")
        assert registry.read_one("SELECT count(*) FROM meta") == 2


def test_a_missing_registry_reads_as_empty_and_is_not_made(location: RegistryLocation) -> None:
    with RegistryDatabase.open_existing(location) as registry:
        assert registry.read("SELECT * FROM run_log") == []
        with pytest.raises(NotFound, match="no run 01"):
            get_run(registry, "01")
    assert not isinstance(location, Path) or not location.exists()


WRITE = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.logged_runs import a_run, an_end
from promptops.config.registry_location import registry_location
from promptops.registry import RegistryDatabase
with RegistryDatabase.open(registry_location(sys.argv[1], Path(), Path(sys.argv[4]))) as registry:
    for _ in range(int(sys.argv[3])):
        run = a_run()
        registry.start(run)
        registry.finish(run.run_id, an_end())
        print(run.run_id, flush=True)
"""


def test_four_writers_lose_no_run(location: RegistryLocation) -> None:
    each = 250
    command = [sys.executable, "-c", WRITE, exact_text(location), str(SUPPORT.parent), str(each)]
    command += [str(local_file(location).parent)]
    writers = [ForkedPopen(command, stdout=subprocess.PIPE, encoding="utf-8") for _ in range(4)]
    said = [line for writer in writers for line in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0] * 4
    logged = others_read(location, "SELECT run_id FROM runs WHERE state = 'finished'")
    assert {row[0] for row in logged} == set(said)
    assert len(said) == 4 * each
    holes = others_read(
        location, "SELECT writer_id FROM runs GROUP BY writer_id HAVING max(writer_counter) <> count(*)"
    )
    assert holes == []


def test_one_registry_may_be_shared_by_threads(location: RegistryLocation) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with RegistryDatabase.open(location) as registry, ThreadPoolExecutor(8) as pool:
        runs = [a_run() for _ in range(100)]

        def log(run: object) -> None:
            registry.start(run)  # type: ignore[arg-type]
            registry.finish(run.run_id, an_end())  # type: ignore[attr-defined]

        list(pool.map(log, runs))
        assert registry.read_one("SELECT count(*) FROM runs WHERE state = 'finished'") == 100
        assert registry.read_one("SELECT count(DISTINCT writer_counter) FROM runs") == 100


def test_a_write_within_a_transaction_is_a_part_of_it(location: RegistryLocation) -> None:
    with RegistryDatabase.open(location) as registry:
        with suppress(ZeroDivisionError), registry.transaction():
            registry.start(a_run())
            assert registry.read_one("SELECT count(*) FROM runs") == 1
            1 / 0  # noqa: B018 - whatever else fails
        assert registry.read_one("SELECT count(*) FROM runs") == 0
        with registry.transaction():
            registry.start(a_run())
            registry.start(a_run())
        assert registry.read_one("SELECT count(*) FROM runs") == 2


@pytest.mark.parametrize("count", [10**30, -(10**30), 2**63])
def test_a_number_that_no_column_holds_does_not_cost_the_row(location: RegistryLocation, count: int) -> None:
    runs = [a_run() for _ in range(2)]
    with RegistryDatabase.open(location) as registry:
        registry.start(runs[0])
        registry.finish(runs[0].run_id, an_end(input_tokens=count, output_tokens=2**63 - 1))
        registry.record([(runs[1], an_end(input_tokens=count))])
    logged = others_read(location, "SELECT state, input_tokens, output FROM runs JOIN run_texts USING (seq)")
    assert [row[:2] for row in logged] == [("finished", None)] * 2
    assert all(row[2] for row in logged)
