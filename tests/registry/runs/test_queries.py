"""Reading logged runs: lists, search, statistics, export, pruning."""

import csv
import io
import json
import random
import sqlite3

import pytest

from promptops.errors import Invalid, NotFound
from promptops.registry import (
    RegistryDatabase,
    RunFilter,
    export_runs,
    get_run,
    last_runs,
    list_runs,
    parse_output_json,
    parse_size,
    parse_time,
    prune_runs,
    read_non_traffic_stats,
    read_run_stats,
    search_runs,
    short_ids,
    version_stats,
)
from promptops.registry.queries.runs.daily_stats import SUMS, Latencies, run_key
from promptops.registry.queries.runs.queries import iterate_runs
from promptops.registry.run_export import RUN_CSV_COLUMNS
from support.logged_runs import DIGEST, OTHER_DIGEST, a_failure, a_run, an_end, check

ON_SQLITE = pytest.mark.parametrize("new_location", ["sqlite"], indirect=True)
SCRIPTS_RELY_ON = [
    "run_id", "reference", "prompt", "digest", "version", "channel", "rollout", "arm", "commit_sha", "dirty",
    "request_model", "response_model", "inputs", "output", "output_json", "checks", "input_tokens",
    "output_tokens", "cost_usd", "spent_usd", "latency_ms", "finish_reason", "cache", "error", "batch_line",
]  # fmt: skip


def prompts(registry: RegistryDatabase, **fields: object) -> list[str]:
    return [run["prompt"] for run in list_runs(registry, RunFilter(**fields), limit=50)]  # type: ignore[arg-type]


def outcome(registry: RegistryDatabase, seq: int, name: str, value: float) -> None:
    with registry.write() as connection:
        connection.execute(
            "INSERT INTO outcomes (run_seq, source, name, value, occurred_at, recorded_at) "
            "VALUES (?, 'person', ?, ?, '2026-01-01', '2026-01-02')",
            (seq, name, value),
        )


class TestRuns:
    def test_the_object_that_scripts_rely_on(self, registry: RegistryDatabase) -> None:
        run = a_run(batch_id="b", batch_line=7, kind="batch")
        registry.record([(run, an_end(output='{"queue": "refund"}', cache_source="01ABC"))])
        outcome(registry, 1, "thumbs", 1)
        found = get_run(registry, run.run_id)
        assert [key for key in found if key in SCRIPTS_RELY_ON] == SCRIPTS_RELY_ON
        assert found["output_json"] == {"queue": "refund"}
        assert found["cache"] == {"run_id": "01ABC"}
        assert found["batch_line"] == 7
        assert found["version"] is None
        assert found["outcomes"] == [
            {"source": "person", "name": "thumbs", "value": 1.0, "text": "",
             "occurred_at": "2026-01-01", "recorded_at": "2026-01-02"}
        ]  # fmt: skip
        assert json.loads(json.dumps(found)) == found

    def test_a_failed_and_a_started_run(self, registry: RegistryDatabase) -> None:
        failed, started = a_run(), a_run()
        registry.record([(failed, a_failure("rate_limit"))])
        registry.start(started)
        error = {"type": "rate_limit", "message": "it went wrong", "retryable": True}
        assert get_run(registry, failed.run_id)["error"] == error
        found = get_run(registry, started.run_id)
        assert (found["state"], found["output"], found["finished_at"]) == ("started", None, None)

    @pytest.mark.parametrize("text", [None, "", "12", '"a"', "{broken", "[" * 100_000])
    def test_output_that_is_no_json_object_or_array(self, text: str | None) -> None:
        assert parse_output_json(text) is None

    def test_a_unique_start_of_an_id_is_enough(self, registry: RegistryDatabase) -> None:
        stem = "01JD8Z3KAAAAAAAA"
        ids = [stem + end for end in ("AAAAAAAAAA", "AABBBBBBBB", "CCCCCCCCCC")]
        registry.record([(a_run(run_id=run_id), an_end()) for run_id in [*ids, "7" * 26]])
        assert get_run(registry, "7")["run_id"] == "7" * 26
        assert get_run(registry, ids[2][:17].lower())["run_id"] == ids[2]
        with pytest.raises(Invalid, match="start of several") as caught:
            get_run(registry, stem)
        assert caught.value.hint == ", ".join(ids)
        with pytest.raises(NotFound, match="no run 01XXXX"):
            get_run(registry, "01XXXX")
        with pytest.raises(NotFound, match="no run --"):
            get_run(registry, "--")
        short = short_ids(registry, [*ids, "7" * 26])
        assert [len(each) for each in short.values()] == [19, 19, 17, 10]
        assert [get_run(registry, each)["run_id"] for each in short.values()] == [*ids, "7" * 26]

    def test_very_many_candidates_are_cut(self, registry: RegistryDatabase) -> None:
        registry.record([(a_run(run_id=f"01{n:024}"), an_end()) for n in range(10)])
        with pytest.raises(Invalid) as caught:
            get_run(registry, "01")
        assert caught.value.hint.count(",") == 5
        assert caught.value.hint.endswith(", …")

    def test_filters(self, registry: RegistryDatabase) -> None:
        rows = [
            (a_run(prompt="a", digest=OTHER_DIGEST, metadata={"tags": ["vip", "vip"]}), an_end(cost_usd=0.5)),
            (a_run(prompt="b/one", channel="production", started_at="2020-01-01T00:00:00.000Z"), an_end()),
            (
                a_run(prompt="b/two", request_model="local/tiny", metadata={"tags": "new"}),
                an_end(latency_ms=900.0),
            ),
            (a_run(prompt="c", kind="eval"), a_failure("timeout")),
        ]
        registry.record(rows)
        registry.start(a_run(prompt="d[1]"))
        assert prompts(registry) == ["d[1]", "c", "b/two", "a", "b/one"]
        assert prompts(registry, prompt="b/*") == ["b/two", "b/one"]
        assert prompts(registry, prompt="d[1]") == ["d[1]"]
        assert prompts(registry, digest="90be") == ["a"]
        assert prompts(registry, model="local/tiny") == prompts(registry, model="local/*") == ["b/two"]
        assert prompts(registry, error="any") == prompts(registry, error="timeout") == ["c"]
        assert prompts(registry, error="server") == []
        assert prompts(registry, until="2021", since="2019") == ["b/one"]
        assert prompts(registry, min_cost=0.4) == ["a"]
        assert prompts(registry, min_latency=500) == ["c", "b/two"]
        assert prompts(registry, channel="production") == ["b/one"]
        assert prompts(registry, tag="vip") == ["a"]
        assert prompts(registry, tag="new") == ["b/two"]
        assert prompts(registry, kind="eval") == ["c"]
        assert prompts(registry, state="started") == ["d[1]"]

    def test_a_span_or_a_date(self) -> None:
        assert parse_time("7d") < parse_time("1h") < parse_time("30s")
        assert parse_time("2026-11-02") == "2026-11-02T00:00:00.000Z"
        assert parse_time("2026-11-02T09:00+02:00") == "2026-11-02T07:00:00.000Z"
        with pytest.raises(Invalid, match="--since yesterday: neither a span nor a date"):
            parse_time("yesterday")

    def test_the_last_run_of_each_prompt(self, registry: RegistryDatabase) -> None:
        assert last_runs(registry) == {}
        registry.record(
            [(a_run(prompt="a"), an_end()), (a_run(prompt="b"), an_end()), (a_run(prompt="a"), a_failure())]
        )
        found = last_runs(registry)
        assert {name: run["state"] for name, run in found.items()} == {"a": "failed", "b": "finished"}


class TestSearch:
    def found(self, registry: RegistryDatabase, words: str, **fields: object) -> list[str]:
        hits = search_runs(registry, words, RunFilter(**fields), limit=50).hits  # type: ignore[arg-type]
        return [hit.run["prompt"] for hit in hits]

    @pytest.fixture(autouse=True)
    def _some(self, registry: RegistryDatabase) -> None:
        registry.record([
            (a_run(prompt="a", inputs={"ticket": "Where is\nparcel?", "n": 42}), an_end(output="delivery")),
            (a_run(prompt="b", inputs={"ticket": "Café crème"}), an_end(output="food and delivery")),
            (a_run(prompt="c", inputs={"image": "data:image/png;base64,parcel"}), a_failure()),
            (a_run(prompt="d", inputs=None), an_end(output="parcel-post 100%")),
        ])  # fmt: skip

    def test_words_of_inputs_and_outputs(self, registry: RegistryDatabase) -> None:
        assert self.found(registry, "parcel") == ["d", "a"]
        assert self.found(registry, "delivery") == ["b", "a"]
        assert self.found(registry, "CAFE") == ["b"]
        assert self.found(registry, "42") == ["a"]
        assert self.found(registry, "ticket") == []
        assert self.found(registry, "deliv*", prompt="a") == ["a"]
        assert self.found(registry, "output:delivery NOT food") == ["a"]
        assert self.found(registry, '"food and"') == ["b"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('a 5" pipe', '"'),
            ('a 5" pipe', '5"'),
            ('he said "no', '"no'),
            ('<a href="">', '""'),
            ('<a href="">', '"" a'),
            ("say NOT", "NOT"),
            ("f(x", "("),
            ("two  blanks", '"  "'),
            ("back\\slash", "\\"),
            ("50% of_it", "%"),
            ("50% of_it", "_"),
            ("it's", "'"),
            ("inputs: none", "inputs:"),
            ("a ** b", "**"),
            ("\N{LEFT DOUBLE QUOTATION MARK}so", "\N{LEFT DOUBLE QUOTATION MARK}"),
        ],
    )
    def test_any_text_is_found_as_it_stands(self, text: str, words: str, registry: RegistryDatabase) -> None:
        registry.record([(a_run(prompt="x", inputs=None), an_end(output=text))])
        assert "x" in self.found(registry, words)

    @pytest.mark.parametrize("words", ["", " ", "\0", "\u0301", '"\u0301"'])
    def test_what_holds_no_letter_finds_nothing(self, words: str, registry: RegistryDatabase) -> None:
        assert self.found(registry, words) == []

    @pytest.mark.parametrize(
        "words",
        [
            "parcel-post",
            "100%",
            '"unclosed parcel',
            "AND",
            "(",
            "parcel)",
            "*",
            "^",
            "no:column",
            "a\0b",
            "'",
            "",
        ],
    )
    def test_no_text_is_a_syntax_error(self, registry: RegistryDatabase, words: str) -> None:
        assert set(self.found(registry, words)) <= {"a", "b", "d"}

    @pytest.mark.parametrize(
        "words", ["東", "東京", "京都", "東京都", "カフ", "한", "東 OR zzz", "京 NOT 大阪"]
    )
    def test_words_of_one_and_two_letters(self, words: str, registry: RegistryDatabase) -> None:
        registry.record([
            (a_run(prompt="x", inputs={"ticket": "東京都のカフェ 한국"}), an_end(output="a")),
            (a_run(prompt="y", inputs={"ticket": "大阪"}), an_end(output="京阪 大阪")),
        ])  # fmt: skip
        assert self.found(registry, words) == ["x"]

    def test_a_text_of_very_many_different_letters(self, registry: RegistryDatabase) -> None:
        letters = random.Random(1).choices([chr(code) for code in range(0x4E00, 0x9F00)], k=200_000)
        registry.record([(a_run(prompt="x", inputs=None), an_end(output="".join(letters)))])
        assert self.found(registry, "".join(letters[-5:])) == ["x"]
        assert self.found(registry, "parcel") == ["d", "a"]

    def test_a_text_with_nul_comes_back_as_it_was(self, registry: RegistryDatabase) -> None:
        texts = {"inputs": {"ticket": "be\0fore"}, "output": "af\0ter\ue000"}
        registry.record([(a_run(prompt="x", inputs=texts["inputs"]), an_end(output=texts["output"]))])
        assert self.found(registry, "zzz") == []
        found = list_runs(registry, RunFilter(prompt="x"), limit=1)[0]
        assert {key: found[key] for key in texts} == texts

    def test_words_with_punctuation_are_found_as_they_stand(self, registry: RegistryDatabase) -> None:
        assert self.found(registry, "parcel-post") == ["d"]

    @ON_SQLITE
    def test_an_index_of_whole_words_is_made_again(self, registry: RegistryDatabase) -> None:
        with registry.write() as connection:
            connection.execute(
                "CREATE VIRTUAL TABLE run_search USING fts5(inputs, output, content='search_texts', "
                "content_rowid='seq', tokenize='unicode61 remove_diacritics 2')"
            )
            connection.execute(
                "INSERT INTO run_search (rowid, inputs, output) SELECT seq, inputs, output FROM search_texts"
            )
            connection.execute("INSERT INTO meta VALUES ('search_watermark', '4')")
        prune_runs(registry, before="2001")
        assert self.found(registry, "arcel") == ["d", "a"]

    def test_the_snippet_shows_what_was_found(self, registry: RegistryDatabase) -> None:
        hit = search_runs(registry, "crème", RunFilter(), limit=1).hits[0]
        assert hit.snippet == "Café \x02crème\x03"

    def test_a_run_that_ends_after_the_search_is_found_by_the_next(self, registry: RegistryDatabase) -> None:
        run = a_run(prompt="late", inputs={"ticket": "parcel"})
        registry.start(run)
        assert self.found(registry, "parcel") == ["d", "a"]
        registry.finish(run.run_id, an_end(output="parcel"))
        registry.record([(a_run(prompt="next"), an_end(output="parcel"))])
        assert self.found(registry, "parcel") == ["next", "late", "d", "a"]
        assert registry.read("SELECT * FROM search_waiting") == []

    @pytest.mark.no_cover
    @pytest.mark.slow
    def test_large_logs_are_indexed_in_parts(self, registry: RegistryDatabase) -> None:
        registry.record([(a_run(), an_end(output=f"word{n}")) for n in range(4_500)])
        said: list[tuple[int, int]] = []
        search_runs(
            registry, "x", RunFilter(), limit=1, progress=lambda done, last: said.append((done, last))
        )
        assert said == [(2000, 4504), (4000, 4504)]
        assert len(search_runs(registry, "word*", RunFilter(), limit=9_999).hits) == 4_500

    def test_pruned_runs_leave_the_index(self, registry: RegistryDatabase) -> None:
        self.found(registry, "parcel")
        registry.start(a_run(started_at="2020-01-01T00:00:00.000Z"))
        self.found(registry, "parcel")
        registry.record(
            [(a_run(prompt="new", started_at="2030-01-01T00:00:00.000Z"), an_end(output="parcel"))]
        )
        prune_runs(registry, before="2029")
        assert self.found(registry, "parcel") == ["new"]
        if registry.engine == "sqlite":
            registry.command("INSERT INTO run_search (run_search) VALUES ('integrity-check')")
        prune_runs(registry, before="2031")
        words = "run_search"
        if registry.engine == "sqlite":
            registry.command("CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, run_search, row)")
            words = "temp.words"
        assert registry.read(f"SELECT * FROM {words}") == []


class TestFigures:
    def test_sums(self, registry: RegistryDatabase) -> None:
        registry.record([
            *((a_run(), an_end(latency_ms=1.0 * n, checks=(check(passed=n > 5),))) for n in range(1, 101)),
            (a_run(), a_failure()),
            (a_run(), an_end(state="interrupted", error_type="interrupted", latency_ms=5.0, cost_usd=None)),
            (a_run(), an_end(cache_source="01A", spent_usd=0.0, latency_ms=7000.0)),
            (a_run(), an_end(cost_usd=None, latency_ms=None)),
        ])  # fmt: skip
        registry.start(a_run())
        row = read_run_stats(registry, RunFilter())[0]
        assert row["key"] == "support/triage"
        assert (row["calls"], row["errors"], row["unfinished"], row["unpriced"]) == (105, 1, 2, 1)
        assert (row["cache_hits"], row["checked"], row["checks_failed"]) == (1, 100, 5)
        assert (row["p50_ms"], row["p95_ms"]) == (50.0, 95.0)
        assert row["cost_usd"] == pytest.approx(0.101)
        assert row["input_tokens"] == 104 * 40

    def test_groups(self, registry: RegistryDatabase) -> None:
        registry.record([
            (a_run(prompt="a", digest=OTHER_DIGEST, started_at="2026-01-02T00:00:00.000Z"), a_failure()),
            (a_run(prompt="b", version="v3", request_model="m", started_at="2026-01-01T00"), an_end()),
            (a_run(prompt="b", version="v3", started_at="2026-01-02T00:00:00.000Z"), an_end()),
            (a_run(prompt="b", kind="shadow"), an_end()),
        ])  # fmt: skip
        chosen = RunFilter(kind="run")

        def keys(by: str) -> list[tuple[str, int]]:
            return [(row["key"], row["calls"]) for row in read_run_stats(registry, chosen, by)]  # type: ignore[arg-type]

        assert keys("prompt") == [("b", 2), ("a", 1)]
        assert keys("version") == [("b@v3", 2), ("a@sha256:90be90be90be", 1)]
        assert keys("day") == [("2026-01-01", 1), ("2026-01-02", 2)]
        assert keys("model") == [("openai/gpt-4o-mini-2024-07-18", 2), ("m", 1)]
        assert [(row["key"], row["calls"]) for row in read_non_traffic_stats(registry, chosen)] == [
            ("shadow", 1)
        ]
        assert read_run_stats(registry, RunFilter(prompt="a"))[0]["p50_ms"] is None

    def test_of_each_version_with_thumbs(self, registry: RegistryDatabase) -> None:
        registry.record([(a_run(), an_end()), (a_run(), an_end()), (a_run(digest=OTHER_DIGEST), an_end())])
        outcome(registry, 1, "thumbs", 1)
        outcome(registry, 2, "thumbs", 0)
        found = version_stats(registry, "support/triage")
        thumbs = {digest: (row["thumbs_up"], row["thumbs_down"]) for digest, row in found.items()}
        assert thumbs == {DIGEST: (1, 1), OTHER_DIGEST: (0, 0)}

    def test_batches_on_a_channel_are_traffic(self, registry: RegistryDatabase) -> None:
        registry.record([
            (a_run(kind="batch", channel="production"), an_end()),
            (a_run(kind="batch", channel=None), an_end()),
            (a_run(kind="shadow", channel="production"), an_end()),
            (a_run(), an_end()),
        ])  # fmt: skip
        assert version_stats(registry, "support/triage")[DIGEST]["calls"] == 2

    @ON_SQLITE
    def test_one_prompts_figures_are_read_from_the_index_alone(self, registry: RegistryDatabase) -> None:

        registry.add_aggregate("latencies", Latencies)
        sql = f"EXPLAIN QUERY PLAN SELECT {run_key()}, {SUMS} FROM runs r WHERE prompt = ? AND kind = ?"
        plan = " ".join(row["detail"] for row in registry.read(sql, ("a", "run")))
        assert "USING COVERING INDEX runs_by_prompt (prompt=?)" in plan


class TestExport:
    def test_jsonl_is_what_show_prints(self, registry: RegistryDatabase) -> None:
        registry.record([(a_run(inputs={"ticket": f"é{n}"}), an_end()) for n in range(1_200)])
        out = io.StringIO()
        assert export_runs(registry, RunFilter(), "jsonl", out) == 1_200
        lines = [json.loads(line) for line in out.getvalue().splitlines()]
        assert lines == list(iterate_runs(registry, RunFilter(), chunk=7))
        assert [line["seq"] for line in lines] == list(range(1, 1_201))

    def test_no_cell_of_a_table_is_a_formula(self, registry: RegistryDatabase) -> None:
        outputs = ["=1+1", "@SUM(A1)", "-2+3", "+A1", "\t=1", "plain", "'=1", "-2.5", "+1"]
        registry.record([(a_run(), an_end(output=output)) for output in outputs])
        out = io.StringIO()
        export_runs(registry, RunFilter(), "csv", out)
        written = [row["output"] for row in csv.DictReader(io.StringIO(out.getvalue()))]
        assert sorted(written) == sorted([*(f"'{output}" for output in outputs[:5]), *outputs[5:]])

    def test_csv(self, registry: RegistryDatabase) -> None:
        registry.record([
            (a_run(inputs={"ticket": '=cmd, "x"\n2'}), an_end(output="=1+1", checks=(check(passed=False),))),
            (a_run(inputs=None), a_failure(cache_source="01A")),
        ])  # fmt: skip
        out = io.StringIO()
        assert export_runs(registry, RunFilter(), "csv", out) == 2
        first, second = csv.DictReader(io.StringIO(out.getvalue()))
        assert tuple(first) == RUN_CSV_COLUMNS
        assert json.loads(first["inputs"]) == {"ticket": '=cmd, "x"\n2'}
        assert (first["output"], first["checks_failed"]) == ("'=1+1", "json")
        assert (second["error_type"], second["inputs"], second["cache_run_id"]) == ("timeout", "", "01A")


class TestPrune:
    def fill(self, registry: RegistryDatabase, count: int = 600) -> None:
        times = [f"2026-01-{1 + n * 28 // count:02}T00:00:00.000Z" for n in range(count)]
        registry.record([
            (a_run(started_at=at, rollout="r1" if n % 100 == 0 else None, metadata={"tags": ["t"]}),
             an_end(output=random.Random(n).randbytes(1500).hex(), checks=(check(),)))
            for n, at in enumerate(times)
        ])  # fmt: skip

    def test_old_runs_go_with_all_that_belongs_to_them(self, registry: RegistryDatabase) -> None:
        self.fill(registry)
        with registry.write() as connection:
            connection.execute(
                "INSERT INTO observations VALUES ('r1', 'error_rate', 1, 'canary', 500, 0, 0, '')"
            )
        pruned = prune_runs(registry, before="2026-01-15")
        assert (pruned.runs, pruned.kept) == (300, 0)
        assert (pruned.first_at, pruned.last_at) == ("2026-01-01T00:00:00.000Z", "2026-01-14T00:00:00.000Z")
        tables = ("runs", "run_texts", "run_tags", "outcomes")
        assert [registry.read_one(f"SELECT count(*) FROM {table}") for table in tables] == [300] * 4
        assert registry.read_one("SELECT count(*) FROM observations") == 1
        if registry.engine == "sqlite":
            assert pruned.bytes_after < 0.65 * pruned.bytes_before
            assert registry.path.stat().st_size == pruned.bytes_after
            assert registry.read_one("PRAGMA freelist_count") == 0

    def test_the_oldest_go_until_the_rest_fits(self, registry: RegistryDatabase) -> None:
        self.fill(registry)
        limit = registry.size_bytes() // 2
        foreseen = prune_runs(registry, max_bytes=limit, dry_run=True)
        assert registry.read_one("SELECT count(*) FROM runs") == 600
        pruned = prune_runs(registry, max_bytes=limit)
        assert pruned.bytes_after <= limit
        assert foreseen.runs == pytest.approx(pruned.runs, rel=0.3)
        assert foreseen.bytes_after < foreseen.bytes_before
        assert 0 < registry.read_one("SELECT count(*) FROM runs") == 600 - pruned.runs
        assert prune_runs(registry, max_bytes=limit).runs == 0

    def test_a_size_that_cannot_be_reached_leaves_no_runs(self, registry: RegistryDatabase) -> None:
        self.fill(registry, 50)
        assert prune_runs(registry, max_bytes=1).runs == 50

    def test_runs_of_active_rollouts_stay(self, registry: RegistryDatabase) -> None:
        self.fill(registry)
        pruned = prune_runs(registry, before="2027", active_rollouts=["r1"])
        assert (pruned.runs, pruned.kept) == (594, 6)
        assert registry.read_one("SELECT count(*) FROM runs WHERE rollout = 'r1'") == 6
        assert prune_runs(registry, max_bytes=1, active_rollouts=["r1"]).runs == 0

    def test_a_dry_run_on_nothing(self, registry: RegistryDatabase) -> None:
        pruned = prune_runs(registry, before="2027", dry_run=True)
        assert (pruned.runs, pruned.bytes_after) == (0, pruned.bytes_before)

    @ON_SQLITE
    def test_a_reader_delays_the_shrinking(self, registry: RegistryDatabase) -> None:
        self.fill(registry)
        reader = sqlite3.connect(registry.path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM runs LIMIT 1").fetchone()
        with RegistryDatabase.open(registry.path, busy_s=0.05) as pruner:
            assert prune_runs(pruner, before="2026-01-15").waiting
        reader.close()
        assert not prune_runs(registry, before="2026-01-15").waiting

    @ON_SQLITE
    def test_a_file_that_could_not_shrink_learns_it(self, registry: RegistryDatabase) -> None:
        self.fill(registry)
        registry.command("PRAGMA auto_vacuum = NONE")
        registry.command("VACUUM")
        assert prune_runs(registry, before="2026-01-15").runs == 300
        assert registry.read_one("PRAGMA auto_vacuum") == 2

    def test_sizes(self) -> None:
        assert [parse_size(text) for text in ("500MB", "2g", "12", "7 kb")] == [
            500_000_000,
            2 * 10**9,
            12,
            7000,
        ]
        with pytest.raises(Invalid, match="--max-size big: not a size"):
            parse_size("big")
