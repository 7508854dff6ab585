"""The log of runs, and what is derived from it: the package's whole public interface.

Packages above import from here alone, in the words of the domain; which engine keeps the log (``sqlite``, the
only SQL of the project) shows nowhere else. A name is looked up when it is asked for, so that a verb that
logs nothing loads no database.
"""

from importlib import import_module

TYPE_CHECKING = False  # typing's own takes time to import, and type checkers know this one as well
if TYPE_CHECKING:
    from promptops.registry.api_keys import ApiKey, KeyLimits, hash_secret
    from promptops.registry.filters import RunFilter, parse_time
    from promptops.registry.group_writer import GroupErrors, GroupJournal, GroupWriter
    from promptops.registry.journal import (
        NoJournal,
        RegistryJournal,
        Spool,
        run_as_record,
        run_from_record,
    )
    from promptops.registry.outcome_file import (
        Feedback,
        log_run_outcomes,
        open_with_waiting_runs,
        outcome_redaction,
        outcomes_of_feedback,
        read_outcomes,
        redact_outcomes,
    )
    from promptops.registry.personal_data import redact_text, redact_value
    from promptops.registry.records import CheckResult, FinishedRun, LogRow, RunKind, RunState, StartedRun
    from promptops.registry.retention import redact_finished_run, redact_started_run, without_quotes
    from promptops.registry.run_export import export_runs
    from promptops.registry.run_messages import load_run_prompt, rebuild_messages, stored_prompt
    from promptops.registry.sampling import is_sampled
    from promptops.registry.sqlite.api_keys import add_api_key, list_api_keys, revoke_api_key, spent_by_key
    from promptops.registry.sqlite.errors import EngineError
    from promptops.registry.sqlite.evals import (
        EvalRecord,
        LatestEval,
        evals_against,
        latest_evals,
        save_evals,
    )
    from promptops.registry.sqlite.history_index import (
        BranchKey,
        IndexedBranch,
        IndexedCommit,
        IndexedPrompt,
        IndexedVersion,
        PathChange,
        VersionStart,
        delete_indexed_branch,
        extend_indexed_branch,
        find_indexed_branch,
        find_indexed_prompt,
        open_in_memory_index,
        read_indexed_versions,
        read_path_changes,
        save_indexed_prompt,
    )
    from promptops.registry.sqlite.log_gaps import find_log_gaps, find_log_gaps_with_seq
    from promptops.registry.sqlite.meta import count_runs, engine_version, find_damage, read_registry_id
    from promptops.registry.sqlite.recover import recover_registry, recover_to_file
    from promptops.registry.sqlite.release.breaker import (
        FAILURES_TO_OPEN,
        breaker_reason,
        is_canary_failing,
        open_breaker,
        open_breakers,
    )
    from promptops.registry.sqlite.release.export import (
        ExportCheckpoint,
        export_release,
        read_export_checkpoint,
        save_export_checkpoint,
    )
    from promptops.registry.sqlite.release.exposure import (
        Exposure,
        add_exposed,
        count_exposure,
        read_exposure,
        save_exposure,
    )
    from promptops.registry.sqlite.release.import_ import ImportResult, import_files
    from promptops.registry.sqlite.release.import_coverage import describe_import_gaps
    from promptops.registry.sqlite.release.judge_queue import (
        JudgeQueueFilter,
        judge_versions_used,
        runs_to_judge,
    )
    from promptops.registry.sqlite.release.observations import (
        CALL_METRIC,
        LATE_PREFIX,
        CallOutcome,
        ObservationBlock,
        calls_after,
        calls_before,
        count_calls_since,
        count_distinct_inputs,
        count_reviewed_calls,
        decode_analysis_state,
        delete_observations,
        earliest_start_from,
        filter_ended_calls,
        find_first_rollout_run,
        has_outcome,
        last_outcome_id,
        last_seq,
        load_analysis_state,
        load_analysis_text,
        outcomes_after,
        pruned_calls,
        read_call_outcomes,
        read_channel_traffic,
        read_losses,
        read_observations,
        save_analysis_state,
        save_observations,
        scratch_analysis,
    )
    from promptops.registry.sqlite.rows import parse_output_json, run_to_json
    from promptops.registry.sqlite.runs.batches import (
        BatchCallLog,
        BatchIdentity,
        batch_spent_usd,
        begin_batch,
        done_lines,
        end_batch,
        format_line_ranges,
        read_batch_run,
        redacted_lines,
        unfinished_batch,
    )
    from promptops.registry.sqlite.runs.cache import (
        CachedReply,
        ReplyCache,
        clear_cache,
        read_cache_stats,
        reply_key,
    )
    from promptops.registry.sqlite.runs.erase import ErasureResult, erase_old_texts, erase_person
    from promptops.registry.sqlite.runs.outcomes import (
        BINARY_OUTCOMES,
        AddedOutcomes,
        RunOutcome,
        add_check_outcomes,
        add_outcome,
        add_run_outcomes,
        import_outcomes,
        make_outcome,
        normalize_outcome_value,
    )
    from promptops.registry.sqlite.runs.prune import PruneResult, parse_size, prune_runs, shrink_registry
    from promptops.registry.sqlite.runs.queries import (
        RunRecord,
        get_run,
        last_runs,
        list_runs,
        runs_by_seq,
        sample_runs,
        short_ids,
    )
    from promptops.registry.sqlite.runs.search import SearchHit, SearchResult, search_runs
    from promptops.registry.sqlite.runs.stats import (
        StatsRow,
        read_non_traffic_stats,
        read_run_stats,
        version_stats,
    )
    from promptops.registry.sqlite.shadow.jobs import (
        INCOMPATIBLE,
        LiveShadowKey,
        ShadowCounts,
        ShadowJob,
        add_job,
        add_skipped_job,
        finish_all_jobs,
        finish_job,
        job_note,
        lease_jobs,
        live_pairs,
        live_shadow_spent_usd,
        new_lease_holder,
        next_live_shadow,
        read_shadow_counts,
        release_leases,
        skipped_job_examples,
    )
    from promptops.registry.sqlite.shadow.runs import (
        PREFERENCE,
        SIMILARITY,
        ReusableInput,
        StoredShadowRun,
        add_pair_outcome,
        begin_shadow_run,
        end_shadow_run,
        find_reusable_inputs,
        find_unfinished_shadow_run,
        frequent_tags,
        get_shadow_run,
        list_shadow_runs,
        list_shadow_runs_comparing,
        pair_runs,
        record_counted_pairs,
        resume_shadow_run,
        shadow_losses,
        shadow_run_spent_usd,
        short_shadow_ids,
        tags_of,
    )
    from promptops.registry.sqlite.shared_state import (
        SharedRequest,
        SharedState,
        remove_shared_state,
        shared_state_path,
    )
    from promptops.registry.sqlite.store import LogPosition, RegistryDatabase
    from promptops.registry.sqlite.swap import swap_registry
    from promptops.registry.sqlite.versions import find_logged_versions
    from promptops.registry.ulid import ULID_LENGTH, new_run_id
    from promptops.registry.unit_hash import UnitKey, known_unit_hashes, unit_key, unit_key_from_env

_HOMES = {
    "api_keys": "ApiKey KeyLimits hash_secret",
    "filters": "RunFilter parse_time",
    "group_writer": "GroupErrors GroupJournal GroupWriter",
    "journal": "NoJournal RegistryJournal Spool run_as_record run_from_record",
    "outcome_file": (
        "Feedback log_run_outcomes open_with_waiting_runs outcome_redaction outcomes_of_feedback "
        "read_outcomes redact_outcomes"
    ),
    "personal_data": "redact_text redact_value",
    "records": "CheckResult FinishedRun LogRow RunKind RunState StartedRun",
    "retention": "redact_finished_run redact_started_run without_quotes",
    "run_export": "export_runs",
    "run_messages": "load_run_prompt rebuild_messages stored_prompt",
    "sampling": "is_sampled",
    "sqlite.api_keys": "add_api_key list_api_keys revoke_api_key spent_by_key",
    "sqlite.errors": "EngineError",
    "sqlite.evals": "EvalRecord LatestEval evals_against latest_evals save_evals",
    "sqlite.history_index": (
        "BranchKey IndexedBranch IndexedCommit IndexedPrompt IndexedVersion PathChange VersionStart "
        "delete_indexed_branch extend_indexed_branch find_indexed_branch find_indexed_prompt "
        "open_in_memory_index read_indexed_versions read_path_changes save_indexed_prompt"
    ),
    "sqlite.log_gaps": "find_log_gaps find_log_gaps_with_seq",
    "sqlite.meta": "count_runs engine_version find_damage read_registry_id",
    "sqlite.recover": "recover_registry recover_to_file",
    "sqlite.release.breaker": (
        "FAILURES_TO_OPEN breaker_reason is_canary_failing open_breaker open_breakers"
    ),
    "sqlite.release.export": (
        "ExportCheckpoint export_release read_export_checkpoint save_export_checkpoint"
    ),
    "sqlite.release.exposure": "Exposure add_exposed count_exposure read_exposure save_exposure",
    "sqlite.release.import_": "ImportResult import_files",
    "sqlite.release.import_coverage": "describe_import_gaps",
    "sqlite.release.judge_queue": "JudgeQueueFilter judge_versions_used runs_to_judge",
    "sqlite.release.observations": (
        "CALL_METRIC CallOutcome LATE_PREFIX calls_after calls_before count_calls_since "
        "count_distinct_inputs count_reviewed_calls decode_analysis_state delete_observations "
        "earliest_start_from "
        "filter_ended_calls find_first_rollout_run has_outcome last_outcome_id last_seq load_analysis_state "
        "load_analysis_text "
        "ObservationBlock outcomes_after pruned_calls read_call_outcomes "
        "read_channel_traffic read_losses read_observations save_analysis_state save_observations "
        "scratch_analysis"
    ),
    "sqlite.rows": "parse_output_json run_to_json",
    "sqlite.runs.batches": (
        "BatchCallLog BatchIdentity batch_spent_usd begin_batch done_lines end_batch format_line_ranges "
        "read_batch_run redacted_lines unfinished_batch"
    ),
    "sqlite.runs.cache": "CachedReply ReplyCache clear_cache read_cache_stats reply_key",
    "sqlite.runs.erase": "ErasureResult erase_old_texts erase_person",
    "sqlite.runs.outcomes": (
        "AddedOutcomes BINARY_OUTCOMES RunOutcome add_check_outcomes add_outcome add_run_outcomes "
        "import_outcomes make_outcome normalize_outcome_value"
    ),
    "sqlite.runs.prune": "PruneResult parse_size prune_runs shrink_registry",
    "sqlite.runs.queries": "RunRecord get_run last_runs list_runs runs_by_seq sample_runs short_ids",
    "sqlite.runs.search": "SearchHit SearchResult search_runs",
    "sqlite.runs.stats": "StatsRow read_non_traffic_stats read_run_stats version_stats",
    "sqlite.shared_state": "SharedRequest SharedState remove_shared_state shared_state_path",
    "sqlite.shadow.jobs": (
        "INCOMPATIBLE LiveShadowKey ShadowCounts ShadowJob add_job add_skipped_job finish_all_jobs "
        "finish_job job_note lease_jobs live_pairs live_shadow_spent_usd new_lease_holder next_live_shadow "
        "read_shadow_counts release_leases skipped_job_examples"
    ),
    "sqlite.shadow.runs": (
        "PREFERENCE ReusableInput SIMILARITY StoredShadowRun add_pair_outcome begin_shadow_run "
        "end_shadow_run find_reusable_inputs find_unfinished_shadow_run frequent_tags get_shadow_run "
        "list_shadow_runs list_shadow_runs_comparing pair_runs record_counted_pairs resume_shadow_run "
        "shadow_losses shadow_run_spent_usd short_shadow_ids tags_of"
    ),
    "sqlite.store": "LogPosition RegistryDatabase",
    "sqlite.swap": "swap_registry",
    "sqlite.versions": "find_logged_versions",
    "ulid": "ULID_LENGTH new_run_id",
    "unit_hash": "UnitKey known_unit_hashes unit_key unit_key_from_env",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return value
